//! Settings of implicit tilt matching.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How ends of paths are tilted and noised anew.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct TiltConfig {
    /// Tilts that the reward is cut into; each starts from the end of the one before.
    pub tilts: u64,
    /// States that every end is noised to at every optimiser step, each before a step of its own.
    pub noisings: usize,
    /// Whether ends are weighed by the density that they were drawn with, so that what one tilt misses the next makes up for. If not,
    /// ends of a tilt are those of the control that it started from, and nothing but values is known of them.
    pub recentred: bool,
    /// Share of the posterior as the control has it that stands in for the ends' own, from 0, weighted maximum likelihood, to 1, where
    /// equal weights give no gradient at all. With a replay buffer it is 0 whatever is said here: kept ends are not the control's own.
    pub baseline: f64,
}

impl Default for TiltConfig {
    fn default() -> Self {
        Self { tilts: 4, noisings: 4, recentred: true, baseline: 1.0 }
    }
}

impl TiltConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        for (name, value, most) in [("tilts", self.tilts, 1000), ("noisings", self.noisings as u64, 1000)] {
            if value == 0 || value > most {
                return Err(Error::usage(format!("`tilt.{name}` is {value}; 1 to {most} is accepted")));
            }
        }
        if !(0.0..=1.0).contains(&self.baseline) {
            return Err(Error::usage(format!("`tilt.baseline` is {}; 0 to 1 is accepted", self.baseline)));
        }
        Ok(())
    }

    /// The tilt, from 0, that an optimiser step out of `total` belongs to: an equal share of the steps each, or, recentred, one of the
    /// first half, with the second half for the last one.
    ///
    /// ```
    /// let config = seqtilt::finetune::TiltConfig { tilts: 2, ..Default::default() };
    /// assert_eq!([0, 24, 25, 99].map(|step| config.tilt_at(step, 100)), [0, 0, 1, 1]);
    /// let plain = seqtilt::finetune::TiltConfig { recentred: false, ..config };
    /// assert_eq!([0, 49, 50, 99].map(|step| plain.tilt_at(step, 100)), [0, 0, 1, 1]);
    /// ```
    #[must_use]
    pub fn tilt_at(&self, step: u64, total: u64) -> u64 {
        let steps = if self.recentred { total.div_ceil(2) } else { total };
        (step.saturating_mul(self.tilts) / steps.max(1)).min(self.tilts - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        for (config, name) in [
            (TiltConfig { tilts: 0, ..TiltConfig::default() }, "`tilt.tilts` is 0"),
            (TiltConfig { noisings: 0, ..TiltConfig::default() }, "`tilt.noisings` is 0"),
            (TiltConfig { baseline: 1.5, ..TiltConfig::default() }, "`tilt.baseline` is 1.5"),
        ] {
            assert!(config.check().unwrap_err().message().contains(name));
        }
        assert!(TiltConfig::default().check().is_ok());
    }
}
