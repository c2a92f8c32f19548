//! Back-propagation through the sampler.

use super::divergence::Divergence;
use super::objective::MOST;
use super::rollout::{Draw, Noise, Sums};
use super::walk::{Walk, Walker};
use super::{Anchor, Control, Problem};
use crate::diffusion::Memory;
use crate::error::{Error, Result};
use crate::nn::{Gradients, gradients_with, read};
use crate::random::Seed;
use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Which unbiased gradient of the divergence is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Estimator {
    /// Of the quadratic cost alone.
    Cost,
    /// Of the whole log-ratio with the score term dropped ("sticking the landing", Roeder et al. 2017, arXiv 1703.09194;
    /// for SDEs Xu et al. 2022, arXiv 2102.06559): the stochastic integral enters through the state only. Same expectation;
    /// its variance vanishes at the optimum, where r − αL is constant on every path.
    #[default]
    Landing,
}

/// Blocks of a stretch whose graphs are always kept from its forward walk.
pub(super) const KEPT: usize = 2;

/// Gradient of J by reverse-mode differentiation through the whole chain, one block's graph at a time.
///
/// The path is walked a stretch at a time: all of it, unless `lookahead` cuts it. Within a stretch the reverse walk follows,
/// with `g` the gradient with respect to x_{k+1}:
///
/// ```text
/// A_k(θ, x) = g·(m_k(x) + s_k u_θ(x)) + c ½|u_θ(x)|² + c u_θ̄(x)·ε_k     (θ̄ = θ held fixed; last term: Landing)
/// ∂J/∂θ −= ∂A_k/∂θ,   g ← ∂A_k/∂x
/// ```
/// The forward walk keeps states and noise, and the graphs of a stretch's last two blocks, or of as many as [`keep`](Self::keep)
/// says; the reverse walk builds those of the others again from their first state (gradient checkpointing by recomputation),
/// one at a time. Nothing is differentiated by a stretch's first state, whose gradient nobody wants.
///
/// Algorithm 2.6 of the neural-SDE solver of ELEGANT (Uehara et al. 2024, arXiv 2402.15194); departures: the discrete
/// chain's own Gaussian steps instead of Euler's, and [`Estimator::Landing`].
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct BackProp {
    /// Estimator of the divergence's gradient.
    pub estimator: Estimator,
    /// Back-propagate through the last so many steps only (DRaFT-K, Clark et al. 2024, arXiv 2309.17400): an approximation,
    /// biased. Earlier steps feel their own cost alone, neither the reward nor later costs; the divergence that is reported
    /// still counts every step.
    pub truncate: Option<usize>,
    /// Cuts the path into stretches of this many steps, counted from its end and rounded up to blocks: the gradient of what
    /// comes after a stretch is that of the value of its last state ([`Terminal::value`](super::Terminal::value)) instead of
    /// the rest of the path's. Far less noise; unbiased at the optimum where values are exact, else an approximation, whose
    /// price the certificate measures.
    pub lookahead: Option<usize>,
    /// Blocks of a stretch whose activations are kept on the way there, two at least and as many as there is memory for: the
    /// others are computed twice. The gradient is the same in every byte.
    pub keep: usize,
}

/// One shard's share of a gradient step.
#[derive(Debug)]
pub struct ShardGradient {
    /// Gradients of the loss `−J / α` (or `−E[r]` without a divergence), already divided by the batch.
    pub gradients: Gradients,
    /// Values of the last states, (B,): the relaxed reward, or the soft value where it is known.
    pub value: Tensor,
    /// Path log-ratios, (B,).
    pub log_ratio: Tensor,
    /// Quadratic costs, (B,).
    pub cost: Tensor,
}

impl BackProp {
    /// The gradient over `batch.rows` fresh paths.
    ///
    /// `control` holds trainable weights `vars`; `frozen` is the same control on the same weights, held fixed.
    ///
    /// # Errors
    /// When a tensor operation fails.
    ///
    /// # Cost
    /// Each block is walked once where its graph is kept, else twice, and once in reverse; each stretch ends in a value and its
    /// gradient. Nothing is read back from a device, but for the log-ratios that another divergence than KL is priced by.
    pub fn gradient(
        &self,
        problem: &Problem<'_>,
        control: &dyn Control,
        frozen: &dyn Control,
        vars: &[(String, Var)],
        batch: &Batch,
    ) -> Result<ShardGradient> {
        self.gradient_from(problem, control, frozen, vars, batch, &[(batch.seed, batch.rows)], Priced::default())
    }

    /// As [`gradient`](Self::gradient), with the rows of several shards in one graph: those of `draws` in place of the batch's own;
    /// and with `divergence`, that of the paths instead of KL as what is priced:
    ///
    /// ```text
    /// loss = −E[r]/α + E[φ(L)],   ∂A_k/∂θ = g·∂x_{k+1} + φ'(L) ∂(½|u_k|² + u_k·ε_k)
    /// ```
    /// with the L of the whole path, known once it is walked; the noise term keeps its gradient. With an `anchor` the price
    /// `β/α ½|u − v|²` of every step comes on top; values are then those at the price α + β.
    #[allow(clippy::too_many_arguments, reason = "a batch's draws and its price are not the caller's to bundle")]
    pub(super) fn gradient_from(
        &self,
        problem: &Problem<'_>,
        control: &dyn Control,
        frozen: &dyn Control,
        vars: &[(String, Var)],
        batch: &Batch,
        draws: &[Draw],
        priced: Priced<'_>,
    ) -> Result<ShardGradient> {
        let Priced { divergence, anchor } = priced;
        let (chain, block) = (problem.chain, problem.chain.block());
        let share = 1.0 / batch.total as f64;
        let (reward_weight, cost_weight) = match problem.alpha {
            Some(alpha) => (share / alpha, share),
            None => (share, 0.0),
        };
        let alpha = problem.alpha.map(|alpha| alpha + anchor.map_or(0.0, |anchor| anchor.beta));
        let departure_weight = anchor.map(|anchor| reward_weight * anchor.beta);
        let length = self.lookahead.map_or(batch.steps, |steps| steps.next_multiple_of(block)).max(1);
        let keep = self.keep.max(KEPT);
        let lands = self.estimator == Estimator::Landing && cost_weight > 0.0 && divergence.is_none();
        let held = lands.then_some(frozen);
        let walker = Walker { chain, control: Some(control), held, anchor };
        let scout = Walker { control: Some(frozen), held: None, ..walker };
        let mut noises = Noise::new(chain, draws);
        let mut x = chain.start(&noises.next(1)?.squeeze(0)?)?;
        let mut sums = Sums::new(noises.rows(), chain)?;
        let mut known = Memory::default();
        let mut total: Option<Gradients> = None;
        let mut last_value = None;
        let mut from = 0;
        while from < batch.steps {
            // stretches are counted from the end of the path
            let to = batch.steps - (batch.steps - from - 1) / length * length;
            let mut parts: Vec<Part> = Vec::with_capacity((to - from).div_ceil(block));
            for first in (from..to).step_by(block) {
                let steps = first..(first + block).min(to);
                let noise = noises.next(steps.len())?;
                let kept = (to - first).div_ceil(block) <= keep;
                let start =
                    if first > from { Start::Inner(Var::from_tensor(&x)?) } else { Start::First(x, known.clone()) };
                let ahead = if kept { walker } else { scout };
                let walk = ahead.walk(steps.clone(), start.state(), &noise, start.memory())?;
                sums.add(&walk)?;
                x = walk.x.detach();
                parts.push(Part { steps, start, noise, walk: kept.then_some(walk) });
            }
            let end = Var::from_tensor(&x)?;
            known = Memory::default();
            let value = problem.terminal.value_at(to, end.as_tensor(), alpha, &mut known)?;
            let loss = (value.sum_all()? * -reward_weight)?;
            let mut adjoint = gradients_with(&loss, &[], &[&end])?.1.remove(0);
            known.context = known.context.map(|context| context.detach());
            last_value = Some(value.detach());
            let prices = divergence.map(|divergence| prices(divergence, &sums.log_ratio, &value)).transpose()?;
            for Part { steps, start, noise, walk } in parts.into_iter().rev() {
                let (last, is_cut) = (steps.end, self.truncate.is_some_and(|kept| steps.end + kept <= batch.steps));
                if is_cut && last != to {
                    adjoint = adjoint.zeros_like()?;
                }
                let walk = match walk {
                    Some(walk) => walk,
                    None => walker.walk(steps, start.state(), &noise, start.memory())?,
                };
                let mut local = (walk.x * &adjoint)?.sum_all()?;
                if let (Some(mut price), Some(product)) = (walk.cost.filter(|_| cost_weight > 0.0), walk.product) {
                    if walker.held.is_some() {
                        price = (price + product)?;
                    } else if let Some(prices) = &prices {
                        price = ((price + product)? * prices)?;
                    }
                    local = (local + (price.sum_all()? * cost_weight)?)?;
                }
                if let (Some(departure), Some(weight)) = (walk.departure, departure_weight) {
                    local = (local + (departure.sum_all()? * weight)?)?;
                }
                let inputs: &[&Var] = if let Start::Inner(x) = &start { &[x] } else { &[] };
                let (gradients, of_start) = gradients_with(&local, vars, inputs)?;
                if let Some(of_start) = of_start.into_iter().next() {
                    adjoint = of_start;
                }
                match &mut total {
                    None => total = Some(gradients),
                    Some(total) => total.add(gradients)?,
                }
            }
            from = to;
        }
        let (Some(gradients), Some(value)) = (total, last_value) else {
            return Err(Error::usage("a path needs at least one step"));
        };
        Ok(ShardGradient { gradients, value, log_ratio: sums.log_ratio, cost: sums.cost })
    }
}

/// What is paid besides, or instead of, KL to the base.
#[derive(Clone, Copy, Default)]
pub(super) struct Priced<'a> {
    /// The divergence of the paths that takes KL's place.
    pub(super) divergence: Option<&'a dyn Divergence>,
    /// An earlier control that it costs to leave.
    pub(super) anchor: Option<Anchor<'a>>,
}

/// φ'(L) of every path, in the type of `like`.
fn prices(divergence: &dyn Divergence, log_ratio: &Tensor, like: &Tensor) -> Result<Tensor> {
    let ratios = read(&[log_ratio])?.remove(0);
    let slopes: Vec<f64> = ratios.iter().map(|l| divergence.path_value_slope(l.clamp(-MOST, MOST))).collect();
    let n = slopes.len();
    Ok(Tensor::from_vec(slopes, n, &Device::Cpu)?.to_device(like.device())?.to_dtype(like.dtype())?)
}

/// A block on its way from the forward to the reverse walk.
struct Part {
    steps: Range<usize>,
    start: Start,
    noise: Tensor,
    walk: Option<Walk>,
}

/// The state that a block starts from.
pub(super) enum Start {
    /// That of a stretch, by which nothing is differentiated, and what is known of it.
    First(Tensor, Memory),
    /// One inside a stretch.
    Inner(Var),
}

impl Start {
    /// Its numbers, in the graph where it is inside a stretch.
    pub(super) fn state(&self) -> &Tensor {
        match self {
            Self::First(x, _) => x,
            Self::Inner(x) => x.as_tensor(),
        }
    }

    /// What is known of it.
    pub(super) fn memory(&self) -> Memory {
        match self {
            Self::First(_, memory) => memory.clone(),
            Self::Inner(_) => Memory::default(),
        }
    }
}

/// Mean value and mean cost over a batch, from those of every shard in turn.
pub(super) fn means(figures: &[Vec<f64>], batch: usize) -> (f64, f64) {
    let mean = |first: usize| {
        figures.iter().skip(first).step_by(2).map(|rows| rows.iter().sum::<f64>() / batch as f64).sum::<f64>()
    };
    (mean(0), mean(1))
}

/// Which paths a shard draws.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Paths in this shard.
    pub rows: usize,
    /// Paths in all shards of the step.
    pub total: usize,
    /// Steps walked: all of the chain's, or fewer while the end is brought in.
    pub steps: usize,
    /// Where the noise comes from.
    pub seed: Seed,
}
