//! Reward-weighted maximum likelihood.

use super::score::row;
use super::{Ledger, Objective, PathLoss, PathObjective, Weighed};
use crate::error::Result;
use crate::finetune::FinetuneConfig;

/// Fits the chain to the optimum in the forward divergence, on weighted paths of its own:
///
/// ```text
/// min KL(P*‖P^θ) = const − E_{P*}[log P^θ],   P*/P^old ∝ w = exp(r/α − L_old),   ∂loss/∂L_i = −w_i/Σ w
/// ```
/// (reward-weighted regression, Peters and Schaal 2007; the weights' effective share is a figure of every step). With few
/// effective paths a step fits those: small α wants more paths.
#[derive(Clone, Copy, Debug)]
pub struct WeightedLikelihood {
    /// Optimiser steps on one batch of paths.
    pub reuse: u64,
}

pub(super) fn make(config: &FinetuneConfig) -> Box<dyn Objective> {
    Box::new(PathObjective::new(WeightedLikelihood { reuse: config.reuse }).replaying(&config.replay))
}

impl PathLoss for WeightedLikelihood {
    fn weigh(&self, ledger: &Ledger<'_>) -> Result<Weighed> {
        let logs: Vec<f64> =
            ledger.values.iter().zip(&ledger.source_ratio()).map(|(r, l)| r / ledger.alpha - l).collect();
        let weights = shares(&logs);
        let ess = 1.0 / weights.iter().map(|w| w * w).sum::<f64>() / weights.len() as f64;
        // E_θ[∂L/∂θ] = 0: the ratio of the present control to the one that drew the paths is a baseline without bias
        let moved: Vec<f64> = ledger.ratio().iter().zip(&ledger.source_ratio()).map(|(now, old)| now - old).collect();
        let weights = shares(&moved).iter().zip(&weights).map(|(moved, w)| moved - w).collect();
        Ok(Weighed { weights: row(weights), figures: vec![("weights_ess_share", ess)] })
    }

    fn reuse(&self) -> u64 {
        self.reuse
    }

    fn replays(&self) -> bool {
        true
    }
}

/// exp(log)/Σ exp(log).
fn shares(logs: &[f64]) -> Vec<f64> {
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logs.iter().map(|log| (log - most).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|w| w / sum).collect()
}
