//! A training run that can stop after any step and go on later with the same bytes.

use super::Tensors;
use crate::error::Result;

/// Named figures of one step, such as `("loss", 1.38)`.
pub type Figures = Vec<(&'static str, f64)>;

/// A run of `total` steps whose whole state is a set of tensors.
///
/// Everything else (data, configuration, seeds) is given again on resume; randomness derives from the step number.
pub trait Training {
    /// Steps in total.
    fn total(&self) -> u64;

    /// Steps done.
    fn done(&self) -> u64;

    /// What the next step is part of, in a run that does several things one after the other.
    fn stage(&self) -> Option<&'static str> {
        None
    }

    /// Takes one step.
    ///
    /// # Errors
    /// When a tensor operation fails or the loss is no longer finite.
    fn step(&mut self) -> Result<Figures>;

    /// Everything needed to go on after [`done`](Self::done) steps.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    fn state(&self) -> Result<Tensors>;

    /// Takes over the state of a run with the same configuration.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    fn restore(&mut self, done: u64, state: &Tensors) -> Result<()>;

    /// The weights that are kept at the end.
    fn weights(&self) -> Tensors;
}

/// Warm-up over the first 2 % of the steps, then a cosine from `peak` down to 1 % of it.
#[must_use]
pub fn learning_rate(peak: f64, step: u64, total: u64) -> f64 {
    let (step, total) = (step as f64, total.max(1) as f64);
    let warm = ((step + 1.0) / (0.02 * total).max(1.0)).min(1.0);
    let cosine = 0.5 * (1.0 + (std::f64::consts::PI * (step / total).min(1.0)).cos());
    peak * warm * (0.01 + 0.99 * cosine)
}
