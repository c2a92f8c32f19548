//! Sequences with what was measured on them, and the account of how they were read.

use super::{Alphabet, Sequence};
use crate::error::{Error, Result};
use std::collections::{BTreeMap, HashSet};
use std::path::PathBuf;

/// One sequence of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The id in the file, or `r` and the line on which the row starts.
    pub id: String,
    /// The sequence.
    pub sequence: Sequence,
    /// The measured value, higher is better; `None` where the file has none.
    pub value: Option<f64>,
    /// The standard deviation of the value; `None` is unknown, not zero.
    pub sd: Option<f64>,
    /// The mutation string as written.
    pub mutations: Option<String>,
}

/// The constants of a min–max normalisation, `(raw − min) / (max − min)`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Normalisation {
    /// The least raw value.
    pub min: f64,
    /// The greatest raw value.
    pub max: f64,
}

impl Normalisation {
    /// The normalised value, in 0 to 1.
    #[must_use]
    pub fn apply(&self, raw: f64) -> f64 {
        (raw - self.min) / (self.max - self.min)
    }
}

/// How a file was read: what was decided, what was left out.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The file, if the records came from one.
    pub file: Option<PathBuf>,
    /// The recognised format, such as `fasta` or `proteingym`.
    pub format: String,
    /// Rows (or FASTA records) in the file.
    pub rows: usize,
    /// Rows left out, by reason.
    pub skipped: BTreeMap<String, usize>,
    /// Records whose sequence had occurred before; they are kept.
    pub duplicates: usize,
    /// The columns of the table, in order.
    pub columns: Vec<String>,
    /// Which column plays which role, such as `("value", "DMS_score")`.
    pub roles: Vec<(String, String)>,
    /// Normalisation of the values, where the format asks for one.
    pub normalisation: Option<Normalisation>,
    /// The wild type, where one was given.
    pub wild_type: Option<Sequence>,
    /// What was decided for the user, one line each.
    pub notes: Vec<String>,
}

impl Report {
    /// Rows left out for any reason.
    #[must_use]
    pub fn skipped_rows(&self) -> usize {
        self.skipped.values().sum()
    }
}

/// The records of one file or data set, over one alphabet.
#[derive(Clone, Debug, PartialEq)]
pub struct Records {
    /// The alphabet of all sequences.
    pub alphabet: Alphabet,
    /// The records in file order.
    pub rows: Vec<Record>,
    /// How they were read.
    pub report: Report,
}

impl Records {
    /// Records made in memory; counts the duplicates.
    #[must_use]
    pub fn new(alphabet: Alphabet, rows: Vec<Record>) -> Self {
        let report = Report { format: "memory".to_owned(), rows: rows.len(), ..Report::default() };
        Self::with_report(alphabet, rows, report)
    }

    pub(super) fn with_report(alphabet: Alphabet, rows: Vec<Record>, mut report: Report) -> Self {
        let distinct: HashSet<&Sequence> = rows.iter().map(|row| &row.sequence).collect();
        report.duplicates = rows.len() - distinct.len();
        Self { alphabet, rows, report }
    }

    /// The number of records.
    #[must_use]
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Distinct sequences.
    #[must_use]
    pub fn distinct(&self) -> usize {
        self.rows.len() - self.report.duplicates
    }

    /// The common length, if all sequences have the same.
    #[must_use]
    pub fn length(&self) -> Option<usize> {
        let first = self.rows.first()?.sequence.len();
        self.rows.iter().all(|row| row.sequence.len() == first).then_some(first)
    }

    /// The least and the greatest length; nothing where there are no records.
    #[must_use]
    pub fn lengths(&self) -> Option<(usize, usize)> {
        let lengths = || self.rows.iter().map(|row| row.sequence.len());
        lengths().min().zip(lengths().max())
    }

    /// The sequences in order.
    #[must_use]
    pub fn sequences(&self) -> Vec<Sequence> {
        self.rows.iter().map(|row| row.sequence.clone()).collect()
    }

    /// The records at these indices, in this order.
    ///
    /// # Panics
    /// If an index is not below [`len`](Self::len).
    #[must_use]
    pub fn subset(&self, indices: &[usize]) -> Self {
        let rows = indices.iter().map(|index| self.rows[*index].clone()).collect();
        Self::with_report(self.alphabet.clone(), rows, self.report.clone())
    }

    /// The records that have a value; nothing where none has.
    #[must_use]
    pub fn measured(&self) -> Option<Self> {
        let measured: Vec<usize> = (0..self.len()).filter(|index| self.rows[*index].value.is_some()).collect();
        (!measured.is_empty()).then(|| self.subset(&measured))
    }

    /// The values in order.
    ///
    /// # Errors
    /// When a record has no value; the error lists the columns there are.
    pub fn values(&self) -> Result<Vec<f64>> {
        let values: Option<Vec<f64>> = self.rows.iter().map(|row| row.value).collect();
        values.ok_or_else(|| {
            let columns = &self.report.columns;
            let error = if columns.is_empty() {
                Error::data("the sequences have no values; a table with a value column is needed")
                    .hint("use a CSV or TSV file with columns `sequence` and `value`")
            } else {
                Error::data(format!("no value column found; the columns are {}", super::table::list(columns)))
                    .hint("name it with --value-column")
            };
            match &self.report.file {
                Some(file) => error.at(file.clone()),
                None => error,
            }
        })
    }
}
