//! `seqtilt optimize`: labels are paid for once, whatever happens in between.

use crate::resume::{Toy, files};
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

const SMALL: &str = "--rounds 3 --batch 8 --chunk 3 --samples 120 --tuning-steps 4 --tuning-checkpoint 2 --paths 16 \
                     --certificate-paths 100 --base-paths 400";
const TILTED: &str = "optimize --oracle table:all.csv --start t.csv --prior p";
const FLOOR: &str = "optimize --oracle table:all.csv --start t.csv --proposer gp-ucb --rounds 4 --batch 8 --chunk 3";

/// All words of a length with a value each, but those that `kept` refuses.
fn table(length: u32, kept: impl Fn(&str) -> bool) -> String {
    let mut text = "sequence,value\n".to_owned();
    for n in 0..4_usize.pow(length) {
        let word: String = (0..length).rev().map(|i| char::from(b"ACGT"[n / 4_usize.pow(i) % 4])).collect();
        if kept(&word) {
            let value = word.matches('G').count() as f64 + 0.37 * (n % 11) as f64 / 11.0;
            writeln!(text, "{word},{value:.4}").unwrap();
        }
    }
    text
}

/// A prior in `p`, every word of six letters in `all.csv`, and tables that are wrong.
fn toy() -> Toy {
    let toy = Toy::new();
    let write = |name: &str, text: &str| fs::write(toy.path(name), text).unwrap();
    let start = fs::read_to_string(toy.path("t.csv")).unwrap();
    write("all.csv", &table(6, |_| true));
    write("half.csv", &table(6, |word| !word.starts_with('A')));
    write("two.csv", &table(2, |_| true));
    write("start2.csv", "sequence,value\nAA,0.1\nAC,0.2\nGA,1.0\n");
    write("seven.csv", &start.replace(',', "A,").replace("sequenceA", "sequence"));
    write("protein.csv", &start.replace('A', "W").replace('T', "M"));
    write("lengths.csv", "sequence,value\nACGTAC,1\nACGTT,3\n");
    write("nan.csv", "sequence,value\nACGTAC,1\nACGTTC,NaN\n");
    write("empty.csv", "");
    write("header.csv", "sequence,value\n");
    toy.succeed("pretrain t.csv --out p --dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16 --steps 10");
    toy
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The columns of a CSV file.
fn column(file: &Path, name: &str) -> Vec<String> {
    let mut reader = csv::Reader::from_path(file).unwrap();
    let index = reader.headers().unwrap().iter().position(|header| header == name).unwrap();
    reader.records().map(|row| row.unwrap()[index].to_owned()).collect()
}

fn assert_same(a: &Path, b: &Path, what: &str) {
    let (a, b) = (files(a), files(b));
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>(), "{what}");
    assert!(a.contains_key(Path::new("done.json")), "{what}");
    for (name, bytes) in &a {
        assert!(*bytes == b[name], "{what}: {} differs", name.display());
    }
}

/// Shares of a run's time after which it is killed: a fixed list, of which every kill starts where the last one left.
const MOMENTS: [f64; 6] = [0.11, 0.52, 0.33, 0.21, 0.44, 0.29];

fn killed_and_repeated(toy: &Toy, line: &str) {
    let began = Instant::now();
    toy.succeed(&format!("{line} --out whole --threads 2"));
    let took = began.elapsed();
    let again = format!("{line} --out killed --threads 1");
    // a machine that was busy at first may finish before it is killed: anew then, with shorter waits
    let killed = (0..5).any(|attempt| {
        let _ = fs::remove_dir_all(toy.path("killed"));
        let kills = MOMENTS.map(|share| {
            let mut child = toy.command(&again).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            std::thread::sleep((took / (1 << attempt)).mul_f64(share).max(Duration::from_millis(20)));
            child.kill().unwrap();
            !child.wait().unwrap().success()
        });
        kills.iter().filter(|killed| **killed).count() >= 3
    });
    assert!(killed, "fewer than 3 of {} runs were killed", MOMENTS.len());
    toy.succeed(&again);
    assert_same(&toy.path("whole"), &toy.path("killed"), line);
}

#[test]
fn a_tilted_search_that_is_killed_again_and_again_ends_in_the_same_bytes() {
    killed_and_repeated(&toy(), &format!("{TILTED} {SMALL} --beta 0.02"));
}

#[test]
fn a_floor_that_is_killed_again_and_again_ends_in_the_same_bytes() {
    killed_and_repeated(&toy(), FLOOR);
}

/// Removes what is written after a moment: the files of later rounds, and of the end.
fn rewind(folder: &Path, round: usize) {
    for name in [
        "done.json",
        "measured.csv",
        "rounds.csv",
        "designs.csv",
        "designs.fasta",
        "summary.json",
        "report.json",
        "report.html",
    ] {
        fs::remove_file(folder.join(name)).unwrap();
    }
    for later in round + 1.. {
        if fs::remove_dir_all(folder.join(format!("rounds/{later:03}"))).is_err() {
            break;
        }
    }
}

/// What is cut, in which round, and how its folder is left.
type Cut = (&'static str, usize, fn(&Path));

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target: PathBuf = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_search_goes_on_from_every_file_it_writes() {
    let toy = toy();
    let line = format!("{TILTED} {SMALL}");
    toy.succeed(&format!("{line} --out whole"));
    let labels = |folder: &Path| folder.join("rounds/002/labels.jsonl");
    let cuts: [Cut; 7] = [
        ("before the report", 3, |_| {}),
        ("before the last label's end", 2, |round| {
            let text = fs::read(round.join("labels.jsonl")).unwrap();
            fs::write(round.join("labels.jsonl"), &text[..text.len() - 1]).unwrap();
        }),
        ("in the first label", 2, |round| fs::write(round.join("labels.jsonl"), b"{\"seq").unwrap()),
        ("before the first label", 2, |round| fs::remove_file(round.join("labels.jsonl")).unwrap()),
        ("before the batch", 2, |round| {
            fs::remove_file(round.join("labels.jsonl")).unwrap();
            fs::remove_file(round.join("batch.csv")).unwrap();
            fs::write(round.join(".partial-abc"), b"sequence").unwrap();
        }),
        ("in the tilt", 2, |round| {
            fs::remove_file(round.join("labels.jsonl")).unwrap();
            fs::remove_file(round.join("batch.csv")).unwrap();
            for name in ["done.json", "certificate.json", "model.safetensors", "manifest.json"] {
                let _ = fs::remove_file(round.join("finetune").join(name));
            }
        }),
        ("before the round", 2, |round| fs::remove_dir_all(round).unwrap()),
    ];
    for (what, round, cut) in cuts {
        let folder = toy.path("cut");
        copy(&toy.path("whole"), &folder);
        rewind(&folder, round);
        cut(&folder.join(format!("rounds/{round:03}")));
        toy.succeed(&format!("{line} --out cut"));
        assert_same(&toy.path("whole"), &folder, what);
        fs::remove_dir_all(&folder).unwrap();
    }
    let folder = toy.path("foreign");
    copy(&toy.path("whole"), &folder);
    rewind(&folder, 2);
    let text = fs::read_to_string(labels(&folder)).unwrap();
    fs::write(labels(&folder), text.replacen("\"sequence\":\"", "\"sequence\":\"N", 1)).unwrap();
    let output = toy.output(&format!("{line} --out foreign"));
    assert_eq!(output.status.code(), Some(7), "{}", said(&output));
}

#[test]
fn a_complete_search_answers_again_and_refuses_other_settings_and_company() {
    let toy = toy();
    let first = toy.succeed(&format!("{FLOOR} --out x"));
    let again = toy.succeed(&format!("{FLOOR} --out x --threads 1"));
    assert_eq!(first.stdout, again.stdout);
    assert!(said(&again).contains("`x` is complete"));
    let other = toy.output(&format!("{} --out x", FLOOR.replace("--batch 8", "--batch 9")));
    assert_eq!(other.status.code(), Some(2));
    assert!(said(&other).contains("this run was begun with a different configuration"), "{}", said(&other));
    assert!(said(&other).contains("batches"), "{}", said(&other));
    let more = format!("{} --out busy", FLOOR.replace("--rounds 4", "--rounds 60"));
    let mut child = toy.command(&more).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let began = Instant::now();
    while !toy.path("busy/rounds/001/labels.jsonl").exists() {
        assert!(began.elapsed() < Duration::from_secs(60) && child.try_wait().unwrap().is_none(), "no progress");
        std::thread::sleep(Duration::from_millis(1));
    }
    let second = toy.output(&more);
    let running = child.try_wait().unwrap().is_none();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(running, "the first ended too early to show anything");
    assert_eq!(second.status.code(), Some(2), "{}", said(&second));
    assert!(said(&second).contains("another process is running in `busy`"), "{}", said(&second));
}

#[test]
fn labels_are_counted_once_and_failures_have_no_value() {
    let toy = toy();
    let line = TILTED.replace("all.csv", "half.csv");
    let output = toy.succeed(&format!("{line} {SMALL} --max-evals 20 --retry-failed --json --out x"));
    let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(summary["labels"], 20);
    let (status, value) = (column(&toy.path("x/measured.csv"), "status"), column(&toy.path("x/measured.csv"), "value"));
    assert_eq!(status.len(), 60, "40 known, 20 spent");
    for (status, value) in status.iter().zip(&value) {
        assert_eq!(status == "ok", !value.is_empty(), "{status} {value}");
    }
    let failed = status.iter().filter(|status| *status == "failed").count();
    assert_eq!(summary["without_value"], failed);
    assert!(failed > 0, "nothing failed: the case shows nothing");
    let designs = column(&toy.path("x/designs.csv"), "sequence");
    assert_eq!(designs.iter().collect::<BTreeSet<_>>().len(), designs.len());
    assert!(designs.iter().all(|word| !word.starts_with('A')), "what failed is no design");
    let best: Vec<f64> =
        column(&toy.path("x/designs.csv"), "measured_mean").iter().map(|v| v.parse().unwrap()).collect();
    assert!(best.is_sorted_by(|a, b| a >= b));
    assert_eq!(column(&toy.path("x/rounds.csv"), "labels_spent").last().unwrap(), "20");
    assert!(fs::read_to_string(toy.path("x/report.html")).unwrap().contains("Value against labels"));
    toy.succeed("report x --out page.html");
}

#[test]
fn a_space_that_is_spent_ends_the_search() {
    let toy = toy();
    toy.succeed("pretrain start2.csv --out p2 --dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16 --steps 10");
    for proposer in ["random", "prior", "tilted", "non-adaptive"] {
        let prior = if proposer == "random" { "" } else { "--prior p2 --samples 20 --selection sampled" };
        let line = format!("optimize --oracle table:two.csv --start start2.csv --proposer {proposer} {prior}");
        let tuning = if prior.is_empty() { "" } else { "--tuning-steps 2 --paths 8 --base-paths 200" };
        let output = toy.succeed(&format!("{line} {tuning} --rounds 9 --batch 5 --json --out {proposer}"));
        let summary: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!((&summary["labels"], &summary["ended"]), (&13.into(), &"nothing new was left to propose".into()));
        let words = column(&toy.path(proposer).join("measured.csv"), "sequence");
        assert_eq!(words.iter().collect::<BTreeSet<_>>().len(), 16, "{proposer}");
    }
}

#[test]
fn what_cannot_work_is_refused_before_anything_is_written() {
    let toy = toy();
    let cases: [(&str, i32, &[&str]); 22] = [
        ("--start empty.csv --prior p", 3, &["empty.csv: the file is empty"]),
        ("--start header.csv --prior p", 3, &["header.csv"]),
        ("--start t.csv --value-column fit --prior p", 3, &["no column `fit`"]),
        ("--start nan.csv --prior p", 3, &["nan.csv:3:2"]),
        ("--start lengths.csv --prior p", 3, &["sequences have 6 and 5 letters"]),
        ("--start protein.csv", 2, &["the start table is protein, oracle `all` reads dna", "hint: "]),
        ("--start seven.csv", 2, &["sequences of 7 letters, oracle `all` takes 6", "hint: "]),
        ("--start t.csv --oracle table:seven.csv --prior p", 2, &["cannot be used multiple times"]),
        ("--start missing.csv --prior p", 3, &["missing.csv"]),
        ("--prior p --batch 0", 2, &["`batch` is 0"]),
        ("--prior p --rounds 0", 2, &["`rounds` is 0"]),
        ("--prior p --max-evals 0", 2, &["a budget of 0 labels"]),
        ("--prior p --batches 3,0", 2, &["a batch of 0 sequences"]),
        ("--prior p --batches 3 --rounds 2", 2, &["cannot be used with"]),
        ("--prior p --target NaN", 2, &["the target is NaN"]),
        ("--prior p --alpha 0", 2, &["`alpha` is 0"]),
        ("--prior p --beta -1", 2, &["`beta` is -1"]),
        ("--prior p --proposer tiltd", 2, &["unknown proposer `tiltd`", "`gp-ucb`", "did you mean `tilted`?"]),
        ("--proposer random --alpha 0.1", 2, &["`alpha` is not read by proposer `random`"]),
        ("--prior p --acquisition ubc:1", 2, &["unknown acquisition `ubc`"]),
        ("--prior p --surrogate pg", 2, &["unknown surrogate `pg`"]),
        ("--rounds 2", 2, &["proposer `tilted` needs `--prior`, or `--start`"]),
    ];
    for (line, code, pieces) in cases {
        let output = toy.output(&format!("optimize --oracle table:all.csv {line} --out x"));
        let said = said(&output);
        assert_eq!(output.status.code(), Some(code), "{line}\n{said}");
        for piece in pieces {
            assert!(said.contains(piece), "`{piece}` is not said by\n{line}\n{said}");
        }
        assert!(!said.contains("panicked") && output.stdout.is_empty() && !toy.path("x").exists(), "{line}\n{said}");
    }
}

#[test]
fn noisy_labels_are_ranked_by_what_all_of_them_say() {
    let toy = toy();
    let line =
        "optimize --oracle noisy:sd=1.5,seed=2:table:all.csv --start t.csv --proposer random --rounds 4 --batch 64";
    let printed = said(&toy.succeed(&format!("{line} --out auto")));
    toy.succeed(&format!("{line} --out raw --ranking measured"));
    let truth: std::collections::BTreeMap<String, f64> = column(&toy.path("all.csv"), "sequence")
        .into_iter()
        .zip(column(&toy.path("all.csv"), "value").iter().map(|value| value.parse().unwrap()))
        .collect();
    let top = |folder: &str| -> f64 {
        column(&toy.path(folder).join("designs.csv"), "sequence").iter().take(20).map(|x| truth[x]).sum::<f64>() / 20.0
    };
    let posterior: Vec<f64> =
        column(&toy.path("auto/designs.csv"), "posterior_mean").iter().map(|text| text.parse().unwrap()).collect();
    assert!(posterior.is_sorted_by(|a, b| a >= b));
    assert!(column(&toy.path("raw/designs.csv"), "posterior_mean").iter().all(String::is_empty));
    // a label is off by one and a half Gs; the model pools them
    assert!(top("auto") > top("raw") + 0.1, "{} {}", top("auto"), top("raw"));
    assert!(fs::read_to_string(toy.path("auto/report.html")).unwrap().contains("posterior"), "{printed}");
    let exact = line.replace("noisy:sd=1.5,seed=2:", "");
    toy.succeed(&format!("{exact} --out exact"));
    assert!(column(&toy.path("exact/designs.csv"), "posterior_mean").iter().all(String::is_empty));
    // an ensemble's spread is no error of its labels: it says the same every time
    toy.succeed("optimize --oracle model:tfbind8-fit --proposer random --rounds 1 --batch 8 --out model");
    assert!(column(&toy.path("model/designs.csv"), "posterior_mean").iter().all(String::is_empty));
}

#[test]
fn a_guided_prior_spends_labels_without_training_a_sampler() {
    let toy = toy();
    toy.succeed(&format!("{TILTED} --proposer guided --acquisition mean --alpha 0.05 {SMALL} --out guided"));
    let reasons = column(&toy.path("guided/measured.csv"), "reason");
    assert_eq!(reasons.iter().filter(|reason| reason.contains("sampler's draws")).count(), 24);
    assert!(
        !files(&toy.path("guided")).keys().any(|file| file.components().any(|part| part.as_os_str() == "finetune"))
    );
}
