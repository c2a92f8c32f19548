//! Means of paths with their standard errors.

use serde::{Deserialize, Serialize};

/// A mean over independent paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sampled {
    /// The mean.
    pub mean: f64,
    /// Its standard error.
    pub error: f64,
}

impl Sampled {
    /// Of one number a path.
    pub(super) fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        Self { mean, error: (squares / (n * (n - 1.0))).sqrt() }
    }

    /// Of a ratio of two means, to first order in their errors.
    pub(super) fn ratio(above: &[f64], below: &[f64]) -> Self {
        let ratio = above.iter().sum::<f64>() / below.iter().sum::<f64>();
        let residuals: Vec<f64> = above.iter().zip(below).map(|(a, b)| a - ratio * b).collect();
        Self { mean: ratio, error: Self::of(&residuals).error / Self::of(below).mean.abs() }
    }
}
