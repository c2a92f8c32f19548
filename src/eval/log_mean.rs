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

/// [`log_mean_exp`] of log-weights that occur many times each: the same numbers as of the list written out.
///
/// ```
/// use seqtilt::eval::{log_mean_exp, log_mean_exp_counted};
/// let (counted, plain) = (log_mean_exp_counted(&[0.5, 7.0, 2.0], &[2, 0, 1]), log_mean_exp(&[0.5, 0.5, 2.0]));
/// assert!((counted.log.value - plain.log.value).abs() < 1e-12 && (counted.log.se - plain.log.se).abs() < 1e-12);
/// assert!((counted.ess - plain.ess).abs() < 1e-12);
/// ```
///
/// # Panics
/// If there is not one count per log-weight.
#[must_use]
pub fn log_mean_exp_counted(log_weights: &[f64], counts: &[u64]) -> LogMean {
    assert_eq!(log_weights.len(), counts.len(), "one count per weight");
    let seen = || log_weights.iter().zip(counts).filter(|(_, c)| **c > 0).map(|(l, c)| (*l, *c as f64));
    let max = seen().map(|(l, _)| l).fold(f64::NEG_INFINITY, f64::max);
    if !max.is_finite() {
        return LogMean { log: Estimate { value: max, se: f64::NAN }, ess: 0.0 };
    }
    let (n, sum, squares) = seen().fold((0.0, 0.0, 0.0), |(n, s, q), (l, c)| {
        let w = (l - max).exp();
        (n + c, s + c * w, q + c * w * w)
    });
    let mean = sum / n;
    let spread: f64 = seen().map(|(l, c)| c * ((l - max).exp() - mean).powi(2)).sum();
    let se = if n > 1.0 { (spread / (n * (n - 1.0))).sqrt() } else { f64::INFINITY };
    LogMean { log: Estimate { value: max + mean.ln(), se: se / mean }, ess: sum * sum / squares }
}
