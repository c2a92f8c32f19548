//! The best control of continuous time on a chain of steps.

use super::{Mixture, MixtureProblem};
use crate::diffusion::{Memory, Move};
use crate::error::{Error, Result};
use crate::finetune::Control;
use crate::nn::read;
use candle_core::Tensor;

/// θ times the optimum of the memoryless diffusion, on its Euler chain of K steps of `h = 1/K`, in units of noise:
///
/// ```text
/// u_k(x) = θ √h u*(kh, x),   u* = √(2η) (d log p*_τ/dx − d log p_τ/dx)
/// ```
/// Off the chain's own best control by O(√h) in a path's work; with θ ≠ 1 a control that is wrong by a known amount: fixture A has
/// works of variance `(1 − θ)² k² s²`.
///
/// ```
/// use seqtilt::finetune::analytic::{Continuous, Fixture, Interpolant, MixtureProblem, Noise};
/// let fixture = MixtureProblem::fixture(Fixture::A);
/// let problem = MixtureProblem { interpolant: Interpolant::Vp, noise: Noise::Memoryless, ..fixture };
/// // u*(½, 0.3) = 1.1744175145, times the root of the step 1/100
/// let control = Continuous::new(&problem, 100, 1.0)?;
/// assert!((control.at(50, 0.3) - 0.11744175145).abs() < 1e-10);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Continuous {
    /// Factor, tilted law and base law of every step.
    steps: Vec<(f64, Mixture, Mixture)>,
}

impl Continuous {
    /// `share` of the best control, θ, for a chain of `steps` steps.
    ///
    /// # Errors
    /// When there is no step, or the diffusion's noise is infinite where a step begins, as the flow's is at its start.
    pub fn new(problem: &MixtureProblem, steps: usize, share: f64) -> Result<Self> {
        let (tilted, h) = (problem.tilted().0, 1.0 / steps as f64);
        let step = |k: usize| {
            let tau = k as f64 * h;
            let square = problem.interpolant.memoryless(tau, 0.0);
            if !square.is_finite() {
                return Err(Error::usage(format!(
                    "the memoryless noise at {tau} is {square}; a finite one is accepted"
                ))
                .hint("use the variance-preserving interpolant"));
            }
            let at = problem.interpolant.at(tau);
            Ok((share * (h * square).sqrt(), tilted.mixed(at), problem.base.mixed(at)))
        };
        if steps == 0 {
            return Err(Error::usage("a chain of 0 steps; at least 1 is needed"));
        }
        Ok(Self { steps: (0..steps).map(step).collect::<Result<_>>()? })
    }

    /// `u_k(x)`.
    ///
    /// # Panics
    /// If there is no step `k`.
    #[must_use]
    pub fn at(&self, k: usize, x: f64) -> f64 {
        let (factor, tilted, base) = &self.steps[k];
        factor * (tilted.score(x) - base.score(x))
    }
}

impl Control for Continuous {
    fn control(&self, k: usize, x: &Tensor, _: &Move, _: &mut Memory) -> Result<Tensor> {
        let values: Vec<f64> = read(&[x])?[0].iter().map(|x| self.at(k, *x)).collect();
        Ok(Tensor::from_vec(values, x.shape(), x.device())?.to_dtype(x.dtype())?)
    }
}
