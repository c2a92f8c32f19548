//! Back-propagation through the sampler.

use super::rollout::{Sums, draws, noise, per_row};
use super::walk::{Walk, Walker};
use super::{Control, Problem};
use crate::diffusion::Memory;
use crate::error::{Error, Result};
use crate::nn::{Gradients, gradients_with};
use crate::random::Seed;
use candle_core::{Tensor, Var};
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

/// Most blocks of a stretch whose graphs are kept from its forward walk: memory grows with them.
const KEPT: usize = 2;

/// Gradient of J by reverse-mode differentiation through the whole chain, one block's graph at a time.
///
/// The path is walked a stretch at a time: all of it, unless `lookahead` cuts it. Within a stretch the reverse walk follows,
/// with `g` the gradient with respect to x_{k+1}:
///
/// ```text
/// A_k(θ, x) = g·(m_k(x) + s_k u_θ(x)) + c ½|u_θ(x)|² + c u_θ̄(x)·ε_k     (θ̄ = θ held fixed; last term: Landing)
/// ∂J/∂θ −= ∂A_k/∂θ,   g ← ∂A_k/∂x
/// ```
/// Stretches of one or two blocks keep their graphs; in longer ones the forward walk keeps states and noise only, and the
/// reverse walk rebuilds each block's graph from its first state (gradient checkpointing by recomputation), so that memory is
/// one block's activations plus the kept states. Nothing is differentiated by a stretch's first state, whose gradient nobody
/// wants.
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
}

/// One shard's share of a gradient step.
#[derive(Debug)]
pub struct ShardGradient {
    /// Gradients of the loss `−J / α` (or `−E[r]` without a divergence), already divided by the batch.
    pub gradients: Gradients,
    /// Values of the last states per row: the relaxed reward, or the soft value where it is known.
    pub value: Vec<f64>,
    /// Path log-ratios per row.
    pub log_ratio: Vec<f64>,
    /// Quadratic costs per row.
    pub cost: Vec<f64>,
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
    /// Each block is walked once where the graphs of its stretch are kept, else twice, and once in reverse; each stretch ends in
    /// a value and its gradient.
    pub fn gradient(
        &self,
        problem: &Problem<'_>,
        control: &dyn Control,
        frozen: &dyn Control,
        vars: &[(String, Var)],
        batch: &Batch,
    ) -> Result<ShardGradient> {
        let (chain, block) = (problem.chain, problem.chain.block());
        let share = 1.0 / batch.total as f64;
        let (reward_weight, cost_weight) = match problem.alpha {
            Some(alpha) => (share / alpha, share),
            None => (share, 0.0),
        };
        let length = self.lookahead.map_or(batch.steps, |steps| steps.next_multiple_of(block)).max(1);
        let keep = length <= KEPT * block;
        let held = (self.estimator == Estimator::Landing && cost_weight > 0.0).then_some(frozen);
        let walker = Walker { chain, control: Some(control), held };
        let scout = if keep { walker } else { Walker { chain, control: Some(frozen), held: None } };
        let mut rng = batch.seed.rng();
        let mut x = chain.start(&noise(chain, batch.rows, &mut rng)?)?;
        let mut sums = Sums::new(batch.rows);
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
                let noise = draws(chain, steps.clone(), batch.rows, &mut rng)?;
                let start =
                    if first > from { Start::Inner(Var::from_tensor(&x)?) } else { Start::First(x, known.clone()) };
                let walk = scout.walk(steps.clone(), start.state(), &noise, start.memory())?;
                sums.add(&walk)?;
                x = walk.x.detach();
                parts.push(Part { steps, start, noise, walk: keep.then_some(walk) });
            }
            let end = Var::from_tensor(&x)?;
            known = Memory::default();
            let value = problem.terminal.value_at(to, end.as_tensor(), problem.alpha, &mut known)?;
            let loss = (value.sum_all()? * -reward_weight)?;
            let mut adjoint = gradients_with(&loss, &[], &[&end])?.1.remove(0);
            known.context = known.context.map(|context| context.detach());
            last_value = Some(value.detach());
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
                    }
                    local = (local + (price.sum_all()? * cost_weight)?)?;
                }
                let inputs: &[&Var] = if let Start::Inner(x) = &start { &[x] } else { &[] };
                let (gradients, of_start) = gradients_with(&local, vars, inputs)?;
                if let Some(of_start) = of_start.into_iter().next() {
                    adjoint = of_start;
                }
                match &mut total {
                    None => total = Some(gradients),
                    Some(total) => total.add(&gradients)?,
                }
            }
            from = to;
        }
        let (Some(gradients), Some(value)) = (total, last_value) else {
            return Err(Error::usage("a path needs at least one step"));
        };
        Ok(ShardGradient { gradients, value: per_row(&value)?, log_ratio: sums.log_ratio, cost: sums.cost })
    }
}

/// A block on its way from the forward to the reverse walk.
struct Part {
    steps: Range<usize>,
    start: Start,
    noise: Tensor,
    walk: Option<Walk>,
}

/// The state that a block starts from.
enum Start {
    /// That of a stretch, by which nothing is differentiated, and what is known of it.
    First(Tensor, Memory),
    /// One inside a stretch.
    Inner(Var),
}

impl Start {
    fn state(&self) -> &Tensor {
        match self {
            Self::First(x, _) => x,
            Self::Inner(x) => x.as_tensor(),
        }
    }

    fn memory(&self) -> Memory {
        match self {
            Self::First(_, memory) => memory.clone(),
            Self::Inner(_) => Memory::default(),
        }
    }
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
