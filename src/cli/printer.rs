//! Standard output for data, standard error for people.

use crate::error::{Error, Result};
use serde::Serialize;
use std::fmt::{self, Display};
use std::io::{self, Write};

/// The reader of standard output went away, as `head` does: not a failure.
#[derive(Debug)]
struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("standard output was closed by its reader")
    }
}

impl std::error::Error for Closed {}

/// Whether an error only says that nobody reads standard output any more.
pub(super) fn is_closed(error: &Error) -> bool {
    std::error::Error::source(error).is_some_and(<dyn std::error::Error>::is::<Closed>)
}

/// Writes bytes to standard output.
///
/// # Errors
/// When it cannot be written to.
pub(super) fn bytes(bytes: &[u8]) -> Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(|error| {
        let failed = Error::device("cannot write to standard output");
        if error.kind() == io::ErrorKind::BrokenPipe { failed.because(Closed) } else { failed.because(error) }
    })
}

/// Writes text to standard output, ending with a line feed.
///
/// # Errors
/// When it cannot be written to.
pub(super) fn text(value: &impl Display) -> Result<()> {
    let text = value.to_string();
    bytes(format!("{}\n", text.trim_end_matches('\n')).as_bytes())
}

/// Writes indented JSON to standard output.
///
/// # Errors
/// When it cannot be written to.
pub(super) fn json(value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|error| Error::data("the result cannot be written as JSON").because(error))?;
    bytes(format!("{text}\n").as_bytes())
}

/// Writes a line to standard error. Where that is closed there is nobody to tell.
pub(super) fn note(line: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// The command that this process runs, as it could be typed again, without what cannot change the result: where it is
/// written, by how many threads, and how much is said.
pub(super) fn command_line() -> String {
    recorded(std::env::args().skip(1))
}

fn recorded(arguments: impl Iterator<Item = String>) -> String {
    const WITH_VALUE: [&str; 2] = ["--out", "--threads"];
    const ALONE: [&str; 5] = ["--json", "--quiet", "-q", "--verbose", "-v"];
    let mut words = vec!["seqtilt".to_owned()];
    let mut arguments = arguments;
    while let Some(word) = arguments.next() {
        if WITH_VALUE.contains(&word.as_str()) {
            arguments.next();
        } else if !ALONE.contains(&word.as_str()) && !WITH_VALUE.iter().any(|flag| is_flag_of(&word, flag)) {
            words.push(quoted(&word));
        }
    }
    words.join(" ")
}

/// A word as a shell reads it back.
pub(super) fn quoted(word: &str) -> String {
    let plain = !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:=,+".contains(c));
    if plain { word.to_owned() } else { format!("'{}'", word.replace('\'', "'\\''")) }
}

/// Whether a word is `FLAG=VALUE`.
fn is_flag_of(word: &str, flag: &str) -> bool {
    word.strip_prefix(flag).is_some_and(|rest| rest.starts_with('='))
}

/// Rows as columns: each as wide as its widest cell, two blanks between, the last one as it is.
pub(super) fn columns(rows: &[impl AsRef<[String]>], indent: &str) -> String {
    let count = rows.iter().map(|row| row.as_ref().len()).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.as_ref().get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &[String]| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        format!("{indent}{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(|row| line(row.as_ref())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up_by_characters() {
        let rows = [["α".to_owned(), "one".to_owned()], ["long".to_owned(), "two".to_owned()]];
        assert_eq!(columns(&rows, "  "), "  α     one\n  long  two\n");
    }

    #[test]
    fn what_cannot_change_the_result_is_not_recorded() {
        let typed = ["pretrain", "my file.csv", "--out", "a", "--threads=3", "--dim", "8", "-q", "--out=b"];
        assert_eq!(recorded(typed.map(str::to_owned).into_iter()), "seqtilt pretrain 'my file.csv' --dim 8");
    }

    #[test]
    fn only_a_closed_standard_output_is_quiet() {
        assert!(is_closed(&Error::device("x").because(Closed)));
        assert!(!is_closed(&Error::oracle("x").because(io::Error::from(io::ErrorKind::BrokenPipe))));
    }
}
