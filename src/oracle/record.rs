//! Evaluations as lines of a file.

use super::{Bound, Outcome};
use serde::{Deserialize, Serialize};

/// A line of a file of evaluations: a sequence and what came of it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Record {
    pub(crate) sequence: String,
    status: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    value: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sd: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    below: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    above: Option<f64>,
}

impl Record {
    /// Of a sequence as text.
    pub(crate) fn new(sequence: String, outcome: &Outcome) -> Self {
        let (below, above) = match outcome {
            Outcome::Censored { bound: Bound::Below(bound) } => (Some(*bound), None),
            Outcome::Censored { bound: Bound::Above(bound) } => (None, Some(*bound)),
            _ => (None, None),
        };
        let reason = outcome.reason().map(str::to_owned);
        let status = outcome.status().to_owned();
        Self { sequence, status, value: outcome.value(), sd: outcome.sd(), reason, below, above }
    }

    /// What came of it; none where the line does not say.
    pub(crate) fn outcome(self) -> Option<Outcome> {
        let bound = self.below.map(Bound::Below).or(self.above.map(Bound::Above));
        Some(match self.status.as_str() {
            "ok" => Outcome::Value { mean: self.value?, sd: self.sd },
            "infeasible" => Outcome::Infeasible { reason: self.reason? },
            "failed" => Outcome::Failed { reason: self.reason? },
            "censored" => Outcome::Censored { bound: bound? },
            "skipped" => Outcome::Skipped,
            _ => return None,
        })
    }
}
