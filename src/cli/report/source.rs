//! Where a report comes from: the folder of a run or of a benchmark.

use crate::cli::{bench, distil, oracle, pretrain};
use crate::error::{Error, Result};
use crate::eval::report::Report;
use crate::store::{FileHash, RunRecord};
use std::path::{Path, PathBuf};

/// The report as data, where the run wrote one.
const REPORT: &str = "report.json";

/// A folder that a verb wrote.
pub(super) enum Source {
    Run(RunRecord),
    Benchmark(PathBuf),
}

impl Source {
    /// The run or the benchmark in a folder.
    ///
    /// # Errors
    /// When there is no such folder, it holds neither, or its record is damaged.
    pub(super) fn open(folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            let what = if folder.exists() { "is not a folder" } else { "does not exist" };
            return Err(Error::data(format!("`{}` {what}; the folder of a run is accepted", folder.display()))
                .hint("name what --out of design, finetune, pretrain, distil, oracle train or bench named"));
        }
        if let Some(record) = RunRecord::open(folder)? {
            return Ok(Self::Run(record));
        }
        if bench::is_benchmark(folder) {
            return Ok(Self::Benchmark(folder.to_owned()));
        }
        Err(Error::data(format!("`{}` is not the folder of a run: it has no `run.json`", folder.display()))
            .hint("name what --out of design, finetune, pretrain, distil, oracle train or bench named"))
    }

    /// The report: as the run wrote it, or made from its figures.
    ///
    /// # Errors
    /// When the run has none, has not come to its end, or a file was changed.
    pub(super) fn report(&self) -> Result<Report> {
        let found = match self {
            Self::Benchmark(folder) => read(folder)?,
            Self::Run(record) => match record.info().verb.as_str() {
                "pretrain" => pretrain::report(record)?,
                "distil" => distil::report(record)?,
                "oracle train" => oracle::training_report(record)?,
                _ => record.read(REPORT)?.map(|bytes| parse(&bytes, record.path())).transpose()?,
            },
        };
        found.ok_or_else(|| self.missing())
    }

    /// The hash under which a complete run recorded a file, if it is one of its own.
    pub(super) fn recorded(&self, file: &Path) -> Option<&FileHash> {
        let Self::Run(record) = self else { return None };
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let inside = parent.canonicalize().ok()? == record.path().canonicalize().ok()?;
        if inside { record.hash(file.file_name()?.to_str()?) } else { None }
    }

    fn missing(&self) -> Error {
        let (folder, verb, complete) = match self {
            Self::Benchmark(folder) => (folder.as_path(), "bench", false),
            Self::Run(record) => (record.path(), record.info().verb.as_str(), record.is_complete()),
        };
        let shown = folder.display();
        if !complete {
            return Error::data(format!("`{shown}` has no report yet: `{verb}` has not come to its end"))
                .hint("run the same command again; it goes on from the last checkpoint");
        }
        let error = Error::data(format!("`{shown}` has no report: this run of `{verb}` is part of another"));
        match whole(folder) {
            Some(whole) => error.hint(format!("`seqtilt report {}` shows its figures", whole.display())),
            None => error.hint("name the folder of the whole job"),
        }
    }
}

/// The nearest folder above with a report: a job keeps its parts one or two folders down.
fn whole(folder: &Path) -> Option<&Path> {
    let above = folder.ancestors().skip(1).take(2).find(|above| above.join(REPORT).is_file())?;
    Some(if above.as_os_str().is_empty() { Path::new(".") } else { above })
}

fn read(folder: &Path) -> Result<Option<Report>> {
    let path = folder.join(REPORT);
    match std::fs::read(&path) {
        Ok(bytes) => parse(&bytes, folder).map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::io("read", path, error)),
    }
}

fn parse(bytes: &[u8], folder: &Path) -> Result<Report> {
    let text = std::str::from_utf8(bytes).map_err(|error| Error::integrity("not UTF-8 text").because(error));
    text.and_then(Report::from_json).map_err(|error| error.at(folder.join(REPORT)))
}
