//! `seqtilt data` as people type it: what is printed where, and the exit code.

use std::path::Path;
use std::process::Command;

struct Answer {
    code: Option<i32>,
    data: String,
    notes: String,
}

fn seqtilt(dir: &Path, arguments: &str) -> Answer {
    let output = Command::new(env!("CARGO_BIN_EXE_seqtilt"))
        .args(arguments.split(' '))
        .args(["--data-dir", "data"])
        .current_dir(dir)
        .output()
        .unwrap();
    Answer {
        code: output.status.code(),
        data: String::from_utf8(output.stdout).unwrap(),
        notes: String::from_utf8(output.stderr).unwrap(),
    }
}

fn folder() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("v.csv"), "variant,score\nACGT,1\nACGA,2\nACNA,3\nTCGT,4\n").unwrap();
    dir
}

#[test]
fn a_table_is_imported_described_split_and_verified() {
    let dir = folder();
    let dir = dir.path();
    let answer = seqtilt(dir, "data import v.csv --name mine --sequence-column variant --skip-invalid");
    assert_eq!(answer.code, Some(0), "{}", answer.notes);
    assert!(answer.notes.contains("1 of 4 rows left out: letter 1"), "{}", answer.notes);
    let answer = seqtilt(dir, "data describe mine --json --quiet");
    let described: serde_json::Value = serde_json::from_str(&answer.data).unwrap();
    assert_eq!((described["records"].as_u64(), described["alphabet"].as_str()), (Some(3), Some("dna")));
    assert_eq!(described["values"]["best"], "TCGT");
    assert!(answer.notes.is_empty(), "{}", answer.notes);
    // ACGA and TCGT are the two strands of one molecule
    let answer = seqtilt(dir, "data split mine --out parts --by strands --shares 0.5,0,0.5 --json");
    assert_eq!(answer.code, Some(0), "{}", answer.notes);
    let parts = ["train", "test"].map(|part| std::fs::read_to_string(dir.join(format!("parts/{part}.csv"))).unwrap());
    assert!(parts.iter().any(|part| part.contains("ACGA") && part.contains("TCGT")), "{parts:?}");
    let answer = seqtilt(dir, "data verify");
    assert_eq!((answer.code, answer.data.contains("intact")), (Some(0), true), "{}", answer.notes);
    std::fs::write(dir.join("data/tables/mine.csv"), "variant,score\nACGT,9\n").unwrap();
    for command in ["data verify", "data verify mine", "data describe mine"] {
        let answer = seqtilt(dir, command);
        assert_eq!(answer.code, Some(7), "{command}: {}", answer.notes);
        assert!(answer.notes.contains("expected sha256"), "{}", answer.notes);
    }
}

#[test]
fn failures_name_the_place_and_the_next_step() {
    let dir = folder();
    for (arguments, code, text) in [
        ("data describe v.csv", 3, "no sequence column found; the columns are `variant`, `score`"),
        ("data describe v.csv --sequence-column varient", 3, "hint: did you mean `variant`?"),
        ("data describe v.csv --sequence-column variant", 3, "v.csv:4:1: letter `N` at position 3"),
        ("data describe v.csv --sequence-column variant", 3, "pass --skip-invalid"),
        ("data describe none.csv", 3, "cannot read `none.csv`"),
        ("data describe tfbind9", 2, "hint: did you mean `tfbind8`?"),
        ("data describe gfp", 3, "seqtilt data fetch gfp"),
        ("data fetch tfbind8-hard-start", 2, "no public origin"),
        ("data import v.csv", 2, "`data import` needs `--name`"),
        ("data import v.csv --name gfp", 2, "is a data set of the package"),
        ("data split v.csv --out p --by quantile --shares 1,0,0", 2, "`shares` has no meaning"),
        ("data verify", 3, "nothing to verify"),
    ] {
        let answer = seqtilt(dir.path(), arguments);
        assert_eq!(answer.code, Some(code), "{arguments}: {}", answer.notes);
        assert!(answer.notes.contains(text), "{arguments}: {}", answer.notes);
        assert!(answer.data.is_empty(), "{arguments}: {}", answer.data);
    }
}

#[test]
fn a_wild_type_file_and_a_numbering_make_sequences_of_mutations() {
    let dir = folder();
    std::fs::write(dir.path().join("m.csv"), "mutant,DMS_score\nS0T,1\nK1R:E3D,2\n,3\n").unwrap();
    std::fs::write(dir.path().join("wt.fa"), ">wt\nMSKGEELFTG\n").unwrap();
    let answer = seqtilt(dir.path(), "data describe m.csv --wild-type wt.fa");
    assert_eq!(answer.code, Some(3), "{}", answer.notes);
    assert!(answer.notes.contains("pass --first-position -1"), "{}", answer.notes);
    let answer = seqtilt(dir.path(), "data describe m.csv --wild-type wt.fa --first-position -1");
    assert_eq!(answer.code, Some(0), "{}", answer.notes);
    assert!(answer.data.contains("0: 1, 1: 1, 2: 1"), "{}", answer.data);
}
