//! A change of the chain's drift.

use crate::diffusion::{Change, Memory, Move};
use crate::error::Result;
use candle_core::Tensor;
use std::ops::Range;

/// A control in units of noise: the step becomes `x_{k+1} = m_k + s_k (u_k + ε_k)`.
pub trait Control: Send + Sync {
    /// `u_k(x)` for a batch, in the state's shape, given the base step from the same state and what the block remembers.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn control(&self, k: usize, x: &Tensor, base: &Move, memory: &mut Memory) -> Result<Tensor>;

    /// The letter probabilities (B, L, V) that the control puts in the place of the base's, where it is of that form.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn beliefs(&self, k: usize, x: &Tensor, base: &Move, memory: &mut Memory) -> Result<Option<Tensor>> {
        let _ = (k, x, base, memory);
        Ok(None)
    }

    /// The change of the base's token logits during the block of `steps` that starts at `x`, where the control is of that
    /// form; a chain can then walk the whole block at once ([`Chain::leap`](crate::diffusion::Chain::leap)).
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn change(&self, steps: Range<usize>, x: &Tensor, base: &Move) -> Result<Option<Change>> {
        let _ = (steps, x, base);
        Ok(None)
    }
}
