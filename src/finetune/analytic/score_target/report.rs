//! How much a target scatters, time by time.

use super::ScoreTarget;
use super::variance::{logit, time, weight};
use crate::finetune::analytic::Interpolant;
use serde::Serialize;

/// A target at one time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct AtTime {
    /// The time.
    pub tau: f64,
    /// What a unit of variance there costs in path KL, `η dτ`.
    pub weight: f64,
    /// `E|target|²`.
    pub square: f64,
    /// `E Var(target | X_τ)`.
    pub variance: f64,
}

/// Size and noise of a target from noise to data.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VarianceReport {
    /// Which target.
    pub target: ScoreTarget,
    /// Time by time.
    pub times: Vec<AtTime>,
    /// `∫ η E Var(target | X_τ) dτ`, by the midpoint rule.
    pub total: f64,
    /// Whether that seems to have no limit towards the noise.
    pub diverges_at_noise: bool,
    /// Whether that seems to have no limit towards the data.
    pub diverges_at_data: bool,
}

/// A decade nearer an end must add less than this share of the one before it.
const FALLS: f64 = 0.5;

impl VarianceReport {
    /// The report of these times, in order. The integral is taken to diverge at an end where the outermost decade of distance to it adds
    /// half as much as the next one or more: where it converges as a power, that is a tenth or less.
    #[must_use]
    pub fn new(target: ScoreTarget, times: Vec<AtTime>) -> Self {
        let part = |keep: &dyn Fn(f64) -> bool| -> f64 {
            times.iter().filter(|at| keep(at.tau)).map(|at| at.weight * at.variance).sum()
        };
        let diverges = |from_end: &dyn Fn(f64) -> f64| {
            let nearest = times.iter().map(|at| from_end(at.tau)).fold(f64::INFINITY, f64::min);
            let decade = |least: f64| part(&|tau| (least..10.0 * least).contains(&from_end(tau)));
            let (outer, inner) = (decade(nearest), decade(10.0 * nearest));
            !times.is_empty() && outer >= FALLS * inner && outer > 0.0
        };
        Self {
            target,
            total: part(&|_| true),
            diverges_at_noise: diverges(&|tau| tau),
            diverges_at_data: diverges(&|tau| 1.0 - tau),
            times,
        }
    }
}

/// Times in the middle of equal pieces of the logit from δ to 1 − δ, with their weights `η dτ`.
pub(super) fn nodes(interpolant: Interpolant, delta: f64, times: usize) -> Vec<(f64, f64)> {
    let (from, piece) = (-logit(delta), 2.0 * logit(delta) / times as f64);
    let at = |i: usize| {
        let tau = time(from + piece * (i as f64 + 0.5));
        (tau, weight(interpolant, tau) * piece)
    };
    (0..times).map(at).collect()
}
