//! Reverse KL.

use super::{Divergence, PathLaw, entropy};

/// `KL(q‖p)`, the divergence of control: additive over steps, full support, no pole.
///
/// ```text
/// f(t) = t ln t − t + 1     f'(t) = ln t     g(s) = eˢ     f*(s) = eˢ − 1     f''(1) = 1     φ(L) = L + e^−L − 1
/// ```
/// The mean of L alone is the same number, since `E_P[e^−L] = 1`; sources that take `f = t ln t` have λ larger by α.
///
/// ```
/// use seqtilt::finetune::divergence::{Divergence, ReverseKl};
/// assert_eq!(ReverseKl.density(0.0), 1.0);
/// assert_eq!(ReverseKl.conjugate(2.0_f64.ln()), 1.0);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReverseKl;

impl Divergence for ReverseKl {
    fn name(&self) -> String {
        "kl".to_owned()
    }

    fn f(&self, t: f64) -> f64 {
        entropy(t)
    }

    fn log_density(&self, s: f64) -> f64 {
        s
    }

    fn log_density_slope(&self, _: f64) -> f64 {
        1.0
    }

    fn conjugate(&self, s: f64) -> f64 {
        s.exp_m1()
    }

    fn value_at_zero(&self) -> f64 {
        1.0
    }

    fn curvature(&self) -> f64 {
        1.0
    }

    fn path_value(&self, l: f64) -> f64 {
        l + (-l).exp_m1()
    }

    fn path_value_slope(&self, l: f64) -> f64 {
        -(-l).exp_m1()
    }

    fn path_slope(&self, l: f64) -> f64 {
        l
    }

    fn step_bound(&self, _: f64) -> f64 {
        1.0
    }

    fn path_law(&self) -> PathLaw {
        PathLaw::Controlled
    }
}
