//! The squared Hellinger distance.

use super::{Divergence, PathLaw};

/// `∫(√q − √p)²`, without the factor ½: at most 2; full support, a pole at s = 1 (condensation).
///
/// ```text
/// f(t) = (√t − 1)²    f'(t) = 1 − t^−½    g(s) = (1 − s)⁻²    f*(s) = s/(1 − s)    f''(1) = ½    φ(L) = (e^(−L/2) − 1)²
/// ```
///
/// ```
/// use seqtilt::finetune::divergence::{Divergence, Hellinger};
/// assert_eq!(Hellinger.density(0.5), 4.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Hellinger;

impl Divergence for Hellinger {
    fn name(&self) -> String {
        "hellinger".to_owned()
    }

    fn f(&self, t: f64) -> f64 {
        (t.sqrt() - 1.0).powi(2)
    }

    fn log_density(&self, s: f64) -> f64 {
        if s < 1.0 { -2.0 * (-s).ln_1p() } else { f64::INFINITY }
    }

    fn log_density_slope(&self, s: f64) -> f64 {
        if s < 1.0 { 2.0 / (1.0 - s) } else { f64::INFINITY }
    }

    fn log_density_below_pole(&self, distance: f64) -> f64 {
        -2.0 * distance.ln()
    }

    fn conjugate(&self, s: f64) -> f64 {
        if s < 1.0 { s / (1.0 - s) } else { f64::INFINITY }
    }

    fn slope_at_infinity(&self) -> f64 {
        1.0
    }

    fn value_at_zero(&self) -> f64 {
        1.0
    }

    fn curvature(&self) -> f64 {
        0.5
    }

    fn path_value(&self, l: f64) -> f64 {
        (-0.5 * l).exp_m1().powi(2)
    }

    fn path_value_slope(&self, l: f64) -> f64 {
        -(-0.5 * l).exp() * (-0.5 * l).exp_m1()
    }

    fn path_slope(&self, l: f64) -> f64 {
        -(-0.5 * l).exp_m1()
    }

    fn step_bound(&self, t: f64) -> f64 {
        0.5 / t.sqrt()
    }

    fn path_law(&self) -> PathLaw {
        PathLaw::Either
    }
}
