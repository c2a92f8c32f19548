//! An append-only file of JSON lines that can be cut back to a checkpoint.

use super::Sha256;
use super::checkpoint::Mark;
use crate::error::{Error, Result};
use serde::Serialize;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

#[derive(Debug)]
pub(super) struct Metrics {
    path: PathBuf,
    file: Option<File>,
    bytes: u64,
    running: Sha256,
}

impl Metrics {
    /// Opens the file at `mark`: checks what lies before it and cuts off what lies after it.
    pub(super) fn open(path: PathBuf, mark: &Mark) -> Result<Self> {
        let failed = |error| Error::io("write", &path, error);
        let mut file =
            File::options().create(true).truncate(false).read(true).write(true).open(&path).map_err(failed)?;
        let mut running = Sha256::default();
        let mut before = Vec::new();
        Read::by_ref(&mut file).take(mark.bytes).read_to_end(&mut before).map_err(failed)?;
        running.update(&before);
        if before.len() as u64 != mark.bytes || running.hex() != mark.sha256 {
            return Err(Error::integrity(format!(
                "expected {} bytes with SHA-256 `{}` as at the checkpoint, got {} bytes with `{}`",
                mark.bytes,
                mark.sha256,
                before.len(),
                running.hex()
            ))
            .at(&path)
            .hint("remove the run's checkpoint to start it again from its beginning"));
        }
        file.set_len(mark.bytes).map_err(failed)?;
        file.seek(SeekFrom::End(0)).map_err(failed)?;
        Ok(Self { path, file: Some(file), bytes: mark.bytes, running })
    }

    /// Of a complete run: nothing can be added.
    pub(super) fn closed(path: PathBuf) -> Self {
        Self { path, file: None, bytes: 0, running: Sha256::default() }
    }

    pub(super) fn append(&mut self, record: &impl Serialize) -> Result<()> {
        let mut line = serde_json::to_vec(record)
            .map_err(|error| Error::usage("a metric cannot be written as JSON").because(error))?;
        line.push(b'\n');
        let Some(file) = &mut self.file else {
            return Err(Error::usage("this run is complete; nothing can be added to its metrics").at(&self.path));
        };
        file.write_all(&line).map_err(|error| Error::io("write", &self.path, error))?;
        self.bytes += line.len() as u64;
        self.running.update(&line);
        Ok(())
    }

    /// The present end, once everything before it is on the disk.
    pub(super) fn mark(&mut self) -> Result<Mark> {
        if let Some(file) = &self.file {
            file.sync_data().map_err(|error| Error::io("write", &self.path, error))?;
        }
        Ok(Mark { bytes: self.bytes, sha256: self.running.hex() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn lines_after_the_mark_are_cut_off_to_the_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut metrics = Metrics::open(path.clone(), &Mark::default()).unwrap();
        metrics.append(&json!({"step": 1, "loss": 0.1})).unwrap();
        let mark = metrics.mark().unwrap();
        metrics.append(&json!({"step": 2})).unwrap();
        drop(metrics);
        let mut again = Metrics::open(path.clone(), &mark).unwrap();
        assert_eq!(again.mark().unwrap(), mark);
        again.append(&json!({"step": 3})).unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "{\"step\":1,\"loss\":0.1}\n{\"step\":3}\n");
    }

    #[test]
    fn a_file_shorter_than_the_mark_or_changed_before_it_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut metrics = Metrics::open(path.clone(), &Mark::default()).unwrap();
        metrics.append(&json!({"step": 1})).unwrap();
        let mark = metrics.mark().unwrap();
        for content in ["", "{\"step\":", "{\"step\":2}\n"] {
            std::fs::write(&path, content).unwrap();
            let error = Metrics::open(path.clone(), &mark).unwrap_err();
            assert_eq!(error.kind(), crate::Kind::Integrity);
            assert_eq!(std::fs::read_to_string(&path).unwrap(), content, "left as it was");
        }
    }

    #[test]
    fn floats_survive_the_trip_through_text() {
        // without serde_json's `float_roundtrip` this number comes back one unit in the last place off
        let number = 1.221_048_353_484_183_8e-5_f64;
        for number in [number, 0.1 + 0.2, f64::MIN_POSITIVE, 1e300 / 3.0] {
            let text = serde_json::to_string(&number).unwrap();
            assert_eq!(serde_json::from_str::<f64>(&text).unwrap().to_bits(), number.to_bits());
        }
    }
}
