//! One entry for every sequence file a user may have.

use super::{Alphabet, Numbering, Records, Table, fasta, source, table};
use crate::error::{Error, Result};
use std::path::Path;

/// What a reader may be told; everything left out is decided from the file and reported.
#[derive(Clone, Debug, Default)]
pub struct ReadOptions {
    /// The alphabet; decided from the letters when absent.
    pub alphabet: Option<Alphabet>,
    /// The column of sequences.
    pub sequence_column: Option<String>,
    /// The column of values.
    pub value_column: Option<String>,
    /// The column of standard deviations.
    pub sd_column: Option<String>,
    /// The column of ids, which must differ.
    pub id_column: Option<String>,
    /// The column of mutations relative to the wild type.
    pub mutations_column: Option<String>,
    /// The letters of the wild type.
    pub wild_type: Option<String>,
    /// How mutations are numbered; 1-based when absent (0-based after Met in genotype tables of Sarkisyan's form).
    pub numbering: Option<Numbering>,
    /// Leave out rows that cannot be used, counted by reason, instead of failing.
    pub skip_invalid: bool,
}

impl ReadOptions {
    /// A column that is asked for by name, if any is.
    fn named_column(&self) -> Option<&str> {
        let columns =
            [&self.sequence_column, &self.value_column, &self.sd_column, &self.id_column, &self.mutations_column];
        columns.into_iter().find_map(Option::as_deref)
    }
}

/// Reads FASTA, CSV, TSV, ProteinGym, k-mer and genotype tables, plain or gzip, told apart by content.
///
/// # Errors
/// With file, line and column: anything that cannot be read as told in [`ReadOptions`].
pub fn read_file(path: &Path, options: &ReadOptions) -> Result<Records> {
    let text = source::read_text(path)?;
    read_str(&text, Some(path), options).map_err(|error| error.at(path))
}

/// As [`read_file`] on text; `path` goes into messages, and its extension helps to find the delimiter.
///
/// ```
/// use seqtilt::sequence::{read_str, ReadOptions};
/// let records = read_str("seq,score\nacgt,0.5\nACGA,1\n", None, &ReadOptions::default())?;
/// assert_eq!(records.alphabet.name(), "dna");
/// assert_eq!(records.values()?, [0.5, 1.0]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Errors
/// As [`read_file`].
pub fn read_str(text: &str, path: Option<&Path>, options: &ReadOptions) -> Result<Records> {
    if text.trim_start().starts_with('>') {
        if let Some(name) = options.named_column() {
            return Err(Error::usage(format!("column `{name}` was asked for, but a FASTA file has no columns"))
                .hint("leave out the names of columns, or use a CSV or TSV file"));
        }
        return fasta::read_records(text, path, options);
    }
    let mut parsed = Table::parse(text, path)?;
    parsed.file = path.map(Path::to_owned);
    table::read_records(&parsed, options)
}
