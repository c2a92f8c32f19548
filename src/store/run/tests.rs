use super::*;
use crate::Kind;
use candle_core::{Device, Tensor};
use serde_json::json;

fn info(alpha: f64) -> RunInfo {
    RunInfo::new("finetune", 7, &json!({"alpha": alpha, "steps": 10})).unwrap()
}

/// A run of ten steps that checkpoints every third and may be stopped before a step.
fn work(folder: &Path, stop: Option<u64>) {
    let mut run = RunFolder::open(folder, &info(0.1)).unwrap();
    let (mut step, mut value) = match run.checkpoint() {
        Some(point) => (point.step, point.tensors["x"].to_scalar::<f64>().unwrap()),
        None => (0, 0.0),
    };
    while step < 10 {
        if stop == Some(step) {
            return;
        }
        step += 1;
        value += 1.0 / step as f64;
        run.metric(&json!({"step": step, "value": value})).unwrap();
        if step % 3 == 0 {
            let x = Tensor::new(value, &Device::Cpu).unwrap();
            run.save_checkpoint(step, &json!({"half": value / 2.0}), Tensors::from([("x".into(), x)])).unwrap();
        }
    }
    run.write("out/value.txt", value.to_string().as_bytes()).unwrap();
    run.write_timing(&json!({"seconds": 1})).unwrap();
    run.finish(&["out/value.txt"]).unwrap();
}

fn bytes_of(folder: &Path) -> Vec<Vec<u8>> {
    [RUN, METRICS, DONE, "out/value.txt"].iter().map(|name| fs::read(folder.join(name)).unwrap()).collect()
}

#[test]
fn a_run_stopped_anywhere_ends_with_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let whole = folder.path().join("whole");
    work(&whole, None);
    for stop in 0..10 {
        let path = folder.path().join(stop.to_string());
        work(&path, Some(stop));
        work(&path, Some((stop + 2).min(9)));
        work(&path, None);
        assert_eq!(bytes_of(&path), bytes_of(&whole), "stopped before step {stop}");
        assert!(!path.join(CHECKPOINT).exists());
    }
}

#[test]
fn a_finished_run_is_recognised_and_its_files_are_checked() {
    let folder = tempfile::tempdir().unwrap();
    work(folder.path(), None);
    let mut run = RunFolder::open(folder.path(), &info(0.1)).unwrap();
    assert!(run.is_finished());
    assert!(run.metric(&1).unwrap_err().message().contains("complete"));
    drop(run);
    fs::write(folder.path().join("out/value.txt"), b"better").unwrap();
    let error = RunFolder::open(folder.path(), &info(0.1)).unwrap_err();
    assert_eq!(error.kind(), Kind::Integrity);
    assert!(error.to_string().contains("value.txt"), "{error}");
    fs::remove_file(folder.path().join("out/value.txt")).unwrap();
    assert!(RunFolder::open(folder.path(), &info(0.1)).unwrap_err().message().contains("is missing"));
}

#[test]
fn a_different_configuration_is_refused_key_by_key() {
    let folder = tempfile::tempdir().unwrap();
    work(folder.path(), Some(4));
    let error = RunFolder::open(folder.path(), &info(0.2)).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert_eq!(error.message(), "this run was begun with a different configuration:\n  config.alpha: 0.1 → 0.2");
    let mut other = info(0.1).with_version("prior", "abc");
    other.seed = 8;
    let error = RunFolder::open(folder.path(), &other).unwrap_err();
    assert!(error.message().contains("seed: 7 → 8") && error.message().contains("versions.prior: not set → \"abc\""));
}

#[test]
fn two_runs_cannot_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let first = RunFolder::open(folder.path(), &info(0.1)).unwrap();
    let error = RunFolder::open(folder.path(), &info(0.1)).unwrap_err();
    assert!(error.message().starts_with("another process is running in"), "{error}");
    drop(first);
    assert!(RunFolder::open(folder.path(), &info(0.1)).is_ok());
}

#[test]
fn a_damaged_checkpoint_is_an_integrity_error_with_a_way_out() {
    let folder = tempfile::tempdir().unwrap();
    work(folder.path(), Some(7));
    let path = folder.path().join(CHECKPOINT);
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let error = RunFolder::open(folder.path(), &info(0.1)).unwrap_err();
    assert_eq!(error.kind(), Kind::Integrity);
    assert!(error.hint_text().unwrap().contains("remove this file"));
    fs::remove_file(&path).unwrap();
    assert!(matches!(RunFolder::open(folder.path(), &info(0.1)).unwrap().state(), RunState::Fresh));
}

#[test]
fn metrics_that_lost_lines_before_the_checkpoint_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    work(folder.path(), Some(7));
    fs::write(folder.path().join(METRICS), b"{\"step\":1}\n").unwrap();
    assert_eq!(RunFolder::open(folder.path(), &info(0.1)).unwrap_err().kind(), Kind::Integrity);
}

#[test]
fn a_folder_of_the_users_own_files_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("thesis.tex"), b"x").unwrap();
    let error = RunFolder::open(folder.path(), &info(0.1)).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.message().contains("thesis.tex"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing was added");
}

#[test]
fn a_path_below_a_file_cannot_be_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    assert_eq!(RunFolder::open(file.join("run"), &info(0.1)).unwrap_err().kind(), Kind::Device);
}

#[test]
fn a_half_written_mark_of_the_run_is_an_integrity_error() {
    let folder = tempfile::tempdir().unwrap();
    work(folder.path(), Some(4));
    fs::write(folder.path().join(RUN), b"{\"format\": 1, \"verb\"").unwrap();
    let error = RunFolder::open(folder.path(), &info(0.1)).unwrap_err();
    assert_eq!(error.kind(), Kind::Integrity);
    assert!(error.to_string().contains("run.json:1:"), "{error}");
}

#[test]
fn what_a_kill_left_behind_is_cleared_away() {
    let folder = tempfile::tempdir().unwrap();
    work(folder.path(), Some(7));
    let checkpoint = fs::read(folder.path().join(CHECKPOINT)).unwrap();
    fs::write(folder.path().join(".partial-Ab3"), b"half").unwrap();
    work(folder.path(), None);
    assert!(!folder.path().join(".partial-Ab3").exists());
    // killed between the mark of completion and the removal of the checkpoint
    fs::write(folder.path().join(CHECKPOINT), checkpoint).unwrap();
    assert!(RunFolder::open(folder.path(), &info(0.1)).unwrap().is_finished());
    assert!(!folder.path().join(CHECKPOINT).exists());
}
