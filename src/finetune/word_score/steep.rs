//! How far a noised law is from being log-concave.

use super::law::dots;
use super::{Beliefs, WordLaw};
use ndarray::{Array2, Axis};

/// Rounds of power iteration, from a direction that all words load on.
const ROUNDS: usize = 16;

impl WordLaw {
    /// The log signal-to-noise ratio below which the noised law of any words is strictly log-concave, whatever the state:
    ///
    /// ```text
    /// −∇² log p_t = 1/b² − (a²/b⁴) Cov(e | x) ⪰ m,   m b² = 1 − snr · L max|E_u − E_v|²/4 > 0
    /// ```
    #[must_use]
    pub fn log_concave_below(&self) -> f64 {
        -self.widest().ln()
    }
}

impl Beliefs<'_> {
    /// The largest variance of any direction in each state, by power iteration: from below.
    pub(super) fn widest(&self) -> Vec<f64> {
        let mut direction = Array2::from_shape_fn(self.mean().dim(), |(_, i)| 1.0 + 0.3 * (i as f64 + 0.5).sin());
        let mut most = vec![0.0; direction.nrows()];
        for _ in 0..ROUNDS {
            let norms: Vec<f64> = dots(&direction, &direction).into_iter().map(f64::sqrt).collect();
            for (mut row, norm) in direction.axis_iter_mut(Axis(0)).zip(norms) {
                // a collapsed posterior has no direction
                row /= norm.max(f64::MIN_POSITIVE);
            }
            let next = self.covariance(&direction);
            most = dots(&direction, &next);
            direction = next;
        }
        most
    }
}
