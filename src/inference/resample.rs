//! Choosing particles by weight.

use crate::random::Rng;

/// log (1/n) Σ exp(l), without overflow.
pub(super) fn log_mean(logs: &[f64]) -> f64 {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return most;
    }
    most + (logs.iter().map(|l| (l - most).exp()).sum::<f64>() / logs.len() as f64).ln()
}

/// Weights exp(l − max l), in (0, 1].
pub(super) fn weights(logs: &[f64]) -> Vec<f64> {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logs.iter().map(|l| (l - most).exp()).collect()
}

/// Effective number of weighted particles, `(Σ w)² / Σ w²`, from log-weights.
///
/// ```
/// assert_eq!(seqtilt::inference::effective(&[3.0, 3.0, f64::NEG_INFINITY]), 2.0);
/// ```
#[must_use]
pub fn effective(logs: &[f64]) -> f64 {
    let weights = weights(logs);
    let (sum, squares) = weights.iter().fold((0.0, 0.0), |(s, q), w| (s + w, q + w * w));
    sum * sum / squares
}

/// Systematic resampling: `count` parents by one uniform number u.
///
/// ```text
/// parent(j) = the i with  W_1 + … + W_{i−1} ≤ (j + u)/count < W_1 + … + W_i        W normalised weights
/// ```
/// Particle i has `count · W_i` children on average, and always one of the two whole numbers beside that.
/// Carpenter, Clifford and Fearnhead 1999.
///
/// ```
/// use seqtilt::inference::systematic;
/// let parents = systematic(&[0.5_f64.ln(), 0.25_f64.ln(), 0.25_f64.ln()], 4, &mut seqtilt::Seed::root(1).rng());
/// assert_eq!(parents, [0, 0, 1, 2]);
/// ```
///
/// # Panics
/// If the log-weights do not have a finite largest one.
#[must_use]
pub fn systematic(logs: &[f64], count: usize, rng: &mut Rng) -> Vec<u32> {
    let weights = weights(logs);
    let total: f64 = weights.iter().sum();
    assert!(total.is_finite() && total > 0.0, "weights must have a positive, finite sum, got {total}");
    let start = rng.uniform();
    let last = weights.iter().rposition(|weight| *weight > 0.0).unwrap_or(0);
    let (mut parent, mut below) = (0, weights[0]);
    (0..count)
        .map(|j| {
            let point = (j as f64 + start) / count as f64 * total;
            while point >= below && parent < last {
                parent += 1;
                below += weights[parent];
            }
            parent as u32
        })
        .collect()
}
