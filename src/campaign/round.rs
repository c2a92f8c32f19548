//! What a round did, and where it left the search.

use super::{Evaluation, Foresight};
use crate::oracle::Outcome;
use crate::sequence::Sequence;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Sequences of the top that a search is judged by.
pub const TOP: usize = 128;

/// Where a search stands: distinct sequences with the mean of their values, start data included.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standing {
    /// Labels spent.
    pub spent: usize,
    /// Greatest value.
    pub best: Option<f64>,
    /// Mean of the top 128, or of all where there are fewer.
    pub top_mean: Option<f64>,
    /// Mean of the top 100.
    pub top_100_mean: Option<f64>,
}

impl Standing {
    /// Of sequences and values, best first.
    #[must_use]
    pub fn of(ranked: &[(Sequence, f64)], spent: usize) -> Self {
        let mean = |count: usize| {
            let top = &ranked[..count.min(ranked.len())];
            (!top.is_empty()).then(|| top.iter().map(|(_, value)| value).sum::<f64>() / top.len() as f64)
        };
        Self { spent, best: ranked.first().map(|first| first.1), top_mean: mean(TOP), top_100_mean: mean(100) }
    }
}

/// One round of a campaign.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Round {
    /// Number, from 1; 0 is the start data.
    pub round: usize,
    /// Sequences asked for.
    pub asked: usize,
    /// Of them second attempts after a failure.
    pub retried: usize,
    /// With a value.
    pub valued: usize,
    /// Failed: no value is known.
    pub failed: usize,
    /// Can never work.
    pub infeasible: usize,
    /// Beyond what can be measured.
    pub censored: usize,
    /// Greatest value of the batch.
    pub batch_best: Option<f64>,
    /// Mean value of the batch.
    pub batch_mean: Option<f64>,
    /// Where it left the search.
    pub standing: Standing,
    /// Whether what was expected of the batch came true.
    pub foresight: Option<Foresight>,
    /// Sequences that a surrogate scored to choose the batch, where the proposer counts them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub surrogate_calls: Option<u64>,
}

impl Round {
    /// From a batch and what it left.
    pub(super) fn new(round: usize, batch: &[Evaluation], retried: usize, standing: Standing) -> Self {
        let values: Vec<f64> = batch.iter().filter_map(|e| e.outcome.value()).collect();
        let count = |status: &str| batch.iter().filter(|e| e.outcome.status() == status).count();
        Self {
            round,
            asked: batch.len(),
            retried,
            valued: values.len(),
            failed: count(Outcome::Failed { reason: String::new() }.status()),
            infeasible: count(Outcome::Infeasible { reason: String::new() }.status()),
            censored: count("censored"),
            batch_best: values.iter().copied().reduce(f64::max),
            batch_mean: (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64),
            standing,
            foresight: Foresight::of(batch),
            surrogate_calls: None,
        }
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
        write!(
            f,
            "round {}: best {}, batch mean {}, top-{TOP} mean {}, {} labels spent",
            self.round,
            shown(self.standing.best),
            shown(self.batch_mean),
            shown(self.standing.top_mean),
            self.standing.spent
        )?;
        for (count, what) in [(self.failed, "failed"), (self.infeasible, "infeasible"), (self.censored, "censored")] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        Ok(())
    }
}
