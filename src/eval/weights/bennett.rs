//! Bennett's acceptance ratio.

use super::finite;
use crate::error::{Error, Result};
use crate::eval::Estimate;

/// Works of the paths of one direction.
#[derive(Clone, Copy, Debug)]
pub struct Side<'a> {
    /// The works W.
    pub works: &'a [f64],
    /// Log-weights that make the paths a sample of their law, where they are not one as they are.
    pub log_weights: Option<&'a [f64]>,
}

impl<'a> Side<'a> {
    /// Paths that are a sample of their law.
    #[must_use]
    pub fn plain(works: &'a [f64]) -> Self {
        Self { works, log_weights: None }
    }

    /// Paths that are one under these log-weights, such as base paths of P* under `r/α`.
    #[must_use]
    pub fn weighted(works: &'a [f64], log_weights: &'a [f64]) -> Self {
        Self { works, log_weights: Some(log_weights) }
    }

    fn checked(&self, what: &str) -> Result<Vec<f64>> {
        finite(what, self.works)?;
        match self.log_weights {
            None => Ok(vec![0.0; self.works.len()]),
            Some(logs) if logs.len() == self.works.len() => finite("log-weight", logs).map(|()| logs.to_vec()),
            Some(logs) => {
                let (n, m) = (self.works.len(), logs.len());
                Err(Error::usage(format!("{n} works and {m} log-weights; as many of each are needed")))
            }
        }
    }
}

/// log Z from works of tuned paths (`forward`) and of paths of the optimum P* (`reverse`), by Bennett's acceptance ratio.
///
/// ```text
/// n_f mean_f σ(W − C + m) = n_r mean_r σ(C − W − m),   m = log n_r/n_f,   σ the logistic        log Ẑ = C
/// se² = var_f(σ)/(n_f mean_f²) + var_r(σ)/(n_r mean_r²)
/// ```
/// the maximum-likelihood estimate from both samples (Bennett 1976; Shirts et al. 2003), finite where either one-sided mean of
/// exponentials is ruined by its tail. n is the effective number where a side is weighted; any m is consistent, this one is the best.
///
/// ```
/// use seqtilt::eval::weights::{Side, bennett};
/// // works 0 and 1 forward, 1 and 2 backward, as many of each: symmetric about 1
/// let log_z = bennett(&Side::plain(&[0.0, 1.0]), &Side::plain(&[1.0, 2.0]))?;
/// assert!((log_z.value - 1.0).abs() < 1e-12);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Errors
/// When a side has fewer than two paths, or a number is not finite.
pub fn bennett(forward: &Side<'_>, reverse: &Side<'_>) -> Result<Estimate> {
    let (forward_logs, reverse_logs) = (forward.checked("forward work")?, reverse.checked("reverse work")?);
    let tilt = (effective(&reverse_logs) / effective(&forward_logs)).ln();
    let (forward_shares, reverse_shares) = (log_shares(&forward_logs), log_shares(&reverse_logs));
    // log of forward mean over reverse mean, plus the numbers': falls in C from +∞ to −∞
    let excess = |c: f64| {
        let up = log_mean(&forward_shares, forward.works, |w| log_logistic(w - c + tilt));
        up - log_mean(&reverse_shares, reverse.works, |w| log_logistic(c - w - tilt)) - tilt
    };
    let all = || forward.works.iter().chain(reverse.works);
    let (mut low, mut high) = all().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), w| (l.min(*w), h.max(*w)));
    let mut reach = 1.0 + tilt.abs();
    while excess(low) < 0.0 {
        low -= reach;
        reach *= 2.0;
    }
    while excess(high) > 0.0 {
        high += reach;
        reach *= 2.0;
    }
    // halving a bracket: 200 times is more than the bits of a number
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if excess(middle) > 0.0 { low = middle } else { high = middle }
    }
    let value = 0.5 * (low + high);
    // a path's part of its mean, p = w̄σ/Σw̄σ, beside its weight w̄: se²/mean² = Σ(p − w̄)², whatever the scale of either
    let relative = |shares: &[f64], works: &[f64], sign: f64| {
        let logistic = |w: f64| log_logistic(sign * (w - value + tilt));
        let mean = log_mean(shares, works, logistic);
        let off = |(share, w): (&f64, &f64)| (share + logistic(*w) - mean).exp() - share.exp();
        shares.iter().zip(works).map(|pair| off(pair).powi(2)).sum::<f64>()
    };
    let square = relative(&forward_shares, forward.works, 1.0) + relative(&reverse_shares, reverse.works, -1.0);
    Ok(Estimate { value, se: square.sqrt() })
}

/// Logarithms of weights that sum to 1: no weight is lost, however small.
fn log_shares(logs: &[f64]) -> Vec<f64> {
    let total = log_sum(logs.iter().copied());
    logs.iter().map(|log| log - total).collect()
}

/// (Σ w)²/Σ w².
fn effective(logs: &[f64]) -> f64 {
    (2.0 * log_sum(logs.iter().copied()) - log_sum(logs.iter().map(|log| 2.0 * log))).exp()
}

/// log Σ e^l.
fn log_sum(logs: impl Iterator<Item = f64> + Clone) -> f64 {
    let top = logs.clone().fold(f64::NEG_INFINITY, f64::max);
    top + logs.map(|log| (log - top).exp()).sum::<f64>().ln()
}

/// log σ(x), without overflow.
fn log_logistic(x: f64) -> f64 {
    -((-x.abs()).exp().ln_1p() + (-x).max(0.0))
}

/// log Σ w̄ e^{f(W)} of the logarithms of weights w̄.
fn log_mean(shares: &[f64], works: &[f64], f: impl Fn(f64) -> f64) -> f64 {
    let logs: Vec<f64> = shares.iter().zip(works).map(|(share, w)| share + f(*w)).collect();
    log_sum(logs.iter().copied())
}
