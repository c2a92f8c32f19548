//! Score-function policy gradient.

use super::{Ledger, Objective, PathLoss, PathObjective, Weighed};
use crate::error::{Error, Result};
use crate::finetune::FinetuneConfig;
use ndarray::Array2;

/// The gradient of `J = E[r] − α KL` by the density of the paths alone (REINFORCE, Williams 1992):
///
/// ```text
/// ∂J/∂θ = E[(r − α L − b) ∂ log P^θ/∂θ],   b_i the mean over the other paths
/// ```
/// Unbiased, on-policy, and far noisier than back-propagation; the reward is scored as decoded.
#[derive(Clone, Copy, Debug)]
pub struct ScoreFunction;

pub(super) fn make(_: &FinetuneConfig) -> Box<dyn Objective> {
    Box::new(PathObjective::new(ScoreFunction))
}

impl PathLoss for ScoreFunction {
    fn weigh(&self, ledger: &Ledger<'_>) -> Result<Weighed> {
        let ratio = ledger.drawn_ratio();
        let returns: Vec<f64> = ledger.values.iter().zip(&ratio).map(|(r, l)| r / ledger.alpha - l).collect();
        let n = returns.len() as f64;
        if returns.len() < 2 {
            return Err(Error::usage("a score-function gradient needs at least 2 paths a step"));
        }
        let sum: f64 = returns.iter().sum();
        // the mean over the others is (sum − R_i)/(n − 1), so R_i − b_i = (n R_i − sum)/(n − 1)
        let weights = returns.iter().map(|value| -(n * value - sum) / (n - 1.0) / n).collect();
        Ok(Weighed { weights: row(weights), figures: Vec::new() })
    }
}

/// The same weights at every step.
pub(super) fn row(weights: Vec<f64>) -> Array2<f64> {
    let n = weights.len();
    Array2::from_shape_vec((1, n), weights).unwrap_or_default()
}
