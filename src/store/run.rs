//! A run's folder: locked, resumable, and the same bytes whether or not it was interrupted.

use super::atomic::{create_folder, is_partial, remove_partials};
use super::checkpoint::{Checkpoint, Mark};
use super::diff::differences;
use super::manifest::{FileHash, from_json, to_json};
use super::metrics::Metrics;
use super::record::{DONE, Done, RUN, RunRecord};
use super::{Tensors, write_atomic};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const FORMAT: u32 = 1;
const LOCK: &str = ".lock";
const CHECKPOINT: &str = "checkpoint.safetensors";
const METRICS: &str = "metrics.jsonl";
const TIMING: &str = "timing.json";

/// `run.json`: everything that decides a run's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Version of the folder's layout.
    pub format: u32,
    /// The verb, such as `finetune`.
    pub verb: String,
    /// The seed of the run.
    pub seed: u64,
    /// The resolved configuration: defaults, file and flags. Leave out what cannot change the result (threads, paths
    /// of output).
    pub config: Value,
    /// Versions of what computes: `seqtilt`, and hashes of models and data by name.
    pub versions: BTreeMap<String, String>,
}

impl RunInfo {
    /// Of this build.
    ///
    /// # Errors
    /// When the configuration cannot be written as JSON.
    pub fn new(verb: &str, seed: u64, config: &impl Serialize) -> Result<Self> {
        let config = serde_json::to_value(config)
            .map_err(|error| Error::usage("the configuration cannot be written as JSON").because(error))?;
        let versions = BTreeMap::from([("seqtilt".to_owned(), env!("CARGO_PKG_VERSION").to_owned())]);
        Ok(Self { format: FORMAT, verb: verb.to_owned(), seed, config, versions })
    }

    /// With the version or hash of something that the result depends on.
    #[must_use]
    pub fn with_version(mut self, what: &str, version: impl Into<String>) -> Self {
        self.versions.insert(what.to_owned(), version.into());
        self
    }
}

/// Where an opened run stands.
#[derive(Clone, Debug)]
pub enum RunState {
    /// Nothing was done yet.
    Fresh,
    /// Interrupted after the checkpoint's step.
    Resumed(Box<Checkpoint>),
    /// Complete; the files are as they were written.
    Finished,
}

/// An open, locked run folder.
///
/// | file | content |
/// |---|---|
/// | `run.json` | [`RunInfo`]: verb, configuration, seed, versions |
/// | `metrics.jsonl` | one JSON object per line; cut back to the checkpoint's step on resume |
/// | `checkpoint.safetensors` | [`Checkpoint`], replaced as a whole |
/// | `done.json` | hashes of the final files; its presence means that the run is complete |
/// | `timing.json` | durations; the one file that may differ between two runs |
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    state: RunState,
    metrics: Metrics,
    lock: File,
}

impl RunFolder {
    /// Makes the folder, or opens one that was begun with the same `info`.
    ///
    /// # Errors
    /// When another process holds the folder, when it was begun with a different configuration (the message lists the
    /// differences key by key), when a file in it is damaged, or when it cannot be written.
    pub fn open(path: impl AsRef<Path>, info: &RunInfo) -> Result<Self> {
        let path = path.as_ref().to_owned();
        create_folder(&path)?;
        refuse_foreign(&path)?;
        let lock = lock(&path)?;
        remove_partials(&path);
        let begun = match fs::read(path.join(RUN)) {
            Ok(bytes) => {
                let run = path.join(RUN);
                same(&from_json::<Value>(&bytes, &run)?, info, &run)?;
                true
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {
                write_atomic(path.join(RUN), &to_json(info)?)?;
                false
            }
            Err(error) => return Err(Error::io("read", path.join(RUN), error)),
        };
        let state = match begun {
            true if path.join(DONE).exists() => {
                RunRecord::open(&path)?.map_or(Ok(()), |record| record.check())?;
                remove_checkpoint(&path)?;
                RunState::Finished
            }
            true => read_checkpoint(&path)?.map_or(RunState::Fresh, |point| RunState::Resumed(Box::new(point))),
            false => RunState::Fresh,
        };
        let metrics = match &state {
            RunState::Finished => Metrics::closed(path.join(METRICS)),
            RunState::Resumed(point) => Metrics::open(path.join(METRICS), &point.metrics)?,
            RunState::Fresh => Metrics::open(path.join(METRICS), &Mark::default())?,
        };
        Ok(Self { path, state, metrics, lock })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the run stood when it was opened.
    #[must_use]
    pub fn state(&self) -> &RunState {
        &self.state
    }

    /// The checkpoint to go on from, if there is one.
    #[must_use]
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        match &self.state {
            RunState::Resumed(point) => Some(point),
            RunState::Fresh | RunState::Finished => None,
        }
    }

    /// Whether the run was complete when it was opened.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        matches!(self.state, RunState::Finished)
    }

    /// Appends a line to `metrics.jsonl`. Put nothing in it that depends on the time.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn metric(&mut self, record: &impl Serialize) -> Result<()> {
        self.metrics.append(record)
    }

    /// Writes the checkpoint of `step`, with the metrics up to here.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save_checkpoint(&mut self, step: u64, state: &impl Serialize, tensors: Tensors) -> Result<()> {
        let state = serde_json::to_value(state)
            .map_err(|error| Error::usage("the run's state cannot be written as JSON").because(error))?;
        let point = Checkpoint { step, state, tensors, metrics: self.metrics.mark()? };
        write_atomic(self.path.join(CHECKPOINT), &point.encode()?)
    }

    /// The error with which a run ends that was asked to stop after the checkpoint of `step` was written.
    #[must_use]
    pub fn interrupted(&self, step: u64) -> Error {
        Error::interrupted(format!("stopped at step {step}; checkpoint written in `{}`", self.path.display()))
            .hint("run the same command again to go on from there")
    }

    /// Writes a file of the run, whole or not at all. The name may name sub-folders.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        write_atomic(self.path.join(name), bytes)
    }

    /// Writes `timing.json`: clock, durations, memory.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn write_timing(&self, timing: &impl Serialize) -> Result<()> {
        self.write(TIMING, &to_json(timing)?)
    }

    /// Marks the run complete: records the hashes of the named final files and of the metrics, and removes the
    /// checkpoint.
    ///
    /// # Errors
    /// When one of the files cannot be read, or the mark cannot be written.
    pub fn finish<S: AsRef<str>>(mut self, files: &[S]) -> Result<()> {
        self.metrics.mark()?;
        let mut hashes = BTreeMap::new();
        let names = files.iter().map(AsRef::as_ref).chain([METRICS]);
        for name in names {
            let path = self.path.join(name);
            let bytes = fs::read(&path).map_err(|error| Error::io("read", &path, error))?;
            hashes.insert(name.to_owned(), FileHash::of(&bytes));
        }
        self.write(DONE, &to_json(&Done { format: FORMAT, files: hashes })?)?;
        remove_checkpoint(&self.path)
    }
}

impl Drop for RunFolder {
    fn drop(&mut self) {
        let _ = self.lock.unlock();
    }
}

/// Takes the folder's lock; the system gives it back when the process ends, however it ends.
fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| Error::io("write", &path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            Err(Error::usage(format!("another process is running in `{}`", folder.display()))
                .hint("wait for it to end, or choose another folder with --out"))
        }
        Err(TryLockError::Error(error)) => Err(Error::io("lock", &path, error)),
    }
}

/// A folder that was not begun as a run must be empty: nothing of the user's is ever mixed with a run's files.
fn refuse_foreign(folder: &Path) -> Result<()> {
    let failed = |error| Error::io("read", folder, error);
    let mut foreign = None;
    for entry in fs::read_dir(folder).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name().to_string_lossy().into_owned();
        match name.as_str() {
            RUN => return Ok(()),
            LOCK => {}
            _ if is_partial(&name) => {}
            _ => foreign = Some(name),
        }
    }
    let Some(name) = foreign else { return Ok(()) };
    Err(Error::usage(format!("`{}` holds files that are not of a run, such as `{name}`", folder.display()))
        .hint("choose a new or empty folder with --out"))
}

fn remove_checkpoint(folder: &Path) -> Result<()> {
    let path = folder.join(CHECKPOINT);
    match fs::remove_file(&path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// Refuses a configuration that differs from the one that the run was begun with.
fn same(begun: &Value, info: &RunInfo, path: &Path) -> Result<()> {
    let asked = serde_json::to_value(info).map_err(|error| Error::usage("not JSON").because(error))?;
    let lines = differences(begun, &asked);
    if lines.is_empty() {
        return Ok(());
    }
    let message = format!("this run was begun with a different configuration:\n{}", lines.join("\n"));
    Err(Error::usage(message)
        .at(path)
        .hint("repeat the first command to resume it, or choose another folder with --out"))
}

fn read_checkpoint(folder: &Path) -> Result<Option<Checkpoint>> {
    let path = folder.join(CHECKPOINT);
    match fs::read(&path) {
        Ok(bytes) => Checkpoint::decode(&bytes, &path).map(Some),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

#[cfg(test)]
mod tests;
