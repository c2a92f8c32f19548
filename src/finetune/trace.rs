//! Paths that are kept, so that any control can be weighed on them.

use super::replay::Track;
use super::rollout::{Draw, Noise};
use super::{Control, Valued};
use crate::diffusion::{Chain, Memory, Move};
use crate::error::{Error, Result};
use crate::nn::{Gradients, gradients_with, read};
use candle_core::{Device, Tensor, Var};
use ndarray::Array2;

/// Whole paths of one shard: every state, and the *base* innovation that led from it to the next,
///
/// ```text
/// z_k = (x_{k+1} − m_k(x_k)) / s_k = u_k(x_k) + ε_k
/// ```
/// whichever control drew them. The log-density of any control θ on them, relative to the base, is then exactly
///
/// ```text
/// log dP^θ/dP = Σ_k ℓ_k,   ℓ_k = u_θ(x_k)·z_k − ½|u_θ(x_k)|²
/// ```
/// Nothing is differentiated through the states: methods that learn from kept paths need rewards, not their gradients, and
/// the paths may come from any control of full support (another step's, another run's, the base's own).
///
/// # Cost
/// Memory of 3 L D + L V numbers a step and path.
pub struct Trace {
    steps: Vec<Kept>,
    /// Final states.
    end: Tensor,
    block: usize,
    /// Rewards of the ends, as decoded.
    pub values: Vec<f64>,
    /// ℓ_k of the control that drew the paths, (K, B).
    pub increments: Array2<f64>,
}

/// One step of kept paths.
pub(super) struct Kept {
    pub(super) k: usize,
    pub(super) x: Tensor,
    pub(super) innovation: Tensor,
    pub(super) base: Move,
}

impl Trace {
    /// Paths that were walked elsewhere, in blocks of `block` steps: their steps and final states, the values of these, and ℓ_k of the control
    /// that drew them, (K, B).
    pub(super) fn walked(
        steps: Vec<Kept>,
        end: Tensor,
        block: usize,
        values: Vec<f64>,
        increments: Array2<f64>,
    ) -> Self {
        Self { steps, end, block, values, increments }
    }

    /// Draws the paths of `draws` over the first `steps` steps.
    ///
    /// # Errors
    /// When a tensor operation fails, or a reward cannot be read.
    pub(super) fn draw(
        chain: &dyn Chain,
        behaviour: Option<&dyn Control>,
        values: &dyn Valued,
        steps: usize,
        draws: &[Draw],
    ) -> Result<Self> {
        Self::explore(chain, behaviour, values, steps, draws, 1.0)
    }

    /// The same with the noise of every step `spread` times as large:
    ///
    /// ```text
    /// x_{k+1} = m_k(x_k) + s_k z_k,   z_k = u_k(x_k) + spread ε_k
    /// ```
    /// The chain's own s_k stays what log-densities are of, base and control's alike: ℓ_k is exact at every spread, and only where the
    /// states lie is the explorer's. It is no longer the density that the paths were drawn with, then.
    ///
    /// # Errors
    /// When a tensor operation fails, or a reward cannot be read.
    pub(super) fn explore(
        chain: &dyn Chain,
        behaviour: Option<&dyn Control>,
        values: &dyn Valued,
        steps: usize,
        draws: &[Draw],
        spread: f64,
    ) -> Result<Self> {
        let mut noises = Noise::new(chain, draws);
        let mut x = chain.start(&noises.next(1)?.squeeze(0)?)?;
        let (mut kept, mut increments) = (Vec::with_capacity(steps), Vec::with_capacity(steps));
        for first in (0..steps).step_by(chain.block()) {
            let block = first..(first + chain.block()).min(steps);
            let noise = noises.next(block.len())?;
            let mut memory = Memory::default();
            for (index, k) in block.enumerate() {
                let base = chain.advance(k, &x, &mut memory)?;
                let mut innovation = noise.get(index)?;
                if spread > 1.0 {
                    innovation = (innovation * spread)?;
                }
                if let Some(control) = behaviour {
                    let u = control.control(k, &x, &base, &mut memory)?.detach();
                    innovation = (innovation + &u)?;
                    increments.push(increment(&u, &innovation)?);
                }
                let next = (&base.mean + (&innovation * base.std)?)?;
                kept.push(Kept { k, x, innovation, base });
                x = next;
            }
        }
        let rows = noises.rows();
        let increments =
            if increments.is_empty() { Array2::zeros((steps, rows)) } else { matrix(&Tensor::stack(&increments, 0)?)? };
        Ok(Self { steps: kept, block: chain.block(), values: values.values(&x)?, increments, end: x })
    }

    /// Each path by itself on the host, with its innovations where densities are to be weighed on it.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub(super) fn tracks(&self, epoch: u64, innovations: bool) -> Result<Vec<Track>> {
        let together = |parts: Vec<&Tensor>| Ok::<_, Error>(Tensor::stack(&parts, 1)?.to_device(&Device::Cpu)?);
        let states = together(self.steps.iter().map(|kept| &kept.x).chain([&self.end]).collect())?;
        let pushes =
            if innovations { Some(together(self.steps.iter().map(|kept| &kept.innovation).collect())?) } else { None };
        let track = |row: usize| {
            Ok(Track {
                states: states.get(row)?,
                innovations: pushes.as_ref().map(|pushes| pushes.get(row)).transpose()?,
                behaviour: self.increments.column(row).to_vec(),
                value: self.values[row],
                epoch,
            })
        };
        (0..self.rows()).map(track).collect()
    }

    /// The paths of some tracks, as they were when they were drawn.
    ///
    /// # Errors
    /// When a track holds no innovations, or a tensor operation fails.
    pub(super) fn of(chain: &dyn Chain, tracks: &[&Track]) -> Result<Self> {
        let steps = tracks.first().map_or(0, |track| track.behaviour.len());
        let rows = |k: usize, part: fn(&Track) -> Option<&Tensor>| -> Result<Tensor> {
            let one = |track: &&Track| {
                let part =
                    part(track).ok_or_else(|| Error::usage("a kept path without innovations has no densities"))?;
                Ok(part.get(k)?)
            };
            let rows = tracks.iter().map(one).collect::<Result<Vec<_>>>()?;
            Ok(Tensor::stack(&rows, 0)?.to_device(chain.device())?)
        };
        let states = |k: usize| rows(k, |track| Some(&track.states));
        let mut kept = Vec::with_capacity(steps);
        for first in (0..steps).step_by(chain.block()) {
            let mut memory = Memory::default();
            for k in first..(first + chain.block()).min(steps) {
                let x = states(k)?;
                let base = chain.advance(k, &x, &mut memory)?;
                kept.push(Kept { k, innovation: rows(k, |track| track.innovations.as_ref())?, x, base });
            }
        }
        let increments = Array2::from_shape_fn((steps, tracks.len()), |(k, i)| tracks[i].behaviour[k]);
        let values = tracks.iter().map(|track| track.value).collect();
        Ok(Self { steps: kept, end: states(steps)?, block: chain.block(), values, increments })
    }

    /// Paths.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.increments.ncols()
    }

    /// ℓ_k of a control, (K, B), without a gradient.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn under(&self, control: &dyn Control) -> Result<Array2<f64>> {
        let parts =
            self.blocks().map(|block| Ok(block_increments(block, control)?.detach())).collect::<Result<Vec<_>>>()?;
        matrix(&Tensor::cat(&parts, 0)?)
    }

    /// The gradient of `Σ_{k,i} w_{k,i} ℓ_{k,i}(θ)` for weights (K, B), one block's graph at a time.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub fn gradient(&self, control: &dyn Control, vars: &[(String, Var)], weights: &Array2<f64>) -> Result<Gradients> {
        let mut total: Option<Gradients> = None;
        for (index, block) in self.blocks().enumerate() {
            let ell = block_increments(block, control)?;
            let first = index * self.block;
            let rows = weights.slice(ndarray::s![first..first + block.len(), ..]);
            let weight = Tensor::from_vec(rows.iter().copied().collect::<Vec<f64>>(), ell.shape(), &Device::Cpu)?;
            let loss = (ell * weight.to_device(block[0].x.device())?.to_dtype(block[0].x.dtype())?)?.sum_all()?;
            let gradients = gradients_with(&loss, vars, &[])?.0;
            match &mut total {
                None => total = Some(gradients),
                Some(total) => total.add(gradients)?,
            }
        }
        total.ok_or_else(|| Error::usage("a path needs at least one step"))
    }

    /// The steps, block by block.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &[Kept]> {
        self.steps.chunks(self.block)
    }
}

/// u·z − ½|u|² per row, (B,).
pub(super) fn increment(u: &Tensor, innovation: &Tensor) -> Result<Tensor> {
    Ok((u * (innovation - (u * 0.5)?)?)?.flatten_from(1)?.sum(1)?)
}

/// ℓ_k of the steps of one block, (steps, B), in the control's graph.
fn block_increments(block: &[Kept], control: &dyn Control) -> Result<Tensor> {
    let mut memory = Memory::default();
    let steps = block
        .iter()
        .map(|Kept { k, x, innovation, base }| increment(&control.control(*k, x, base, &mut memory)?, innovation));
    Ok(Tensor::stack(&steps.collect::<Result<Vec<_>>>()?, 0)?)
}

fn matrix(values: &Tensor) -> Result<Array2<f64>> {
    let (k, b) = values.dims2()?;
    let rows = read(&[values])?.remove(0);
    Array2::from_shape_vec((k, b), rows).map_err(|error| Error::device("a matrix of nats").because(error))
}
