//! The order of what a search found.

use super::settings::Plan;
use crate::campaign::Campaign;
use crate::cli::context::Context;
use crate::error::Result;
use crate::oracle::OracleName;
use crate::registry::registry;
use crate::reward::{Prediction, SurrogateConfig, Tuned};
use crate::sequence::Sequence;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What the best are ranked by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) enum Ranking {
    /// The posterior where labels are noisy, else the measured value.
    #[default]
    Auto,
    /// The mean of a sequence's measured values.
    Measured,
    /// What a surrogate that has seen all labels expects.
    Posterior,
}

registry! {
    /// The rankings by name.
    pub(in crate::cli) RANKINGS: Ranking, "ranking", "rankings";
    "auto" => Ranking::Auto, "posterior where labels carry an error or replicates differ, else measured";
    "measured" => Ranking::Measured, "mean of a sequence's measured values; of noisy values the best are the luckiest";
    "posterior" => Ranking::Posterior, "mean of a surrogate that has seen all labels";
}

/// A sequence of the search with its values.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Ranked {
    pub(in crate::cli) sequence: Sequence,
    /// Mean of its measured values.
    pub(in crate::cli) measured: f64,
    /// What a surrogate that has seen all labels expects, where that ranks.
    pub(in crate::cli) posterior: Option<Prediction>,
}

/// What was measured in the search and has a value, distinct, best first.
///
/// The surrogate of the posterior is fitted once more, to all labels, the start's among them. Where labels come with standard deviations,
/// their mean square over the variance of all labels is the least noise that it believes in.
///
/// # Errors
/// When the oracle cannot be opened or the surrogate not be fitted.
pub(in crate::cli) fn ranked(plan: &Plan, campaign: &Campaign, context: &Context) -> Result<Vec<Ranked>> {
    // what a deterministic oracle gives as a standard deviation, such as the spread of an ensemble, is no error of its labels
    let options = plan.asking.options(context)?;
    let exact = plan.oracle.parse::<OracleName>()?.open(&options)?.info().deterministic;
    let measured = campaign.measured();
    let plain = |(sequence, measured)| Ranked { sequence, measured, posterior: None };
    let mut ranked: Vec<Ranked> = measured.ranked_since(1).into_iter().map(plain).collect();
    let by_posterior = match plan.ranking {
        Ranking::Auto => !exact && is_noisy(campaign),
        Ranking::Measured => false,
        Ranking::Posterior => true,
    };
    if !by_posterior || measured.ranked().len() < 2 {
        return Ok(ranked);
    }
    let config = if exact { plan.surrogate.clone() } else { believing(&plan.surrogate, campaign) };
    let seed = context.seed().child("posterior");
    let surrogate = config.fit(&measured.training_set()?, seed, &context.pool()?)?;
    let sequences: Vec<Sequence> = ranked.iter().map(|one| one.sequence.clone()).collect();
    for (one, expected) in ranked.iter_mut().zip(surrogate.predict(&sequences)?) {
        one.posterior = Some(expected);
    }
    // stable: equals stay in the order of their measured values
    ranked.sort_by(|a, b| mean(b).total_cmp(&mean(a)));
    Ok(ranked)
}

fn mean(one: &Ranked) -> f64 {
    one.posterior.map_or(f64::NEG_INFINITY, |expected| expected.mean)
}

/// Whether a label came with an error, or two of one sequence differ.
fn is_noisy(campaign: &Campaign) -> bool {
    let mut first: BTreeMap<&Sequence, f64> = BTreeMap::new();
    campaign.evaluations().iter().any(|e| {
        let differs = e.outcome.value().is_some_and(|value| *first.entry(&e.pick.sequence).or_insert(value) != value);
        differs || e.outcome.sd().is_some_and(|sd| sd > 0.0)
    })
}

/// The settings with at least the noise that the labels say they have.
fn believing(config: &SurrogateConfig, campaign: &Campaign) -> SurrogateConfig {
    let values: Vec<f64> = campaign.measured().labels().iter().filter_map(|label| label.value).collect();
    let squares: Vec<f64> = campaign.evaluations().iter().filter_map(|e| e.outcome.sd()).map(|sd| sd * sd).collect();
    let average = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len() as f64;
    let centre = average(&values);
    let variance = average(&values.iter().map(|value| (value - centre).powi(2)).collect::<Vec<_>>());
    let mut config = config.clone();
    if let (Some(noise), false, true) = (config.noise.fixed(), squares.is_empty(), variance > 0.0) {
        config.noise = Tuned::Fixed(noise.max(average(&squares) / variance));
    }
    config
}
