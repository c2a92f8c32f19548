//! Pearson's χ².

use super::{Divergence, PathLaw, four_sinh_squared};

/// `χ²(q‖p) = E_p[(q/p − 1)²]`, without the factor ½: truncates at s = −2, no pole.
///
/// ```text
/// f(t) = (t − 1)²    f'(t) = 2(t − 1)    g(s) = (1 + s/2)₊    f*(s) = s + s²/4 for s ≥ −2, else −1    f''(1) = 2
/// φ(L) = 4 sinh²(L/2)
/// ```
/// Nothing is truncated iff `α ≥ (E_p r − min r)/2`; then `λ = E_p r` and `J* = E_p r + Var_p(r)/(4α)`. With ½(t − 1)² all of
/// these hold at half the α.
///
/// ```
/// use seqtilt::finetune::divergence::{Divergence, Pearson};
/// assert_eq!((Pearson.density(1.0), Pearson.density(-3.0)), (1.5, 0.0));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pearson;

impl Divergence for Pearson {
    fn name(&self) -> String {
        "pearson".to_owned()
    }

    fn f(&self, t: f64) -> f64 {
        (t - 1.0) * (t - 1.0)
    }

    fn slope(&self, t: f64) -> f64 {
        2.0 * (t - 1.0)
    }

    fn density(&self, s: f64) -> f64 {
        (1.0 + 0.5 * s).max(0.0)
    }

    fn log_density(&self, s: f64) -> f64 {
        if s > -2.0 { (0.5 * s).ln_1p() } else { f64::NEG_INFINITY }
    }

    fn log_density_slope(&self, s: f64) -> f64 {
        if s > -2.0 { 1.0 / (2.0 + s) } else { 0.0 }
    }

    fn conjugate(&self, s: f64) -> f64 {
        if s >= -2.0 { s + 0.25 * s * s } else { -1.0 }
    }

    fn slope_at_zero(&self) -> f64 {
        -2.0
    }

    fn value_at_zero(&self) -> f64 {
        1.0
    }

    fn curvature(&self) -> f64 {
        2.0
    }

    fn path_value(&self, l: f64) -> f64 {
        four_sinh_squared(l)
    }

    fn path_value_slope(&self, l: f64) -> f64 {
        2.0 * l.sinh()
    }

    fn path_slope(&self, l: f64) -> f64 {
        2.0 * l.exp_m1()
    }

    fn step_bound(&self, t: f64) -> f64 {
        2.0 * t
    }

    fn path_law(&self) -> PathLaw {
        PathLaw::Controlled
    }
}
