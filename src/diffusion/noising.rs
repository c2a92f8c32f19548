//! The noising that a chain's steps undo.

use super::{Ancestral, Coefficients, DiffusionChain, Move, Scales};
use crate::error::Result;
use candle_core::Tensor;

/// What is known of one step of a chain beside the step itself, from x_k to x_{k+1}; s is the score of the base's law of x_k.
///
/// ```text
/// x_k = keep x_{k+1} + std ε                    the noising step that it undoes
/// x_k + v = carry_0 x_k + carry_1 m_k(x_k)      where the probability flow takes it
/// s(x_k) = score_0 x_k + score_1 m_k(x_k)
/// ∂V/∂x_k = lift u_k                            what slope of a value a control in units of noise stands for
/// v* − v = spread ∂V/∂x_k                       by how much that moves the flow
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NoisingStep {
    /// Factor of the state after the step.
    pub keep: f64,
    /// Standard deviation of the noise.
    pub std: f64,
    /// Factors of state and mean in the flow's next state.
    pub carry: [f64; 2],
    /// Factors of state and mean in the score.
    pub score: [f64; 2],
    /// Slope of a value per unit of control.
    pub lift: f64,
    /// Half the variance of the step's noise, as the flow has it.
    pub spread: f64,
    /// Length on which what a network says of a state changes.
    pub width: f64,
}

impl NoisingStep {
    /// Where the probability flow takes a state whose base step is known.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn carried(&self, x: &Tensor, base: &Move) -> Result<Tensor> {
        linear(self.carry, x, base)
    }

    /// The score of the base's law at a state whose base step is known.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn score(&self, x: &Tensor, base: &Move) -> Result<Tensor> {
        linear(self.score, x, base)
    }
}

fn linear([of_state, of_mean]: [f64; 2], x: &Tensor, base: &Move) -> Result<Tensor> {
    Ok(((x * of_state)? + (&base.mean * of_mean)?)?)
}

/// A chain that undoes a noising that is known.
pub trait Noised: Send + Sync {
    /// What is known of step `k`.
    fn noising(&self, k: usize) -> NoisingStep;
}

/// The variance-preserving noising of [`Schedule`](super::Schedule); its reversal is the base chain up to the size of the steps, and as far as the
/// denoiser is exact.
///
/// ```text
/// keep = signal_k/signal_{k+1}, std = √(1 − keep²)      s = (signal ẑ₀ − x)/noise²      ∂V/∂x = signal/noise² (ẑ₀* − ẑ₀)
/// ```
impl Noised for DiffusionChain {
    fn noising(&self, k: usize) -> NoisingStep {
        let [here, next] = [k, k + 1].map(|k| Scales::at_log_snr(self.log_snrs()[k]));
        let (walk, flow) = (self.coefficients(k), Ancestral::between(here, next, 0.0));
        // ẑ₀ = (m − keep x)/predict
        let of_estimate = |factor: f64, rest: f64| {
            let Coefficients { keep, predict, .. } = walk;
            [rest - factor * keep / predict, factor / predict]
        };
        let keep = here.signal / next.signal;
        let (variance, slope) = (here.noise.powi(2), here.signal / here.noise.powi(2));
        NoisingStep {
            keep,
            std: (1.0 - keep * keep).max(0.0).sqrt(),
            carry: of_estimate(flow.predict, flow.keep),
            score: of_estimate(slope, -1.0 / variance),
            lift: slope * walk.std / walk.predict,
            spread: flow.predict / slope,
            width: here.noise.min(1.0 / slope),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Chain as _, Grid, Memory, Prior, PriorConfig, SolverKind};
    use super::*;
    use crate::nn::{Params, check};
    use crate::sequence::Alphabet;
    use candle_core::Device;
    use std::sync::Arc;

    #[test]
    fn score_flow_and_lift_are_those_of_the_denoised_estimate() {
        let params = check::params();
        let config = PriorConfig::new(&Alphabet::dna(), 3);
        Prior::new(&config, &params).unwrap();
        let prior = Arc::new(Prior::new(&config, &Params::frozen(params.snapshot().unwrap(), &Device::Cpu)).unwrap());
        for solver in [SolverKind::Ancestral, SolverKind::Euler] {
            let chain = DiffusionChain::new(prior.clone(), 6, 1, Grid::Time, solver).unwrap();
            let x = check::normal(3, &[2, 3, config.embedding_dim]);
            for k in 0..6 {
                let base = chain.advance(k, &x, &mut Memory::default()).unwrap();
                let estimate = chain.prior().estimate(base.belief.as_ref().unwrap()).unwrap();
                let [here, next] = [k, k + 1].map(|k| Scales::at_log_snr(chain.log_snrs()[k]));
                let step = chain.noising(k);
                let noise = ((&x - (&estimate * here.signal).unwrap()).unwrap() / here.noise).unwrap();
                // the flow keeps the noise that it sees, and the score is that noise
                let carried = ((&estimate * next.signal).unwrap() + (&noise * next.noise).unwrap()).unwrap();
                // f64 with factors of the order of 1/predict, 1e2 at most
                assert!(check::distance(&step.carried(&x, &base).unwrap(), &carried) < 1e-11);
                let score = (noise / -here.noise).unwrap();
                assert!(check::distance(&step.score(&x, &base).unwrap(), &score) < 1e-11);
                // law of x_k given x_{k+1} is that of the levels
                assert!((step.keep.powi(2) * next.noise.powi(2) + step.std.powi(2) - here.noise.powi(2)).abs() < 1e-14);
                // a control that moves the estimate by d is predict/std d, the slope signal/noise² d, the flow's change its predict d
                let c = chain.coefficients(k);
                let slope = step.lift * c.predict / c.std;
                assert!((slope - here.signal / here.noise.powi(2)).abs() < 1e-12 * slope);
                assert!((step.spread * slope - Ancestral::between(here, next, 0.0).predict).abs() < 1e-13);
            }
            // σ² h of the noising, to first order in the step
            let fine = DiffusionChain::new(prior.clone(), 600, 1, Grid::Time, solver).unwrap();
            let step = fine.noising(300);
            assert!((2.0 * step.spread / step.std.powi(2) - 1.0).abs() < 0.02);
        }
    }
}
