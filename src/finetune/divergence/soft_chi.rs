//! Soft χ².

use super::{Divergence, PathLaw, entropy, four_sinh_squared};

/// KL where q is below the prior and ½χ² where it is above: weights grow linearly in the reward and never vanish; no pole.
///
/// ```text
/// f(t) = t ln t − t + 1 (t < 1), ½(t − 1)² (t ≥ 1)    f'(t) = ln t; t − 1    g(s) = eˢ (s < 0), 1 + s (s ≥ 0)
/// f*(s) = eˢ − 1; s + ½s²    f''(1) = 1    φ(L) = L + e^−L − 1 (L < 0), 2 sinh²(L/2) (L ≥ 0)
/// ```
/// OptiDICE (Lee et al., arXiv 2106.10783).
///
/// ```
/// use seqtilt::finetune::divergence::{Divergence, SoftChi};
/// assert_eq!(SoftChi.density(1.5), 2.5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SoftChi;

impl Divergence for SoftChi {
    fn name(&self) -> String {
        "soft-chi".to_owned()
    }

    fn f(&self, t: f64) -> f64 {
        if t < 1.0 { entropy(t) } else { 0.5 * (t - 1.0) * (t - 1.0) }
    }

    fn density(&self, s: f64) -> f64 {
        if s < 0.0 { s.exp() } else { 1.0 + s }
    }

    fn log_density(&self, s: f64) -> f64 {
        if s < 0.0 { s } else { s.ln_1p() }
    }

    fn log_density_slope(&self, s: f64) -> f64 {
        if s < 0.0 { 1.0 } else { 1.0 / (1.0 + s) }
    }

    fn conjugate(&self, s: f64) -> f64 {
        if s < 0.0 { s.exp_m1() } else { s + 0.5 * s * s }
    }

    fn value_at_zero(&self) -> f64 {
        1.0
    }

    fn curvature(&self) -> f64 {
        1.0
    }

    fn path_value(&self, l: f64) -> f64 {
        if l < 0.0 { l + (-l).exp_m1() } else { 0.5 * four_sinh_squared(l) }
    }

    fn path_value_slope(&self, l: f64) -> f64 {
        if l < 0.0 { -(-l).exp_m1() } else { l.sinh() }
    }

    fn path_slope(&self, l: f64) -> f64 {
        if l < 0.0 { l } else { l.exp_m1() }
    }

    fn step_bound(&self, t: f64) -> f64 {
        t.max(1.0)
    }

    fn path_law(&self) -> PathLaw {
        PathLaw::Controlled
    }
}
