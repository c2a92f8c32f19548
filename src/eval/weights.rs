//! Path weights: what forward and reverse paths say about log Z, and whether to believe it.
//!
//! A tuned chain Pᵘ and the optimum `P* = P e^{r/α}/Z` differ on every path by a known number, the path's *work*
//!
//! ```text
//! W = r(x_K)/α − L − log ν_u(x_0)/ν(x_0)        L = log dPᵘ/dP, the path log-ratio
//! ```
//! (the last term is 0 where the initial law is the base's, and part of L where it is led to by steps). From it follow
//!
//! ```text
//! Jarzynski   Z = E_u[e^W] for any control and any noise          Crooks   dPᵘ/dP* = Z e^{−W}
//! bounds      E_u[W] ≤ log Z ≤ E_{P*}[W]                          KL(Pᵘ‖P*) = log Z − E_u[W]
//! ```
//! Z is that of the base sampler of K steps as it runs, so that nothing here has an error of discretisation. The frame is that of
//! arXiv 2605.00229; these forms for tilting are derived here. Everything is arithmetic on the works of paths:
//! [`PathWeights`] of forward paths alone, [`bennett`] and [`Weighed`] of both directions, [`defensive`] of a pool of both,
//! [`self_normalised`] for any statistic, and a [`Verdict`] in words.

mod bennett;
mod defensive;
mod self_normalised;
mod verdict;
mod weighed;

pub use bennett::{Side, bennett};
pub use defensive::{DefensiveMixture, defensive, log_defensive};
pub use self_normalised::self_normalised;
pub use verdict::{MISSED_RATIO, MISSED_SHARE, SPREAD_SHARE, Verdict};
pub use weighed::{BasePath, BaseSide, Weighed};

use super::{Estimate, log_mean_exp};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// What the works W of tuned paths say by themselves.
///
/// ```text
/// log Ẑ = log mean e^W,  se = sd(e^W)/(mean √n)      ESS = (Σ e^W)²/Σ e^{2W}      E_u[W] ≤ log Z ≤ E_{P*}[W] ≈ Σ w̄ W
/// ```
/// For Gaussian works of variance σ², `log Z = E[W] + σ²/2` and `ESS/n → e^{−σ²}`. None of it knows of places where no tuned path
/// has been: an effective sample size near n is compatible with a missed mode, and the upper bound by self-normalised weights
/// is then a bound on the part of Z that was seen. Paths of the base chain tell: [`Weighed`].
///
/// ```
/// use seqtilt::eval::weights::PathWeights;
/// // two works, W = ±1: E[e^W] = cosh 1, ESS = 2 (2 cosh 1)² / (2 · 2 cosh 2)
/// let weights = PathWeights::of(&[1.0, -1.0])?;
/// assert!((weights.log_z.value - 1.0_f64.cosh().ln()).abs() < 1e-12);
/// assert!((weights.ess - 2.0 * 1.0_f64.cosh().powi(2) / 2.0_f64.cosh()).abs() < 1e-12);
/// assert!((weights.upper.value - 1.0_f64.tanh()).abs() < 1e-12 && weights.lower.value == 0.0);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PathWeights {
    /// Number of paths.
    pub n: usize,
    /// log Ẑ by Jarzynski's equality; the standard error is the delta method's.
    pub log_z: Estimate,
    /// Effective number of paths, in 1..=n.
    pub ess: f64,
    /// Var W, in nats²; at the optimum 0.
    pub variance: f64,
    /// `E_u[W]`, never more than log Z.
    pub lower: Estimate,
    /// `E_{P*}[W]` by self-normalised weights of these paths: at least log Z, as far as they reach.
    pub upper: Estimate,
}

impl PathWeights {
    /// Of the works of independent tuned paths.
    ///
    /// # Errors
    /// When there are fewer than two, or one is not finite.
    pub fn of(works: &[f64]) -> Result<Self> {
        finite("work", works)?;
        let (mean, lower) = (log_mean_exp(works), Estimate::mean(works));
        let n = works.len() as f64;
        Ok(Self {
            n: works.len(),
            log_z: mean.log,
            ess: mean.ess,
            variance: lower.se * lower.se * n,
            lower,
            upper: self_normalised(works, works),
        })
    }

    /// [`Self::ess`] as a share of the paths.
    #[must_use]
    pub fn ess_share(&self) -> f64 {
        self.ess / self.n as f64
    }
}

/// Refuses fewer than two numbers, and numbers that are not finite.
fn finite(what: &str, values: &[f64]) -> Result<()> {
    if values.len() < 2 {
        return Err(Error::usage(format!("{} of `{what}`; at least 2 are needed", values.len())));
    }
    match values.iter().position(|value| !value.is_finite()) {
        Some(i) => Err(Error::data(format!("`{what}` of path {i} is {}; finite numbers are accepted", values[i]))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
