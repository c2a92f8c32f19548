//! The lean adjoint.

use crate::diffusion::{Chain, Memory};
use crate::error::{Error, Result};
use crate::finetune::Terminal;
use crate::finetune::analytic::Interpolant;
use crate::nn::{gradients_with, read};
use candle_core::{Tensor, Var};

/// The lean adjoints ã_0 … ã_K of paths x_0 … x_K, in nats a unit of state:
///
/// ```text
/// ã_K = −∇r(x_K)/α,    ã_k = (∂m_k/∂x)ᵀ(x_k) ã_{k+1}
/// ```
/// m_k is the mean of the *base's* step, whatever control drew the path; in continuous time `dã/dτ = −(∇b)ᵀ ã`. What a control adds to
/// the full adjoint vanishes on average at the optimum (Domingo-Enrich et al. 2024, arXiv 2409.08861). Holds for noise that does
/// not depend on the state: see [`additive`].
///
/// `states` are K + 1 batches (B, …); so is the answer.
///
/// # Errors
/// When a step comes in a block with others, the states are not K + 1, or no gradient reaches them.
///
/// # Cost
/// One step of the base and its vector-Jacobian product for every step.
pub fn lean_adjoints(chain: &dyn Chain, terminal: &dyn Terminal, alpha: f64, states: &[Tensor]) -> Result<Vec<Tensor>> {
    let steps = chain.steps();
    if states.len() != steps + 1 || chain.block() != 1 {
        let (got, block) = (states.len(), chain.block());
        return Err(Error::usage(format!(
            "{got} states of a chain of {steps} steps in blocks of {block}; {} in blocks of 1 are accepted",
            steps + 1
        )));
    }
    let slope = |loss: &dyn Fn(&Tensor) -> Result<Tensor>, x: &Tensor| -> Result<Tensor> {
        let x = Var::from_tensor(&x.detach())?;
        let (_, mut of) = gradients_with(&loss(x.as_tensor())?.sum_all()?, &[], &[&x])?;
        Ok(of.remove(0))
    };
    let end = slope(&|x| Ok((terminal.reward(steps, x)? * (-1.0 / alpha))?), &states[steps])?;
    let mut adjoints = vec![end];
    for k in (0..steps).rev() {
        let ahead = &adjoints[adjoints.len() - 1];
        let here = slope(&|x| Ok((chain.advance(k, x, &mut Memory::default())?.mean * ahead)?), &states[k])?;
        adjoints.push(here);
    }
    adjoints.reverse();
    Ok(adjoints)
}

/// How much of the reward's gradient the lean adjoint keeps back to `tau`, of a Gaussian base of standard deviation `spread` under
/// memoryless noise:
///
/// ```text
/// |ã_τ|/|∇r/α| = a s²/γ,   γ = a² s² + b²
/// ```
/// Closed form of the framework of arXiv 2605.00229. It also bounds |ã| for a base with `−∇² log p ⪰ 1/s²`.
///
/// ```
/// use seqtilt::finetune::analytic::{Interpolant, lean_multiplier};
/// assert!((lean_multiplier(Interpolant::Vp, 0.8, 0.5) - 0.1852292178).abs() < 1e-10);
/// ```
#[must_use]
pub fn lean_multiplier(interpolant: Interpolant, spread: f64, tau: f64) -> f64 {
    let at = interpolant.at(tau);
    let square = spread * spread;
    at.signal * square / (at.signal * at.signal * square + at.noise * at.noise)
}

/// Whether the noise of every step is the same from every state, as far as probes tell; the lean adjoint leads to the wrong control
/// where it is not.
///
/// Steps are probed from the initial states that draws of −2, 0 and 2 stand for.
///
/// # Errors
/// When it is not, or a step fails.
pub fn additive(chain: &dyn Chain) -> Result<()> {
    let shape = [vec![1], chain.shape()].concat();
    for k in 0..chain.steps() {
        let mut first = None;
        for draw in [-2.0, 0.0, 2.0] {
            let noise = Tensor::full(draw, shape.clone(), chain.device())?.to_dtype(chain.dtype())?;
            let x = chain.start(&noise)?;
            let std = chain.advance(k, &x, &mut Memory::default())?.std;
            let known = *first.get_or_insert(std);
            if known != std {
                let state = read(&[&x])?.concat().first().copied().unwrap_or_default();
                return Err(Error::usage(format!(
                    "the noise of step {k} is {std} at the state {state} and {known} at another; a lean adjoint takes noise that \
                     depends on the step alone"
                ))
                .hint("use an objective of path weights, such as the log-variance, for noise that depends on the state"));
            }
        }
    }
    Ok(())
}
