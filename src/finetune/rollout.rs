//! Walking a chain, with or without control.

use super::Control;
use super::walk::{Walk, Walker};
use crate::diffusion::{Chain, Memory, shard_rows};
use crate::error::Result;
use crate::nn::Pool;
use crate::random::{Rng, Seed};
use candle_core::{DType, Tensor};
use std::ops::Range;

/// Standard normal draws in the shape of `rows` states of a chain.
///
/// # Errors
/// When the tensor cannot be made.
pub(super) fn noise(chain: &dyn Chain, rows: usize, rng: &mut Rng) -> Result<Tensor> {
    let mut shape = vec![rows];
    shape.extend(chain.shape());
    let values = rng.normals(shape.iter().product());
    Ok(Tensor::from_vec(values, shape, chain.device())?.to_dtype(chain.dtype())?)
}

/// Noise of the steps of one block, (steps, B, …).
pub(super) fn draws(chain: &dyn Chain, block: Range<usize>, rows: usize, rng: &mut Rng) -> Result<Tensor> {
    let draws: Vec<Tensor> = block.map(|_| noise(chain, rows, rng)).collect::<Result<_>>()?;
    Ok(Tensor::stack(&draws, 0)?)
}

/// Sums along paths, per row.
pub(super) struct Sums {
    pub(super) log_ratio: Vec<f64>,
    pub(super) cost: Vec<f64>,
}

impl Sums {
    pub(super) fn new(rows: usize) -> Self {
        Self { log_ratio: vec![0.0; rows], cost: vec![0.0; rows] }
    }

    /// Adds those of one block.
    pub(super) fn add(&mut self, walk: &Walk) -> Result<()> {
        if let (Some(squares), Some(products)) = (&walk.cost, &walk.product) {
            let pairs = per_row(squares)?.into_iter().zip(per_row(products)?);
            for ((log_ratio, cost), (square, product)) in self.log_ratio.iter_mut().zip(&mut self.cost).zip(pairs) {
                *cost += square;
                *log_ratio += product + square;
            }
        }
        Ok(())
    }
}

/// Numbers of a (B,) tensor in f64.
pub(super) fn per_row(values: &Tensor) -> Result<Vec<f64>> {
    Ok(values.detach().to_dtype(DType::F64)?.to_vec1::<f64>()?)
}

/// One batch of controlled paths.
#[derive(Debug)]
pub struct Rollout {
    /// The first state of every block and the final one when kept, else the final state alone.
    pub states: Vec<Tensor>,
    /// Noise of every block, (steps, B, …), when the states are kept.
    pub noises: Vec<Tensor>,
    /// Path log-ratio L = log dPᵘ/dP per row, in nats.
    pub log_ratio: Vec<f64>,
    /// Quadratic cost Σ ½|u|² per row, in nats; the same expectation as L.
    pub cost: Vec<f64>,
}

impl Rollout {
    /// Walks `rows` paths over the first `steps` steps; noise comes from `seed` alone, so two controls can be compared on the
    /// same draws.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn draw(
        chain: &dyn Chain,
        control: Option<&dyn Control>,
        steps: usize,
        rows: usize,
        seed: Seed,
        keep: bool,
    ) -> Result<Self> {
        let mut rng = seed.rng();
        let mut x = chain.start(&noise(chain, rows, &mut rng)?)?;
        let (mut states, mut noises) = (Vec::new(), Vec::new());
        let mut sums = Sums::new(rows);
        let walker = Walker { chain, control, held: None };
        for first in (0..steps).step_by(chain.block()) {
            let block = first..(first + chain.block()).min(steps);
            let draws = draws(chain, block.clone(), rows, &mut rng)?;
            let walk = walker.walk(block, &x, &draws, Memory::default())?;
            sums.add(&walk)?;
            if keep {
                states.push(x);
                noises.push(draws);
            }
            x = walk.x.detach();
        }
        states.push(x);
        Ok(Self { states, noises, log_ratio: sums.log_ratio, cost: sums.cost })
    }

    /// The final states.
    ///
    /// # Panics
    /// Never: there is always a final state.
    #[must_use]
    pub fn last(&self) -> &Tensor {
        &self.states[self.states.len() - 1]
    }
}

/// What many paths ended in.
#[derive(Clone, Debug)]
pub struct Paths<T> {
    /// One item per path, made from its final state.
    pub ends: Vec<T>,
    /// Path log-ratios L, in nats.
    pub log_ratio: Vec<f64>,
    /// Quadratic costs, in nats.
    pub cost: Vec<f64>,
}

/// Walks `count` paths in shards over all threads and reads each final batch of states with `read`.
///
/// # Errors
/// When a tensor operation or `read` fails.
pub fn roll_out<T: Send + Sync>(
    chain: &dyn Chain,
    control: Option<&dyn Control>,
    count: usize,
    seed: Seed,
    pool: &Pool,
    read: impl Fn(&Tensor) -> Result<Vec<T>> + Sync,
) -> Result<Paths<T>> {
    let most = shard_rows(chain.shape().first().copied().unwrap_or(1));
    let parts = pool.map(count.div_ceil(most), |shard| {
        let rows = most.min(count - shard * most);
        let rollout = Rollout::draw(chain, control, chain.steps(), rows, seed.index(shard as u64), false)?;
        let ends = read(rollout.last())?;
        Ok((ends, rollout.log_ratio, rollout.cost))
    })?;
    let mut paths = Paths { ends: Vec::with_capacity(count), log_ratio: Vec::new(), cost: Vec::new() };
    for (ends, log_ratio, cost) in parts {
        paths.ends.extend(ends);
        paths.log_ratio.extend(log_ratio);
        paths.cost.extend(cost);
    }
    Ok(paths)
}
