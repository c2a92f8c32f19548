//! Score-function policy gradient.

use super::{Ledger, Objective, PathLoss, PathObjective, Route, Weighed};
use crate::error::{Error, Result};
use crate::finetune::FinetuneConfig;
use crate::nn::Figures;
use ndarray::Array2;

/// The gradient of `J = E[r] − α D_f(P^θ‖P)` by the density of the paths alone (REINFORCE, Williams 1992):
///
/// ```text
/// ∂J/∂θ = E[(r − α f'(e^L) − b) ∂ log P^θ/∂θ],   b_i the mean over the other paths
/// ```
/// with `f'(e^L)`, not the price φ(L) itself: that φ changes with θ is half of the gradient. For KL it is `r − α L`.
/// Unbiased, on-policy, and far noisier than back-propagation; the reward is scored as decoded.
#[derive(Clone, Copy, Debug)]
pub struct ScoreFunction;

pub(super) fn make(_: &FinetuneConfig) -> Box<dyn Objective> {
    Box::new(PathObjective::new(ScoreFunction))
}

impl PathLoss for ScoreFunction {
    fn weigh(&self, ledger: &Ledger<'_>) -> Result<Weighed> {
        let Slopes { slopes, figures } = Slopes::of(ledger);
        let returns: Vec<f64> = ledger.values.iter().zip(&slopes).map(|(r, slope)| r / ledger.alpha - slope).collect();
        let n = returns.len() as f64;
        if returns.len() < 2 {
            return Err(Error::usage("a score-function gradient needs at least 2 paths a step"));
        }
        let sum: f64 = returns.iter().sum();
        // the mean over the others is (sum − R_i)/(n − 1), so R_i − b_i = (n R_i − sum)/(n − 1)
        let weights = returns.iter().map(|value| -(n * value - sum) / (n - 1.0) / n).collect();
        Ok(Weighed { weights: row(weights), figures })
    }

    fn route(&self) -> Route {
        Route::Direct
    }
}

/// `f'(e^L)` of the paths as they were drawn.
pub(super) struct Slopes {
    pub(super) slopes: Vec<f64>,
    pub(super) figures: Figures,
}

/// The divergence whose slope is L itself, however large.
const KL: &str = "kl";

/// Beyond this many nats a log-ratio is cut before it is exponentiated.
pub(in crate::finetune) const MOST: f64 = 20.0;

impl Slopes {
    pub(super) fn of(ledger: &Ledger<'_>) -> Self {
        let ratio = ledger.drawn_ratio();
        let cut = ratio.iter().filter(|l| l.abs() > MOST).count();
        let kl = ledger.divergence.name() == KL;
        let slope = |l: &f64| if kl { *l } else { ledger.divergence.path_slope(l.clamp(-MOST, MOST)) };
        let share = if kl { 0.0 } else { cut as f64 / ratio.len().max(1) as f64 };
        Self { slopes: ratio.iter().map(slope).collect(), figures: vec![("cut_share", share)] }
    }
}

/// The same weights at every step.
pub(super) fn row(weights: Vec<f64>) -> Array2<f64> {
    let n = weights.len();
    Array2::from_shape_vec((1, n), weights).unwrap_or_default()
}
