//! Mirror descent on the first variation of a divergence.

use super::log_variance::regress;
use super::score::{MOST, Slopes};
use super::{Ledger, Objective, PathLoss, PathObjective, Route, Weighed};
use crate::error::Result;
use crate::finetune::FinetuneConfig;

/// Outer steps on `J(P) = E[r] − α D_f(P‖base)`, each a KL-regularised problem around the control that drew the paths (Flow
/// Density Control, De Santi et al. 2025, arXiv 2511.22640, here on path laws):
///
/// ```text
/// P_{k+1} ∝ P_k exp(h (r/α − f'(dP_k/dP))),   h ≤ min(rate, 1/sup t f''(t)),   t = dP_k/dP on the batch's paths
/// ```
/// fitted by the log-variance of `L_θ − L_k − h (r/α − f'(e^{L_k}))` over the batch. Its fixed point is the optimum, whatever h.
#[derive(Clone, Copy, Debug)]
pub struct MirrorDescent {
    /// The largest h.
    pub rate: f64,
    /// Optimiser steps on one batch of paths.
    pub reuse: u64,
}

/// h where the divergence does not ask for less: of most generators the largest that neither cycles nor diverges.
const RATE: f64 = 0.5;

pub(super) fn make(config: &FinetuneConfig) -> Box<dyn Objective> {
    Box::new(PathObjective::new(MirrorDescent { rate: RATE, reuse: config.reuse }))
}

impl PathLoss for MirrorDescent {
    fn weigh(&self, ledger: &Ledger<'_>) -> Result<Weighed> {
        let Slopes { slopes, mut figures } = Slopes::of(ledger);
        let drawn = ledger.drawn_ratio();
        let bend = drawn.iter().map(|l| ledger.divergence.step_bound(l.clamp(-MOST, MOST).exp())).fold(0.0, f64::max);
        let h = self.rate.min(1.0 / bend);
        let target = |((r, slope), l): ((&f64, &f64), &f64)| l + h * (r / ledger.alpha - slope);
        let targets: Vec<f64> = ledger.values.iter().zip(&slopes).zip(&drawn).map(target).collect();
        let mut weighed = regress(ledger, &targets)?;
        figures.push(("mirror_step", h));
        weighed.figures.extend(figures);
        Ok(weighed)
    }

    fn reuse(&self) -> u64 {
        self.reuse
    }

    fn route(&self) -> Route {
        Route::Direct
    }
}
