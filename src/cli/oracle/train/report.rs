//! What `seqtilt oracle train` says at its end.

use crate::cli::printer::columns;
use crate::reward::{HeldOut, TrainingSet};
use serde::{Deserialize, Serialize};
use std::fmt;

/// What cards and reports call the rank correlation of predictions and values.
pub(super) const SPEARMAN: &str = "rank correlation";
/// And the error of the predictions.
pub(super) const RMSE: &str = "root mean squared error";

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Report {
    /// How the trained reward is named.
    pub(super) oracle: String,
    pub(super) fingerprint: String,
    /// Fingerprint of the data after filtering.
    pub(super) data: String,
    pub(super) seed: u64,
    /// Rows of the input.
    pub(super) rows: usize,
    pub(super) trained: Trained,
    /// Distinct sequences left out by --value-below or --lower-share.
    pub(super) left_out: usize,
    pub(super) held_out: Option<HeldOut>,
    /// The figures on the sequences that were trained on, where none were held out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) fitted: Option<HeldOut>,
}

impl Report {
    /// The figures, and what they were measured on.
    pub(super) fn figures(&self) -> Option<(&HeldOut, String)> {
        let held = self.held_out.as_ref().map(|held| (held, format!("on {} held-out sequences", held.n)));
        let fitted = |fit: &HeldOut| format!("on the {} sequences that it was trained on", fit.n);
        held.or_else(|| self.fitted.as_ref().map(|fit| (fit, fitted(fit))))
    }

    /// The figures as lines.
    pub(super) fn table(&self) -> String {
        let unheld = if self.held_out.is_none() {
            "nothing was held out: how good it is on new sequences is not known\n"
        } else {
            ""
        };
        unheld.to_owned() + &self.figures().map_or_else(String::new, |(figures, on)| table(figures, &on))
    }
}

/// What the networks saw.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Trained {
    pub(super) sequences: usize,
    pub(super) least: f64,
    pub(super) greatest: f64,
}

impl Trained {
    pub(super) fn on(set: &TrainingSet) -> Self {
        let (least, greatest) = set.range();
        Self { sequences: set.len(), least, greatest }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Trained { sequences, least, greatest } = &self.trained;
        writeln!(f, "{}  {}", self.oracle, self.fingerprint)?;
        writeln!(f, "trained on {sequences} sequences with values {least:.4} to {greatest:.4}")?;
        if self.left_out > 0 {
            writeln!(f, "{} sequences of higher value were left out and not looked at", self.left_out)?;
        }
        f.write_str(&self.table())
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"))
}

/// The figures by name.
pub(super) fn rows(held: &HeldOut) -> [[String; 2]; 4] {
    let share = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{:.1} %", 100.0 * value));
    [
        [SPEARMAN.to_owned(), number(held.spearman)],
        [RMSE.to_owned(), number(Some(held.rmse))],
        ["mean sd of the members".to_owned(), number(held.mean_sd)],
        ["inside mean ± 1.645 sd (90 % if the sd were the whole error)".to_owned(), share(held.coverage)],
    ]
}

fn table(held: &HeldOut, on: &str) -> String {
    let mut text = format!("{on}:\n");
    text.push_str(&columns(&rows(held), "  "));
    for (what, at) in
        [("letters from the training set", &held.by_distance), ("letters from the consensus", &held.by_changes)]
    {
        if at.len() < 2 {
            continue;
        }
        let head = [what, "n", "rank correlation", "error"].map(str::to_owned);
        let rows =
            at.iter().map(|at| [at.distance.to_string(), at.n.to_string(), number(at.spearman), number(Some(at.rmse))]);
        text.push_str(&columns(&std::iter::once(head).chain(rows).collect::<Vec<_>>(), "  "));
    }
    text
}
