//! Exact tilts of a prior that can be enumerated, and the exact reward–divergence frontier.
//!
//! With at most a few million sequences the optimum of regularised control is a sum, not a simulation: every fine-tuned
//! sampler can then be scored against the truth. Divergences here are of laws of final sequences (terminal); those of paths
//! are never less.

mod divergence;
mod frontier;

pub use divergence::{DivergencePoint, divergence, divergence_curve};
pub use frontier::{Frontier, FrontierPoint};

use crate::error::{Error, Result};
use crate::finetune::divergence::{Divergence, Tilting};

/// The exact tilt of an enumerated prior.
///
/// ```text
/// KL:     q*(x) = p(x) e^{r(x)/α} / Z       Z = Σ p(x) e^{r(x)/α}       J* = max_q E_q[r] − α KL(q‖p) = α log Z
/// any f:  q*(x) = p(x) g((r(x) − λ)/α)      E_p[g((r − λ)/α)] = 1       J* = max_q E_q[r] − α D_f(q‖p)
/// ```
///
/// Sources: the terminal law of entropy-regularised control, Uehara et al., arXiv 2402.15194, as published; for any f, Tang,
/// arXiv 2403.06279.
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
    /// λ/α; log Z, in nats, where KL is paid for.
    pub log_z: f64,
    /// λ, in reward units.
    pub lambda: f64,
    /// `E_q[r]`.
    pub mean_reward: f64,
    /// KL(q*‖p), in nats, whatever is paid for.
    pub kl: f64,
    /// D_f(q*‖p) of the divergence that is paid for.
    pub divergence: f64,
    /// Effective share of draws from the prior, `1 / Σ q²/p`, in (0, 1]; times n it is the effective size of n draws.
    pub ess: f64,
    /// The largest probability of one sequence.
    pub max_weight: f64,
    /// Share of the prior that q* leaves out; not 0 for truncating divergences alone.
    pub dropped: f64,
    /// J*, the best value of `E[r] − α D_f`; α log Z for KL.
    pub value: f64,
    /// What the dual value is above J*: 0 but for rounding.
    pub gap: f64,
    /// What to read the figures with, in words: condensation, truncation.
    pub warnings: Vec<String>,
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
        Ok(Self {
            alpha,
            log_z,
            lambda: value,
            mean_reward: at.mean_reward,
            kl: at.kl,
            divergence: at.kl,
            ess: at.ess,
            max_weight: probabilities.iter().copied().fold(0.0, f64::max),
            dropped: 0.0,
            value,
            gap: value - (at.mean_reward - alpha * at.kl),
            warnings: Vec::new(),
            probabilities,
        })
    }

    /// The tilt of `prior` (probabilities) towards `reward` at price `alpha` of a unit of any divergence.
    ///
    /// ```
    /// use seqtilt::eval::exact::Tilt;
    /// use seqtilt::finetune::divergence::Pearson;
    /// let tilt = Tilt::of(&[0.5, 0.5], &[0.0, 1.0], 0.5, &Pearson)?;
    /// assert!((tilt.probabilities[1] - 0.75).abs() < 1e-15);   // linear in the reward
    /// assert!((tilt.value - 0.625).abs() < 1e-15);             // E_p r + Var(r)/(4α)
    /// # Ok::<(), seqtilt::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`kl`](Self::kl), and when the rewards range over more α than a number holds.
    pub fn of(prior: &[f64], reward: &[f64], alpha: f64, divergence: &dyn Divergence) -> Result<Self> {
        let support = Support::new(prior, reward)?;
        let inside: Vec<f64> = support.index.iter().map(|i| reward[*i]).collect();
        let shares: Vec<f64> = support.log_prior.iter().map(|log| log.exp()).collect();
        let tilting = Tilting::solve(&inside, Some(&shares), alpha, divergence)?;
        let mut probabilities = vec![0.0; prior.len()];
        for ((index, share), log) in support.index.iter().zip(&shares).zip(&tilting.log_density) {
            probabilities[*index] = share * log.exp();
        }
        Ok(Self {
            alpha,
            probabilities,
            log_z: tilting.lambda / alpha,
            lambda: tilting.lambda,
            mean_reward: tilting.mean_reward,
            kl: tilting.kl,
            divergence: tilting.divergence,
            ess: tilting.ess,
            max_weight: tilting.max_weight,
            dropped: tilting.dropped,
            value: tilting.value,
            gap: tilting.gap,
            warnings: tilting.warnings().to_vec(),
        })
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
