//! From the rows of a table to records.

use super::layout::Layout;
use super::{Row, Table, letters, list, pairs};
use crate::error::{Error, Result};
use crate::sequence::mutation::{apply_mutations, parse_mutations, proposal};
use crate::sequence::{Alphabet, Mutation, ReadOptions, Record, Records, Report, Sequence, detect_alphabet};
use std::collections::{BTreeSet, HashMap};

/// Why one row cannot be used: the reason under which it is counted, and the full story.
pub(super) struct Fault {
    reason: &'static str,
    error: Error,
    /// Left out without being asked (stops).
    expected: bool,
}

impl Fault {
    pub(super) fn new(reason: &'static str, error: Error) -> Self {
        Self { reason, error, expected: false }
    }
}

pub(super) type RowResult<T> = std::result::Result<T, Fault>;

/// Reads the records of a table.
pub(in crate::sequence) fn read_records(table: &Table, options: &ReadOptions) -> Result<Records> {
    let layout = Layout::of(table, options)?;
    let mut report = Report {
        file: table.file.clone(),
        format: layout.format.to_owned(),
        rows: table.rows.len(),
        columns: table.columns.clone(),
        roles: layout.roles(table),
        ..Report::default()
    };
    let alphabet = decide_alphabet(table, options, &layout, &mut report)?;
    let wild_type = wild_type(table, options, &layout, &alphabet)?;
    report.wild_type = wild_type.as_deref().map(|text| Sequence::parse(text, &alphabet)).transpose()?;
    let mut reader = Reader { table, layout, alphabet, wild_type, ids: HashMap::new() };
    reader.check_numbering()?;
    let mut rows = Vec::with_capacity(table.rows.len());
    for row in &table.rows {
        match reader.row(row) {
            Ok(records) => rows.extend(records),
            Err(fault) if options.skip_invalid || fault.expected => {
                *report.skipped.entry(fault.reason.to_owned()).or_default() += 1;
            }
            Err(fault) => {
                let error = reader.table_place(fault.error, row.line);
                let hint = error.hint_text().map_or(String::new(), |hint| format!("{hint}; or "));
                return Err(error.hint(format!("{hint}remove the row, or pass --skip-invalid")));
            }
        }
    }
    if rows.is_empty() {
        let message = format!("none of the {} rows can be used: {:?}", report.rows, report.skipped);
        return Err(reader.table_place(Error::data(message), 1));
    }
    if reader.layout.other_strand.is_some() {
        report.normalisation = Some(pairs::normalise(&mut rows)?);
    }
    Ok(Records::with_report(reader.alphabet, rows, report))
}

fn decide_alphabet(table: &Table, options: &ReadOptions, layout: &Layout, report: &mut Report) -> Result<Alphabet> {
    if let Some(alphabet) = &options.alphabet {
        return Ok(alphabet.clone());
    }
    let (alphabet, why) = match (layout.sequence, &options.wild_type) {
        (Some(column), _) => detect_alphabet(table.rows.iter().map(|row| row.get(column))),
        (None, Some(wild_type)) => detect_alphabet([wild_type.as_str()]),
        (None, None) => return Err(missing_wild_type(table)),
    };
    report.notes.push(why);
    Ok(alphabet)
}

fn wild_type(table: &Table, options: &ReadOptions, layout: &Layout, alphabet: &Alphabet) -> Result<Option<String>> {
    match (&options.wild_type, layout.sequence) {
        (Some(text), _) => {
            let parsed = Sequence::parse(text.trim(), alphabet);
            Ok(Some(parsed.map_err(|error| Error::data(format!("wild type: {}", error.message())))?.text(alphabet)))
        }
        (None, None) => Err(missing_wild_type(table)),
        (None, Some(_)) => Ok(None),
    }
}

fn missing_wild_type(table: &Table) -> Error {
    let message = format!(
        "the table gives mutations and no sequences (columns {}), so the wild type is needed",
        list(&table.columns)
    );
    table.place(Error::data(message)).hint("pass --wild-type with its letters or a FASTA file")
}

struct Reader<'a> {
    table: &'a Table,
    layout: Layout,
    alphabet: Alphabet,
    wild_type: Option<String>,
    ids: HashMap<String, u64>,
}

impl Reader<'_> {
    fn table_place(&self, error: Error, line: u64) -> Error {
        match &self.table.file {
            Some(file) => error.line(line).at(file.clone()),
            None => error.line(line),
        }
    }

    /// Refuses a numbering that some row contradicts while another suits all rows: skipping rows would hide it.
    fn check_numbering(&self) -> Result<()> {
        let (Some(wild_type), Some(column)) = (&self.wild_type, self.layout.mutations) else { return Ok(()) };
        let mut seen = BTreeSet::new();
        let mut wrong: Option<(u64, Error)> = None;
        for row in &self.table.rows {
            let Ok(mutations) = parse_mutations(row.get(column)) else { continue };
            seen.extend(mutations.iter().map(|mutation| (mutation.number, mutation.from)));
            if wrong.is_none() {
                wrong = apply_mutations(wild_type, &mutations, self.layout.numbering).err().map(|e| (row.line, e));
            }
        }
        let Some((line, error)) = wrong else { return Ok(()) };
        if crate::sequence::agreeing_numberings(wild_type, &seen).is_empty() {
            return Ok(()); // single rows are at fault; they are reported one by one
        }
        let error = Error::data(error.message()).column(column as u64 + 1).hint(proposal(wild_type, &seen));
        Err(self.table_place(error, line))
    }

    fn row(&mut self, row: &Row) -> RowResult<Vec<Record>> {
        let columns = self.table.columns.len();
        if row.len() != columns {
            let message = format!("the row has {} fields; the header has {columns}", row.len());
            return Err(Fault::new("number of fields", Error::data(message)));
        }
        if let Some(other) = self.layout.other_strand {
            return pairs::row(row, &self.layout, other, &self.alphabet);
        }
        let mutations = self.mutations(row)?;
        let sequence = match self.layout.sequence {
            Some(column) => {
                let sequence = parse_sequence(row, column, &self.alphabet)?;
                self.check_mutations(row, &mutations, &sequence)?;
                sequence
            }
            None => self.mutant(&mutations)?,
        };
        let value = self.layout.value.map(|column| self.number(row, column)).transpose()?;
        let sd = self.layout.sd.map_or(Ok(None), |column| self.sd(row, column))?;
        let id = self.id(row)?;
        let mutations = self.layout.mutations.map(|column| row.get(column).to_owned());
        Ok(vec![Record { id, sequence, value, sd, mutations }])
    }

    fn id(&mut self, row: &Row) -> RowResult<String> {
        let Some(column) = self.layout.id else { return Ok(format!("r{}", row.line)) };
        let id = row.get(column);
        let fault = |message: String| {
            Fault::new("id", Error::data(message).column(column as u64 + 1).hint("give every row an id of its own"))
        };
        if id.is_empty() {
            return Err(fault(format!("column `{}` is empty; an id is needed", self.table.columns[column])));
        }
        match self.ids.insert(id.to_owned(), row.line) {
            Some(line) => Err(fault(format!("id `{}` was used on line {line} already", id.escape_debug()))),
            None => Ok(id.to_owned()),
        }
    }

    fn mutations(&self, row: &Row) -> RowResult<Vec<Mutation>> {
        let (Some(column), Some(_)) = (self.layout.mutations, &self.wild_type) else { return Ok(Vec::new()) };
        parse_mutations(row.get(column)).map_err(|error| Fault::new("mutation", error.column(column as u64 + 1)))
    }

    /// Where a row has both, its mutations must make its sequence of the wild type.
    fn check_mutations(&self, row: &Row, mutations: &[Mutation], sequence: &Sequence) -> RowResult<()> {
        let (Some(column), Some(_)) = (self.layout.mutations, &self.wild_type) else { return Ok(()) };
        if self.mutant(mutations)? == *sequence {
            return Ok(());
        }
        let message = format!("mutations `{}` of the wild type do not make the row's sequence", row.get(column));
        Err(Fault::new("mutation", Error::data(message).column(column as u64 + 1)))
    }

    fn mutant(&self, mutations: &[Mutation]) -> RowResult<Sequence> {
        let wild_type = self.wild_type.as_deref().unwrap_or_default();
        let column = self.layout.mutations.map_or(0, |column| column as u64 + 1);
        let text = apply_mutations(wild_type, mutations, self.layout.numbering)
            .map_err(|error| Fault::new("mutation", error.column(column)))?;
        letters_of(&text, column, &self.alphabet)
    }

    fn number(&self, row: &Row, column: usize) -> RowResult<f64> {
        number(row, column, &self.table.columns[column])
    }

    fn sd(&self, row: &Row, column: usize) -> RowResult<Option<f64>> {
        let text = row.get(column);
        if matches!(text.to_ascii_lowercase().as_str(), "" | "na" | "nan" | "n/a" | "null") {
            return Ok(None);
        }
        let name = &self.table.columns[column];
        let sd = number(row, column, name)?;
        if sd < 0.0 {
            let message = format!("column `{name}` has `{text}`; a standard deviation is 0 or greater");
            return Err(Fault::new("sd", Error::data(message).column(column as u64 + 1)));
        }
        Ok(Some(sd))
    }
}

/// A finite number in a column.
pub(super) fn number(row: &Row, column: usize, name: &str) -> RowResult<f64> {
    let text = row.get(column);
    let got = if text.is_empty() { "is empty".to_owned() } else { format!("has `{}`", text.escape_debug()) };
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => {
            let mut error = Error::data(format!("column `{name}` {got}; a finite number is accepted"));
            if text.contains(',') {
                error = error.hint("write decimals with a point");
            }
            Err(Fault::new("value", error.column(column as u64 + 1)))
        }
    }
}

/// The sequence in a column.
pub(super) fn parse_sequence(row: &Row, column: usize, alphabet: &Alphabet) -> RowResult<Sequence> {
    letters_of(row.get(column), column as u64 + 1, alphabet)
}

fn letters_of(text: &str, column: u64, alphabet: &Alphabet) -> RowResult<Sequence> {
    if text.is_empty() {
        let message = format!("empty sequence; letters of `{}` are needed", letters(alphabet));
        return Err(Fault::new("empty sequence", Error::data(message).column(column)));
    }
    if alphabet.id(b'*').is_none() && text.contains('*') {
        let error = Error::data("a stop `*` inside the sequence").column(column);
        return Err(Fault { reason: "stop", error, expected: true });
    }
    Sequence::parse(text, alphabet).map_err(|error| Fault::new("letter", error.column(column)))
}
