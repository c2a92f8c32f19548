//! The tilt of the laws on the way.

use super::Terminal;
use super::analytic::Ramp;
use crate::diffusion::Memory;
use crate::error::Result;
use crate::nn::gradients_with;
use candle_core::{Tensor, Var};

/// A tilt `φ_k` of the laws that a chain goes through, from nearly nothing at the noise to the reward's own at the end:
///
/// ```text
/// φ_k(x) = v_k(x)/α  (value)      φ_k(x) = (k/K) v_k(x)/α  (line)
/// ```
/// v_k is the value of a state ([`Terminal::value`]): the soft value under its letter probabilities where that is known in closed form, else the
/// reward of these.
#[derive(Clone, Copy)]
pub(super) struct Potential<'a> {
    pub(super) terminal: &'a dyn Terminal,
    pub(super) alpha: f64,
    pub(super) ramp: Ramp,
    /// Steps of the chain, K.
    pub(super) steps: usize,
}

/// A tilt at some states.
pub(super) struct Tilted {
    /// φ, (B,).
    pub(super) value: Tensor,
    /// ∂φ/∂x, in the shape of the states.
    pub(super) slope: Tensor,
    /// What the chain would work out at these states again.
    pub(super) memory: Memory,
}

impl Potential<'_> {
    /// What a value counts after `k` steps.
    fn factor(&self, k: usize) -> f64 {
        match self.ramp {
            Ramp::Value => 1.0 / self.alpha,
            Ramp::Line => k as f64 / self.steps.max(1) as f64 / self.alpha,
        }
    }

    /// φ_k and its slope, without a graph.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn at(&self, k: usize, x: &Tensor) -> Result<Tilted> {
        let state = Var::from_tensor(&x.detach())?;
        let mut memory = Memory::default();
        let value = self.terminal.value_at(k, state.as_tensor(), Some(self.alpha), &mut memory)?;
        let slope = gradients_with(&value.sum_all()?, &[], &[&state])?.1.remove(0);
        let factor = self.factor(k);
        memory.context = memory.context.map(|context| context.detach());
        Ok(Tilted { value: (value.detach() * factor)?, slope: (slope * factor)?, memory })
    }

    /// φ_k alone, without a graph.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn value(&self, k: usize, x: &Tensor) -> Result<Tensor> {
        let value = self.terminal.value_at(k, &x.detach(), Some(self.alpha), &mut Memory::default())?;
        Ok((value.detach() * self.factor(k))?)
    }
}
