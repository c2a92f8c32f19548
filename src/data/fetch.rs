//! Downloads that resume, and that nothing but the right bytes can come out of.

mod transfer;

use super::manifest::Dataset;
use crate::error::{Error, Result};
use crate::observe::{Event, Observer};
use crate::sequence::read_bytes;
use crate::store::sha256;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;
use transfer::Outcome;

/// How hard [`fetch`] tries.
#[derive(Clone, Copy, Debug)]
pub struct FetchOptions {
    /// Connections to open before giving up; 0 counts as 1. Default 6.
    pub attempts: u32,
    /// Pause before the second attempt, doubled for each further one. Default 1 s.
    pub pause: Duration,
    /// The longest silence of a server. Default 60 s.
    pub patience: Duration,
}

impl Default for FetchOptions {
    fn default() -> Self {
        Self { attempts: 6, pause: Duration::from_secs(1), patience: Duration::from_secs(60) }
    }
}

/// Downloads a data set into a directory; does nothing when the right file is there.
///
/// Bytes go to `FILE.part`, which a later call continues with an HTTP range request. Only a file of the right SHA-256 is
/// renamed to its name; any other is removed.
///
/// # Errors
/// When the set has no public origin, the server refuses or stays away, the hash is wrong (exit code 7), another process
/// is downloading the same file, or the observer stops it.
pub fn fetch(set: &Dataset, dir: &Path, options: &FetchOptions, observer: &mut dyn Observer) -> Result<PathBuf> {
    let path = dir.join(&set.file);
    if path.exists() {
        return present(set, path);
    }
    let Some(url) = &set.url else {
        let message = format!("data set `{}` has no public origin to fetch it from", set.name);
        return Err(Error::usage(message).hint(format!(
            "put `{}` into the data directory by hand; `seqtilt data verify` then checks it",
            set.file.display()
        )));
    };
    let part = part_of(&path);
    let folder = path.parent().unwrap_or(dir);
    std::fs::create_dir_all(folder).map_err(|source| Error::io("write", folder, source))?;
    let mut file = open_part(&part)?;
    complete(set, url, &mut file, &part, options, observer).inspect_err(|_| {
        // not left to the drop: a child process that is just being started holds a copy of the descriptor
        let _ = file.unlock();
    })?;
    let got = sha256(&read_bytes(&part)?);
    if got != set.sha256 {
        std::fs::remove_file(&part).map_err(|source| Error::io("remove", &part, source))?;
        let message = format!("`{url}` gave sha256 {got}; expected {}; the download was removed", set.sha256);
        return Err(Error::integrity(message)
            .hint("try again later; if it stays so, the origin has changed and must not be trusted"));
    }
    file.sync_all().map_err(|source| Error::io("write", &part, source))?;
    std::fs::rename(&part, &path).map_err(|source| Error::io("write", &path, source))?;
    Ok(path)
}

fn present(set: &Dataset, path: PathBuf) -> Result<PathBuf> {
    let got = sha256(&read_bytes(&path)?);
    if got == set.sha256 {
        return Ok(path);
    }
    let message = format!("a file is there already with sha256 {got}; expected {}", set.sha256);
    Err(Error::integrity(message).at(path).hint("remove it and run the same command again"))
}

fn part_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".part");
    path.with_file_name(name)
}

fn open_part(part: &Path) -> Result<File> {
    let failed = |source| Error::io("write", part, source);
    let file = OpenOptions::new().read(true).append(true).create(true).open(part).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => {
            let message = format!("`{}` is being written by another process", part.display());
            Err(Error::device(message).hint("wait for it to end, then run the same command again"))
        }
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Connects until all bytes are there, or too often in vain.
fn complete(
    set: &Dataset,
    url: &str,
    file: &mut File,
    part: &Path,
    options: &FetchOptions,
    observer: &mut dyn Observer,
) -> Result<()> {
    let length = |file: &File| file.metadata().map(|data| data.len()).map_err(|source| Error::io("read", part, source));
    let stage = format!("fetch {}", set.name);
    let mut done = length(file)?;
    if done > set.bytes {
        file.set_len(0).map_err(|source| Error::io("write", part, source))?;
        done = 0;
    }
    observe(observer, &Event::Start { stage: &stage, total: set.bytes, done }, part)?;
    let mut tried = 0;
    while done < set.bytes {
        if tried > 0 {
            std::thread::sleep(options.pause.saturating_mul(1 << (tried - 1).min(6)));
        }
        tried += 1;
        let mut progress = |done| observe(observer, &Event::Step { stage: &stage, done, figures: &[] }, part);
        let outcome = transfer::once(url, file, part, set.bytes, options.patience, &mut progress)?;
        done = length(file)?;
        let reason = match outcome {
            Outcome::Ended => format!("the connection ended after {done} of {} bytes", set.bytes),
            Outcome::Failed(reason) => reason,
        };
        if done < set.bytes && tried >= options.attempts {
            let times = if tried == 1 { "once".to_owned() } else { format!("{tried} times") };
            let message = format!("cannot download `{url}`: {reason} (tried {times})");
            let hint = format!("run the same command again; `{}` is kept and continued", part.display());
            return Err(Error::device(message).hint(hint));
        }
    }
    observe(observer, &Event::Finish { stage: &stage }, part)
}

fn observe(observer: &mut dyn Observer, event: &Event<'_>, part: &Path) -> Result<()> {
    if observer.on_event(event).is_break() {
        let hint = format!("run the same command again; `{}` is kept and continued", part.display());
        return Err(Error::interrupted("the download was stopped").hint(hint));
    }
    Ok(())
}
