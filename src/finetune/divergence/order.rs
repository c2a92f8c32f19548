//! Divergences of order a.

use super::{Divergence, PathLaw};
use crate::error::{Error, Result};

/// The power divergence of order a (Cressie and Read 1984), a from −5 to 5 but 0 and 1.
///
/// ```text
/// f(t) = (tᵃ − at − (1 − a))/(a(a − 1))    f'(t) = (t^(a−1) − 1)/(a − 1)    g(s) = (1 + (a − 1)s)₊^(1/(a−1))
/// f*(s) = ((1 + (a − 1)s)₊^(a/(a−1)) − 1)/a    f''(1) = 1    φ(L) = (e^((a−1)L) − a − (1 − a)e^−L)/(a(a − 1))
/// ```
/// a > 1 truncates at `s = −1/(a − 1)`; a < 1 has full support and a pole at `s = 1/(1 − a)` (condensation). The limit a → 1 is
/// reverse KL, a → 0 forward KL; a = 2 is half of Pearson's χ², −1 half of Neyman's, ½ twice squared Hellinger. Where an
/// index is written `1 − a` (as in f-DPO) it is one minus this one. Rényi's divergence of order a is a monotone function of
/// it, not an f-divergence.
///
/// ```
/// use seqtilt::finetune::divergence::{Divergence, Order};
/// let order = Order::new(3.0)?;
/// assert!((order.density(1.5) - 2.0).abs() < 1e-15);
/// assert_eq!(order.slope_at_zero(), -0.5);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    a: f64,
}

impl Order {
    /// Of order `a`.
    ///
    /// # Errors
    /// When a is outside −5 … 5, or so near 0 or 1 (less than 0.001) that the formulas lose their digits.
    pub fn new(a: f64) -> Result<Self> {
        if !(-5.0..=5.0).contains(&a) {
            return Err(Error::usage(format!("the order of a divergence is {a}; -5 to 5 is accepted")));
        }
        for (limit, name) in [(0.0, "forward-kl"), (1.0, "kl")] {
            if (a - limit).abs() < 1e-3 {
                return Err(Error::usage(format!(
                    "the order of a divergence is {a}; less than 0.001 from {limit} is not accepted"
                ))
                .hint(format!("the divergence of order {limit} is `{name}`")));
            }
        }
        Ok(Self { a })
    }

    /// a.
    #[must_use]
    pub fn order(self) -> f64 {
        self.a
    }

    /// `1 + (a − 1)s`, less 1: above −1 where there is a density.
    fn inner(self, s: f64) -> f64 {
        (self.a - 1.0) * s
    }

    /// What g and f* are at and beyond the end of their formula: truncated below, or infinite above.
    fn beyond(self) -> f64 {
        if self.a > 1.0 { f64::NEG_INFINITY } else { f64::INFINITY }
    }
}

impl Divergence for Order {
    fn name(&self) -> String {
        format!("order:{}", self.a)
    }

    fn f(&self, t: f64) -> f64 {
        if t == 0.0 {
            return self.value_at_zero();
        }
        let log = t.ln();
        ((self.a * log).exp_m1() / self.a - (t - 1.0)) / (self.a - 1.0)
    }

    fn log_density(&self, s: f64) -> f64 {
        let inner = self.inner(s);
        if inner > -1.0 { inner.ln_1p() / (self.a - 1.0) } else { self.beyond() }
    }

    fn log_density_slope(&self, s: f64) -> f64 {
        let inner = self.inner(s);
        match inner > -1.0 {
            true => 1.0 / (1.0 + inner),
            false if self.a > 1.0 => 0.0,
            false => f64::INFINITY,
        }
    }

    fn log_density_below_pole(&self, distance: f64) -> f64 {
        if self.a > 1.0 { f64::INFINITY } else { ((1.0 - self.a) * distance).ln() / (self.a - 1.0) }
    }

    fn conjugate(&self, s: f64) -> f64 {
        let (a, inner) = (self.a, self.inner(s));
        if inner > -1.0 {
            (a / (a - 1.0) * inner.ln_1p()).exp_m1() / a
        } else if a > 1.0 || inner == -1.0 && a < 0.0 {
            -1.0 / a
        } else {
            f64::INFINITY
        }
    }

    fn slope_at_zero(&self) -> f64 {
        if self.a > 1.0 { -1.0 / (self.a - 1.0) } else { f64::NEG_INFINITY }
    }

    fn slope_at_infinity(&self) -> f64 {
        if self.a > 1.0 { f64::INFINITY } else { 1.0 / (1.0 - self.a) }
    }

    fn value_at_zero(&self) -> f64 {
        if self.a > 0.0 { 1.0 / self.a } else { f64::INFINITY }
    }

    fn curvature(&self) -> f64 {
        1.0
    }

    fn path_value(&self, l: f64) -> f64 {
        let a = self.a;
        (((a - 1.0) * l).exp_m1() / (a - 1.0) + (-l).exp_m1()) / a
    }

    fn path_value_slope(&self, l: f64) -> f64 {
        (-l).exp() * (self.a * l).exp_m1() / self.a
    }

    fn path_slope(&self, l: f64) -> f64 {
        ((self.a - 1.0) * l).exp_m1() / (self.a - 1.0)
    }

    fn step_bound(&self, t: f64) -> f64 {
        t.powf(self.a - 1.0)
    }

    fn path_law(&self) -> PathLaw {
        match self.a {
            a if a >= 1.0 => PathLaw::Controlled,
            a if a <= 0.0 => PathLaw::Base,
            _ => PathLaw::Either,
        }
    }
}
