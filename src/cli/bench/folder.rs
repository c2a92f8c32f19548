//! The folder of a benchmark: one sub-folder per cell, and the results over all cells.

use crate::error::{Error, Result};
use crate::store::write_atomic;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The file that says which benchmark a folder belongs to.
const MARK: &str = "bench.json";

/// The file of a cell that may differ between two runs.
const TIMING: &str = "timing.json";

/// A benchmark's folder.
#[derive(Debug)]
pub(super) struct BenchFolder(PathBuf);

impl BenchFolder {
    /// Makes the folder, or opens one of the same benchmark.
    ///
    /// # Errors
    /// When it holds something else, or cannot be read or written.
    pub(super) fn open(path: &Path, benchmark: &str) -> Result<Self> {
        let mark = path.join(MARK);
        let ours = format!("{{ \"benchmark\": \"{benchmark}\" }}\n");
        match std::fs::read_to_string(&mark) {
            Ok(found) if found == ours => return Ok(Self(path.to_owned())),
            Ok(found) => {
                return Err(Error::usage(format!("the folder is of another benchmark than `{benchmark}`: {found}"))
                    .at(mark)
                    .hint("choose another folder with --out"));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("read", mark, error)),
        }
        let foreign = std::fs::read_dir(path).ok().and_then(|mut entries| entries.find_map(std::result::Result::ok));
        if let Some(entry) = foreign {
            let name = entry.file_name().to_string_lossy().into_owned();
            let message = format!("`{}` holds files that are not of a benchmark, such as `{name}`", path.display());
            return Err(Error::usage(message).hint("choose a new or empty folder with --out"));
        }
        write_atomic(mark, ours.as_bytes())?;
        Ok(Self(path.to_owned()))
    }

    /// A file or folder in it.
    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(super) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        write_atomic(self.join(name), bytes)
    }
}

/// Whether a folder is one of a benchmark.
pub(in crate::cli) fn is_benchmark(path: &Path) -> bool {
    path.join(MARK).is_file()
}

/// Does the work of a cell unless it is complete, and keeps the seconds that it took, over all attempts, beside its results.
///
/// # Errors
/// When the work fails.
pub(super) fn timed<T>(cell: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let complete = cell.join("done.json").exists();
    let (before, started) = (seconds(cell).unwrap_or(0.0), Instant::now());
    let result = work();
    if !complete && cell.exists() {
        let total = before + started.elapsed().as_secs_f64();
        write_atomic(cell.join(TIMING), format!("{{ \"seconds\": {total:.3} }}\n").as_bytes())?;
    }
    result
}

/// The seconds that a cell took.
pub(super) fn seconds(cell: &Path) -> Option<f64> {
    let text = std::fs::read_to_string(cell.join(TIMING)).ok()?;
    serde_json::from_str::<serde_json::Value>(&text).ok()?.get("seconds")?.as_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_belongs_to_one_benchmark() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("results");
        let folder = BenchFolder::open(&path, "exact").unwrap();
        folder.write("results.json", b"{}").unwrap();
        assert!(BenchFolder::open(&path, "exact").is_ok());
        assert!(is_benchmark(&path) && !is_benchmark(temporary.path()));
        assert!(BenchFolder::open(&path, "other").unwrap_err().message().contains("another benchmark"));
        let foreign = temporary.path().join("foreign");
        std::fs::create_dir(&foreign).unwrap();
        std::fs::write(foreign.join("thesis.tex"), "").unwrap();
        assert!(BenchFolder::open(&foreign, "exact").unwrap_err().message().contains("thesis.tex"));
    }

    #[test]
    fn seconds_add_up_over_attempts_and_stand_still_when_complete() {
        let temporary = tempfile::tempdir().unwrap();
        let cell = temporary.path();
        std::fs::write(cell.join(TIMING), r#"{ "seconds": 5.0 }"#).unwrap();
        assert!(timed(cell, || Err::<(), _>(Error::data("stopped"))).is_err());
        let after = seconds(cell).unwrap();
        assert!((5.0..6.0).contains(&after), "{after}");
        std::fs::write(cell.join("done.json"), "{}").unwrap();
        timed(cell, || Ok(())).unwrap();
        assert_eq!(seconds(cell), Some(after));
    }
}
