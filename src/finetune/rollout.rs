//! Walking a chain, with or without control.

use super::Control;
use super::walk::{Walk, Walker};
use crate::diffusion::{Chain, Memory, shard_rows};
use crate::error::Result;
use crate::nn::{Pool, read as read_back};
use crate::random::{Rng, Seed};
use candle_core::{DType, Tensor};

/// Where the noise of consecutive rows comes from: a seed, and how many rows are its.
pub(super) type Draw = (Seed, usize);

/// Generators of a batch, each of some rows.
pub(super) struct Noise<'a> {
    chain: &'a dyn Chain,
    parts: Vec<(Rng, usize)>,
}

impl<'a> Noise<'a> {
    pub(super) fn new(chain: &'a dyn Chain, draws: &[Draw]) -> Self {
        Self { chain, parts: draws.iter().map(|(seed, rows)| (seed.rng(), *rows)).collect() }
    }

    pub(super) fn rows(&self) -> usize {
        self.parts.iter().map(|(_, rows)| rows).sum()
    }

    /// Standard normal draws (steps, B, …), put together on the host: each generator gives its rows of all steps in turn.
    pub(super) fn next(&mut self, steps: usize) -> Result<Tensor> {
        let state = self.chain.shape();
        let (each, rows) = (state.iter().product::<usize>(), self.rows());
        let mut drawn: Vec<Vec<f32>> =
            self.parts.iter_mut().map(|(rng, rows)| rng.normals(steps * *rows * each)).collect();
        let values = if drawn.len() == 1 {
            drawn.remove(0)
        } else {
            let part = |k: usize| {
                let parts = drawn.iter().zip(&self.parts);
                parts.flat_map(move |(values, (_, rows))| &values[k * rows * each..][..rows * each])
            };
            (0..steps).flat_map(part).copied().collect()
        };
        let shape = [vec![steps, rows], state].concat();
        Ok(Tensor::from_vec(values, shape, self.chain.device())?.to_dtype(self.chain.dtype())?)
    }
}

/// Sums along paths, (B,), in f64.
pub(super) struct Sums {
    pub(super) log_ratio: Tensor,
    pub(super) cost: Tensor,
}

impl Sums {
    pub(super) fn new(rows: usize, chain: &dyn Chain) -> Result<Self> {
        let cost = Tensor::zeros(rows, DType::F64, chain.device())?;
        Ok(Self { log_ratio: cost.clone(), cost })
    }

    /// Adds those of one block.
    pub(super) fn add(&mut self, walk: &Walk) -> Result<()> {
        if let (Some(squares), Some(products)) = (&walk.cost, &walk.product) {
            let squares = squares.detach().to_dtype(DType::F64)?;
            self.cost = (&self.cost + &squares)?;
            self.log_ratio = (&self.log_ratio + (products.detach().to_dtype(DType::F64)? + squares)?)?;
        }
        Ok(())
    }
}

/// One batch of controlled paths.
#[derive(Debug)]
pub struct Rollout {
    /// The first state of every block and the final one when kept, else the final state alone.
    pub states: Vec<Tensor>,
    /// Noise of every block, (steps, B, …), when the states are kept.
    pub noises: Vec<Tensor>,
    /// Path log-ratio L = log dPᵘ/dP per row, in nats: (B,), f64, where the states live.
    pub log_ratio: Tensor,
    /// Quadratic cost Σ ½|u|² per row, in nats; the same expectation as L.
    pub cost: Tensor,
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
        let mut noise = Noise::new(chain, &[(seed, rows)]);
        let mut x = chain.start(&noise.next(1)?.squeeze(0)?)?;
        let (mut states, mut noises) = (Vec::new(), Vec::new());
        let mut sums = Sums::new(rows, chain)?;
        let walker = Walker { chain, control, held: None, anchor: None };
        for first in (0..steps).step_by(chain.block()) {
            let block = first..(first + chain.block()).min(steps);
            let draws = noise.next(block.len())?;
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
        Ok((ends, read_back(&[&rollout.log_ratio, &rollout.cost])?))
    })?;
    let mut paths = Paths { ends: Vec::with_capacity(count), log_ratio: Vec::new(), cost: Vec::new() };
    for (ends, nats) in parts {
        paths.ends.extend(ends);
        for (nats, all) in nats.into_iter().zip([&mut paths.log_ratio, &mut paths.cost]) {
            all.extend(nats);
        }
    }
    Ok(paths)
}
