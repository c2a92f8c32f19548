//! Linear Gaussian chains.

use super::{LinearQuadratic, Start};
use crate::diffusion::{Chain, Memory, Move, Noised, NoisingStep};
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// A step `x ← keep · x + std · ε`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinearStep {
    /// Factor of the state.
    pub keep: f64,
    /// Standard deviation of the noise.
    pub std: f64,
}

/// A chain of linear Gaussian steps in one dimension from `N(0, initial²)`, in f64 on the host.
#[derive(Clone, Debug)]
pub struct LinearChain {
    initial: f64,
    steps: Vec<LinearStep>,
}

impl LinearChain {
    /// A chain of the given steps.
    ///
    /// # Errors
    /// When there is no step.
    pub fn new(initial: f64, steps: Vec<LinearStep>) -> Result<Self> {
        if steps.is_empty() {
            return Err(Error::usage("a chain of 0 steps; at least 1 is needed"));
        }
        Ok(Self { initial, steps })
    }

    /// Euler's chain of a problem in `steps` steps of `h = horizon/steps`:
    ///
    /// ```text
    /// x ← (1 − drift h) x + noise √h ε
    /// ```
    /// With [`Start::Joint`] the initial law itself is walked to first, from the fixed point 0 in `lead` steps
    /// `z ← z + (initial/√lead) ε`; one control steers both.
    ///
    /// # Errors
    /// When `steps` is 0, or `lead` is with a joint start.
    pub fn euler(problem: &LinearQuadratic, start: Start, steps: usize, lead: usize) -> Result<Self> {
        if steps == 0 || (lead == 0 && start == Start::Joint) {
            return Err(Error::usage(format!("`steps` is {steps} and `lead` {lead}; at least 1 of each is needed")));
        }
        let h = problem.horizon / steps as f64;
        let walk = LinearStep { keep: 1.0 - problem.drift * h, std: problem.noise * h.sqrt() };
        let (initial, lead) = match start {
            Start::Frozen => (problem.initial, vec![]),
            Start::Joint => (0.0, vec![LinearStep { keep: 1.0, std: problem.initial / (lead as f64).sqrt() }; lead]),
        };
        Self::new(initial, [lead, vec![walk; steps]].concat())
    }

    /// Standard deviation of the initial law.
    #[must_use]
    pub fn initial(&self) -> f64 {
        self.initial
    }

    /// The steps in order.
    #[must_use]
    pub fn all(&self) -> &[LinearStep] {
        &self.steps
    }
}

impl Chain for LinearChain {
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
        Ok((noise * self.initial)?)
    }

    fn advance(&self, k: usize, x: &Tensor, _: &mut Memory) -> Result<Move> {
        let LinearStep { keep, std } = self.steps[k];
        Ok(Move { mean: (x * keep)?, std, belief: None })
    }

    fn undoes(&self) -> Option<&dyn Noised> {
        Some(self)
    }
}

impl LinearChain {
    /// The variance of the state after `k` steps of the base chain.
    fn variance(&self, k: usize) -> f64 {
        self.steps[..k].iter().fold(self.initial.powi(2), |v, step| step.keep.powi(2) * v + step.std.powi(2))
    }
}

/// The chain's own reversal, which is exact; a lift and a spread that are so for linear rewards, and a flow that transports its laws.
///
/// ```text
/// x_k ∣ x_{k+1} ~ N(keep v_k/v_{k+1} x_{k+1}, std² v_k/v_{k+1})      s = −x/v_k      x_k + v = √(v_{k+1}/v_k) x_k
/// ```
impl Noised for LinearChain {
    fn noising(&self, k: usize) -> NoisingStep {
        let LinearStep { keep, std } = self.steps[k];
        let (here, next) = (self.variance(k), self.variance(k + 1));
        let growth = (next / here).sqrt();
        NoisingStep {
            keep: keep * here / next,
            std: std * (here / next).sqrt(),
            carry: [growth, 0.0],
            score: [-1.0 / here, 0.0],
            lift: keep / std,
            spread: next / keep - growth * here,
            width: here.sqrt(),
        }
    }
}
