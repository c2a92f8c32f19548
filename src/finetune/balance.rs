//! Settings of methods that balance paths: log-ratio against reward, whoever drew the path.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How log Z is learned, and how paths off the present control's law are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct BalanceConfig {
    /// Share of the way to the batch's own estimate that the learned log Z goes at every optimiser step; 1 is that estimate itself.
    pub log_z_rate: f64,
    /// Factor on the noise of every step of the first paths; it falls to 1 along a line over the run. 1 explores nothing.
    pub exploration: f64,
}

impl Default for BalanceConfig {
    fn default() -> Self {
        Self { log_z_rate: 0.2, exploration: 1.0 }
    }
}

impl BalanceConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        if !(self.log_z_rate > 0.0 && self.log_z_rate <= 1.0) {
            return Err(Error::usage(format!("`balance.log-z-rate` is {}; above 0 to 1 is accepted", self.log_z_rate)));
        }
        if !(1.0..=10.0).contains(&self.exploration) {
            return Err(Error::usage(format!("`balance.exploration` is {}; 1 to 10 is accepted", self.exploration)));
        }
        Ok(())
    }

    /// The factor on the noise of paths that are drawn at an optimiser step out of `total`.
    ///
    /// ```
    /// let config = seqtilt::finetune::BalanceConfig { exploration: 3.0, ..Default::default() };
    /// assert_eq!([0, 25, 50, 75, 100].map(|step| config.spread_at(step, 100)), [3.0, 2.5, 2.0, 1.5, 1.0]);
    /// ```
    #[must_use]
    pub fn spread_at(&self, step: u64, total: u64) -> f64 {
        let share = (step as f64 / total.max(1) as f64).min(1.0);
        1.0 + (self.exploration - 1.0) * (1.0 - share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_out_of_range_are_refused_by_name() {
        for (config, name) in [
            (BalanceConfig { log_z_rate: 0.0, ..BalanceConfig::default() }, "`balance.log-z-rate` is 0"),
            (BalanceConfig { exploration: 0.9, ..BalanceConfig::default() }, "`balance.exploration` is 0.9"),
            (BalanceConfig { exploration: f64::NAN, ..BalanceConfig::default() }, "`balance.exploration` is NaN"),
        ] {
            assert!(config.check().unwrap_err().message().contains(name));
        }
        assert!(BalanceConfig::default().check().is_ok());
    }
}
