//! Data sets by name: imported tables, and the real ones where they are at hand.

use seqtilt::data::{
    Condition, ImportOptions, Landscape, Split, describe, import, load, locate, own, split, verify, write_split,
};
use seqtilt::sequence::{Alphabet, ReadOptions, Sequence, hamming, read_file};
use seqtilt::{Kind, Seed};
use std::path::{Path, PathBuf};

const TABLE: &[u8] = b"name,aa_seq,Fit\nx,MKV,1.5\ny,MKL,2\nz,MKV,bad\n";

fn imported() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("My Table.CSV");
    std::fs::write(&source, TABLE).unwrap();
    let data = dir.path().join("data");
    let read = ReadOptions { value_column: Some("Fit".into()), skip_invalid: true, ..ReadOptions::default() };
    let (set, records) = import(&source, "mine", &data, &read, ImportOptions::default()).unwrap();
    assert_eq!((set.records, set.rows, set.alphabet.as_str()), (2, 3, "protein"));
    assert_eq!(records.report.skipped["value"], 1);
    (dir, data)
}

#[test]
fn an_import_is_read_back_the_same_and_listed() {
    let (_dir, data) = imported();
    let records = load("mine", &data).unwrap();
    assert_eq!(records.values().unwrap(), [1.5, 2.0]);
    assert_eq!(std::fs::read(locate("mine", &data).unwrap()).unwrap(), TABLE);
    let set = &own(&data).unwrap()[0];
    assert_eq!((set.value_column.as_deref(), set.sequence_column.as_deref()), (Some("Fit"), Some("aa_seq")));
    let states: Vec<_> = verify(&data).unwrap().into_iter().map(|(set, state)| (set.name, state)).collect();
    assert!(states.contains(&("mine".to_owned(), Condition::Intact)), "{states:?}");
    assert!(states.contains(&("gfp".to_owned(), Condition::Absent)), "{states:?}");
}

#[test]
fn a_changed_file_is_an_integrity_error() {
    let (_dir, data) = imported();
    let path = locate("mine", &data).unwrap();
    std::fs::write(&path, [TABLE, b"w,MMM,9\n"].concat()).unwrap();
    let error = load("mine", &data).unwrap_err();
    assert_eq!(error.kind(), Kind::Integrity);
    assert!(error.message().contains("expected sha256") && error.message().contains("got"), "{error}");
    let states = verify(&data).unwrap();
    assert!(states.iter().any(|(set, state)| set.name == "mine" && matches!(state, Condition::Changed { .. })));
}

#[test]
fn names_are_not_taken_twice_unless_asked() {
    let (dir, data) = imported();
    let source = dir.path().join("My Table.CSV");
    let read = ReadOptions { skip_invalid: true, ..ReadOptions::default() };
    let again = |name: &str, replace: bool| {
        import(&source, name, &data, &read, ImportOptions { replace, ..ImportOptions::default() })
    };
    for (name, replace) in [("mine", false), ("gfp", true), ("../x", false)] {
        assert_eq!(again(name, replace).unwrap_err().kind(), Kind::Usage, "{name}");
    }
    again("mine", true).unwrap();
    again("other", false).unwrap();
    assert_eq!(own(&data).unwrap().len(), 2);
}

#[test]
fn an_absent_data_set_says_how_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    let hint = |name: &str| load(name, dir.path()).unwrap_err().hint_text().unwrap().to_owned();
    assert!(hint("tfbind8").contains("seqtilt data fetch tfbind8"));
    assert!(hint("tfbind8-hard-start").contains("--data-dir"));
}

/// The directory of real data, or a printed reason to skip.
#[allow(clippy::print_stderr, reason = "a skipped test says why")]
fn real(file: &str) -> Option<PathBuf> {
    let Some(dir) = std::env::var_os("SEQTILT_DATA") else {
        eprintln!("skipped: SEQTILT_DATA is not set");
        return None;
    };
    let dir = PathBuf::from(dir);
    let there = dir.join(file).is_file();
    if !there {
        eprintln!("skipped: `{file}` is not in SEQTILT_DATA");
    }
    there.then_some(dir)
}

#[test]
fn tfbind8_has_the_known_facts() {
    let Some(dir) = real("SIX6_REF_R1_8mers.txt") else { return };
    let records = load("tfbind8", &dir).unwrap();
    assert_eq!((records.report.rows, records.len(), records.distinct()), (32_896, 65_536, 65_536));
    let landscape = Landscape::from_records(&records).unwrap();
    let dna = Alphabet::dna();
    assert_eq!(landscape.sequence(landscape.best()).text(&dna), "AGGTATCA");
    let values = landscape.values();
    let count = |keep: &dyn Fn(f64) -> bool| values.iter().filter(|value| keep(**value)).count();
    assert_eq!((count(&|v| v > 0.9), count(&|v| v > 0.95)), (934, 294));
    for index in (0..65_536).step_by(97) {
        let other = landscape.sequence(index).reverse_complement(&dna).unwrap();
        assert_eq!(landscape.value(&other).unwrap(), values[index]);
    }
    let found = describe(&records).values.unwrap();
    assert_eq!(found.best, "AGGTATCA");
    let close = |got: f64, wanted: f64| assert!((got - wanted).abs() < 6e-5, "{got} against {wanted}"); // four digits given
    close(found.mean, 0.46377);
    for (p, wanted) in [(0.25, 0.3374), (0.5, 0.4393), (0.75, 0.5660), (0.9, 0.7174), (0.95, 0.8045), (0.99, 0.9196)] {
        close(found.quantiles.iter().find(|(q, _)| *q == p).unwrap().1, wanted);
    }
}

#[test]
fn the_lower_half_of_tfbind8_is_the_benchmarks() {
    let Some(dir) = real("SIX6_REF_R1_8mers.txt") else { return };
    let records = load("tfbind8", &dir).unwrap();
    let values = records.values().unwrap();
    let bound = 0.439_296_16 + 5e-9; // quoted to eight digits
    assert_eq!(values.iter().filter(|value| **value <= bound).count(), 32_764);
    let parts = split(&records, Split::Quantile { at: 0.5 }, Seed::root(0)).unwrap();
    let worst_high = parts[1].1.iter().map(|index| values[*index]).fold(f64::INFINITY, f64::min);
    assert!(parts[0].1.iter().all(|index| values[*index] < worst_high));
    assert_eq!(parts[0].1.len() + parts[1].1.len(), 65_536);
    let strands = split(&records, Split::Strands { shares: [0.8, 0.1, 0.1] }, Seed::root(0)).unwrap();
    let train: std::collections::HashSet<&Sequence> = strands[0].1.iter().map(|i| &records.rows[*i].sequence).collect();
    for sequence in train.iter().take(500) {
        assert!(train.contains(&sequence.reverse_complement(&records.alphabet).unwrap()));
    }
}

#[test]
fn the_hard_start_set_agrees_with_the_landscape() {
    let Some(dir) = real("tfbind8_hard_start.csv").filter(|_| real("SIX6_REF_R1_8mers.txt").is_some()) else { return };
    let start = load("tfbind8-hard-start", &dir).unwrap();
    assert_eq!((start.len(), start.distinct()), (1_024, 658));
    let landscape = Landscape::from_records(&load("tfbind8", &dir).unwrap()).unwrap();
    for row in &start.rows {
        let gap = (landscape.value(&row.sequence).unwrap() - row.value.unwrap()).abs();
        assert!(gap < 1e-7, "{gap}"); // the file has eight digits
    }
}

#[test]
fn gfp_has_the_known_facts() {
    let Some(dir) = real("amino_acid_genotypes_to_brightness.tsv") else { return };
    let records = load("gfp", &dir).unwrap();
    assert_eq!((records.report.rows, records.report.skipped["stop"]), (54_025, 2_310));
    assert_eq!(records.length(), Some(238));
    let described = describe(&records);
    let wild_type = described.wild_type.unwrap();
    assert!((wild_type.value.unwrap() - 3.719_212_132).abs() < 1e-9);
    let first = records.report.wild_type.as_ref().unwrap();
    for row in records.rows.iter().step_by(211) {
        let mutations = seqtilt::sequence::parse_mutations(row.mutations.as_deref().unwrap()).unwrap();
        assert_eq!(hamming(&row.sequence, first), Some(mutations.len()));
    }
    // a foreign numbering is refused with the right one proposed, over all 212,388 mutations
    let options = ReadOptions {
        numbering: Some(seqtilt::sequence::Numbering::ONE_BASED),
        wild_type: Some(wild_type.sequence),
        ..ReadOptions::default()
    };
    let error = read_file(&dir.join("amino_acid_genotypes_to_brightness.tsv"), &options).unwrap_err();
    assert!(error.hint_text().unwrap().starts_with("pass --first-position -1:"), "{:?}", error.hint_text());
}

#[test]
fn split_files_are_written_and_read_back() {
    let (dir, data) = imported();
    let records = load("mine", &data).unwrap();
    let parts = split(&records, Split::Quantile { at: 0.5 }, Seed::root(0)).unwrap();
    let files = write_split(&records, &parts, &dir.path().join("parts")).unwrap();
    let names: Vec<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, ["low.csv", "high.csv"]);
    let options = ReadOptions { alphabet: Some(Alphabet::protein()), ..ReadOptions::default() };
    assert_eq!(read_file(Path::new(&files[1]), &options).unwrap().values().unwrap(), [2.0]);
}
