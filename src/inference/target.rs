//! What is steered where.

use super::{Calls, Outlook};
use crate::diffusion::{Chain as _, Decode, DiffusionChain, Memory};
use crate::error::{Error, Result};
use crate::nn::{read, softmax};
use crate::random::Seed;
use crate::reward::{Reward, Score};
use crate::sequence::Sequence;
use candle_core::Tensor;

/// The tilt of a chain's hard decode: `P*(path) ∝ P(path) exp(r(x)/α)`, with x the decode of the path's end.
///
/// The law of x under P* is `p(x) exp(r(x)/α)/Z`, p the law that the chain itself samples and `Z = E_P[exp(r/α)]`: of the chain
/// as it runs, without any discretisation bias.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The base chain.
    pub chain: &'a DiffusionChain,
    /// The reward of sequences.
    pub score: &'a dyn Score,
    /// The same reward of relaxed sequences, where it has a gradient.
    pub reward: Option<&'a dyn Reward>,
    /// Price of a nat, in reward units.
    pub alpha: f64,
    /// What the states on the way are valued by; `None` is the best that the reward has.
    pub outlook: Option<Outlook>,
}

impl Target<'_> {
    /// Checks that the price is one, and that the reward has what the outlook reads.
    ///
    /// # Errors
    /// When it is not, or has not.
    pub fn check(&self) -> Result<()> {
        if !(self.alpha > 0.0 && self.alpha.is_finite()) {
            return Err(Error::usage(format!("alpha is {}; a positive, finite number is accepted", self.alpha)));
        }
        let soft = self.reward.is_some_and(Reward::has_soft_value);
        match self.outlook {
            Some(Outlook::Soft) if !soft => {
                Err(Error::usage(format!("reward `{}` has no soft value in closed form", self.score.name()))
                    .hint("complete tables have one; use outlook `relaxed` or `decoded`"))
            }
            Some(Outlook::Relaxed) if self.reward.is_none() => {
                Err(Error::usage(format!("reward `{}` reads no relaxed sequences", self.score.name()))
                    .hint("use outlook `decoded`"))
            }
            _ => Ok(()),
        }
    }

    /// What states on the way are valued by.
    #[must_use]
    pub fn outlook(&self) -> Outlook {
        self.outlook.unwrap_or(match self.reward {
            Some(reward) if reward.has_soft_value() => Outlook::Soft,
            Some(_) => Outlook::Relaxed,
            None => Outlook::Decoded,
        })
    }

    /// The estimates of [`outlook`](Self::outlook) at states (B, …) after `k` steps, in nats: v/α. What a block from these
    /// states would work out again is left in `memory`.
    pub(super) fn worth(&self, k: usize, x: &Tensor, memory: &mut Memory, calls: &mut Calls) -> Result<Vec<f64>> {
        let rows = x.dim(0)? as u64;
        calls.denoised += u64::from(memory.context.is_none()) * rows;
        let logits = self.chain.read_from(k, x, memory)?;
        let outlook = self.outlook();
        let values = if let (Outlook::Soft | Outlook::Relaxed, Some(reward)) = (outlook, self.reward) {
            calls.values += rows;
            let probs = softmax(&logits)?;
            let soft = if outlook == Outlook::Soft { reward.soft_value(&probs, self.alpha)? } else { None };
            read(&[&soft.map_or_else(|| reward.reward(&probs), Ok)?])?.remove(0)
        } else {
            calls.scores += rows;
            self.score.scores(&Decode::Hard.read(&logits, self.chain.prior(), &mut Seed::root(0).rng())?)?
        };
        self.nats(values)
    }

    /// The sequences that final states (B, …) are read as, their rewards, and r/α.
    pub(super) fn ends(&self, x: &Tensor, calls: &mut Calls) -> Result<(Vec<Sequence>, Vec<f64>, Vec<f64>)> {
        let rows = x.dim(0)? as u64;
        let logits = self.chain.read(self.chain.steps(), x)?;
        let sequences = Decode::Hard.read(&logits, self.chain.prior(), &mut Seed::root(0).rng())?;
        let rewards = self.score.scores(&sequences)?;
        calls.denoised += rows;
        calls.scores += rows;
        let nats = self.nats(rewards.clone())?;
        Ok((sequences, rewards, nats))
    }

    fn nats(&self, values: Vec<f64>) -> Result<Vec<f64>> {
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => {
                Err(Error::data(format!("reward `{}` is {value}; a finite number is needed", self.score.name())))
            }
            None => Ok(values.into_iter().map(|value| value / self.alpha).collect()),
        }
    }
}
