//! Euler's chain of a mixture problem.

use super::MixtureProblem;
use crate::diffusion::{Chain, Memory, Move};
use crate::error::{Error, Result};
use crate::nn::softmax;
use candle_core::{DType, Device, Tensor};

/// Euler's chain of a [`MixtureProblem`] in K steps of `h = 1/K`, from `N(0, 1)`, in f64 on the host:
///
/// ```text
/// x ← x + h [v + ½σ² s](x, kh) + σ(kh) √h ε
/// ```
/// with the exact velocity and score. Differentiable in x.
#[derive(Clone, Debug)]
pub struct MixtureChain {
    steps: Vec<Step>,
}

/// `x + Σ_i γ_i(x) (push_i + pull_i (x − centre_i))`, `γ = softmax(log_weight − (x − centre)² half_precision)`.
#[derive(Clone, Debug)]
struct Step {
    centre: Tensor,
    half_precision: Tensor,
    log_weight: Tensor,
    push: Tensor,
    pull: Tensor,
    std: f64,
}

impl MixtureChain {
    /// The chain of `steps` steps.
    ///
    /// # Errors
    /// When a number of the problem is out of range or there is no step.
    pub fn euler(problem: &MixtureProblem, steps: usize) -> Result<Self> {
        problem.check()?;
        if steps == 0 {
            return Err(Error::usage("a chain of 0 steps; at least 1 is needed"));
        }
        let h = 1.0 / steps as f64;
        let steps = (0..steps).map(|k| Step::new(problem, k as f64 * h, h)).collect::<Result<_>>()?;
        Ok(Self { steps })
    }
}

impl Step {
    fn new(problem: &MixtureProblem, tau: f64, h: f64) -> Result<Self> {
        let at = problem.interpolant.at(tau);
        let square = problem.noise.square(problem.interpolant, tau, h);
        let (laws, ends) = (problem.base.mixed(at), problem.base.parts());
        let column = |of: &dyn Fn(usize) -> f64| -> Result<Tensor> {
            Ok(Tensor::from_vec((0..ends.len()).map(of).collect::<Vec<_>>(), ends.len(), &Device::Cpu)?)
        };
        let law = |i: usize| laws.parts()[i].1;
        Ok(Self {
            centre: column(&|i| law(i).mean)?,
            half_precision: column(&|i| 0.5 / law(i).variance)?,
            log_weight: column(&|i| laws.parts()[i].0.ln() - 0.5 * law(i).variance.ln())?,
            push: column(&|i| h * at.signal_rate * ends[i].1.mean)?,
            pull: column(&|i| {
                let widening = at.signal * at.signal_rate * ends[i].1.variance + at.half_noise_rate;
                h * (widening - 0.5 * square) / law(i).variance
            })?,
            std: (square * h).sqrt(),
        })
    }
}

impl Chain for MixtureChain {
    fn steps(&self) -> usize {
        self.steps.len()
    }

    fn shape(&self) -> Vec<usize> {
        vec![1]
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn start(&self, noise: &Tensor) -> Result<Tensor> {
        Ok(noise.clone())
    }

    fn advance(&self, k: usize, x: &Tensor, _: &mut Memory) -> Result<Move> {
        let Step { centre, half_precision, log_weight, push, pull, std } = &self.steps[k];
        let distance = x.broadcast_sub(centre)?;
        let drift = distance.broadcast_mul(pull)?.broadcast_add(push)?;
        let drift = if centre.dim(0)? == 1 {
            drift
        } else {
            let logits = log_weight.broadcast_sub(&distance.sqr()?.broadcast_mul(half_precision)?)?;
            (softmax(&logits)? * drift)?.sum_keepdim(1)?
        };
        Ok(Move { mean: (x + drift)?, std: *std, belief: None })
    }
}
