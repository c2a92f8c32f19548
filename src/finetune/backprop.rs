//! Back-propagation through the sampler.

use super::rollout::{Draw, Rollout};
use super::walk::Walker;
use super::{Control, Problem};
use crate::error::{Error, Result};
use crate::nn::{Gradients, gradients_with};
use crate::random::Seed;
use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};

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

/// Gradient of J by reverse-mode differentiation through the whole chain, the graph of one block of steps at a time.
///
/// The forward walk keeps states and noise, and the graphs of the last [`keep`](Self::keep) blocks of steps; those of the others
/// are built again from their first state (gradient checkpointing by recomputation), one at a time.
///
/// With `g` the gradient with respect to x_{k+1}:
///
/// ```text
/// A_k(θ, x) = g·(m_k(x) + s_k u_θ(x)) + c ½|u_θ(x)|² + c u_θ̄(x)·ε_k     (θ̄ = θ held fixed; last term: Landing)
/// ∂J/∂θ −= ∂A_k/∂θ,   g ← ∂A_k/∂x
/// ```
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
    /// Blocks of steps whose activations are kept on the way there, as many as there is memory for: the others are computed
    /// twice. The gradient is the same in every byte.
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
    /// Nothing is read back from a device. Two evaluations of base and control per block and row, one where activations are kept,
    /// and one reverse pass (with Landing one more evaluation of the control).
    pub fn gradient(
        &self,
        problem: &Problem<'_>,
        control: &dyn Control,
        frozen: &dyn Control,
        vars: &[(String, Var)],
        batch: &Batch,
    ) -> Result<ShardGradient> {
        self.gradient_from(problem, control, frozen, vars, batch, &[(batch.seed, batch.rows)])
    }

    /// As [`gradient`](Self::gradient), with the rows of several shards in one graph: those of `draws` in place of the batch's own.
    pub(super) fn gradient_from(
        &self,
        problem: &Problem<'_>,
        control: &dyn Control,
        frozen: &dyn Control,
        vars: &[(String, Var)],
        batch: &Batch,
        draws: &[Draw],
    ) -> Result<ShardGradient> {
        let (chain, block) = (problem.chain, problem.chain.block());
        let share = 1.0 / batch.total as f64;
        let (reward_weight, cost_weight) = match problem.alpha {
            Some(alpha) => (share / alpha, share),
            None => (share, 0.0),
        };
        let value = |k: usize, x: &Tensor| -> Result<(Tensor, Tensor)> {
            let x = Var::from_tensor(x)?;
            let value = problem.terminal.value(k, x.as_tensor(), problem.alpha)?;
            let (_, mut inputs) = gradients_with(&(value.sum_all()? * -reward_weight)?, &[], &[&x])?;
            Ok((value, inputs.remove(0)))
        };
        let held = (self.estimator == Estimator::Landing && cost_weight > 0.0).then_some(frozen);
        let walker = Walker { chain, control: Some(control), held };
        let ahead = Walker { control: Some(frozen), held: None, ..walker };
        let mut kept = Vec::new();
        let mut rollout = Rollout::draw_from(chain, batch.steps, draws, true, |steps, x, noise| {
            if (batch.steps - steps.start).div_ceil(block) > self.keep {
                return ahead.walk(steps, x, noise);
            }
            let start = Var::from_tensor(x)?;
            let walk = walker.walk(steps, start.as_tensor(), noise)?;
            kept.push((start, walk.clone()));
            Ok(walk)
        })?;
        let (last_value, mut adjoint) = value(batch.steps, rollout.last())?;
        let stretch = self.lookahead.map_or(batch.steps, |steps| steps.next_multiple_of(block));
        let mut total: Option<Gradients> = None;
        let mut after = rollout.states.pop();
        for first in (0..batch.steps).step_by(block).rev() {
            let last = (first + block).min(batch.steps);
            if self.truncate.is_some_and(|kept| last + kept <= batch.steps) {
                adjoint = adjoint.zeros_like()?;
            }
            if let Some(after) = after.filter(|_| last != batch.steps && (batch.steps - last).is_multiple_of(stretch)) {
                adjoint = value(last, &after)?.1;
            }
            let Some(state) = rollout.states.pop() else { break };
            let Some(noise) = rollout.noises.pop() else { break };
            let (start, walk) = if let Some(kept) = kept.pop() {
                kept
            } else {
                let start = Var::from_tensor(&state)?;
                let walk = walker.walk(first..last, start.as_tensor(), &noise)?;
                (start, walk)
            };
            after = Some(state);
            let mut local = (walk.x * &adjoint)?.sum_all()?;
            if let (Some(mut price), Some(product)) = (walk.cost.filter(|_| cost_weight > 0.0), walk.product) {
                if walker.held.is_some() {
                    price = (price + product)?;
                }
                local = (local + (price.sum_all()? * cost_weight)?)?;
            }
            let (gradients, mut inputs) = gradients_with(&local, vars, &[&start])?;
            adjoint = inputs.remove(0);
            match &mut total {
                None => total = Some(gradients),
                Some(total) => total.add(gradients)?,
            }
        }
        let gradients = total.ok_or_else(|| Error::usage("a path needs at least one step"))?;
        let value = last_value.detach();
        Ok(ShardGradient { gradients, value, log_ratio: rollout.log_ratio, cost: rollout.cost })
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
