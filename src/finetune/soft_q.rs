//! Settings of soft-Q fine-tuning.

use super::GlimpseKind;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How values on the way are guessed and trusted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SoftQConfig {
    /// Discount γ of the reward per step of a chain of 50 steps: a step that has k' more to come counts `γ^(50 k'/K)` times, so that
    /// the same noise level is trusted alike whatever K. Departures are never discounted. 1 is no discount.
    pub discount: f64,
    /// How the end of a path is guessed from a state on its way.
    pub glimpse: GlimpseKind,
    /// Pairs of path and step that an optimiser step learns from; as many as paths where it is not said.
    pub pairs: Option<usize>,
}

impl Default for SoftQConfig {
    fn default() -> Self {
        Self { discount: 1.0, glimpse: GlimpseKind::Tweedie, pairs: None }
    }
}

/// Steps of the chain that a discount is given for.
const STEPS: f64 = 50.0;

impl SoftQConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        if !(self.discount > 0.0 && self.discount <= 1.0) {
            return Err(Error::usage(format!("`soft-q.discount` is {}; above 0 to 1 is accepted", self.discount)));
        }
        if let Some(pairs) = self.pairs.filter(|pairs| !(1..=1 << 20).contains(pairs)) {
            return Err(Error::usage(format!("`soft-q.pairs` is {pairs}; 1 to {} is accepted", 1 << 20)));
        }
        Ok(())
    }

    /// The discount of one step of a chain of `steps` steps, `γ^(50/K)`.
    ///
    /// ```
    /// let config = seqtilt::finetune::SoftQConfig { discount: 0.9, ..Default::default() };
    /// assert_eq!(config.of_step(50), 0.9);
    /// assert!((config.of_step(100).powi(2) - 0.9).abs() < 1e-15);
    /// ```
    #[must_use]
    pub fn of_step(&self, steps: usize) -> f64 {
        self.discount.powf(STEPS / steps.max(1) as f64)
    }
}
