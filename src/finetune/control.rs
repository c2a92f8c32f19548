//! A change of the chain's drift.

use crate::diffusion::{Memory, Move};
use crate::error::Result;
use candle_core::Tensor;

/// A control in units of noise: the step becomes `x_{k+1} = m_k + s_k (u_k + ε_k)`.
pub trait Control: Send + Sync {
    /// `u_k(x)` for a batch, in the state's shape, given the base step from the same state and what the block remembers.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn control(&self, k: usize, x: &Tensor, base: &Move, memory: &mut Memory) -> Result<Tensor>;
}
