//! Comma-, tab- and semicolon-separated tables, and the records in them.

mod layout;
mod pairs;
mod rows;

use super::{Alphabet, Records, source};
use crate::error::{Error, Result};
use std::path::{Path, PathBuf};

pub(super) use rows::read_records;

/// A table of text with a header line.
///
/// Accepts CSV and TSV (also `;`), quoted fields, CRLF line ends, a byte-order mark and gzip.
///
/// ```
/// use seqtilt::sequence::Table;
/// let table = Table::parse("id;dose\r\na;\"1;5\"\r\n", None)?;
/// assert_eq!(table.rows[0].get(table.column("dose")?), "1;5");
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    /// The file, if it came from one.
    pub file: Option<PathBuf>,
    /// The header, trimmed.
    pub columns: Vec<String>,
    /// The rows; blank lines are left out.
    pub rows: Vec<Row>,
}

/// One row of a [`Table`].
#[derive(Clone, Debug)]
pub struct Row {
    /// The line on which it starts, from 1.
    pub line: u64,
    fields: csv::StringRecord,
}

impl Row {
    /// The trimmed text of a column; empty where the row is too short.
    #[must_use]
    pub fn get(&self, column: usize) -> &str {
        self.fields.get(column).unwrap_or("").trim()
    }

    /// The number of fields.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a row has at least one field")]
    pub fn len(&self) -> usize {
        self.fields.len()
    }
}

impl Table {
    /// Reads a file; the delimiter follows from its header, and from its extension where the header leaves it open.
    ///
    /// # Errors
    /// When the file cannot be read as text, or has no rows under its header.
    pub fn read(path: &Path) -> Result<Self> {
        let text = source::read_text(path)?;
        let mut table = Self::parse(&text, Some(path)).map_err(|error| error.at(path))?;
        table.file = Some(path.to_owned());
        Ok(table)
    }

    /// Reads text; `path` is asked for its extension only.
    ///
    /// # Errors
    /// When the text is not a table or has no rows under its header.
    pub fn parse(text: &str, path: Option<&Path>) -> Result<Self> {
        let mut reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter(text, path))
            .from_reader(text.as_bytes());
        let mut lines = Lines { text: text.as_bytes(), at: 0, line: 1 };
        let mut rows = Vec::new();
        for fields in reader.records() {
            let fields = fields.map_err(|source| Error::data("the table cannot be parsed").because(source))?;
            let start = fields.position().map_or(0, csv::Position::byte);
            if fields.iter().all(|field| field.trim().is_empty()) && fields.len() > 1 {
                continue; // spreadsheet programs pad with rows of delimiters
            }
            rows.push(Row { line: lines.of(start as usize), fields });
        }
        if rows.is_empty() {
            return Err(Error::data("the file is empty; a table with a header line is accepted"));
        }
        let header = rows.remove(0);
        let columns: Vec<String> = header.fields.iter().map(|name| name.trim().to_owned()).collect();
        if rows.is_empty() {
            return Err(Error::data(format!("the table has a header ({}) and no rows", list(&columns))));
        }
        Ok(Self { file: None, columns, rows })
    }

    /// The column called `name` (letter case is ignored where that is unambiguous).
    ///
    /// # Errors
    /// When there is none, with the columns there are and the nearest name; when there are several.
    pub fn column(&self, name: &str) -> Result<usize> {
        let matching = |exact: bool| -> Vec<usize> {
            let same = |column: &String| if exact { column == name } else { column.eq_ignore_ascii_case(name) };
            (0..self.columns.len()).filter(|index| same(&self.columns[*index])).collect()
        };
        let exact = matching(true);
        let found = if exact.is_empty() { matching(false) } else { exact };
        match found.as_slice() {
            [one] => Ok(*one),
            [] => {
                let message = format!("no column `{name}`; the columns are {}", list(&self.columns));
                let error = self.place(Error::data(message));
                Err(match nearest_name(name, &self.columns) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint("name one of them"),
                })
            }
            several => {
                let message = format!("column `{name}` occurs {} times; it must occur once", several.len());
                Err(self.place(Error::data(message)).hint("rename one of them in the header line"))
            }
        }
    }

    /// The first column whose name is one of `names`, in their order of preference; letter case is ignored.
    #[must_use]
    pub fn find(&self, names: &[&str]) -> Option<usize> {
        names.iter().find_map(|name| self.columns.iter().position(|column| column.eq_ignore_ascii_case(name)))
    }

    fn place(&self, error: Error) -> Error {
        let error = error.line(1);
        match &self.file {
            Some(file) => error.at(file.clone()),
            None => error,
        }
    }
}

/// Names in backticks, for messages.
pub(super) fn list(names: &[String]) -> String {
    names.iter().map(|name| format!("`{}`", name.escape_debug())).collect::<Vec<_>>().join(", ")
}

/// The name nearest to `wanted` by edit distance, if it is near.
pub(crate) fn nearest_name<'a>(wanted: &str, names: &'a [String]) -> Option<&'a str> {
    let wanted = wanted.to_lowercase();
    let scored = names.iter().map(|name| (strsim::jaro_winkler(&wanted, &name.to_lowercase()), name.as_str()));
    scored.filter(|(score, _)| *score > 0.7).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// The separator that the header uses, else the one of the extension.
fn delimiter(text: &str, path: Option<&Path>) -> u8 {
    let header = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("");
    let by_name = path.and_then(|path| {
        let name = path.file_name()?.to_str()?.to_ascii_lowercase();
        let name = name.strip_suffix(".gz").unwrap_or(&name);
        match name.rsplit_once('.')?.1 {
            "tsv" | "tab" => Some(b'\t'),
            "csv" => Some(b','),
            _ => None,
        }
    });
    let has = |byte: u8| header.as_bytes().contains(&byte);
    match by_name {
        Some(byte) if has(byte) => byte,
        _ => *[b'\t', b',', b';'].iter().find(|byte| has(**byte)).or(by_name.as_ref()).unwrap_or(&b','),
    }
}

/// Line numbers of rising byte offsets, past line ends that precede the row.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
    line: u64,
}

impl Lines<'_> {
    fn of(&mut self, byte: usize) -> u64 {
        let blank = |byte: &&u8| matches!(byte, b'\n' | b'\r');
        let start = byte + self.text[byte..].iter().take_while(blank).count();
        self.line += self.text[self.at..start].split(|byte| *byte == b'\n').count() as u64 - 1;
        self.at = start;
        self.line
    }
}

/// Writes records as a CSV table with columns `id,sequence,value` (and `sd`, `mutations` where a record has one).
///
/// # Errors
/// When `out` cannot be written.
pub fn write_table(out: impl std::io::Write, records: &Records) -> Result<()> {
    let with_sd = records.rows.iter().any(|row| row.sd.is_some());
    let with_mutations = records.rows.iter().any(|row| row.mutations.is_some());
    let mut writer = csv::Writer::from_writer(out);
    let number = |value: Option<f64>| value.map(|value| value.to_string()).unwrap_or_default();
    let mut write = |cells: Vec<String>| writer.write_record(cells);
    let mut all = || -> std::result::Result<(), csv::Error> {
        let mut header = vec!["id".to_owned(), "sequence".to_owned(), "value".to_owned()];
        header.extend(with_sd.then(|| "sd".to_owned()));
        header.extend(with_mutations.then(|| "mutations".to_owned()));
        write(header)?;
        for row in &records.rows {
            let mut cells = vec![row.id.clone(), row.sequence.text(&records.alphabet), number(row.value)];
            cells.extend(with_sd.then(|| number(row.sd)));
            cells.extend(with_mutations.then(|| row.mutations.clone().unwrap_or_default()));
            write(cells)?;
        }
        Ok(())
    };
    all().map_err(|source| Error::device("cannot write the table").because(source))?;
    writer.flush().map_err(|source| Error::device("cannot write the table").because(source))
}

/// The letters of an alphabet, for messages.
pub(super) fn letters(alphabet: &Alphabet) -> String {
    String::from_utf8_lossy(alphabet.letters()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_through_crlf_blank_lines_and_quoted_breaks() {
        let table = Table::parse("\r\na,b\r\n\r\n1,\"x\r\ny\"\r\n\r\n2,z\r\n", None).unwrap();
        assert_eq!(table.columns, ["a", "b"]);
        assert_eq!(table.rows.iter().map(|row| row.line).collect::<Vec<_>>(), [4, 7]);
        let table = Table::parse("a\tb\n1\t2\n3\t4", None).unwrap();
        assert_eq!(table.rows[1].line, 3);
    }

    #[test]
    fn the_header_decides_the_delimiter() {
        for (text, path) in
            [("a;b\n1;2", "x.csv"), ("a\tb\n1\t2", "x.csv"), ("a,b\n1,2", "x.txt"), ("a,b\n1,2", "x.tsv")]
        {
            assert_eq!(Table::parse(text, Some(Path::new(path))).unwrap().columns, ["a", "b"], "{text:?}");
        }
    }

    #[test]
    fn a_wrong_column_lists_what_there_is() {
        let table = Table::parse("variant_seq,fitnes\nA,1\n", None).unwrap();
        let error = table.column("fitness").unwrap_err();
        assert_eq!(error.to_string(), "1: no column `fitness`; the columns are `variant_seq`, `fitnes`");
        assert_eq!(error.hint_text(), Some("did you mean `fitnes`?"));
        let twice = Table::parse("a,a\n1,2\n", None).unwrap();
        assert!(twice.column("a").unwrap_err().message().contains("occurs 2 times"));
    }
}
