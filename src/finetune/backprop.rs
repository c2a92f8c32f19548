//! Back-propagation through the sampler.

use super::rollout::{Rollout, per_row};
use super::{Control, Problem};
use crate::error::Result;
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

/// Gradient of J by reverse-mode differentiation through the whole chain, one step's graph at a time.
///
/// The forward walk keeps states and noise only; the reverse walk rebuilds each step's graph from its state (gradient
/// checkpointing by recomputation), so that memory is one step's activations plus K states. With `g` the gradient with
/// respect to x_{k+1}:
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
    /// Back-propagate the reward through the last so many steps only (DRaFT-K, Clark et al. 2024, arXiv 2309.17400): an
    /// approximation, biased. The divergence is still counted on every step.
    pub truncate: Option<usize>,
}

/// One shard's share of a gradient step.
#[derive(Debug)]
pub struct ShardGradient {
    /// Gradients of the loss `−J / α` (or −E[r] without a divergence), already divided by the batch.
    pub gradients: Gradients,
    /// Relaxed rewards per row.
    pub reward: Vec<f64>,
    /// Path log-ratios per row.
    pub log_ratio: Vec<f64>,
    /// Quadratic costs per row.
    pub cost: Vec<f64>,
}

impl BackProp {
    /// The gradient over `rows` fresh paths out of a batch of `batch`.
    ///
    /// `control` holds trainable weights `vars`; `frozen` is the same control on the same weights, held fixed.
    ///
    /// # Errors
    /// When a tensor operation fails.
    ///
    /// # Cost
    /// Two evaluations of base and control per step and row, and one reverse pass (with Landing one more evaluation).
    pub fn gradient(
        &self,
        problem: &Problem<'_>,
        control: &dyn Control,
        frozen: &dyn Control,
        vars: &[(String, Var)],
        rows: usize,
        batch: usize,
        seed: Seed,
    ) -> Result<ShardGradient> {
        let chain = problem.chain;
        let mut rollout = Rollout::draw(chain, Some(frozen), rows, seed, true)?;
        let share = 1.0 / batch as f64;
        let (reward_weight, cost_weight) = match problem.alpha {
            Some(alpha) => (share / alpha, share),
            None => (share, 0.0),
        };
        let end = Var::from_tensor(rollout.last())?;
        let reward = problem.terminal.reward(end.as_tensor())?;
        let loss = (reward.sum_all()? * -reward_weight)?;
        let (_, mut inputs) = gradients_with(&loss, &[], &[&end])?;
        let mut adjoint = inputs.remove(0);
        let mut total: Option<Gradients> = None;
        rollout.states.pop();
        for k in (0..chain.steps()).rev() {
            if self.truncate.is_some_and(|last| k + last < chain.steps()) {
                adjoint = adjoint.zeros_like()?;
            }
            let (Some(state), Some(epsilon)) = (rollout.states.pop(), rollout.noises.pop()) else { break };
            let x = Var::from_tensor(&state)?;
            let base = chain.advance(k, x.as_tensor())?;
            let u = control.control(k, x.as_tensor(), &base)?;
            let next = (&base.mean + (&u * base.std)?)?;
            let mut local = (next * &adjoint)?.sum_all()?;
            if cost_weight > 0.0 {
                local = (local + (u.sqr()?.sum_all()? * (0.5 * cost_weight))?)?;
                if self.estimator == Estimator::Landing {
                    let held = frozen.control(k, x.as_tensor(), &base)?;
                    local = (local + ((held * epsilon)?.sum_all()? * cost_weight)?)?;
                }
            }
            let (gradients, mut inputs) = gradients_with(&local, vars, &[&x])?;
            adjoint = inputs.remove(0);
            match &mut total {
                None => total = Some(gradients),
                Some(total) => total.add(&gradients)?,
            }
        }
        let gradients = match total {
            Some(total) => total,
            None => gradients_with(&Tensor::zeros((), chain.dtype(), chain.device())?, vars, &[])?.0,
        };
        Ok(ShardGradient {
            gradients,
            reward: per_row(&reward.detach())?,
            log_ratio: rollout.log_ratio,
            cost: rollout.cost,
        })
    }
}
