//! The Jensen–Shannon divergence.

use super::{Divergence, PathLaw, softplus_less_ln2};
use std::f64::consts::LN_2;

/// `½ KL(q‖m) + ½ KL(p‖m)`, m = (p + q)/2: at most ln 2; full support, a pole at s = ½ ln 2 (condensation).
///
/// ```text
/// f(t) = ½[t ln t − (1 + t) ln((1 + t)/2)]    f'(t) = ½ ln(2t/(1 + t))    g(s) = e²ˢ/(2 − e²ˢ)    f*(s) = −½ ln(2 − e²ˢ)
/// f''(1) = ¼    φ(L) = ½[L − (1 + e^−L) ln((1 + e^L)/2)]
/// ```
/// The generator of adversarial training is twice this one (`g(s) = eˢ/(2 − eˢ)`): its α is half of this one's.
///
/// ```
/// use seqtilt::finetune::divergence::{Divergence, JensenShannon};
/// assert_eq!(JensenShannon.value_at_zero() + JensenShannon.slope_at_infinity(), 2.0_f64.ln());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct JensenShannon;

impl Divergence for JensenShannon {
    fn name(&self) -> String {
        "js".to_owned()
    }

    fn f(&self, t: f64) -> f64 {
        if t == 0.0 {
            return self.value_at_zero();
        }
        0.5 * (t * t.ln() - (1.0 + t) * (0.5 * (t - 1.0)).ln_1p())
    }

    fn log_density(&self, s: f64) -> f64 {
        let grown = (2.0 * s).exp_m1();
        if grown < 1.0 { 2.0 * s - (-grown).ln_1p() } else { f64::INFINITY }
    }

    fn log_density_slope(&self, s: f64) -> f64 {
        let left = 1.0 - (2.0 * s).exp_m1();
        if left > 0.0 { 4.0 / left } else { f64::INFINITY }
    }

    fn log_density_below_pole(&self, distance: f64) -> f64 {
        -(2.0 * distance).exp_m1().ln()
    }

    fn conjugate(&self, s: f64) -> f64 {
        let grown = (2.0 * s).exp_m1();
        if grown < 1.0 { -0.5 * (-grown).ln_1p() } else { f64::INFINITY }
    }

    fn slope_at_infinity(&self) -> f64 {
        0.5 * LN_2
    }

    fn value_at_zero(&self) -> f64 {
        0.5 * LN_2
    }

    fn curvature(&self) -> f64 {
        0.25
    }

    fn path_value(&self, l: f64) -> f64 {
        0.5 * (l - (1.0 + (-l).exp()) * softplus_less_ln2(l))
    }

    fn path_value_slope(&self, l: f64) -> f64 {
        0.5 * (-l).exp() * softplus_less_ln2(l)
    }

    fn path_slope(&self, l: f64) -> f64 {
        -0.5 * softplus_less_ln2(-l)
    }

    fn step_bound(&self, t: f64) -> f64 {
        0.5 / (1.0 + t)
    }

    fn path_law(&self) -> PathLaw {
        PathLaw::Either
    }
}
