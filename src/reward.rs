//! Differentiable reward models.
//!
//! A reward is a table that is complete ([`Multilinear`]), a formula ([`Potts`], [`Pwm`]) or an [`Ensemble`] of networks trained on
//! measured sequences by a [`Trainer`]. A search climbs the [`Acquisition`] of a [`Surrogate`] that learns from what was [`Measured`].

mod acquisition;
mod ensemble;
mod measured;
mod member;
mod multilinear;
mod potts;
mod pwm;
mod relaxed;
mod report;
mod score;
mod surrogate;
mod train;
mod training_set;
mod whole;

pub use acquisition::Acquisition;
pub use ensemble::{Ensemble, EnsembleConfig, KIND, Posterior, Prediction, Standardisation};
pub use measured::{Label, Measured};
pub use member::{Architecture, CnnConfig, Domain, Member, Pooling, ResidualConfig};
pub use multilinear::{Multilinear, enumerable};
pub use potts::Potts;
pub(crate) use pwm::LONGEST;
pub use pwm::{Motif, Pwm, SITES, Sites};
pub use relaxed::one_hot;
pub use report::{AtDistance, HeldOut, at_distances, held_out};
pub use score::{Needs, Score, Vertices};
pub(crate) use surrogate::dense::{cholesky, invert_lower};
pub use surrogate::{
    Acquired, FitSurrogate, GaussianProcess, LinearFeatures, LinearUcb, Networks, SURROGATES, Surrogate,
    SurrogateConfig, Tuned,
};
pub use train::{InputNoise, Loss, TrainConfig, Trainer};
pub use training_set::TrainingSet;
pub use whole::Whole;

use crate::error::{Error, Result};
use candle_core::Tensor;

/// A differentiable score of relaxed sequences; higher is better.
///
/// # Shapes
/// Probabilities (B, L, V), rows on the simplex, to rewards (B,). The gradient flows to the probabilities only: a
/// reward's own parameters are frozen.
pub trait Reward: Send + Sync {
    /// What people call it.
    fn name(&self) -> &str;

    /// The sequences that it reads, where that is a fixed number of positions: with padding where they differ in length.
    fn reads(&self) -> Option<&Domain> {
        None
    }

    /// r(p) for every sequence of the batch, in the type of the probabilities.
    ///
    /// # Errors
    /// When the shape does not fit, or a tensor operation fails.
    fn reward(&self, probs: &Tensor) -> Result<Tensor>;

    /// The soft value of independent letters in closed form, (B,), where this reward has one:
    ///
    /// ```text
    /// V(p) = α log Σ_x Π_i p_i(x_i) exp(r(x)/α)
    /// ```
    ///
    /// # Errors
    /// As [`reward`](Self::reward).
    fn soft_value(&self, probs: &Tensor, alpha: f64) -> Result<Option<Tensor>> {
        let _ = (probs, alpha);
        Ok(None)
    }

    /// Rewards of all V^L sequences, the first position most significant, where this reward is a table of them.
    fn words(&self) -> Option<&[f64]> {
        None
    }

    /// The log of the partition function over all sequences of `length` letters, where it is known exactly:
    ///
    /// ```text
    /// log Z(T) = log Σ_x exp(r(x)/T)
    /// ```
    fn log_partition(&self, length: usize, temperature: f64) -> Option<f64> {
        let _ = (length, temperature);
        None
    }

    /// Whether relaxed sequences have rewards, with a gradient.
    fn is_differentiable(&self) -> bool {
        true
    }

    /// Whether there is a [`soft_value`](Self::soft_value).
    fn has_soft_value(&self) -> bool {
        false
    }
}

/// Checks (B, L, V); a `length` of `None` accepts any L.
fn check_shape(probs: &Tensor, length: Option<usize>, letters: usize) -> Result<()> {
    match probs.dims() {
        [_, l, v] if *v == letters && length.is_none_or(|length| length == *l) => Ok(()),
        got => {
            let length = length.map_or_else(|| "L".to_owned(), |length| length.to_string());
            Err(Error::usage(format!("the reward reads probabilities of shape (B, {length}, {letters}), got {got:?}")))
        }
    }
}
