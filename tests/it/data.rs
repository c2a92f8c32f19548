//! Files as users have them, hostile and ordinary.

mod command;
mod fetch;
mod named;

use proptest::prelude::*;
use seqtilt::sequence::{
    Alphabet, Numbering, ReadOptions, Record, Records, Sequence, read_file, read_str, write_fasta, write_table,
};
use seqtilt::{Error, Kind};
use std::io::Write;
use std::path::{Path, PathBuf};

fn file(name: &str, bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn read(name: &str, bytes: &[u8], options: &ReadOptions) -> Result<Records, Error> {
    let (_dir, path) = file(name, bytes);
    read_file(&path, options)
}

/// Fails unless reading fails with exit code 3, a place that ends in `place`, and `text` in the message.
fn refused(name: &str, bytes: &[u8], options: &ReadOptions, place: &str, text: &str) -> Error {
    let error = read(name, bytes, options).unwrap_err();
    assert_eq!(error.kind(), Kind::Data, "{error}");
    let shown = error.to_string();
    assert!(shown.contains(&format!("{name}:{place} ")), "no place `{place}` in: {shown}");
    assert!(shown.contains(text), "no `{text}` in: {shown}");
    error
}

fn plain() -> ReadOptions {
    ReadOptions::default()
}

fn skipping() -> ReadOptions {
    ReadOptions { skip_invalid: true, ..plain() }
}

#[test]
fn hostile_tables_are_refused_with_their_place() {
    let o = plain();
    let named = ReadOptions { value_column: Some("fitness".into()), ..plain() };
    let error = refused("a.csv", b"seq,fitnes\nACGT,1\n", &named, "1:", "the columns are `seq`, `fitnes`");
    assert_eq!(error.hint_text(), Some("did you mean `fitnes`?"));
    let error = refused("a.csv", b"seq,value\nACGT,1\nACNT,1\n", &o, "3:1:", "letter `N`");
    assert!(error.hint_text().unwrap().contains("--skip-invalid"));
    refused("a.csv", b"", &o, "", "empty");
    refused("a.csv", b"seq,value\n", &o, "", "no rows");
    refused("a.csv", b"seq,value\nACGT,NaN\n", &o, "2:2:", "finite");
    refused("a.csv", b"seq,value\nACGT,inf\n", &o, "2:2:", "finite");
    refused("a.csv", b"seq,value\nACGT,1e999\n", &o, "2:2:", "finite");
    refused("a.csv", b"seq,value\nACGT,\n", &o, "2:2:", "is empty");
    refused("a.csv", b"seq,value\n,1\n", &o, "2:1:", "empty sequence");
    refused("a.csv", b"seq,value\nACGT,1,2\n", &o, "2:", "3 fields; the header has 2");
    refused("a.csv", b"seq,value\nACGT,1\nACGA\n", &o, "3:", "1 fields");
    refused("a.csv", b"id,seq\nx,ACGT\n\ny,ACGA\nx,ACGG\n", &o, "5:1:", "used on line 2");
    refused("a.csv", b"seq,value\nAC\xe9T,1\n", &o, "2:3:", "not UTF-8");
    refused("a.csv", b"ACGTA,0.5\nACGTC,0.7\n", &o, "1:", "no sequence column");
    let error = refused("a.csv", b"seq;value\nACGT;1,5\n", &o, "2:2:", "finite");
    assert!(error.hint_text().unwrap().contains("point"), "{:?}", error.hint_text());
    refused("a.csv", b"seq,value,sd\nACGT,1,-1\n", &o, "2:3:", "0 or greater");
}

#[test]
fn missing_files_and_directories_are_bad_data() {
    let dir = tempfile::tempdir().unwrap();
    let error = read_file(&dir.path().join("none.csv"), &plain()).unwrap_err();
    assert_eq!((error.kind(), error.hint_text().is_some()), (Kind::Data, true));
    let error = read_file(dir.path(), &plain()).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.message().contains("is a directory"), "{error}");
}

#[test]
fn gzip_is_recognised_and_a_cut_stream_refused() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b">a first\nACGT\nAC\n\n>b\nGGGG\n").unwrap();
    let bytes = encoder.finish().unwrap();
    let records = read("a.fasta.gz", &bytes, &plain()).unwrap();
    assert_eq!(
        records.rows.iter().map(|row| (row.id.as_str(), row.sequence.len())).collect::<Vec<_>>(),
        [("a", 6), ("b", 4)]
    );
    assert_eq!(records.length(), None);
    refused("a.fasta.gz", &bytes[..bytes.len() - 9], &plain(), "", "cut short");
}

#[test]
fn spreadsheet_habits_are_accepted() {
    let records =
        read("a.csv", b"\xef\xbb\xbfID,Seq,Score\r\nx,acgt,1\r\n\r\n\"y\",\" ACGA \",2e-1\r\n,,\r\n", &plain());
    let records = records.unwrap();
    assert_eq!(records.alphabet, Alphabet::dna());
    assert_eq!(records.rows[1].id, "y");
    assert_eq!(records.values().unwrap(), [1.0, 0.2]);
    assert!(records.report.notes[0].contains("`dna`"), "{:?}", records.report.notes);
    let tabs = read("a.txt", b"protein_sequence\tvalue\nMKV\t1\n", &plain()).unwrap();
    assert_eq!(tabs.alphabet, Alphabet::protein());
}

#[test]
fn skipping_counts_every_reason() {
    let text = b"id,seq,value\na,ACGT,1\nb,ACNT,1\nc,ACGT,nan\na,ACGG,1\nd,,1\ne,ACGT\nf,ACGT,3\n";
    let records = read("a.csv", text, &skipping()).unwrap();
    assert_eq!((records.len(), records.report.duplicates, records.report.rows), (2, 1, 7));
    let counts =
        records.report.skipped.iter().map(|(reason, n)| format!("{reason} {n}")).collect::<Vec<_>>().join(", ");
    assert_eq!(counts, "empty sequence 1, id 1, letter 1, number of fields 1, value 1");
    refused("a.csv", b"seq,value\nNN,1\n", &skipping(), "1:", "none of the 1 rows");
}

#[test]
fn fasta_faults_are_placed_and_final_stops_removed() {
    let error = refused("a.fa", b"\n>a\nACGT\n>b\nACNT\n", &plain(), "4:", "record `b`: letter `N`");
    assert!(error.hint_text().unwrap().contains("--skip-invalid"));
    refused("a.fa", b">a\n>b\nACGT\n", &plain(), "1:", "empty sequence");
    let records = read("a.fa", b">a\nMKV*\n>b\nM*K\n", &plain()).unwrap();
    assert_eq!((records.len(), records.report.skipped["stop"]), (1, 1));
    assert!(records.values().is_err());
}

#[test]
fn proteingym_tables_carry_their_mutations() {
    let text = b"mutant,mutated_sequence,DMS_score,DMS_score_bin\nA2D,MDV,0.5,1\nA2C:V3K,MCK,-1,0\n";
    let records = read("assay.csv", text, &plain()).unwrap();
    assert_eq!((records.report.format.as_str(), records.len()), ("proteingym", 2));
    assert_eq!(records.rows[1].mutations.as_deref(), Some("A2C:V3K"));
    let bare = b"mutant,DMS_score\nA2D,0.5\nA2C:V3K,-1\n";
    refused("assay.csv", bare, &plain(), "1:", "wild type is needed");
    let options = ReadOptions { wild_type: Some("MAV".into()), ..plain() };
    let made = read("assay.csv", bare, &options).unwrap();
    assert_eq!(made.sequences(), records.sequences());
}

#[test]
fn a_foreign_numbering_is_proposed_even_when_skipping() {
    let text = b"mutant,score\nS0T,1\nK1R:E3D,2\nG2A,3\n";
    let options = ReadOptions { wild_type: Some("MSKGEELFTG".into()), skip_invalid: true, ..plain() };
    let error = refused("m.csv", text, &options, "2:1:", "lies outside the wild type");
    assert!(error.hint_text().unwrap().starts_with("pass --first-position -1:"), "{:?}", error.hint_text());
    let options = ReadOptions { numbering: Some(Numbering { first: -1 }), ..options };
    assert_eq!(read("m.csv", text, &options).unwrap().rows[0].sequence.text(&Alphabet::protein()), "MTKGEELFTG");
}

#[test]
fn genotype_tables_leave_out_stops_and_say_how_many() {
    let text =
        b"aaMutations\tuniqueBarcodes\tmedianBrightness\tstd\n\t9\t3.5\t0.1\nSS0T:SK1*\t1\t1.3\t\nSK1R\t2\t3.1\t\n";
    let options = ReadOptions { wild_type: Some("MSKGEE".into()), ..plain() };
    let records = read("g.tsv", text, &options).unwrap();
    assert_eq!((records.len(), records.report.skipped["stop"]), (2, 1));
    assert_eq!((records.rows[0].sd, records.rows[1].sd), (Some(0.1), None));
    assert_eq!(records.rows[1].sequence.text(&records.alphabet), "MSRGEE");
}

#[test]
fn kmer_tables_hold_both_strands_and_palindromes_once() {
    let text = b"4-mer\t4-mer\tE-score\tMedian\nACGT\tACGT\t0.5\t1\nAAAC\tGTTT\t-0.5\t1\nAAAG\tCTTT\t0\t1\n";
    let records = read("k.txt", text, &plain()).unwrap();
    assert_eq!((records.len(), records.report.duplicates), (5, 0));
    assert_eq!(records.values().unwrap(), [1.0, 0.0, 0.0, 0.5, 0.5]);
    let constants = records.report.normalisation.unwrap();
    assert_eq!((constants.min, constants.max), (-0.5, 0.5));
    refused("k.txt", b"4-mer\t4-mer\tE-score\nACGT\tACGA\t0.5\n", &plain(), "2:2:", "not reverse complements");
}

fn records_of(texts: &[String], values: &[f64]) -> Records {
    let alphabet = Alphabet::protein();
    let rows = texts.iter().zip(values).enumerate().map(|(index, (text, value))| Record {
        id: format!("v{index}"),
        sequence: Sequence::parse(text, &alphabet).unwrap(),
        value: Some(*value),
        sd: Some(value.abs()),
        mutations: None,
    });
    Records::new(alphabet.clone(), rows.collect())
}

proptest! {
    #[test]
    fn tables_and_fasta_round_trip(
        pairs in prop::collection::vec(("[ACDEFGHIKLMNPQRSTVWY]{1,80}", -1e300_f64..1e300), 1..12)
    ) {
        let (texts, values): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        let records = records_of(&texts, &values);
        let options = ReadOptions { alphabet: Some(Alphabet::protein()), ..ReadOptions::default() };
        let mut out = Vec::new();
        write_table(&mut out, &records).unwrap();
        let back = read_str(std::str::from_utf8(&out).unwrap(), None, &options).unwrap();
        prop_assert_eq!(&back.rows, &records.rows);
        let mut out = Vec::new();
        write_fasta(&mut out, &records).unwrap();
        let back = read_str(std::str::from_utf8(&out).unwrap(), None, &options).unwrap();
        prop_assert_eq!(back.sequences(), records.sequences());
        prop_assert_eq!(&back.rows[0].id, &records.rows[0].id);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "[ -~\\t\\r\\n>,;\"\\PC]{0,60}", skip_invalid: bool) {
        let options = ReadOptions { skip_invalid, ..ReadOptions::default() };
        let _ = read_str(&text, Some(Path::new("x.csv")), &options);
        let _ = read_str(&format!("sequence,value\n{text}"), None, &options);
        let _ = read_str(&format!(">{text}"), None, &options);
    }
}
