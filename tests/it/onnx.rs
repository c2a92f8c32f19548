//! ONNX models by the real runtime, for builds with the feature.
//!
//! `cargo test --features onnx --test it onnx`, with `ORT_DYLIB_PATH` at the library; without it these tests say so and pass.
#![cfg(feature = "onnx")]

use seqtilt::Kind;
use seqtilt::oracle::{Onnx, OnnxConfig, Oracle, Outcome};
use seqtilt::sequence::{Alphabet, Sequence};
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/onnx").join(name)
}

fn config(front: &str, name: &str) -> OnnxConfig {
    OnnxConfig::parse(&format!("{front}{}", fixture(name).display())).unwrap()
}

/// The runtime's library, where there is one.
#[allow(clippy::print_stdout, reason = "why nothing was tried")]
fn runtime() -> Option<PathBuf> {
    let path = std::env::var_os("ORT_DYLIB_PATH").map(PathBuf::from).filter(|path| path.exists());
    if path.is_none() {
        println!("skipped: ORT_DYLIB_PATH names no ONNX Runtime library");
    }
    path
}

fn open(front: &str, name: &str, runtime: &Path) -> seqtilt::Result<Onnx> {
    Onnx::open(&config(front, name), Some(runtime))
}

fn words(length: usize, count: usize) -> Vec<Sequence> {
    let dna = Alphabet::dna();
    let ids = |n: usize| (0..length).map(|i| ((n * 7 + i * i + n * i) % 4) as u8).collect::<Vec<u8>>();
    let word = |n: usize| Sequence::from_ids(ids(n), &dna).unwrap();
    (0..count).map(word).collect()
}

fn values(outcomes: &[Outcome]) -> Vec<f64> {
    outcomes.iter().map(|outcome| outcome.value().unwrap()).collect()
}

/// What `make.py` wrote as one-hot.onnx.
fn network(sequence: &Sequence) -> f64 {
    let weight = |row: usize, unit: usize| f64::from(((1.0 + 0.7 * (row * 3 + unit) as f64).sin() / 3.0) as f32);
    let (bias, head) = ([0.1, -0.2, 0.3], [1.0, -0.5, 0.25]);
    let unit = |unit: usize| -> f64 {
        let rows = sequence.ids().iter().enumerate().map(|(place, id)| place * 4 + usize::from(*id));
        (rows.map(|row| weight(row, unit)).sum::<f64>() + bias[unit]).tanh()
    };
    (0..3).map(|u| unit(u) * head[u]).sum()
}

#[test]
fn one_hot_letters_give_the_values_of_the_network_worked_out_here() {
    let Some(runtime) = runtime() else { return };
    let mut oracle = open("", "one-hot.onnx", &runtime).unwrap();
    let info = oracle.info().clone();
    // the metadata says dna and that less is better, the shape says eight letters
    assert_eq!((info.name.as_str(), info.alphabet.name(), info.length), ("one-hot", "dna", (8, 8)));
    assert!(info.deterministic && !info.has_gradient);
    // more than a batch of the network's
    let asked = words(8, 1500);
    let outcomes = oracle.evaluate(&asked).unwrap();
    for (sequence, value) in asked.iter().zip(values(&outcomes)) {
        // sums of eight f32 and a tanh: a few roundings of 6e-8
        assert!((value + network(sequence)).abs() < 2e-6, "{value}");
    }
    let max = open("direction=max:", "one-hot.onnx", &runtime).unwrap().evaluate(&asked[..3]).unwrap();
    assert_eq!(values(&max), values(&outcomes[..3]).iter().map(|value| -value).collect::<Vec<_>>());
    assert_eq!(oracle.evaluate(&[]).unwrap(), []);
}

#[test]
fn ids_of_several_lengths_are_answered_in_order() {
    let Some(runtime) = runtime() else { return };
    let mut oracle = open("alphabet=dna,length=2-9:", "ids.onnx", &runtime).unwrap();
    let table = [0.5, -1.0, 2.0, 0.125];
    let asked: Vec<Sequence> = (0..40).flat_map(|n| words(2 + n % 8, 1)).collect();
    let sums: Vec<f64> =
        asked.iter().map(|sequence| sequence.ids().iter().map(|id| table[usize::from(*id)]).sum()).collect();
    // dyadic numbers: no rounding at all
    assert_eq!(values(&oracle.evaluate(&asked).unwrap()), sums);
    let short = oracle.evaluate(&words(1, 1)).unwrap();
    assert_eq!(short[0].reason(), Some("1 letters; the network reads 2 to 9"));
    let other = open("alphabet=TGCA,length=2-9:", "ids.onnx", &runtime).unwrap();
    assert_ne!(other.info().fingerprint, oracle.info().fingerprint);
}

#[test]
fn what_cannot_be_read_says_what_is_needed() {
    let Some(runtime) = runtime() else { return };
    let refused = |front: &str, name: &str| open(front, name, &runtime).unwrap_err();
    let silent = refused("", "ids.onnx");
    assert_eq!((silent.kind(), silent.message()), (Kind::Data, "the model does not say which letters its ids are"));
    assert!(silent.hint_text().unwrap().contains("alphabet=ACGT:FILE"));
    assert!(refused("", "fixed.onnx").message().contains("takes batches of 1 alone"));
    assert!(refused("alphabet=protein:", "one-hot.onnx").message().contains("the input has 4 letters"));
    assert!(refused("output=kd:", "one-hot.onnx").message().contains("no output `kd`; it has `score`"));
    assert!(refused("length=9:", "one-hot.onnx").message().contains("the model reads 8 letters"));
    assert!(refused("", "make.py").message().contains("not an ONNX model"));
}

#[test]
fn a_library_that_is_not_there_ends_with_6_and_a_way_out() {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_seqtilt"));
    let name = format!("onnx:{}", fixture("one-hot.onnx").display());
    let output = command.args(["oracle", "check", &name]).env("ORT_DYLIB_PATH", "no-such-library.so").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(6), "{said}");
    assert!(said.contains("`no-such-library.so` cannot be used") && said.contains("set ORT_DYLIB_PATH"), "{said}");
}

#[test]
fn the_program_checks_and_scores_a_model() {
    let Some(_) = runtime() else { return };
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("d.fa"), ">a\nACGTACGT\n").unwrap();
    let name = format!("onnx:{}", fixture("one-hot.onnx").display());
    let seqtilt = |arguments: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_seqtilt"));
        command.args(arguments).current_dir(folder.path()).output().unwrap()
    };
    let checked = seqtilt(&["oracle", "check", &name]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
    let scored = seqtilt(&["score", "d.fa", "--oracle", &name, "--quiet"]);
    let text = String::from_utf8(scored.stdout).unwrap();
    let value: f64 = text.lines().nth(1).unwrap().split(',').nth(2).unwrap().parse().unwrap();
    let word = Sequence::parse("ACGTACGT", &Alphabet::dna()).unwrap();
    assert!((value + network(&word)).abs() < 2e-6, "{text}");
}
