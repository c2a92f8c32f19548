//! FASTA files, through the reader and writer of `bio`.

use super::table::letters;
use super::{Alphabet, ReadOptions, Record, Records, Report, Sequence, detect_alphabet};
use crate::error::{Error, Result};
use bio::io::fasta;
use std::io::Write;
use std::path::Path;

/// Reads FASTA text; `path` goes into messages and the report.
pub(super) fn read_records(text: &str, path: Option<&Path>, options: &ReadOptions) -> Result<Records> {
    let place = |error: Error, line: u64| match path {
        Some(path) => error.line(line).at(path),
        None => error.line(line),
    };
    let mut lines = header_lines(text);
    let text = text.trim_start();
    let mut read = Vec::new();
    for record in fasta::Reader::from_bufread(text.as_bytes()).records() {
        let line = lines.next().unwrap_or(1);
        let record = record.map_err(|source| place(Error::data("not a FASTA record").because(source), line))?;
        let letters = String::from_utf8_lossy(record.seq()).into_owned();
        read.push((line, record.id().to_owned(), letters));
    }
    let mut report =
        Report { file: path.map(Path::to_owned), format: "fasta".to_owned(), rows: read.len(), ..Report::default() };
    let alphabet = options.alphabet.clone().unwrap_or_else(|| {
        let (alphabet, why) = detect_alphabet(read.iter().map(|(_, _, text)| text.as_str()));
        report.notes.push(why);
        alphabet
    });
    let mut rows = Vec::with_capacity(read.len());
    let mut ends = 0;
    for (line, id, text) in &read {
        let mut text = text.as_str();
        if alphabet.id(b'*').is_none() && text.ends_with('*') {
            text = &text[..text.len() - 1];
            ends += 1;
        }
        match letters_of(text, &alphabet) {
            Ok(sequence) => {
                let id = if id.is_empty() { format!("r{line}") } else { id.clone() };
                rows.push(Record { id, sequence, value: None, sd: None, mutations: None });
            }
            Err((reason, _)) if options.skip_invalid || reason == "stop" => {
                *report.skipped.entry(reason.to_owned()).or_default() += 1;
            }
            Err((_, error)) => {
                let message = format!("record `{}`: {}", id.escape_debug(), error.message());
                return Err(place(Error::data(message), *line).hint("remove the record, or pass --skip-invalid"));
            }
        }
    }
    if ends > 0 {
        report.notes.push(format!("a final `*` was removed from {ends} records"));
    }
    if rows.is_empty() {
        let message = format!("none of the {} records can be used: {:?}", report.rows, report.skipped);
        return Err(place(Error::data(message), 1));
    }
    report.wild_type = match &options.wild_type {
        Some(text) => Some(Sequence::parse(text.trim(), &alphabet)?),
        None => None,
    };
    Ok(Records::with_report(alphabet, rows, report))
}

fn letters_of(text: &str, alphabet: &Alphabet) -> std::result::Result<Sequence, (&'static str, Error)> {
    if text.is_empty() {
        let message = format!("empty sequence; letters of `{}` are needed", letters(alphabet));
        return Err(("empty sequence", Error::data(message)));
    }
    if alphabet.id(b'*').is_none() && text.contains('*') {
        return Err(("stop", Error::data("a stop `*` inside the sequence")));
    }
    Sequence::parse(text, alphabet).map_err(|error| ("letter", error))
}

fn header_lines(text: &str) -> impl Iterator<Item = u64> {
    (1_u64..).zip(text.lines()).filter(|(_, line)| line.starts_with('>')).map(|(number, _)| number)
}

/// Writes records as FASTA, one line a sequence; the value follows the id as `value=…` where there is one. Blanks in an
/// id, which would end it, become `_`.
///
/// ```
/// use seqtilt::sequence::{read_str, write_fasta, ReadOptions};
/// let records = read_str(">a\nAC\nGT\n", None, &ReadOptions::default())?;
/// let mut out = Vec::new();
/// write_fasta(&mut out, &records)?;
/// assert_eq!(out, b">a\nACGT\n");
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Errors
/// When `out` cannot be written.
pub fn write_fasta(out: impl Write, records: &Records) -> Result<()> {
    let mut writer = fasta::Writer::new(out);
    let failed = |source| Error::device("cannot write the FASTA file").because(source);
    for row in &records.rows {
        let description = row.value.map(|value| format!("value={value}"));
        let text = row.sequence.text(&records.alphabet);
        let id = row.id.replace(char::is_whitespace, "_");
        writer.write(&id, description.as_deref(), text.as_bytes()).map_err(failed)?;
    }
    writer.flush().map_err(failed)
}
