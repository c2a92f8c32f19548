//! The log-variance loss.

use super::score::row;
use super::{Ledger, Objective, PathLoss, PathObjective, Weighed};
use crate::error::{Error, Result};
use crate::finetune::FinetuneConfig;

/// At the optimum `L − r/α` is the same on every path, so its variance over paths of any law of full support is a loss (Nüsken
/// and Richter 2021, arXiv 2005.05409):
///
/// ```text
/// loss = Var_Q[δ],   δ = L_θ − log g((r − λ)/α),   ∂loss/∂L_i = 2 (δ_i − δ̄)/(n − 1)
/// ```
/// with `log g((r − λ)/α)` the stand-in reward over α, `r/α − log Z` for KL. In this form it holds for divergences that truncate too,
/// by the floor of the stand-in; the form `Var[r − α f'(e^L)]` does not, whose condition of optimality is an inequality off the
/// support. Paths may be reused: they need not be the present control's.
#[derive(Clone, Copy, Debug)]
pub struct LogVariance {
    /// Optimiser steps on one batch of paths.
    pub reuse: u64,
}

pub(super) fn make(config: &FinetuneConfig) -> Box<dyn Objective> {
    Box::new(PathObjective::new(LogVariance { reuse: config.reuse }).replaying(&config.replay))
}

impl PathLoss for LogVariance {
    fn weigh(&self, ledger: &Ledger<'_>) -> Result<Weighed> {
        let targets: Vec<f64> = ledger.values.iter().map(|r| r / ledger.alpha).collect();
        regress(ledger, &targets)
    }

    fn reuse(&self) -> u64 {
        self.reuse
    }

    fn replays(&self) -> bool {
        true
    }

    fn explores(&self) -> bool {
        true
    }
}

/// The weights of `Var[L_θ − target]`, and its value.
pub(super) fn regress(ledger: &Ledger<'_>, targets: &[f64]) -> Result<Weighed> {
    if targets.len() < 2 {
        return Err(Error::usage("a variance over paths needs at least 2 paths a step"));
    }
    let residuals: Vec<f64> = ledger.ratio().iter().zip(targets).map(|(l, target)| l - target).collect();
    let n = residuals.len() as f64;
    let mean = residuals.iter().sum::<f64>() / n;
    let variance = residuals.iter().map(|d| (d - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let weights = residuals.iter().map(|d| 2.0 * (d - mean) / (n - 1.0)).collect();
    Ok(Weighed { weights: row(weights), figures: vec![("residual_variance", variance)] })
}
