//! Quadratic rewards.

use crate::error::Result;
use crate::finetune::Terminal;
use candle_core::{D, Tensor};
use serde::{Deserialize, Serialize};

/// A reward of one number:
///
/// ```text
/// r(x) = slope · x − ½ curvature (x − centre)²
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Quadratic {
    /// Linear part.
    pub slope: f64,
    /// Curvature of the other, 0 or more.
    pub curvature: f64,
    /// Where that is highest.
    pub centre: f64,
}

impl Quadratic {
    /// The reward of one state.
    #[must_use]
    pub fn at(&self, x: f64) -> f64 {
        self.slope * x - 0.5 * self.curvature * (x - self.centre).powi(2)
    }

    /// Its slope there, `slope − curvature (x − centre)`.
    #[must_use]
    pub fn slope_at(&self, x: f64) -> f64 {
        self.slope - self.curvature * (x - self.centre)
    }
}

impl Terminal for Quadratic {
    fn reward(&self, _: usize, x: &Tensor) -> Result<Tensor> {
        let x = x.sum(D::Minus1)?;
        let bent = ((&x - self.centre)?.sqr()? * (-0.5 * self.curvature))?;
        Ok(((x * self.slope)? + bent)?)
    }
}
