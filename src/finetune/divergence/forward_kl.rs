//! Forward KL.

use super::{Divergence, PathLaw};

/// `KL(p‖q)`: full support with a floor `q*/p ≥ 1/(1 + range/α)`, and a pole at s = 1 (condensation).
///
/// ```text
/// f(t) = −ln t + t − 1    f'(t) = 1 − 1/t    g(s) = 1/(1 − s)    f*(s) = −ln(1 − s)    f''(1) = 1    φ(L) = 1 − (1 + L)e^−L
/// ```
/// At the optimum `λ = E_q*[r]`. The floor is coverage, not moderation: what is not at the floor may sit on one sequence.
///
/// ```
/// use seqtilt::finetune::divergence::{Divergence, ForwardKl};
/// assert_eq!(ForwardKl.density(0.5), 2.0);
/// assert_eq!(ForwardKl.slope_at_infinity(), 1.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ForwardKl;

impl Divergence for ForwardKl {
    fn name(&self) -> String {
        "forward-kl".to_owned()
    }

    fn f(&self, t: f64) -> f64 {
        t - 1.0 - t.ln()
    }

    fn density(&self, s: f64) -> f64 {
        if s < 1.0 { 1.0 / (1.0 - s) } else { f64::INFINITY }
    }

    fn log_density(&self, s: f64) -> f64 {
        if s < 1.0 { -(-s).ln_1p() } else { f64::INFINITY }
    }

    fn log_density_slope(&self, s: f64) -> f64 {
        self.density(s)
    }

    fn log_density_below_pole(&self, distance: f64) -> f64 {
        -distance.ln()
    }

    fn conjugate(&self, s: f64) -> f64 {
        self.log_density(s)
    }

    fn slope_at_infinity(&self) -> f64 {
        1.0
    }

    fn value_at_zero(&self) -> f64 {
        f64::INFINITY
    }

    fn curvature(&self) -> f64 {
        1.0
    }

    fn path_value(&self, l: f64) -> f64 {
        // 1 − (1 + L)e^−L
        -(-l).exp_m1() - l * (-l).exp()
    }

    fn path_value_slope(&self, l: f64) -> f64 {
        l * (-l).exp()
    }

    fn path_slope(&self, l: f64) -> f64 {
        -(-l).exp_m1()
    }

    fn step_bound(&self, t: f64) -> f64 {
        1.0 / t
    }

    fn path_law(&self) -> PathLaw {
        PathLaw::Base
    }
}
