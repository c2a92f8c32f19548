//! Jeffreys' divergence.

use super::lambert::{log_omega, omega};
use super::{Divergence, PathLaw};

/// `KL(q‖p) + KL(p‖q)`, the sum and not its half: full support, no pole.
///
/// ```text
/// f(t) = (t − 1) ln t    f'(t) = ln t + 1 − 1/t    g(s) = 1/ω, ω = W(e^(1−s))    f*(s) = ω + 1/ω + s − 2    f''(1) = 2
/// φ(L) = L(1 − e^−L)
/// ```
///
/// ```
/// use seqtilt::finetune::divergence::{Divergence, Jeffreys};
/// assert_eq!(Jeffreys.f(1.0), 0.0);
/// assert!((Jeffreys.density(Jeffreys.slope(3.0)) - 3.0).abs() < 1e-14);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Jeffreys;

impl Divergence for Jeffreys {
    fn name(&self) -> String {
        "jeffreys".to_owned()
    }

    fn f(&self, t: f64) -> f64 {
        (t - 1.0) * t.ln()
    }

    fn density(&self, s: f64) -> f64 {
        1.0 / omega(1.0 - s)
    }

    fn log_density(&self, s: f64) -> f64 {
        -log_omega(-s)
    }

    fn log_density_slope(&self, s: f64) -> f64 {
        1.0 / (1.0 + log_omega(-s).exp())
    }

    fn conjugate(&self, s: f64) -> f64 {
        // ω + 1/ω − 2 = (ω − 1)²/ω
        let log = log_omega(-s);
        s + log.exp_m1() * -(-log).exp_m1()
    }

    fn value_at_zero(&self) -> f64 {
        f64::INFINITY
    }

    fn curvature(&self) -> f64 {
        2.0
    }

    fn path_value(&self, l: f64) -> f64 {
        -l * (-l).exp_m1()
    }

    fn path_value_slope(&self, l: f64) -> f64 {
        l * (-l).exp() - (-l).exp_m1()
    }

    fn path_slope(&self, l: f64) -> f64 {
        l - (-l).exp_m1()
    }

    fn step_bound(&self, t: f64) -> f64 {
        1.0 + 1.0 / t
    }

    fn path_law(&self) -> PathLaw {
        PathLaw::Either
    }
}
