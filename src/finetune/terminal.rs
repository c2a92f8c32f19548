//! The reward of a final state.

use crate::diffusion::{Chain as _, Decode, DiffusionChain, Memory};
use crate::error::{Error, Result};
use crate::nn::{read, softmax};
use crate::random::Seed;
use crate::reward::{Domain, Reward, Score};
use crate::sequence::Sequence;
use candle_core::Tensor;

/// A differentiable reward of the chain's final states.
pub trait Terminal: Send + Sync {
    /// Rewards (B,) of states (B, …) read after `k` steps; higher is better.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn reward(&self, k: usize, x: &Tensor) -> Result<Tensor>;

    /// What states after `k` steps are worth at a price `alpha`, (B,): an estimate of `α log E[exp(r(x_K)/α) | x_k]` under the
    /// base chain, which is the reward where nothing better is known. `None` stands for the limit of a high price, `E[r]`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn value(&self, k: usize, x: &Tensor, alpha: Option<f64>) -> Result<Tensor> {
        let _ = alpha;
        self.reward(k, x)
    }

    /// Rewards (B,) of letter probabilities (B, L, V), where states stand for letters: what a [`Glimpse`](super::Glimpse) of the end
    /// is worth.
    ///
    /// # Errors
    /// When the states of the chain have no letters, or the shapes do not fit.
    fn reward_of(&self, probs: &Tensor) -> Result<Tensor> {
        let _ = probs;
        Err(Error::usage("the states of this chain have no letters to guess"))
    }

    /// Whether the reward has a gradient.
    fn is_differentiable(&self) -> bool {
        true
    }

    /// Rewards of all words that a state can decode to, in the order of [`Reward::words`], where they are a table.
    fn words(&self) -> Option<&[f64]> {
        None
    }

    /// As [`value`](Self::value); what was worked out on the way that a block from these states would work out again is left in
    /// `memory`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn value_at(&self, k: usize, x: &Tensor, alpha: Option<f64>, memory: &mut Memory) -> Result<Tensor> {
        let _ = memory;
        self.value(k, x, alpha)
    }
}

/// A score of the chain's final states as they are decoded, without a gradient.
pub trait Valued: Send + Sync {
    /// Rewards of final states (B, …); higher is better.
    ///
    /// # Errors
    /// When the shapes do not fit, or a state cannot be scored.
    fn values(&self, x: &Tensor) -> Result<Vec<f64>>;
}

/// The rewards of states that need no decoding.
#[derive(Clone, Copy)]
pub struct Undecoded<'a>(pub &'a dyn Terminal);

impl Valued for Undecoded<'_> {
    fn values(&self, x: &Tensor) -> Result<Vec<f64>> {
        Ok(read(&[&self.0.reward(0, x)?])?.remove(0))
    }
}

/// A sequence reward behind the prior's frozen reading head: `r(softmax(logits(x_K)))`.
///
/// The value of a state is the reward's soft value under its letter probabilities where the reward knows that in closed form:
/// exact, as far as the letters are independent given the state. The relaxation enters gradients only; certificates and
/// reports always score the hard decode.
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

impl Valued for SequenceTerminal<'_> {
    fn values(&self, x: &Tensor) -> Result<Vec<f64>> {
        let prior = self.chain.prior();
        let domain = Domain { alphabet: prior.alphabet().clone(), length: prior.config().length };
        let vertices = domain.one_hot(&decoded(self.chain, x)?, prior.device())?;
        Ok(read(&[&self.reward.reward(&vertices)?])?.remove(0))
    }
}

/// A score of the most probable letters, for methods that want no gradient.
#[derive(Clone, Copy)]
pub struct ScoredTerminal<'a> {
    chain: &'a DiffusionChain,
    score: &'a dyn Score,
}

impl<'a> ScoredTerminal<'a> {
    /// The score of what `chain` reads at its end.
    #[must_use]
    pub fn new(chain: &'a DiffusionChain, score: &'a dyn Score) -> Self {
        Self { chain, score }
    }
}

impl Valued for ScoredTerminal<'_> {
    fn values(&self, x: &Tensor) -> Result<Vec<f64>> {
        self.score.scores(&decoded(self.chain, x)?)
    }
}

/// The most probable letters of final states.
fn decoded(chain: &DiffusionChain, x: &Tensor) -> Result<Vec<Sequence>> {
    // nothing is drawn
    Decode::Hard.read(&chain.read(chain.steps(), x)?, chain.prior(), &mut Seed::root(0).rng())
}

impl Terminal for SequenceTerminal<'_> {
    fn reward(&self, k: usize, x: &Tensor) -> Result<Tensor> {
        self.reward.reward(&softmax(&self.chain.read(k, x)?)?)
    }

    fn reward_of(&self, probs: &Tensor) -> Result<Tensor> {
        self.reward.reward(probs)
    }

    fn is_differentiable(&self) -> bool {
        self.reward.is_differentiable()
    }

    fn words(&self) -> Option<&[f64]> {
        self.reward.words()
    }

    fn value(&self, k: usize, x: &Tensor, alpha: Option<f64>) -> Result<Tensor> {
        self.value_at(k, x, alpha, &mut Memory::default())
    }

    fn value_at(&self, k: usize, x: &Tensor, alpha: Option<f64>, memory: &mut Memory) -> Result<Tensor> {
        let probs = softmax(&self.chain.read_from(k, x, memory)?)?;
        let soft = alpha.map_or(Ok(None), |alpha| self.reward.soft_value(&probs, alpha))?;
        soft.map_or_else(|| self.reward.reward(&probs), Ok)
    }
}
