//! What the actions of `seqtilt data` print.

use super::advice::Advice;
use crate::cli::printer::columns;
use crate::data::{Condition, Dataset, Description, Values, WildType};
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::PathBuf;

/// A data set and whether its file is there.
#[derive(Serialize)]
pub(super) struct Listed {
    #[serde(flatten)]
    pub(super) set: Dataset,
    pub(super) here: bool,
}

#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Sets(pub(super) Vec<Listed>);

impl Display for Sets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows = self.0.iter().map(|Listed { set, here }| {
            let state = match (here, &set.url) {
                (true, _) => "here",
                (false, Some(_)) => "to fetch",
                (false, None) => "absent",
            };
            [set.name.clone(), set.alphabet.clone(), set.records.to_string(), state.to_owned(), set.description.clone()]
        });
        f.write_str(&columns(&rows.collect::<Vec<_>>(), ""))
    }
}

#[derive(Serialize)]
pub(super) struct Checked {
    name: String,
    condition: &'static str,
    expected: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    got: Option<String>,
}

impl Checked {
    pub(super) fn of((set, condition): &(Dataset, Condition)) -> Self {
        let (condition, got) = match condition {
            Condition::Intact => ("intact", None),
            Condition::Absent => ("absent", None),
            Condition::Changed { got } => ("changed", Some(got.clone())),
        };
        Self { name: set.name.clone(), condition, expected: set.sha256.clone(), got }
    }
}

#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Checks(pub(super) Vec<Checked>);

impl Display for Checks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |check: &Checked| {
            let hash = check.got.as_ref().unwrap_or(&check.expected);
            [check.name.clone(), check.condition.to_owned(), hash.clone()]
        };
        f.write_str(&columns(&self.0.iter().map(row).collect::<Vec<_>>(), ""))
    }
}

#[derive(Serialize)]
pub(super) struct Part {
    pub(super) name: &'static str,
    pub(super) records: usize,
    pub(super) file: PathBuf,
}

#[derive(Serialize)]
#[serde(transparent)]
pub(super) struct Parts(pub(super) Vec<Part>);

impl Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = |part: &Part| [part.name.to_owned(), part.records.to_string(), part.file.display().to_string()];
        f.write_str(&columns(&self.0.iter().map(row).collect::<Vec<_>>(), ""))
    }
}

#[derive(Serialize)]
pub(super) struct Described {
    pub(super) source: String,
    #[serde(flatten)]
    pub(super) description: Description,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) advice: Option<Advice>,
}

impl Display for Described {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Description { format, rows, records, distinct, duplicates, .. } = &self.description;
        let about = &self.description;
        let mut lines = vec![
            line("source", format!("{} ({format})", self.source)),
            line("records", format!("{records} from {rows} rows, {distinct} distinct, {duplicates} duplicates")),
        ];
        if !about.skipped.is_empty() {
            lines.push(line("left out", joined(about.skipped.iter().map(|(reason, n)| format!("{reason} {n}")))));
        }
        let roles = about.columns.iter().map(|(role, column)| format!("{role} = {column}"));
        if !about.columns.is_empty() {
            lines.push(line("columns", joined(roles)));
        }
        let lengths = about.lengths;
        let length = if lengths.min == lengths.max {
            format!("{} (all)", lengths.min)
        } else {
            format!("{} to {}, median {}", lengths.min, lengths.max, lengths.median)
        };
        lines.push(line("length", length));
        lines.push(line("alphabet", about.alphabet.clone()));
        let letters = about.letters.iter().map(|(letter, share)| format!("{letter} {:.1}", 100.0 * share));
        lines.push(line("letters (%)", letters.collect::<Vec<_>>().join("  ")));
        match &about.values {
            Some(values) => lines.extend(of_values(values)),
            None => lines.push(line("values", "none".to_owned())),
        }
        lines.extend(about.wild_type.as_ref().map(of_wild_type).unwrap_or_default());
        lines.extend(self.advice.as_ref().map(Advice::lines).unwrap_or_default());
        f.write_str(&columns(&lines, ""))
    }
}

fn of_values(values: &Values) -> Vec<[String; 2]> {
    let mut lines = vec![line("values", format!("{}, mean {:.5}", values.count, values.mean))];
    let quantile = |(p, value): &(f64, f64)| match *p {
        0.0 => format!("min {value:.4}"),
        1.0 => format!("max {value:.4}"),
        _ => format!("{:.0}% {value:.4}", 100.0 * p),
    };
    lines.push(line("quantiles", values.quantiles.iter().map(quantile).collect::<Vec<_>>().join("  ")));
    if let Some((min, max)) = values.normalised_from {
        lines.push(line("normalised", format!("(raw − min)/(max − min) with min {min}, max {max}")));
    }
    lines.push(line("best", values.best.clone()));
    lines
}

fn of_wild_type(wild_type: &WildType) -> Vec<[String; 2]> {
    let value = wild_type.value.map_or("not measured".to_owned(), |value| format!("value {value:.4}"));
    let counts = wild_type.mutations.iter().map(|(mutations, count)| format!("{mutations}: {count}"));
    vec![line("wild type", format!("{} ({value})", wild_type.sequence)), line("substitutions", joined(counts))]
}

fn line(name: &str, value: String) -> [String; 2] {
    [name.to_owned(), value]
}

fn joined(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}
