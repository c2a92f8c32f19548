//! The exact reward–divergence frontier.

use super::Support;
use crate::error::Result;
use serde::{Deserialize, Deserializer, Serialize};

/// A point of the frontier: the tilt at one price.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct FrontierPoint {
    /// The price of a nat, in reward units; infinite at the prior (null in JSON), 0 at the far end.
    #[serde(deserialize_with = "null_is_infinite")]
    pub alpha: f64,
    /// KL from the prior, in nats.
    pub kl: f64,
    /// The best mean reward at that KL.
    pub reward: f64,
    /// Effective share of draws from the prior, in (0, 1].
    pub ess: f64,
}

/// JSON has no infinity; it is written as null.
fn null_is_infinite<'de, D: Deserializer<'de>>(from: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(from)?.unwrap_or(f64::INFINITY))
}

/// The largest mean reward that any law within a KL of an enumerated prior can have.
///
/// ```text
/// r*(κ) = max { E_q[r] : KL(q‖p) ≤ κ },  reached by the tilt whose KL is κ
/// r*(0) = E_p[r],   r*(κ) = max r  for  κ ≥ −log p(argmax r)
/// ```
///
/// ```
/// use seqtilt::eval::exact::Frontier;
/// let frontier = Frontier::new(&[0.75, 0.25], &[0.0, 1.0])?;
/// assert!((frontier.max_kl() - 4.0_f64.ln()).abs() < 1e-15);
/// // the law (1/2, 1/2) lies on it
/// let kl = 0.5 * (0.5_f64 / 0.75).ln() + 0.5 * (0.5_f64 / 0.25).ln();
/// assert!((frontier.reward_at(kl) - 0.5).abs() < 1e-9);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Frontier {
    support: Support,
    max_kl: f64,
    prior_mean: f64,
}

impl Frontier {
    /// The frontier of `prior` (probabilities) and `reward`.
    ///
    /// # Errors
    /// As [`Tilt::kl`](super::Tilt::kl).
    pub fn new(prior: &[f64], reward: &[f64]) -> Result<Self> {
        let support = Support::new(prior, reward)?;
        let (max_kl, prior_mean) = (-support.log_best_mass(), support.tilt(0.0).mean_reward);
        Ok(Self { support, max_kl, prior_mean })
    }

    /// KL at which the frontier reaches the best reward: −log of the prior probability of the best sequences.
    #[must_use]
    pub fn max_kl(&self) -> f64 {
        self.max_kl
    }

    /// The best reward in the prior's support.
    #[must_use]
    pub fn max_reward(&self) -> f64 {
        self.support.best
    }

    /// The prior's mean reward.
    #[must_use]
    pub fn prior_mean(&self) -> f64 {
        self.prior_mean
    }

    /// The point at a price α > 0.
    #[must_use]
    pub fn at(&self, alpha: f64) -> FrontierPoint {
        let at = self.support.tilt(1.0 / alpha);
        FrontierPoint { alpha, kl: at.kl, reward: at.mean_reward, ess: at.ess }
    }

    /// The point at a KL in nats; below 0 the prior, beyond [`Self::max_kl`] the far end.
    ///
    /// # Cost
    /// About sixty passes over the support (bracketing, then bisection in log 1/α).
    #[must_use]
    pub fn point(&self, kl: f64) -> FrontierPoint {
        if kl <= 0.0 || self.max_kl == 0.0 {
            return FrontierPoint { alpha: f64::INFINITY, kl: 0.0, reward: self.prior_mean, ess: 1.0 };
        }
        let far = FrontierPoint { alpha: 0.0, kl: self.max_kl, reward: self.support.best, ess: (-self.max_kl).exp() };
        if kl >= self.max_kl {
            return far;
        }
        let range = -self.support.below.iter().copied().fold(0.0, f64::min);
        let kl_at = |log_t: f64| self.support.tilt(log_t.exp() / range).kl;
        let (mut low, mut high) = (0.0, 0.0);
        while kl_at(low) > kl {
            high = low;
            low -= 2.0;
        }
        while kl_at(high) < kl {
            low = high;
            high += 2.0;
            if high > 700.0 {
                return far;
            }
        }
        while high - low > 1e-13 * high.abs().max(1.0) {
            let middle = f64::midpoint(low, high);
            if middle <= low || middle >= high {
                break;
            }
            if kl_at(middle) < kl { low = middle } else { high = middle }
        }
        self.at(range / f64::midpoint(low, high).exp())
    }

    /// r*(κ): the best mean reward within `kl` nats of the prior.
    #[must_use]
    pub fn reward_at(&self, kl: f64) -> f64 {
        self.point(kl).reward
    }

    /// How far a law with this KL and mean reward lies below the frontier, in reward units; negative only by sampling
    /// error.
    #[must_use]
    pub fn shortfall(&self, kl: f64, reward: f64) -> f64 {
        self.reward_at(kl) - reward
    }

    /// `n` points from the prior to the far end, denser near the prior, where the curve rises as √κ.
    #[must_use]
    pub fn curve(&self, n: usize) -> Vec<FrontierPoint> {
        let last = n.saturating_sub(1).max(1) as f64;
        (0..n).map(|i| self.point(self.max_kl * (i as f64 / last).powi(2))).collect()
    }
}
