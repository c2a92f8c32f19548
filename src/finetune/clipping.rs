//! Which losses are too large to be learned from.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// A running quantile of the losses' roots; entries at or above it count nothing.
///
/// ```text
/// level ← decay · level + (1 − decay) · quantile_q(√loss)
/// ```
/// The rule of the code released with Adjoint Matching (arXiv 2409.08861), but that a batch is judged by the level of those before it:
/// then one pass is enough, and the first batch is not clipped. Means are still over all entries. Clipping moves the fixed point: the
/// share that was clipped belongs in every log.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct QuantileClip {
    /// Which quantile, in (0, 1].
    pub quantile: f64,
    /// How much of the level is kept at a step, in [0, 1).
    pub decay: f64,
}

impl Default for QuantileClip {
    fn default() -> Self {
        Self { quantile: 0.9, decay: 0.9 }
    }
}

impl QuantileClip {
    /// Checks both numbers.
    ///
    /// # Errors
    /// When one is out of range.
    pub fn check(&self) -> Result<()> {
        if self.quantile > 0.0 && self.quantile <= 1.0 && (0.0..1.0).contains(&self.decay) {
            return Ok(());
        }
        let Self { quantile, decay } = self;
        Err(Error::usage(format!(
            "`quantile` is {quantile} and `decay` {decay}; above 0 to 1 and from 0 to below 1 are accepted"
        )))
    }

    /// The level after a batch of these roots; without one so far, their quantile.
    #[must_use]
    pub fn level(&self, level: Option<f64>, roots: &[f64]) -> Option<f64> {
        let mut sorted = roots.to_vec();
        sorted.sort_by(f64::total_cmp);
        let last = sorted.len().checked_sub(1)?;
        // between the two nearest ranks
        let at = self.quantile * last as f64;
        let (below, share) = (at.floor() as usize, at.fract());
        let quantile = sorted[below] * (1.0 - share) + sorted[(below + 1).min(last)] * share;
        Some(level.map_or(quantile, |level| self.decay * level + (1.0 - self.decay) * quantile))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_level_follows_the_quantile() {
        let clip = QuantileClip::default();
        let roots: Vec<f64> = (0..=10).rev().map(f64::from).collect();
        assert_eq!(clip.level(None, &roots), Some(9.0));
        assert!((clip.level(Some(4.0), &roots).unwrap() - 4.5).abs() < 1e-12);
        assert!((QuantileClip { quantile: 0.25, ..clip }.level(None, &roots).unwrap() - 2.5).abs() < 1e-12);
        assert_eq!(clip.level(None, &[]), None);
    }

    #[test]
    fn numbers_out_of_range_are_refused() {
        assert!(QuantileClip { quantile: 0.0, decay: 0.9 }.check().is_err());
        assert!(QuantileClip { quantile: 0.9, decay: 1.0 }.check().is_err());
        assert!(QuantileClip::default().check().is_ok());
    }
}
