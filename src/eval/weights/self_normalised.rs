//! Expectations under weights that are known up to a factor.

use crate::eval::Estimate;

/// The expectation of a statistic f under the law whose unnormalised log-weights relative to the samples' own are `log_weights`.
///
/// ```text
/// w̄_i = e^{l_i}/Σ e^{l_j}      μ̂ = Σ w̄_i f_i      se² = Σ w̄_i² (f_i − μ̂)²
/// ```
/// Self-normalised importance sampling; the standard error is the delta method's, the bias O(1/ESS). With works W of tuned paths
/// as log-weights it is an expectation under P*; with `r/α` of base paths too. NaN of no samples.
///
/// ```
/// use seqtilt::eval::weights::self_normalised;
/// let mean = self_normalised(&[3.0_f64.ln(), 0.0], &[1.0, 5.0]);
/// assert!((mean.value - 2.0).abs() < 1e-12); // weights ¾ and ¼
/// assert!((mean.se - (0.75_f64.powi(2) + 0.75_f64.powi(2)).sqrt()).abs() < 1e-12);
/// ```
///
/// # Panics
/// If there is not one value per weight.
#[must_use]
pub fn self_normalised(log_weights: &[f64], values: &[f64]) -> Estimate {
    let weights = normalised(log_weights);
    assert_eq!(weights.len(), values.len(), "one value per weight");
    let over = |f: &dyn Fn(f64, f64) -> f64| weights.iter().zip(values).map(|(w, x)| f(*w, *x)).sum::<f64>();
    let value = if values.is_empty() { f64::NAN } else { over(&|w, x| if w > 0.0 { w * x } else { 0.0 }) };
    let square = |w: f64, x: f64| if w > 0.0 { (w * (x - value)).powi(2) } else { 0.0 };
    Estimate { value, se: over(&square).sqrt() }
}

/// Weights that sum to 1.
fn normalised(log_weights: &[f64]) -> Vec<f64> {
    let most = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = log_weights.iter().map(|l| (l - most).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / total).collect()
}
