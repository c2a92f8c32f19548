//! Neyman's χ².

use super::{Divergence, PathLaw};

/// `χ²(p‖q) = E_p[(q/p − 1)²/(q/p)]`, without the factor ½: full support, a pole at s = 1 (condensation).
///
/// ```text
/// f(t) = (t − 1)²/t    f'(t) = 1 − 1/t²    g(s) = (1 − s)^−½    f*(s) = 2 − 2√(1 − s)    f''(1) = 2    φ(L) = (e^−L − 1)²
/// ```
///
/// ```
/// use seqtilt::finetune::divergence::{Divergence, Neyman};
/// assert_eq!(Neyman.density(0.75), 2.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Neyman;

impl Divergence for Neyman {
    fn name(&self) -> String {
        "neyman".to_owned()
    }

    fn f(&self, t: f64) -> f64 {
        (t - 1.0) * (t - 1.0) / t
    }

    fn log_density(&self, s: f64) -> f64 {
        if s < 1.0 { -0.5 * (-s).ln_1p() } else { f64::INFINITY }
    }

    fn log_density_slope(&self, s: f64) -> f64 {
        if s < 1.0 { 0.5 / (1.0 - s) } else { f64::INFINITY }
    }

    fn log_density_below_pole(&self, distance: f64) -> f64 {
        -0.5 * distance.ln()
    }

    fn conjugate(&self, s: f64) -> f64 {
        // 2 − 2√(1 − s) without cancellation near 0
        if s <= 1.0 { 2.0 * s / (1.0 + (1.0 - s).sqrt()) } else { f64::INFINITY }
    }

    fn slope_at_infinity(&self) -> f64 {
        1.0
    }

    fn value_at_zero(&self) -> f64 {
        f64::INFINITY
    }

    fn curvature(&self) -> f64 {
        2.0
    }

    fn path_value(&self, l: f64) -> f64 {
        (-l).exp_m1().powi(2)
    }

    fn path_value_slope(&self, l: f64) -> f64 {
        -2.0 * (-l).exp() * (-l).exp_m1()
    }

    fn path_slope(&self, l: f64) -> f64 {
        -(-2.0 * l).exp_m1()
    }

    fn step_bound(&self, t: f64) -> f64 {
        2.0 / (t * t)
    }

    fn path_law(&self) -> PathLaw {
        PathLaw::Base
    }
}
