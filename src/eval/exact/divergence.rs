//! Divergences of enumerated laws, and the curve of the best rewards that they buy.

use super::Tilt;
use crate::error::{Error, Result};
use crate::finetune::divergence::Divergence;
use serde::{Deserialize, Serialize};

/// `D_f(q‖p)` of two laws over the same enumerated space.
///
/// ```text
/// D_f(q‖p) = Σ_{p > 0} p f(q/p) + f'(∞) Σ_{p = 0} q
/// ```
/// Infinite where q leaves the support of p and `f'(∞)` is infinite, or leaves some of p out and `f(0)` is.
///
/// ```
/// use seqtilt::eval::exact::divergence;
/// use seqtilt::finetune::divergence::{ForwardKl, JensenShannon, Pearson};
/// let (q, p) = ([0.75, 0.25, 0.0], [0.5, 0.5, 0.0]);
/// assert_eq!(divergence(&q, &p, &Pearson)?, 0.25);
/// assert!((divergence(&[0.0, 0.0, 1.0], &p, &JensenShannon)? - 2.0_f64.ln()).abs() < 1e-15);
/// assert_eq!(divergence(&[1.0, 0.0, 0.0], &p, &ForwardKl)?, f64::INFINITY);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Errors
/// When the lengths differ or an entry is negative or not a number.
pub fn divergence(q: &[f64], p: &[f64], divergence: &dyn Divergence) -> Result<f64> {
    if q.len() != p.len() {
        return Err(Error::data(format!("laws over {} and {} sequences; one space is needed", q.len(), p.len())));
    }
    if let Some(bad) = q.iter().chain(p).find(|x| !(**x >= 0.0 && x.is_finite())) {
        return Err(Error::data(format!("a probability is {bad}; at least 0 is accepted")));
    }
    let (mut inside, mut outside) = (0.0, 0.0);
    for (q, p) in q.iter().zip(p) {
        if *p > 0.0 {
            let ratio = q / p;
            let log = ratio.ln();
            // near 1 the generator cancels and its path form does not
            inside += if log.abs() < 0.5 { q * divergence.path_value(log) } else { p * divergence.f(ratio) };
        } else {
            outside += q;
        }
    }
    Ok(if outside > 0.0 { inside + divergence.slope_at_infinity() * outside } else { inside })
}

/// A point of the curve of a divergence: the tilt at one price.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DivergencePoint {
    /// The price.
    pub alpha: f64,
    /// The best mean reward at that divergence.
    pub reward: f64,
    /// D_f from the prior.
    pub divergence: f64,
    /// KL from the prior, in nats, to compare divergences by.
    pub kl: f64,
    /// Effective share of draws from the prior, in (0, 1].
    pub ess: f64,
    /// The largest probability of one sequence.
    pub max_weight: f64,
    /// Share of the prior that is left out.
    pub dropped: f64,
}

/// The exact frontier of reward and divergence at the given prices, in their order.
///
/// Each point has the largest mean reward that any law within its divergence can have; read against KL it shows what a
/// divergence loses to the frontier of KL, [`Frontier`](super::Frontier).
///
/// # Errors
/// As [`Tilt::of`].
pub fn divergence_curve(
    prior: &[f64],
    reward: &[f64],
    divergence: &dyn Divergence,
    alphas: &[f64],
) -> Result<Vec<DivergencePoint>> {
    let point = |alpha: &f64| {
        let tilt = Tilt::of(prior, reward, *alpha, divergence)?;
        Ok(DivergencePoint {
            alpha: *alpha,
            reward: tilt.mean_reward,
            divergence: tilt.divergence,
            kl: tilt.kl,
            ess: tilt.ess,
            max_weight: tilt.max_weight,
            dropped: tilt.dropped,
        })
    };
    alphas.iter().map(point).collect()
}
