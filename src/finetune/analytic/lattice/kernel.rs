//! Gaussian steps on a lattice.

use std::ops::Range;

/// Standard deviations beyond which a Gaussian is cut: `e^{−½ 9²}` is 3e-18.
const REACH: f64 = 9.0;

/// A Gaussian step of one width.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernel {
    std: f64,
    spacing: f64,
}

impl Kernel {
    pub(super) fn new(std: f64, spacing: f64) -> Self {
        Self { std, spacing }
    }

    pub(super) fn std(&self) -> f64 {
        self.std
    }

    /// N(x_j; mean, std²) at the points.
    pub(super) fn density(&self, points: &[f64], mean: f64) -> Vec<f64> {
        let scale = 1.0 / (self.std * std::f64::consts::TAU.sqrt());
        points.iter().map(|x| scale * (-0.5 * ((x - mean) / self.std).powi(2)).exp()).collect()
    }

    /// The points that a Gaussian around `mean` reaches: at least one.
    fn band(&self, points: &[f64], mean: f64) -> Range<usize> {
        let index = |x: f64| ((x - points[0]) / self.spacing).clamp(0.0, (points.len() - 1) as f64);
        let reach = REACH * self.std;
        index(mean - reach).floor() as usize..index(mean + reach).ceil() as usize + 1
    }

    /// Calls `each` with every point's index, its distance to the mean over the width, and its share; shares sum to 1, also
    /// where the Gaussian leaves the lattice.
    pub(super) fn over(&self, points: &[f64], mean: f64, mut each: impl FnMut(usize, f64, f64)) {
        let band = self.band(points, mean);
        let distance = |j: usize| (points[j] - mean) / self.std;
        // far outside, the nearest point takes all
        let near = ((mean - points[0]) / self.spacing).round().clamp(0.0, (points.len() - 1) as f64) as usize;
        let nearest = distance(near).powi(2);
        let weight = |j: usize| (-0.5 * (distance(j).powi(2) - nearest)).exp();
        let weights: Vec<f64> = band.clone().map(weight).collect();
        let total: f64 = weights.iter().sum();
        for (j, weight) in band.zip(weights) {
            each(j, distance(j), weight / total);
        }
    }

    /// The law after the step, from a law whose points move to `means`.
    pub(super) fn push(&self, points: &[f64], law: &[f64], means: &[f64]) -> Vec<f64> {
        let mut next = vec![0.0; law.len()];
        for (p, mean) in law.iter().zip(means).filter(|(p, _)| **p > 0.0) {
            self.over(points, *mean, |j, _, share| next[j] += p * share);
        }
        next
    }
}
