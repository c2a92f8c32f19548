//! The reward of a final state.

use crate::diffusion::DiffusionChain;
use crate::error::Result;
use crate::nn::softmax;
use crate::reward::Reward;
use candle_core::Tensor;

/// A differentiable reward of the chain's final states.
pub trait Terminal: Send + Sync {
    /// Rewards (B,) of states (B, …) read after `k` steps; higher is better.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn reward(&self, k: usize, x: &Tensor) -> Result<Tensor>;
}

/// A sequence reward behind the prior's frozen reading head: `r(softmax(logits(x_K)))`.
///
/// The relaxation enters gradients only; certificates and reports always score the hard decode.
pub struct SequenceTerminal<'a> {
    chain: &'a DiffusionChain,
    reward: &'a dyn Reward,
}

impl<'a> SequenceTerminal<'a> {
    /// The reward of what `chain` reads at its end.
    #[must_use]
    pub fn new(chain: &'a DiffusionChain, reward: &'a dyn Reward) -> Self {
        Self { chain, reward }
    }
}

impl Terminal for SequenceTerminal<'_> {
    fn reward(&self, k: usize, x: &Tensor) -> Result<Tensor> {
        self.reward.reward(&softmax(&self.chain.read(k, x)?)?)
    }
}
