//! The linear-quadratic problem and its optimum in continuous time.

use crate::error::{Error, Result};
use crate::finetune::Terminal;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// A law N(mean, variance).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normal {
    /// Its mean.
    pub mean: f64,
    /// Its variance.
    pub variance: f64,
}

/// Whether the law of the initial state is tilted too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Learned: a second diffusion leads from the fixed point 0 to the initial law, and is controlled as well.
    #[default]
    Joint,
    /// Held at the base's: the best reachable end is then biased.
    Frozen,
}

/// What the best control reaches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Optimum {
    /// Law of the final state.
    pub law: Normal,
    /// Value J of the objective.
    pub value: f64,
}

/// Base `dx = −drift·x dτ + noise dW` over τ ∈ [0, horizon] with `x_0 ~ N(0, initial²)`, reward at its end.
///
/// ```text
/// r(x) = −(curvature/2) (x − centre)²        J = E[r(x_T)] − alpha KL(Pᵘ‖P)
/// ```
/// Here τ runs while generating: τ = 0 is noise, τ = `horizon` is data. The problem of Uehara et al. 2024 (arXiv 2402.15194)
/// with linear drift and quadratic reward, whose optimum is Gaussian.
///
/// ```
/// use seqtilt::finetune::analytic::{LinearQuadratic, Start};
/// let best = LinearQuadratic::default().optimum(Start::Joint);
/// assert!((best.law.mean - 1.054107).abs() < 1e-6 && (best.law.variance - 0.175685).abs() < 1e-6);
/// assert!((best.value + 0.972124).abs() < 1e-6);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct LinearQuadratic {
    /// Rate at which the base forgets.
    pub drift: f64,
    /// Noise per root time.
    pub noise: f64,
    /// End of the walk.
    pub horizon: f64,
    /// Standard deviation of the initial law.
    pub initial: f64,
    /// Curvature of the reward.
    pub curvature: f64,
    /// Where the reward is highest.
    pub centre: f64,
    /// Price of a nat.
    pub alpha: f64,
}

impl Default for LinearQuadratic {
    fn default() -> Self {
        Self { drift: 0.7, noise: 0.8, horizon: 1.0, initial: 1.0, curvature: 2.0, centre: 1.5, alpha: 0.5 }
    }
}

impl LinearQuadratic {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        for (name, value) in
            [("noise", self.noise), ("horizon", self.horizon), ("initial", self.initial), ("alpha", self.alpha)]
        {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::usage(format!("`{name}` is {value}; a finite number above 0 is accepted")));
            }
        }
        for (name, value) in [("drift", self.drift), ("curvature", self.curvature)] {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::usage(format!("`{name}` is {value}; a finite number from 0 on is accepted")));
            }
        }
        if self.centre.is_finite() {
            return Ok(());
        }
        Err(Error::usage(format!("`centre` is {}; a finite number is accepted", self.centre)))
    }

    /// The reward of one state.
    #[must_use]
    pub fn reward(&self, x: f64) -> f64 {
        -0.5 * self.curvature * (x - self.centre).powi(2)
    }

    /// Share of a state at `tau` that is left at the end, `e = exp(−drift (T − τ))`, and the variance `V` that is added.
    fn ahead(&self, tau: f64) -> (f64, f64) {
        let left = self.horizon - tau;
        let spread = if self.drift == 0.0 { left } else { -(-2.0 * self.drift * left).exp_m1() / (2.0 * self.drift) };
        ((-self.drift * left).exp(), self.noise.powi(2) * spread)
    }

    /// The soft value of a state at `tau`, in reward units.
    ///
    /// ```text
    /// v = α log E[exp(r/α) | x_τ] = −(α/2) log(1 + k V/α) − (k/2) (e x − m)² / (1 + k V/α)
    /// ```
    #[must_use]
    pub fn value(&self, tau: f64, x: f64) -> f64 {
        let (e, v) = self.ahead(tau);
        let widening = 1.0 + self.curvature * v / self.alpha;
        -0.5 * self.alpha * widening.ln() - 0.5 * self.curvature * (e * x - self.centre).powi(2) / widening
    }

    /// The best control in units of noise, `noise · ∂v/∂x / α`; the drift's increment is `noise` times it.
    ///
    /// ```text
    /// u*(τ, x) = −noise k e (e x − m) / (α + k V)
    /// ```
    #[must_use]
    pub fn control(&self, tau: f64, x: f64) -> f64 {
        let (e, v) = self.ahead(tau);
        -self.noise * self.curvature * e * (e * x - self.centre) / (self.alpha + self.curvature * v)
    }

    /// The best initial law, ν* ∝ ν exp(v_0/α).
    #[must_use]
    pub fn best_start(&self) -> Normal {
        let (e, v) = self.ahead(0.0);
        let pull = self.curvature * e / (self.alpha + self.curvature * v);
        let precision = self.initial.powi(-2) + pull * e;
        Normal { mean: pull * self.centre / precision, variance: 1.0 / precision }
    }

    /// The optimum, with the initial law learned or held.
    #[must_use]
    pub fn optimum(&self, start: Start) -> Optimum {
        let (e, v) = self.ahead(0.0);
        let (k, m, alpha) = (self.curvature, self.centre, self.alpha);
        match start {
            Start::Joint => self.tilt(e.powi(2) * self.initial.powi(2) + v),
            Start::Frozen => {
                // given x_0 the end is tilted exactly; x_0 keeps its law
                let precision = 1.0 / v + k / alpha;
                let carry = e / v / precision;
                let law = Normal {
                    mean: k * m / alpha / precision,
                    variance: 1.0 / precision + (carry * self.initial).powi(2),
                };
                let widening = 1.0 + k * v / alpha;
                let square = (e * self.initial).powi(2) + m * m;
                Optimum { law, value: -0.5 * alpha * widening.ln() - 0.5 * k * square / widening }
            }
        }
    }

    /// The tilt of a base whose end has law N(0, `variance`), and its value α log Z.
    ///
    /// ```text
    /// J* = −(α/2) log(1 + k S²/α) − α k m² / (2 (α + k S²))
    /// ```
    #[must_use]
    pub fn tilt(&self, variance: f64) -> Optimum {
        let (k, m, alpha) = (self.curvature, self.centre, self.alpha);
        let precision = 1.0 / variance + k / alpha;
        let law = Normal { mean: k * m / alpha / precision, variance: 1.0 / precision };
        let bound = -0.5 * alpha * (1.0 + k * variance / alpha).ln();
        Optimum { law, value: bound - 0.5 * alpha * k * m * m / (alpha + k * variance) }
    }
}

impl Terminal for LinearQuadratic {
    fn reward(&self, _: usize, x: &Tensor) -> Result<Tensor> {
        let distance = (x.sum(candle_core::D::Minus1)? - self.centre)?;
        Ok((distance.sqr()? * (-0.5 * self.curvature))?)
    }
}
