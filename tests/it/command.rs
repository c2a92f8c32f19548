//! `cmd:` oracles against a worker with faults.
#![cfg(unix)]

use seqtilt::oracle::{Bound, Command, CommandConfig, Metered, Oracle as _, Outcome};
use seqtilt::sequence::{Alphabet, Sequence};
use seqtilt::{Kind, Result};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A worker with a fault, and the folder in which it leaves traces.
struct Trial {
    folder: tempfile::TempDir,
    config: CommandConfig,
}

impl Trial {
    fn new(fault: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/command/faulty.sh");
        let words = ["bash", script.to_str().unwrap(), fault, folder.path().to_str().unwrap()];
        let mut config = CommandConfig::new(words.map(str::to_owned).to_vec());
        config.grace = Duration::from_millis(100);
        Self { folder, config }
    }

    fn open(&self) -> Result<Command> {
        Command::open(self.config.clone())
    }

    /// The lines of a trace.
    fn trace(&self, name: &str) -> Vec<String> {
        let text = std::fs::read_to_string(self.folder.path().join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// No worker is left, not as a zombie either, and nothing that one of them started runs.
    fn nothing_runs(&self) {
        for pid in self.trace("pids") {
            assert!(!PathBuf::from(format!("/proc/{pid}")).exists(), "worker {pid} was not waited for");
        }
        for pid in self.trace("grandchildren") {
            // a signal takes a moment, and whoever adopted it may not have waited for it yet
            let runs = || {
                let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
                let state = stat.rsplit(')').next()?.trim().chars().next()?;
                (!matches!(state, 'Z' | 'X')).then_some(stat)
            };
            let start = std::time::Instant::now();
            while runs().is_some() && start.elapsed() < Duration::from_secs(1) {
                std::thread::sleep(Duration::from_millis(2));
            }
            assert_eq!(runs(), None, "grandchild {pid} runs");
        }
    }
}

fn words(texts: &[&str]) -> Vec<Sequence> {
    texts.iter().map(|text| Sequence::parse(text, &Alphabet::dna()).unwrap()).collect()
}

/// Words of 1, 2, 3 … letters, round and round.
fn lengths(count: usize) -> Vec<Sequence> {
    (0..count).map(|n| Sequence::parse(&"AC".repeat(32)[..=n % 60], &Alphabet::dna()).unwrap()).collect()
}

fn values(outcomes: &[Outcome]) -> Vec<Option<f64>> {
    outcomes.iter().map(Outcome::value).collect()
}

fn expected(count: usize) -> Vec<Option<f64>> {
    (0..count).map(|n| Some((1 + n % 60) as f64)).collect()
}

#[test]
fn answers_come_back_in_order_whatever_the_order_of_items_batches_and_workers() {
    for (fault, workers) in [("plain", 1), ("order", 1), ("slow", 3)] {
        let mut trial = Trial::new(fault);
        trial.config.workers = workers;
        let mut oracle = trial.open().unwrap();
        assert_eq!((oracle.info().alphabet.name(), oracle.info().length), ("dna", (1, 64)));
        assert_eq!(values(&oracle.evaluate(&lengths(100)).unwrap()), expected(100), "{fault}");
        assert_eq!(oracle.evaluate(&[]).unwrap(), []);
        drop(oracle);
        assert_eq!((trial.trace("pids").len(), trial.trace("quits").len()), (workers, workers), "{fault}");
        trial.nothing_runs();
    }
}

#[test]
fn a_poison_sequence_fails_alone_and_nothing_else_is_lost() {
    for fault in ["poison", "company"] {
        let trial = Trial::new(fault);
        let mut oracle = trial.open().unwrap();
        let mut asked = lengths(72);
        asked[37] = words(&["TGGGT"]).remove(0);
        let outcomes = oracle.evaluate(&asked).unwrap();
        let reason = "its worker ended 2 times on it: exit status: 3";
        assert_eq!(outcomes[37], Outcome::Failed { reason: reason.to_owned() }, "{fault}");
        let mut others = expected(72);
        others[37] = None;
        assert_eq!(values(&outcomes), others, "{fault}");
        // the first start, and one for each end: twice with all 32, then with 16, 8, 4, 2 and alone
        assert_eq!(trial.trace("pids").len(), 8, "{fault}");
        drop(oracle);
        trial.nothing_runs();
    }
}

#[test]
fn a_worker_that_dies_once_costs_nothing() {
    let trial = Trial::new("crash-once");
    let outcomes = trial.open().unwrap().evaluate(&lengths(40)).unwrap();
    assert_eq!((values(&outcomes), trial.trace("pids").len()), (expected(40), 2));
    trial.nothing_runs();
}

#[test]
fn a_worker_that_hangs_is_ended_with_all_that_it_started() {
    for fault in ["hang", "stubborn"] {
        let mut trial = Trial::new(fault);
        trial.config.timeout = Duration::from_millis(250);
        let mut oracle = trial.open().unwrap();
        let outcomes = oracle.evaluate(&words(&["GGG"])).unwrap();
        let reason = "its worker ended 2 times on it: no answer within 0.25 s";
        assert_eq!(outcomes, [Outcome::Failed { reason: reason.to_owned() }], "{fault}");
        drop(oracle);
        // the third worker may be told to end before it has started anything
        assert!(fault == "hang" || trial.trace("grandchildren").len() >= 2);
        trial.nothing_runs();
    }
}

#[test]
fn progress_keeps_a_slow_batch_alive() {
    let mut trial = Trial::new("progress");
    // six signs 200 ms apart: 1.2 s of work
    trial.config.timeout = Duration::from_millis(800);
    let outcomes = trial.open().unwrap().evaluate(&lengths(2)).unwrap();
    assert_eq!((values(&outcomes), trial.trace("asked").len()), (expected(2), 1));
}

#[test]
fn what_is_not_protocol_ends_the_run_with_the_line_and_a_way_out() {
    for (fault, says, hint) in [
        ("nan", r#"{"id":"0","values":{"n":NaN}}"#, "use status"),
        ("garbage", "`loading the model`", "standard error"),
        ("short", "answered 1 of the 2 items", "still has a status"),
        ("requires", "requires `gradients`", "newer version"),
    ] {
        let trial = Trial::new(fault);
        let answer = trial.open().and_then(|mut oracle| oracle.evaluate(&words(&["A", "C"])));
        let error = answer.unwrap_err();
        assert_eq!(error.kind(), Kind::Oracle);
        assert!(error.message().contains(says), "{fault}: {error}");
        assert!(error.hint_text().unwrap().contains(hint), "{fault}: {:?}", error.hint_text());
        trial.nothing_runs();
    }
}

#[test]
fn after_an_error_the_next_question_starts_anew() {
    let trial = Trial::new("short");
    let mut oracle = trial.open().unwrap();
    assert!(oracle.evaluate(&words(&["A", "C"])).is_err());
    trial.nothing_runs();
    assert_eq!(values(&oracle.evaluate(&words(&["ACG"])).unwrap()), [Some(3.0)]);
}

#[test]
fn a_worker_that_never_becomes_ready_is_an_error_with_its_last_words() {
    let trial = Trial::new("stillborn");
    let error = trial.open().unwrap_err();
    assert_eq!(
        (error.kind(), error.message()),
        (Kind::Oracle, "the worker `bash` did not become ready: exit status: 4")
    );
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(cause.lines().next(), Some("its standard error ends with: no such model"));
    // the last 50 of 61 lines
    assert_eq!((cause.lines().nth(1), cause.lines().count()), (Some("line 12"), 51));
    let mut trial = Trial::new("mute");
    trial.config.handshake = Duration::from_millis(100);
    assert!(trial.open().unwrap_err().message().ends_with("no `ready` within 0.1 s"));
    trial.nothing_runs();
    trial.config.command = vec!["no-such-program".to_owned()];
    assert_eq!(trial.open().unwrap_err().message(), "cannot start `no-such-program`");
}

#[test]
fn restarts_have_an_end_even_where_a_grandchild_holds_the_pipes() {
    let mut trial = Trial::new("orphan");
    trial.config.restarts = 2;
    let error = trial.open().and_then(|mut oracle| oracle.evaluate(&lengths(3))).unwrap_err();
    assert_eq!(error.kind(), Kind::Oracle);
    let message =
        "a worker ended (exit status: 5) after 2 restarts within an hour, which is the most that are accepted";
    assert_eq!((error.message(), trial.trace("pids").len()), (message, 3));
    trial.nothing_runs();
}

#[test]
fn outcomes_keep_their_meaning() {
    let trial = Trial::new("outcomes");
    let asked = words(&["A", "AA", "AAA", "AAAA"]);
    let long = Sequence::parse(&"A".repeat(65), &Alphabet::dna()).unwrap();
    let outcomes = trial.open().unwrap().evaluate(&[asked, vec![long]].concat()).unwrap();
    assert_eq!(
        outcomes[..4],
        [
            Outcome::Infeasible { reason: "stop".to_owned() },
            Outcome::Censored { bound: Bound::Below(1.5) },
            Outcome::Skipped,
            Outcome::exact(4.0),
        ]
    );
    assert_eq!(outcomes[4].reason(), Some("65 letters; the command reads 1 to 64"));
    let outcomes = Trial::new("min").open().unwrap().evaluate(&words(&["A", "AA"])).unwrap();
    assert_eq!(
        outcomes,
        [Outcome::Censored { bound: Bound::Above(-1.5) }, Outcome::Value { mean: -2.0, sd: Some(0.5) },]
    );
    let trial = Trial::new("retry");
    assert_eq!(values(&trial.open().unwrap().evaluate(&words(&["AA"])).unwrap()), [Some(2.0)]);
    assert_eq!(trial.trace("asked").len(), 3);
}

#[test]
fn only_what_is_deterministic_is_remembered() {
    for (fault, replicate, cached) in [("plain", 0, 3), ("noisy", 3, 0)] {
        let mut oracle = Metered::new(Trial::new(fault).open().unwrap()).with_budget(5);
        oracle.evaluate(&words(&["A", "C", "A"])).unwrap();
        let again = oracle.evaluate(&words(&["C", "A", "G"])).unwrap();
        let usage = oracle.usage();
        assert_eq!((usage.replicate, usage.cached), (replicate, cached), "{fault}");
        assert_eq!(again[2].status(), if fault == "plain" { "ok" } else { "skipped" });
    }
}

/// The program's standard output and error, and its exit code.
fn seqtilt(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_seqtilt"));
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_template_runs_passes_every_check_and_scores() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (code, _, notes) = seqtilt(folder, &["oracle", "template", "bash", "--out", "mine.sh"]);
    assert!(code == 0 && notes.contains("seqtilt oracle check \"cmd:bash mine.sh\""), "{notes}");
    let (code, text, notes) = seqtilt(folder, &["oracle", "check", "cmd:bash mine.sh", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((code, report["checks"].as_array().unwrap().len()), (0, 11), "{notes}{text}");
    std::fs::write(folder.join("d.fa"), ">a\nGCGC\n>b\nATAG\n").unwrap();
    let (_, text, _) = seqtilt(folder, &["score", "d.fa", "--oracle", "cmd:workers=2:bash mine.sh", "--quiet"]);
    assert_eq!(text.lines().skip(1).collect::<Vec<_>>(), ["a,GCGC,4,,ok,", "b,ATAG,1,,ok,"]);
    let (code, text, _) =
        seqtilt(folder, &["oracle", "bench", "cmd:bash mine.sh", "--length", "8", "--seconds", "0.004", "--json"]);
    let figures: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(code, 0);
    assert!(figures["best_batch"].as_u64().unwrap() >= 1 && figures["sequences_per_second"].as_f64().unwrap() > 0.0);
}

#[test]
fn every_language_has_a_template() {
    let folder = Path::new(".");
    for language in ["python", "r", "rust"] {
        assert!(seqtilt(folder, &["oracle", "template", language]).1.contains("evaluate"), "{language}");
    }
    let (code, _, notes) = seqtilt(folder, &["oracle", "template", "pyton"]);
    assert!(code == 2 && notes.contains("did you mean `python`?"), "{notes}");
}

#[test]
fn a_failed_check_names_itself_and_ends_with_5() {
    let trial = Trial::new("short");
    let name = ["cmd:grace=0.5:", &trial.config.command.join(" ")].concat();
    let (code, text, notes) = seqtilt(trial.folder.path(), &["oracle", "check", &name]);
    assert_eq!(code, 5);
    assert!(text.contains("FAIL  a full batch has an outcome for each sequence"), "{text}");
    assert!(text.contains("pass  SIGTERM ends it") && notes.contains(" of 11 checks"), "{text}{notes}");
    let trial = Trial::new("stillborn");
    let name = ["cmd:", &trial.config.command.join(" ")].concat();
    let (code, _, notes) = seqtilt(trial.folder.path(), &["oracle", "check", &name]);
    assert!(code == 5 && notes.contains("cause: its standard error ends with: no such model"), "{notes}");
}
