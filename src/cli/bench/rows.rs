//! Rows of a benchmark, and the file that makes it resumable.

use crate::error::{Error, Result};
use crate::store::write_atomic;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// One measurement: what was run, and every number that came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Row {
    /// Name of the benchmark.
    pub(super) benchmark: String,
    /// Name of the method.
    pub(super) method: String,
    /// Seed of every draw.
    pub(super) seed: u64,
    /// Everything that the numbers depend on besides.
    pub(super) parameters: Value,
    /// Every metric by its full name.
    pub(super) metrics: BTreeMap<String, f64>,
}

impl Row {
    /// Whether two rows are the same measurement.
    fn is(&self, benchmark: &str, method: &str, seed: u64, parameters: &Value) -> bool {
        (self.benchmark.as_str(), self.method.as_str(), self.seed) == (benchmark, method, seed)
            && self.parameters == *parameters
    }
}

/// The rows so far, kept as JSON lines where a file is named.
#[derive(Debug)]
pub(super) struct Rows {
    file: Option<PathBuf>,
    rows: Vec<Row>,
}

impl Rows {
    /// Reads the rows that the file has, if there is one already.
    ///
    /// # Errors
    /// When the file cannot be read or a line is not a row.
    pub(super) fn open(file: Option<PathBuf>) -> Result<Self> {
        let text = match &file {
            Some(path) if path.exists() => {
                std::fs::read_to_string(path).map_err(|error| Error::io("read", path, error))?
            }
            _ => String::new(),
        };
        let mut rows = Vec::new();
        for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
            rows.push(serde_json::from_str(line).map_err(|error| {
                Error::data("the line is not a row of a benchmark; accepted: JSON as --out writes it")
                    .at(file.clone().unwrap_or_default())
                    .line(index as u64 + 1)
                    .because(error)
                    .hint("name another file with --out")
            })?);
        }
        Ok(Self { file, rows })
    }

    /// The row of a measurement that was made before.
    pub(super) fn find(&self, benchmark: &str, method: &str, seed: u64, parameters: &Value) -> Option<&Row> {
        self.rows.iter().find(|row| row.is(benchmark, method, seed, parameters))
    }

    /// Adds a row and writes the file, whole.
    ///
    /// # Errors
    /// When the file cannot be written to.
    pub(super) fn push(&mut self, row: Row) -> Result<()> {
        self.rows.push(row);
        let Some(path) = &self.file else { return Ok(()) };
        let mut text = String::new();
        for row in &self.rows {
            let line = serde_json::to_string(row)
                .map_err(|error| Error::data("a row cannot be written as JSON").because(error))?;
            text.push_str(&line);
            text.push('\n');
        }
        write_atomic(path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(seed: u64) -> Row {
        let metrics = BTreeMap::from([("objective".to_owned(), 0.1 + seed as f64)]);
        Row { benchmark: "a".into(), method: "b".into(), seed, parameters: json!({"steps": 4}), metrics }
    }

    #[test]
    fn a_second_run_finds_what_the_first_one_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let mut rows = Rows::open(Some(path.clone())).unwrap();
        rows.push(row(1)).unwrap();
        rows.push(row(2)).unwrap();
        let again = Rows::open(Some(path.clone())).unwrap();
        assert_eq!(again.find("a", "b", 2, &json!({"steps": 4})), Some(&row(2)));
        assert_eq!(again.find("a", "b", 2, &json!({"steps": 5})), None);
        assert_eq!(again.find("a", "c", 2, &json!({"steps": 4})), None);
        assert_eq!(again.find("a", "b", 3, &json!({"steps": 4})), None);
    }

    #[test]
    fn a_foreign_line_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        std::fs::write(&path, format!("{}\nhello\n", serde_json::to_string(&row(1)).unwrap())).unwrap();
        let error = Rows::open(Some(path)).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Data);
        assert!(error.to_string().contains("rows.jsonl:2: "), "{error}");
    }
}
