//! Logarithm of a mean of exponentials.

use super::Estimate;

/// The logarithm of a mean of weights, with its standard error and the effective number of samples behind it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogMean {
    /// The logarithm and its standard error.
    pub log: Estimate,
    /// Effective number of samples, in 1..=n.
    pub ess: f64,
}

/// `log mean exp` of log-weights, without overflow.
///
/// ```text
/// log Ẑ = log (1/n) Σ eˡⁱ      se = sd(w) / (w̄ √n)      ess = (Σ w)² / Σ w²
/// ```
///
/// The standard error is the delta method's; with an effective sample size near 1 it is far too small, and the
/// estimate itself too low: read both beside `ess`.
///
/// ```
/// use seqtilt::eval::log_mean_exp;
/// let z = log_mean_exp(&[1e9, 1e9]);
/// assert_eq!((z.log.value, z.log.se, z.ess), (1e9, 0.0, 2.0));
/// ```
#[must_use]
pub fn log_mean_exp(log_weights: &[f64]) -> LogMean {
    let max = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !max.is_finite() {
        return LogMean { log: Estimate { value: max, se: f64::NAN }, ess: 0.0 };
    }
    let weights = || log_weights.iter().map(|l| (l - max).exp());
    let mean = Estimate::of(weights());
    let (sum, squares) = weights().fold((0.0, 0.0), |(s, q), w| (s + w, q + w * w));
    LogMean { log: Estimate { value: max + mean.value.ln(), se: mean.se / mean.value }, ess: sum * sum / squares }
}
