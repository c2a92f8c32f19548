//! Draws from a law, and the best of them by the reward.

use super::case::Case;
use crate::cli::bench::results::finite;
use crate::error::{Error, Result};
use crate::eval::histogram::Histogram;
use crate::eval::quantile::Summary;
use crate::random::Seed;
use std::collections::{BTreeMap, BTreeSet};

/// Draws sequences by their place in the cumulated law.
pub(super) struct Sampler {
    cumulated: Vec<f64>,
}

impl Sampler {
    pub(super) fn new(law: &[f64]) -> Self {
        let mut total = 0.0;
        let add = |q: &f64| {
            total += q;
            total
        };
        Self { cumulated: law.iter().map(add).collect() }
    }

    /// Independent draws; the same numbers under the same seed, whatever the law.
    pub(super) fn draw(&self, count: usize, seed: Seed) -> Vec<usize> {
        let (mut rng, total) = (seed.rng(), self.cumulated.last().copied().unwrap_or(0.0));
        let place = |u: f64| self.cumulated.partition_point(|c| *c <= u * total).min(self.cumulated.len() - 1);
        (0..count).map(|_| place(rng.uniform())).collect()
    }
}

/// The `count` different draws that the reward holds for best, as the truth sees them.
///
/// # Errors
/// When there is no draw.
pub(super) fn picked(case: &Case, drawn: &[usize], count: usize) -> Result<BTreeMap<String, f64>> {
    let mut unique: Vec<usize> = drawn.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
    let share = unique.len() as f64 / drawn.len() as f64;
    unique.sort_by(|a, b| case.reward[*b].total_cmp(&case.reward[*a]));
    unique.truncate(count);
    let truth: Vec<f64> = unique.iter().map(|cell| case.truth[*cell]).collect();
    let summary = Summary::of(&truth).ok_or_else(|| Error::usage("there is no draw to pick from"))?;
    // an empty well is filled from the prior
    let prior: f64 = case.prior.iter().zip(&case.truth).map(|(p, truth)| p * truth).sum();
    let filled = (truth.iter().sum::<f64>() + (count - unique.len()) as f64 * prior) / count as f64;
    let mut cells = Histogram::new(case.letters, case.length)?;
    for cell in &unique {
        cells.add_cell(*cell);
    }
    Ok(finite([
        ("unique", share),
        ("picked", unique.len() as f64),
        ("picked_mean", summary.mean.value),
        ("picked_filled", filled),
        ("picked_median", summary.median),
        ("picked_best", summary.max),
        ("picked_good", unique.iter().filter(|cell| case.is_good(**cell)).count() as f64),
        ("picked_distance", cells.mean_pairwise().unwrap_or(0.0)),
    ]))
}
