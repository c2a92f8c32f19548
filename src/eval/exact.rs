//! Exact tilts of a prior that can be enumerated, and the exact reward–divergence frontier.
//!
//! With at most a few million sequences the optimum of KL-regularised control is a sum, not a simulation: every
//! fine-tuned sampler can then be scored against the truth.

mod frontier;

pub use frontier::{Frontier, FrontierPoint};

use crate::error::{Error, Result};

/// The exact KL tilt of an enumerated prior.
///
/// ```text
/// q*(x) = p(x) e^{r(x)/α} / Z        Z = Σ p(x) e^{r(x)/α}        J* = max_q E_q[r] − α KL(q‖p) = α log Z
/// ```
///
/// Source: the terminal law of entropy-regularised control, Uehara et al., arXiv 2402.15194. As published.
///
/// ```
/// use seqtilt::eval::exact::Tilt;
/// let tilt = Tilt::kl(&[0.5, 0.5], &[0.0, 1.0], 1.0 / 3.0_f64.ln())?;   // e^{1/α} = 3
/// assert!((tilt.probabilities[1] - 0.75).abs() < 1e-15);
/// assert!((tilt.log_z - 2.0_f64.ln()).abs() < 1e-15);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tilt {
    /// The price of a nat, in reward units.
    pub alpha: f64,
    /// q*(x), in the order of the prior.
    pub probabilities: Vec<f64>,
    /// log Z, in nats.
    pub log_z: f64,
    /// E_q[r].
    pub mean_reward: f64,
    /// KL(q*‖p), in nats.
    pub kl: f64,
    /// Effective share of draws from the prior, `1 / Σ q²/p`, in (0, 1]; times n it is the effective size of n draws.
    pub ess: f64,
    /// J* = α log Z, the best value of E[r] − α KL.
    pub value: f64,
}

impl Tilt {
    /// The KL tilt of `prior` (probabilities) towards `reward` at price `alpha`.
    ///
    /// Works in the log domain relative to the best reward of the prior's support, so that neither small α nor large
    /// rewards overflow. Entries of prior probability 0 stay 0 and may have any reward. The prior is divided by its sum.
    ///
    /// # Errors
    /// When lengths differ, α is not positive, a probability is negative, the sum is not 1 within 10⁻⁶, or a reward in
    /// the support is not finite.
    pub fn kl(prior: &[f64], reward: &[f64], alpha: f64) -> Result<Self> {
        if !(alpha > 0.0 && alpha.is_finite()) {
            return Err(Error::usage(format!("alpha is {alpha}; a positive, finite number is accepted")));
        }
        let support = Support::new(prior, reward)?;
        let at = support.tilt(1.0 / alpha);
        let mut probabilities = vec![0.0; prior.len()];
        for (index, q) in support.index.iter().zip(support.probabilities(1.0 / alpha, at.log_z_shifted)) {
            probabilities[*index] = q;
        }
        let value = support.best + alpha * at.log_z_shifted;
        let log_z = support.best / alpha + at.log_z_shifted;
        Ok(Self { alpha, probabilities, log_z, mean_reward: at.mean_reward, kl: at.kl, ess: at.ess, value })
    }
}

/// The entries of positive prior probability, with rewards measured from their best.
#[derive(Clone, Debug)]
struct Support {
    index: Vec<usize>,
    log_prior: Vec<f64>,
    /// r − best, at most 0.
    below: Vec<f64>,
    best: f64,
}

/// Figures of one tilt.
#[derive(Clone, Copy, Debug)]
struct Figures {
    /// log Σ p e^{(r − best)/α}.
    log_z_shifted: f64,
    mean_reward: f64,
    kl: f64,
    ess: f64,
}

impl Support {
    fn new(prior: &[f64], reward: &[f64]) -> Result<Self> {
        if prior.len() != reward.len() {
            return Err(Error::data(format!(
                "{} prior probabilities but {} rewards; equal numbers are needed",
                prior.len(),
                reward.len()
            )));
        }
        if let Some((i, p)) = prior.iter().enumerate().find(|(_, p)| !(**p >= 0.0 && p.is_finite())) {
            return Err(Error::data(format!("prior probability {i} is {p}; at least 0 is accepted")));
        }
        let total: f64 = prior.iter().sum();
        if (total - 1.0).abs() > 1e-6 {
            return Err(Error::data(format!("prior probabilities sum to {total}; 1 within 1e-6 is accepted"))
                .hint("divide them by their sum"));
        }
        let index: Vec<usize> = (0..prior.len()).filter(|i| prior[*i] > 0.0).collect();
        if let Some(i) = index.iter().find(|i| !reward[**i].is_finite()) {
            return Err(Error::data(format!(
                "reward {i} is {}; it must be finite where the prior is positive",
                reward[*i]
            )));
        }
        let best = index.iter().map(|i| reward[*i]).fold(f64::NEG_INFINITY, f64::max);
        let log_prior = index.iter().map(|i| (prior[*i] / total).ln()).collect();
        let below = index.iter().map(|i| reward[*i] - best).collect();
        Ok(Self { index, log_prior, below, best })
    }

    /// The tilt at inverse price β = 1/α.
    fn tilt(&self, beta: f64) -> Figures {
        let logs = || self.log_prior.iter().zip(&self.below).map(|(p, b)| (p + beta * b, *p, *b));
        let max = logs().map(|(l, ..)| l).fold(f64::NEG_INFINITY, f64::max);
        let log_z_shifted = max + logs().map(|(l, ..)| (l - max).exp()).sum::<f64>().ln();
        let (mut below, mut kl, mut inverse_ess) = (0.0, 0.0, 0.0);
        for (l, p, b) in logs() {
            let q = (l - log_z_shifted).exp();
            if q > 0.0 {
                below += q * b;
                kl += q * (beta * b - log_z_shifted);
                inverse_ess += (2.0 * (l - log_z_shifted) - p).exp();
            }
        }
        Figures { log_z_shifted, mean_reward: self.best + below, kl: kl.max(0.0), ess: 1.0 / inverse_ess }
    }

    fn probabilities(&self, beta: f64, log_z_shifted: f64) -> impl Iterator<Item = f64> {
        self.log_prior.iter().zip(&self.below).map(move |(p, b)| (p + beta * b - log_z_shifted).exp())
    }

    /// Prior probability of the best reward, as a logarithm.
    fn log_best_mass(&self) -> f64 {
        let mass: f64 = self.log_prior.iter().zip(&self.below).filter(|(_, b)| **b == 0.0).map(|(p, _)| p.exp()).sum();
        mass.ln().min(0.0)
    }
}

#[cfg(test)]
mod tests;
