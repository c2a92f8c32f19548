//! Settings of methods that read a control as tilt and escort.

use super::analytic::{EscortLoss, Ramp};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How the tilt is turned on along a path, and what the escort is trained by.
///
/// ```
/// let config: seqtilt::finetune::EscortConfig = Default::default();
/// assert_eq!((config.share, config.probe), (0.1, 0.1));
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EscortConfig {
    /// What `cmcd` makes of the works A of its paths: `log-variance` or `trajectory-balance`.
    pub loss: EscortLoss,
    /// φ on the way. [`Ramp::Value`], the value of the state, leaves the base's noising as reversal at the optimum, so that it is the optimum
    /// of control; of any other φ the walk has other laws on the way to the same end, and pays for them in nats of paths.
    pub ramp: Ramp,
    /// Share of its steps that a batch of `nets` is learned from, drawn anew at every optimiser step.
    pub share: f64,
    /// How far apart the states are that `nets` takes a divergence from, in lengths on which beliefs change.
    pub probe: f64,
}

impl Default for EscortConfig {
    fn default() -> Self {
        Self { loss: EscortLoss::LogVariance, ramp: Ramp::Value, share: 0.1, probe: 0.1 }
    }
}

impl EscortConfig {
    /// Checks every number, and that there is such a loss for letters.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted. The KL of the walk to its reversal, `−E[A]`, is one of those: with
    /// the base's density eliminated through its own steps `E[e^A]` depends on the escort in discrete time, and `−E[A]` has no lower bound.
    pub fn check(&self) -> Result<()> {
        match self.loss {
            EscortLoss::LogVariance | EscortLoss::TrajectoryBalance => {}
            EscortLoss::Kl => {
                return Err(Error::usage(
                    "`escort.loss` kl has no lower bound where the base's density is not known; accepted: `log-variance`, `trajectory-balance`",
                )
                .hint("`--objective control` minimises the KL of the controlled paths to the tilted ones"));
            }
            EscortLoss::Residual => {
                return Err(Error::usage("`escort.loss` residual is a method of its own").hint("take --objective nets"));
            }
        }
        if !(self.share > 0.0 && self.share <= 1.0) {
            return Err(Error::usage(format!("`escort.share` is {}; above 0 to 1 is accepted", self.share)));
        }
        if !(self.probe > 0.0 && self.probe <= 1.0) {
            return Err(Error::usage(format!("`escort.probe` is {}; above 0 to 1 is accepted", self.probe)));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_range_or_has_no_bound_is_refused() {
        let config = EscortConfig::default();
        for (config, name) in [
            (EscortConfig { loss: EscortLoss::Kl, ..config }, "no lower bound"),
            (EscortConfig { loss: EscortLoss::Residual, ..config }, "a method of its own"),
            (EscortConfig { share: 0.0, ..config }, "`escort.share` is 0"),
            (EscortConfig { probe: f64::NAN, ..config }, "`escort.probe` is NaN"),
        ] {
            assert!(config.check().unwrap_err().message().contains(name));
        }
        assert!(EscortConfig { loss: EscortLoss::TrajectoryBalance, ..config }.check().is_ok());
    }
}
