//! Proximal policy optimisation.

use super::{Ledger, Objective, PathLoss, PathObjective, Weighed};
use crate::error::{Error, Result};
use crate::finetune::FinetuneConfig;
use ndarray::Array2;

/// PPO with the divergence as a penalty (Schulman et al. 2017, arXiv 1707.06347; on diffusion chains Black et al. 2023, arXiv
/// 2305.13301, and Fan et al. 2023, arXiv 2305.16381):
///
/// ```text
/// G_{k,i} = r_i − α Σ_{j≥k} ℓ^old_{j,i},   A = (G − mean_i G)/sd_i G
/// loss = −mean_i Σ_k min(ρ A, clip(ρ, 1 − ε, 1 + ε) A),   ρ_{k,i} = exp(ℓ_{k,i} − ℓ^old_{k,i})
/// ```
/// ρ is the ratio of one step's Gaussian densities, the control as it is now over the one that drew the path; a batch is used
/// for several optimiser steps, so that ρ leaves 1 and the clip acts (its share is a figure of every step). The penalty is the
/// sampled log-ratio from step k on: what was paid before does not depend on the step.
#[derive(Clone, Copy, Debug)]
pub struct ClippedRatio {
    /// ε.
    pub clip: f64,
    /// Optimiser steps on one batch of paths.
    pub reuse: u64,
}

pub(super) fn make(config: &FinetuneConfig) -> Box<dyn Objective> {
    Box::new(PathObjective::new(ClippedRatio { clip: config.clip, reuse: config.reuse }))
}

impl PathLoss for ClippedRatio {
    fn weigh(&self, ledger: &Ledger<'_>) -> Result<Weighed> {
        let (steps, n) = ledger.drawn.dim();
        if n < 2 {
            return Err(Error::usage("normalised advantages need at least 2 paths a step"));
        }
        let mut weights = Array2::zeros((steps, n));
        let mut togo: Vec<f64> = ledger.values.to_vec();
        let mut clipped = 0_usize;
        for k in (0..steps).rev() {
            for (value, ell) in togo.iter_mut().zip(ledger.drawn.row(k)) {
                *value -= ledger.alpha * ell;
            }
            let mean = togo.iter().sum::<f64>() / n as f64;
            let sd = (togo.iter().map(|g| (g - mean).powi(2)).sum::<f64>() / (n - 1) as f64).sqrt().max(1e-12);
            for i in 0..n {
                let advantage = (togo[i] - mean) / sd;
                let ratio = (ledger.now[[k, i]] - ledger.drawn[[k, i]]).exp();
                let out = if advantage > 0.0 { ratio > 1.0 + self.clip } else { ratio < 1.0 - self.clip };
                clipped += usize::from(out);
                weights[[k, i]] = if out { 0.0 } else { -advantage * ratio / n as f64 };
            }
        }
        Ok(Weighed { weights, figures: vec![("clipped_share", clipped as f64 / (steps * n) as f64)] })
    }

    fn reuse(&self) -> u64 {
        self.reuse
    }
}
