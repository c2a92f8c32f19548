//! Killed, interrupted, repeated: a run ends in the same bytes.

use assert_cmd::cargo::cargo_bin;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PRETRAIN: &str = "pretrain t.csv --dim 8 --heads 2 --layers 1 --sampling-steps 8 --batch 16";
const SMALL: &str =
    "--alpha 0.3 --paths 32 --control-dim 8 --control-layers 1 --certificate-paths 100 --base-paths 200";

/// A folder with a table of 40 sequences of six letters, whose values are the share of G, and what runs in it.
pub(crate) struct Toy(tempfile::TempDir);

impl Toy {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut text = "sequence,value\n".to_owned();
        for n in 0..40_usize {
            let word: String =
                (0..6).map(|i| char::from(b"ACGT"[(n * 37 + n * n * 11) / [1, 4, 16, 3, 7, 29][i] % 4])).collect();
            let value = word.matches('G').count() as f64 / 6.0 + 0.01 * (n % 5) as f64;
            writeln!(text, "{word},{value:.4}").unwrap();
        }
        fs::write(folder.path().join("t.csv"), text).unwrap();
        Self(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(cargo_bin("seqtilt"));
        command.current_dir(self.0.path()).args(line.split_whitespace()).args(["--device", "cpu"]);
        command.env("SEQTILT_DATA", self.0.path().join("data")).env_remove("RUST_BACKTRACE");
        command
    }

    pub(crate) fn output(&self, line: &str) -> Output {
        self.command(line).output().unwrap()
    }

    pub(crate) fn succeed(&self, line: &str) -> Output {
        let output = self.output(line);
        assert!(output.status.success(), "{line}\n{}", String::from_utf8_lossy(&output.stderr));
        output
    }

    fn start(&self, line: &str) -> Child {
        self.command(line).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

/// Every file of a finished run but the lock, with its bytes.
pub(crate) fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            let inner = files(&path).into_iter().map(|(name, bytes)| (Path::new(&entry.file_name()).join(name), bytes));
            found.extend(inner);
        } else if ![".lock", "timing.json"].contains(&entry.file_name().to_str().unwrap()) {
            found.insert(entry.file_name().into(), fs::read(path).unwrap());
        }
    }
    found
}

fn assert_same(a: &Path, b: &Path) {
    let (a, b) = (files(a), files(b));
    assert!(a.contains_key(Path::new("done.json")), "{:?}", a.keys());
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    for (name, bytes) in &a {
        assert!(*bytes == b[name], "{} differs", name.display());
    }
}

/// Waits until a run has gone past its first checkpoint.
fn past_a_checkpoint(child: &mut Child, run: &Path, lines: usize) {
    let begun = Instant::now();
    loop {
        let done = fs::read_to_string(run.join("metrics.jsonl")).map_or(0, |text| text.lines().count());
        if done >= lines && run.join("checkpoint.safetensors").exists() {
            return;
        }
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be stopped");
        assert!(begun.elapsed() < Duration::from_secs(60), "no progress");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Runs a command whole, then stops it half way in another folder and repeats it there.
fn stopped_and_repeated(toy: &Toy, line: &str, lines: usize, stop: impl Fn(&mut Child)) {
    toy.succeed(&format!("{line} --out whole --threads 1"));
    let again = format!("{line} --out stopped --threads 4");
    let mut child = toy.start(&again);
    past_a_checkpoint(&mut child, &toy.path("stopped"), lines);
    stop(&mut child);
    assert!(!toy.path("stopped/done.json").exists(), "it was stopped too late to show anything");
    let resumed = toy.succeed(&again);
    let said = String::from_utf8(resumed.stderr).unwrap();
    assert!(said.contains("resumed `stopped` after step"), "{said}");
    assert_same(&toy.path("whole"), &toy.path("stopped"));
}

fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

#[cfg(unix)]
fn press_ctrl_c(child: &mut Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    assert!(said.contains("interrupted: stopped after step"), "{said}");
    assert!(said.contains("hint: the same command goes on from there"), "{said}");
}

fn tuning(toy: &Toy, steps: usize) -> String {
    toy.succeed(&format!("{PRETRAIN} --steps 10 --out p"));
    toy.succeed("oracle train t.csv --out r --members 2 --width 8 --epochs 2");
    format!("finetune --prior p --reward model:r {SMALL} --tuning-steps {steps} --tuning-checkpoint 5")
}

#[test]
fn a_killed_pretraining_ends_in_the_same_bytes() {
    stopped_and_repeated(&Toy::new(), &format!("{PRETRAIN} --steps 200 --checkpoint-every 7"), 20, kill);
}

#[test]
fn a_killed_finetune_ends_in_the_same_bytes() {
    let toy = Toy::new();
    stopped_and_repeated(&toy, &tuning(&toy, 60), 12, kill);
}

#[test]
fn a_finetune_that_is_killed_with_a_full_buffer_ends_in_the_same_bytes() {
    let toy = Toy::new();
    let line = format!("{} --objective sqdf --replay 50 --replay-rule reward", tuning(&toy, 60));
    stopped_and_repeated(&toy, &line, 12, kill);
}

#[cfg(unix)]
#[test]
fn an_interrupted_pretraining_ends_in_the_same_bytes() {
    stopped_and_repeated(&Toy::new(), &format!("{PRETRAIN} --steps 200 --checkpoint-every 7"), 20, press_ctrl_c);
}

#[test]
fn a_finetune_that_is_killed_in_any_stage_of_its_initial_law_ends_in_the_same_bytes() {
    let toy = Toy::new();
    let line =
        format!("{} --eta 0.5 --initial staged-v2 --lead 4 --value-paths 256 --value-steps 25", tuning(&toy, 25));
    // in the control from the frozen start, the value, the lead and the control behind it
    for lines in [12, 32, 57, 82] {
        stopped_and_repeated(&toy, &line, lines, kill);
        fs::remove_dir_all(toy.path("stopped")).unwrap();
        fs::remove_dir_all(toy.path("whole")).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn an_interrupted_finetune_ends_in_the_same_bytes() {
    let toy = Toy::new();
    stopped_and_repeated(&toy, &tuning(&toy, 60), 12, press_ctrl_c);
}

#[test]
fn a_complete_run_answers_the_same_again_and_refuses_other_settings_with_a_difference() {
    let toy = Toy::new();
    let line = format!("{PRETRAIN} --steps 20 --out p");
    let first = toy.succeed(&line);
    let before = files(&toy.path("p"));
    let again = toy.succeed(&format!("{line} --threads 2"));
    assert_eq!(first.stdout, again.stdout);
    assert!(String::from_utf8_lossy(&again.stderr).contains("`p` is complete"));
    let other = toy.output(&format!("{line} --seed 4 --learning-rate 0.01"));
    let said = String::from_utf8(other.stderr).unwrap();
    assert_eq!(other.status.code(), Some(2), "{said}");
    assert!(said.contains("this run was begun with a different configuration"), "{said}");
    assert!(said.contains("seed: 0 → 4") && said.contains("learning-rate: 0.002 → 0.01"), "{said}");
    assert!(files(&toy.path("p")) == before, "a refused command changed the run");
    let mut table = fs::read_to_string(toy.path("t.csv")).unwrap();
    table.push_str("ACACAC,0.5\n");
    fs::write(toy.path("t.csv"), table).unwrap();
    let said = String::from_utf8(toy.output(&line).stderr).unwrap();
    assert!(said.contains("versions.data: "), "{said}");
}

#[test]
fn a_second_run_in_one_folder_is_refused_and_the_first_is_not_harmed() {
    let toy = Toy::new();
    let line = format!("{PRETRAIN} --steps 400 --checkpoint-every 5");
    let mut first = toy.start(&format!("{line} --out p"));
    past_a_checkpoint(&mut first, &toy.path("p"), 5);
    let second = toy.output(&format!("{line} --out p"));
    let said = String::from_utf8(second.stderr).unwrap();
    assert!(first.try_wait().unwrap().is_none(), "the first run ended too early to show anything");
    kill(&mut first);
    assert_eq!(second.status.code(), Some(2), "{said}");
    assert!(said.contains("another process is running in `p`"), "{said}");
    assert!(said.contains("hint: wait for it to end, or choose another folder with --out"), "{said}");
}
