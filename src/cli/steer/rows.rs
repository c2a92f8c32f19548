//! The sequences, as a file.

use super::outcome::Outcome;
use crate::cli::context::Context;
use crate::cli::printer;
use crate::error::Result;
use crate::inference::Steered;
use crate::sequence::Alphabet;
use crate::store::write_atomic;
use serde::Serialize;
use std::fmt::Write as _;
use std::path::Path;

/// One row.
#[derive(Serialize)]
struct Row {
    id: String,
    sequence: String,
    reward: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    weight: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    log_ratio: Option<f64>,
}

#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    outcome: &'a Outcome,
    rows: &'a [Row],
}

/// Writes the rows to the file, or to standard output, and the figures to where the rows are not.
///
/// # Errors
/// When neither can be written to.
pub(super) fn write(
    out: Option<&Path>,
    drawn: &Steered,
    outcome: &Outcome,
    alphabet: &Alphabet,
    context: &Context,
) -> Result<()> {
    let rows = rows(drawn, alphabet);
    let csv = out.and_then(Path::extension).is_some_and(|kind| kind.eq_ignore_ascii_case("csv"));
    let text = if csv { table(&rows) } else { fasta(&rows) };
    if let Some(out) = out {
        write_atomic(out, text.as_bytes())?;
        context.note(format!("wrote {} sequences to `{}`", rows.len(), out.display()));
    }
    match (out, context.json) {
        (_, true) => printer::json(&Whole { outcome, rows: &rows }),
        (Some(_), false) => printer::text(outcome),
        (None, false) => {
            context.note(outcome);
            printer::bytes(text.as_bytes())
        }
    }
}

fn rows(drawn: &Steered, alphabet: &Alphabet) -> Vec<Row> {
    let most = drawn.log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = drawn.log_weights.iter().map(|log| (log - most).exp()).sum();
    let row = |(i, sequence): (usize, &crate::sequence::Sequence)| Row {
        id: format!("s{}", i + 1),
        sequence: sequence.text(alphabet),
        reward: drawn.rewards[i],
        weight: drawn.log_weights.get(i).map(|log| (log - most).exp() / total),
        log_ratio: drawn.log_ratio.get(i).copied(),
    };
    drawn.sequences.iter().enumerate().map(row).collect()
}

fn table(rows: &[Row]) -> String {
    let mut text = "id,sequence,reward,weight,log_ratio\n".to_owned();
    for row in rows {
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let (weight, ratio) = (number(row.weight), number(row.log_ratio));
        let _ = writeln!(text, "{},{},{},{weight},{ratio}", row.id, row.sequence, row.reward);
    }
    text
}

fn fasta(rows: &[Row]) -> String {
    let mut text = String::new();
    for row in rows {
        let _ = write!(text, ">{} reward={}", row.id, row.reward);
        for (name, value) in [("weight", row.weight), ("log_ratio", row.log_ratio)] {
            if let Some(value) = value {
                let _ = write!(text, " {name}={value}");
            }
        }
        let _ = writeln!(text, "\n{}", row.sequence);
    }
    text
}
