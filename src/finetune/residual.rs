//! What an escort leaves of the work of a step.

use super::Control;
use super::potential::Potential;
use crate::diffusion::{Chain, Memory, Noised};
use crate::error::Result;
use candle_core::Tensor;

/// The residual of the equation that the escort of a path of tilted laws `ρ_k ∝ p_k e^{φ_k}` solves, over one step and up to the rate of log Z:
///
/// ```text
/// R_k(x) = φ_{k+1}(x + v) − φ_k(x) + ∇·W + W·(s + ∂φ_k)      W = spread (2 lift u − ∂φ_k)
/// ```
/// x + v is where the probability flow takes the state, so that the first difference is that of the tilt along it, `∂φ/∂t + v·∂φ`, and W the
/// escort w of a control `σu = ½σ²∂φ + w` over the step ([`NoisingStep`](crate::diffusion::NoisingStep)). The divergence is Hutchinson's: with ν of
/// signs at random and a central difference along ν, since no slope of a slope is to be had,
///
/// ```text
/// ∇·W ≈ ν·(W(x + δν) − W(x − δν))/2δ
/// ```
/// whose error is δ² times a third derivative. Its noise would add its variance to the mean of a square; two residuals of independent ν
/// are answered, whose product has the mean that the square of the exact one has. States are held fixed.
pub(super) struct Residual<'a> {
    pub(super) chain: &'a dyn Chain,
    pub(super) noised: &'a dyn Noised,
    pub(super) potential: Potential<'a>,
    /// δ in lengths on which beliefs change.
    pub(super) probe: f64,
}

impl Residual<'_> {
    /// `R_k` with either of two probes (2, B, …), (B,) each, in the control's graph.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn at(&self, k: usize, x: &Tensor, probes: &Tensor, control: &dyn Control) -> Result<[Tensor; 2]> {
        let (step, rows) = (self.noised.noising(k), x.dim(0)?);
        let reach = self.probe * step.width;
        let mut states = vec![x.clone()];
        for probe in 0..2 {
            let away = (probes.get(probe)? * reach)?;
            states.extend([(x + &away)?, (x - away)?]);
        }
        let states = Tensor::cat(&states, 0)?;
        let mut tilted = self.potential.at(k, &states)?;
        let base = self.chain.advance(k, &states, &mut tilted.memory)?.detached();
        let u = control.control(k, &states, &base, &mut Memory::default())?;
        let escort = (((u * (2.0 * step.lift))? - &tilted.slope)? * step.spread)?;
        let part = |all: &Tensor, index: usize| all.narrow(0, index * rows, rows);
        let per_row = |values: Tensor| -> Result<Tensor> { Ok(values.flatten_from(1)?.sum(1)?) };
        let carried = step.carried(&states, &base)?.narrow(0, 0, rows)?.contiguous()?;
        let gained = (self.potential.value(k + 1, &carried)? - part(&tilted.value, 0)?)?;
        let push = (part(&step.score(&states, &base)?, 0)? + part(&tilted.slope, 0)?)?;
        let own = (gained + per_row((part(&escort, 0)? * push)?)?)?;
        let with = |probe: usize| -> Result<Tensor> {
            let apart = (part(&escort, 1 + 2 * probe)? - part(&escort, 2 + 2 * probe)?)?;
            Ok((&own + (per_row((apart * probes.get(probe)?)?)? / (2.0 * reach))?)?)
        };
        Ok([with(0)?, with(1)?])
    }
}
