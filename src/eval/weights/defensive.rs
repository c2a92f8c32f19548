//! A few base paths among the tuned ones.

use super::finite;
use crate::error::{Error, Result};
use crate::eval::{Estimate, log_mean_exp};
use serde::{Deserialize, Serialize};

/// The log-weight of a path relative to a mixture of a share λ of base paths and 1 − λ of tuned ones.
///
/// ```text
/// log w = r/α − log((1 − λ) e^L + λ)        L = log dPᵘ/dP on that path, whichever of the two it came from
/// ```
/// It is never more than `r/α − log λ`, so that no path of a mode that the tuned chain misses can have an unbounded weight
/// (Hesterberg 1995; Owen and Zhou 2000).
///
/// ```
/// use seqtilt::eval::weights::log_defensive;
/// assert!((log_defensive(0.5, 1.0, -1e9) - (1.0 + 2.0_f64.ln())).abs() < 1e-12); // the tuned chain never goes there
/// assert_eq!(log_defensive(0.0, 1.0, 0.25), 0.75); // no base paths: the plain work
/// ```
#[must_use]
pub fn log_defensive(share: f64, gain: f64, log_ratio: f64) -> f64 {
    let (tuned, base) = ((1.0 - share).ln() + log_ratio, share.ln());
    let top = tuned.max(base);
    gain - top - ((tuned - top).exp() + (base - top).exp()).ln()
}

/// What a pool of tuned and base paths says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DefensiveMixture {
    /// Share λ of base paths.
    pub share: f64,
    /// log Ẑ.
    pub log_z: Estimate,
    /// Effective number of paths of the pool.
    pub ess: f64,
}

/// log Z from tuned and base paths together, each as (r/α, L), in the shares in which they come.
///
/// ```text
/// Ẑ = (1 − λ) mean_tuned w + λ mean_base w,   λ = n_base/(n_base + n_tuned)
/// se² = ((1 − λ)² var_tuned(w)/n_tuned + λ² var_base(w)/n_base)/Ẑ²
/// ```
/// with the weights of [`log_defensive`]: the balance heuristic (Veach and Guibas 1995), unbiased for Z whatever the control.
///
/// ```
/// use seqtilt::eval::weights::defensive;
/// // the tuned chain is the base: every weight is e^{r/α}
/// let pool = defensive(&[(0.5, 0.0), (0.5, 0.0)], &[(0.5, 0.0), (0.5, 0.0)])?;
/// assert!((pool.log_z.value - 0.5).abs() < 1e-12 && pool.share == 0.5 && (pool.ess - 4.0).abs() < 1e-12);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Errors
/// When there are fewer than two paths of either, or a number is not finite.
pub fn defensive(tuned: &[(f64, f64)], base: &[(f64, f64)]) -> Result<DefensiveMixture> {
    if tuned.len() < 2 || base.len() < 2 {
        let (n, m) = (tuned.len(), base.len());
        return Err(Error::usage(format!("{n} tuned and {m} base paths; at least 2 of each are needed")));
    }
    let share = base.len() as f64 / (base.len() + tuned.len()) as f64;
    let logs = |paths: &[(f64, f64)]| -> Vec<f64> {
        paths.iter().map(|(gain, log_ratio)| log_defensive(share, *gain, *log_ratio)).collect()
    };
    let (from_tuned, from_base) = (logs(tuned), logs(base));
    let all = [from_tuned.clone(), from_base.clone()].concat();
    finite("weight", &all)?;
    let (pool, parts) = (log_mean_exp(&all), [log_mean_exp(&from_tuned), log_mean_exp(&from_base)]);
    let error = |part: usize, share: f64| share * (parts[part].log.value - pool.log.value).exp() * parts[part].log.se;
    let se = error(0, 1.0 - share).hypot(error(1, share));
    Ok(DefensiveMixture { share, log_z: Estimate { value: pool.log.value, se }, ess: pool.ess })
}
