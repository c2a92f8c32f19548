//! A run's folder as a reader finds it: nothing is locked, begun or changed.

use super::RunInfo;
use super::manifest::{FileHash, from_json};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

pub(super) const RUN: &str = "run.json";
pub(super) const DONE: &str = "done.json";

/// `done.json`: the final files of a complete run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Done {
    pub(super) format: u32,
    pub(super) files: BTreeMap<String, FileHash>,
}

/// What a run's folder says of itself, for those who only read it.
///
/// ```
/// use seqtilt::store::{RunFolder, RunInfo, RunRecord};
/// # let folder = tempfile::tempdir().map_err(|e| seqtilt::Error::data(e.to_string()))?;
/// # let path = folder.path();
/// let run = RunFolder::open(path, &RunInfo::new("design", 0, &"settings")?)?;
/// run.write("designs.csv", b"id,sequence\n")?;
/// run.finish(&["designs.csv"])?;
/// let record = RunRecord::open(path)?.ok_or(seqtilt::Error::data("no run"))?;
/// assert_eq!((record.info().verb.as_str(), record.is_complete()), ("design", true));
/// assert_eq!(record.read("designs.csv")?.as_deref(), Some(&b"id,sequence\n"[..]));
/// assert_eq!(record.read("report.json")?, None);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct RunRecord {
    path: PathBuf,
    info: RunInfo,
    done: Option<Done>,
}

impl RunRecord {
    /// The record in a folder; `None` where no run was begun.
    ///
    /// # Errors
    /// When `run.json` or `done.json` cannot be read or is not of the accepted form.
    pub fn open(path: impl AsRef<Path>) -> Result<Option<Self>> {
        let path = path.as_ref().to_owned();
        let Some(run) = read(&path.join(RUN))? else { return Ok(None) };
        let info = from_json(&run, &path.join(RUN))?;
        let done = read(&path.join(DONE))?.map(|bytes| from_json(&bytes, &path.join(DONE))).transpose()?;
        Ok(Some(Self { path, info, done }))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Verb, configuration, seed and versions.
    #[must_use]
    pub fn info(&self) -> &RunInfo {
        &self.info
    }

    /// Whether the run came to its end.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.done.is_some()
    }

    /// The hash of a final file, once the run is complete; `None` for files that it does not vouch for.
    #[must_use]
    pub fn hash(&self, name: &str) -> Option<&FileHash> {
        self.done.as_ref()?.files.get(name)
    }

    /// A file of the run, `None` where there is none; of a complete run it is the one that was written.
    ///
    /// # Errors
    /// An integrity error when a final file is missing or was changed; else when the file cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<Vec<u8>>> {
        let file = self.path.join(name);
        match (read(&file)?, self.hash(name)) {
            (Some(bytes), Some(hash)) => hash.check(&bytes, &file).map(|()| Some(bytes)),
            (None, Some(_)) => Err(Error::integrity(format!("`{name}` of this complete run is missing"))
                .at(file)
                .hint(format!("remove `{}` to run it again", self.path.join(DONE).display()))),
            (bytes, None) => Ok(bytes),
        }
    }

    /// Reads every final file.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub(super) fn check(&self) -> Result<()> {
        self.done.iter().flat_map(|done| done.files.keys()).try_for_each(|name| self.read(name).map(drop))
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::store::RunFolder;

    #[test]
    fn a_folder_without_a_run_has_no_record_and_an_unfinished_one_vouches_for_nothing() {
        let folder = tempfile::tempdir().unwrap();
        assert!(RunRecord::open(folder.path()).unwrap().is_none());
        let run = RunFolder::open(folder.path(), &RunInfo::new("pretrain", 3, &1).unwrap()).unwrap();
        run.write("a.txt", b"a").unwrap();
        let record = RunRecord::open(folder.path()).unwrap().unwrap();
        assert!(!record.is_complete() && record.hash("a.txt").is_none());
        assert_eq!((record.info().seed, record.read("a.txt").unwrap()), (3, Some(b"a".to_vec())));
    }

    #[test]
    fn a_final_file_that_was_changed_or_lost_is_an_integrity_error() {
        let folder = tempfile::tempdir().unwrap();
        let run = RunFolder::open(folder.path(), &RunInfo::new("pretrain", 3, &1).unwrap()).unwrap();
        run.write("a.txt", b"a").unwrap();
        run.finish(&["a.txt"]).unwrap();
        let record = RunRecord::open(folder.path()).unwrap().unwrap();
        assert!(record.check().is_ok());
        fs::write(folder.path().join("a.txt"), b"b").unwrap();
        assert_eq!(record.read("a.txt").unwrap_err().kind(), Kind::Integrity);
        fs::remove_file(folder.path().join("a.txt")).unwrap();
        assert!(record.check().unwrap_err().message().contains("`a.txt` of this complete run is missing"));
    }
}
