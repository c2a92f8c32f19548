//! Drawing from a tilt without training.

use super::{Calls, Target};
use crate::diffusion::DiffusionChain;
use crate::error::Result;
use crate::nn::Pool;
use crate::random::Seed;
use crate::reward::Needs;
use crate::sequence::Sequence;
use std::ops::Range;

/// Sequences that were drawn, and what is known of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Steered {
    /// The sequences.
    pub sequences: Vec<Sequence>,
    /// Their rewards.
    pub rewards: Vec<f64>,
    /// Log-weights that make the sequences a weighted sample of the tilt: `E[Σ e^w f(x)] / n = Z E_{P*}[f]` for every f, so that
    /// the mean of e^w is an unbiased estimate of Z. Empty where the method has none.
    pub log_weights: Vec<f64>,
    /// Path log-ratios L to the base chain, in nats, where a control was followed.
    pub log_ratio: Vec<f64>,
    /// Quadratic costs Σ ½|u|², in nats, where a control was followed.
    pub cost: Vec<f64>,
    /// What it cost.
    pub calls: Calls,
    /// How often particles were resampled.
    pub resampled: u64,
}

impl Steered {
    /// Adds what another unit drew.
    pub fn append(&mut self, more: Self) {
        self.sequences.extend(more.sequences);
        self.rewards.extend(more.rewards);
        self.log_weights.extend(more.log_weights);
        self.log_ratio.extend(more.log_ratio);
        self.cost.extend(more.cost);
        self.calls += more.calls;
        self.resampled += more.resampled;
    }
}

/// A method that draws from a [`Target`] in independent units, each with a seed of its own.
pub trait Steering: Send + Sync {
    /// What it asks of the reward at least.
    fn needs(&self) -> Needs;

    /// Sequences of one unit: what one thread works on at a time.
    fn unit(&self, chain: &DiffusionChain) -> usize;

    /// Sequences that depend on each other: 1, or the particles that are resampled together, which are a unit then.
    fn group(&self) -> usize {
        1
    }

    /// Draws `rows` sequences.
    ///
    /// # Errors
    /// When the method does not fit the target, a tensor operation fails or the reward does.
    fn draw(&self, target: &Target<'_>, rows: usize, seed: Seed) -> Result<Steered>;
}

/// How many units draw `count` sequences.
#[must_use]
pub fn units(method: &dyn Steering, chain: &DiffusionChain, count: usize) -> usize {
    count.div_ceil(method.unit(chain))
}

/// Draws the sequences of some of the [`units`] that draw `count` of them: whatever the ranges and the threads, all units
/// together draw the same ones. `count` is rounded up to whole groups.
///
/// # Errors
/// When the target is not one, the method does not fit it, a tensor operation fails or the reward does.
pub fn steer(
    method: &dyn Steering,
    target: &Target<'_>,
    units: Range<usize>,
    count: usize,
    seed: Seed,
    pool: &Pool,
) -> Result<Steered> {
    target.check()?;
    let (unit, first) = (method.unit(target.chain), units.start);
    let parts = pool.map(units.len(), |i| {
        let left = count.saturating_sub((first + i) * unit);
        let rows = if method.group() > 1 { unit } else { unit.min(left) };
        method.draw(target, rows, seed.index((first + i) as u64))
    })?;
    let mut all = Steered::default();
    for part in parts {
        all.append(part);
    }
    Ok(all)
}
