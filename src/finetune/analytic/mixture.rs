//! Mixtures of Gaussians in one dimension, and their exact tilts.

use super::{Mixing, Normal, Quadratic};
use serde::{Deserialize, Serialize};

/// A mixture of Gaussians: weights that add up to 1, and laws.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Mixture(Vec<(f64, Normal)>);

impl Mixture {
    /// The mixture of these parts, whose weights are brought to sum 1.
    #[must_use]
    pub fn new(parts: &[(f64, Normal)]) -> Self {
        let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
        Self(parts.iter().map(|(weight, law)| (weight / total, *law)).collect())
    }

    /// One Gaussian.
    #[must_use]
    pub fn gaussian(mean: f64, variance: f64) -> Self {
        Self(vec![(1.0, Normal { mean, variance })])
    }

    /// Weights and laws.
    #[must_use]
    pub fn parts(&self) -> &[(f64, Normal)] {
        &self.0
    }

    /// Mean and variance of the whole.
    #[must_use]
    pub fn moments(&self) -> Normal {
        let mean: f64 = self.0.iter().map(|(weight, law)| weight * law.mean).sum();
        let spread = |law: &Normal| law.variance + (law.mean - mean).powi(2);
        Normal { mean, variance: self.0.iter().map(|(weight, law)| weight * spread(law)).sum() }
    }

    /// The law of `a X + b ε`: every part's mean times a, its variance `a² S + b²`.
    #[must_use]
    pub fn mixed(&self, at: Mixing) -> Self {
        let part = |law: Normal| Normal {
            mean: at.signal * law.mean,
            variance: at.signal.powi(2) * law.variance + at.noise.powi(2),
        };
        Self(self.0.iter().map(|(weight, law)| (*weight, part(*law))).collect())
    }

    /// Log densities of the parts, weighted, and their log-sum-exp.
    fn logs(&self, x: f64) -> (Vec<f64>, f64) {
        let log = |(weight, law): &(f64, Normal)| {
            let distance = (x - law.mean).powi(2) / law.variance;
            weight.ln() - 0.5 * (distance + (std::f64::consts::TAU * law.variance).ln())
        };
        let logs: Vec<f64> = self.0.iter().map(log).collect();
        let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum = logs.iter().map(|log| (log - top).exp()).sum::<f64>();
        (logs, top + sum.ln())
    }

    /// log p(x).
    #[must_use]
    pub fn log_density(&self, x: f64) -> f64 {
        self.logs(x).1
    }

    /// d log p/dx.
    #[must_use]
    pub fn score(&self, x: f64) -> f64 {
        let (logs, whole) = self.logs(x);
        let each = logs.iter().zip(&self.0).map(|(log, (_, law))| (log - whole).exp() * (law.mean - x) / law.variance);
        each.sum()
    }

    /// d² log p/dx²: minus the mean precision, and the variance of the parts' scores.
    #[must_use]
    pub fn score_slope(&self, x: f64) -> f64 {
        let (logs, whole) = self.logs(x);
        let (mut mean, mut square, mut bend) = (0.0, 0.0, 0.0);
        for (log, (_, law)) in logs.iter().zip(&self.0) {
            let (share, score) = ((log - whole).exp(), (law.mean - x) / law.variance);
            mean += share * score;
            square += share * score * score;
            bend += share / law.variance;
        }
        square - mean * mean - bend
    }

    /// The tilt `p e^{r/α}/Z` and log Z.
    ///
    /// With k, q the reward's slope and curvature over α and c its centre, part by part:
    ///
    /// ```text
    /// S' = (1/S + q)⁻¹    m' = S' (m/S + k + q c)
    /// log z = ½ log S'/S + ½ m'²/S' − ½ m²/S − ½ q c²        Z = Σ w z,  w' = w z/Z
    /// ```
    #[must_use]
    pub fn tilted(&self, reward: &Quadratic, alpha: f64) -> (Self, f64) {
        let (k, q, c) = (reward.slope / alpha, reward.curvature / alpha, reward.centre);
        let tilted = self.0.iter().map(|(weight, law)| {
            let variance = 1.0 / (1.0 / law.variance + q);
            let mean = variance * (law.mean / law.variance + k + q * c);
            let squares = mean * mean / variance - law.mean * law.mean / law.variance - q * c * c;
            (weight.ln() + 0.5 * ((variance / law.variance).ln() + squares), Normal { mean, variance })
        });
        let tilted: Vec<(f64, Normal)> = tilted.collect();
        let top = tilted.iter().map(|(log, _)| *log).fold(f64::NEG_INFINITY, f64::max);
        let log_z = top + tilted.iter().map(|(log, _)| (log - top).exp()).sum::<f64>().ln();
        (Self(tilted.into_iter().map(|(log, law)| ((log - log_z).exp(), law)).collect()), log_z)
    }

    /// `E[r]` under this law.
    #[must_use]
    pub fn mean_of(&self, reward: &Quadratic) -> f64 {
        let each = |law: &Normal| reward.at(law.mean) - 0.5 * reward.curvature * law.variance;
        self.0.iter().map(|(weight, law)| weight * each(law)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_score_is_the_slope_of_the_log_density() {
        let law =
            Mixture::new(&[(2.0, Normal { mean: -1.0, variance: 0.3 }), (1.0, Normal { mean: 0.5, variance: 0.8 })]);
        for x in [-2.0, 0.1, 1.7] {
            let slope = (law.log_density(x + 1e-5) - law.log_density(x - 1e-5)) / 2e-5;
            // central differences: error about h² f‴ + 1e-16/h
            assert!((slope - law.score(x)).abs() < 1e-8, "{x}");
            let bend = (law.score(x + 1e-5) - law.score(x - 1e-5)) / 2e-5;
            assert!((bend - law.score_slope(x)).abs() < 1e-7, "{x}");
        }
    }

    #[test]
    fn the_tilt_is_the_density_times_the_exponential_of_the_reward() {
        let law =
            Mixture::new(&[(0.5, Normal { mean: -1.0, variance: 0.3 }), (0.5, Normal { mean: 1.5, variance: 0.8 })]);
        let reward = Quadratic { slope: 0.4, curvature: 1.5, centre: 0.7 };
        let (tilted, log_z) = law.tilted(&reward, 0.8);
        for x in [-2.0, 0.1, 1.7] {
            let direct = law.log_density(x) + reward.at(x) / 0.8 - log_z;
            assert!((tilted.log_density(x) - direct).abs() < 1e-12, "{x}");
        }
    }
}
