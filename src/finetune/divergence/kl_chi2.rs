//! KL and half of χ².

use super::lambert::{log_omega, omega};
use super::{Divergence, PathLaw, entropy, four_sinh_squared};

/// `KL(q‖p) + ½ χ²(q‖p)`: weights like Pearson's for good sequences and full support like KL's, no pole.
///
/// ```text
/// f(t) = t ln t − t + 1 + ½(t − 1)²    f'(t) = ln t + t − 1    g(s) = ω = W(e^(1+s))    f*(s) = ω + ½ω² − 3/2    f''(1) = 2
/// φ(L) = L + e^−L − 1 + 2 sinh²(L/2)
/// ```
/// The price of χ-PO (Huang et al., arXiv 2407.13399).
///
/// ```
/// use seqtilt::finetune::divergence::{Divergence, KlChi2};
/// assert!((KlChi2.density(KlChi2.slope(3.0)) - 3.0).abs() < 1e-14);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct KlChi2;

impl Divergence for KlChi2 {
    fn name(&self) -> String {
        "kl-chi2".to_owned()
    }

    fn f(&self, t: f64) -> f64 {
        entropy(t) + 0.5 * (t - 1.0) * (t - 1.0)
    }

    fn density(&self, s: f64) -> f64 {
        omega(1.0 + s)
    }

    fn log_density(&self, s: f64) -> f64 {
        log_omega(s)
    }

    fn log_density_slope(&self, s: f64) -> f64 {
        1.0 / (1.0 + log_omega(s).exp())
    }

    fn conjugate(&self, s: f64) -> f64 {
        // ω + ½ω² − 3/2 around ω = 1
        let above = log_omega(s).exp_m1();
        above * (2.0 + 0.5 * above)
    }

    fn value_at_zero(&self) -> f64 {
        1.5
    }

    fn curvature(&self) -> f64 {
        2.0
    }

    fn path_value(&self, l: f64) -> f64 {
        l + (-l).exp_m1() + 0.5 * four_sinh_squared(l)
    }

    fn path_value_slope(&self, l: f64) -> f64 {
        l.sinh() - (-l).exp_m1()
    }

    fn path_slope(&self, l: f64) -> f64 {
        l + l.exp_m1()
    }

    fn step_bound(&self, t: f64) -> f64 {
        1.0 + t
    }

    fn path_law(&self) -> PathLaw {
        PathLaw::Controlled
    }
}
