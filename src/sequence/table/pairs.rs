//! Tables of k-mers with both strands in a row, as protein-binding microarrays give them.

use super::Row;
use super::layout::Layout;
use super::rows::{Fault, RowResult, number, parse_sequence};
use crate::error::{Error, Result};
use crate::sequence::{Alphabet, Normalisation, Record};

/// Both strands of a row; a palindrome once.
pub(super) fn row(row: &Row, layout: &Layout, other: usize, alphabet: &Alphabet) -> RowResult<Vec<Record>> {
    let first = parse_sequence(row, layout.sequence.unwrap_or(0), alphabet)?;
    let second = parse_sequence(row, other, alphabet)?;
    if first.reverse_complement(alphabet).as_ref() != Some(&second) {
        let message = format!(
            "`{}` and `{}` are not reverse complements; the two strands of one k-mer are expected",
            first.text(alphabet),
            second.text(alphabet)
        );
        return Err(Fault::new("strands", Error::data(message).column(other as u64 + 1)));
    }
    let value = layout.value.map(|column| number(row, column, "E-score")).transpose()?;
    let record = |sequence, strand: &str| Record {
        id: format!("r{}{strand}", row.line),
        sequence,
        value,
        sd: None,
        mutations: None,
    };
    if first == second {
        return Ok(vec![record(first, "")]);
    }
    Ok(vec![record(first, "a"), record(second, "b")])
}

/// Replaces the values by `(value − min) / (max − min)` over all rows.
pub(super) fn normalise(rows: &mut [Record]) -> Result<Normalisation> {
    let values = || rows.iter().filter_map(|row| row.value);
    let (min, max) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    if min >= max {
        return Err(Error::data(format!("all E-scores are {min}; values that differ are needed to normalise them")));
    }
    let normalisation = Normalisation { min, max };
    for row in rows {
        row.value = row.value.map(|raw| normalisation.apply(raw));
    }
    Ok(normalisation)
}
