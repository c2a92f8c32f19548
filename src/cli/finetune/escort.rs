//! Arguments of methods that read a control as tilt and escort, and what they amount to.

use crate::cli::check::within;
use crate::error::{Error, Result};
use crate::finetune::{FinetuneConfig, objectives_that};
use serde::{Deserialize, Serialize};

/// How a tilt is turned on, and what its escort is trained by.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct EscortArgs {
    /// What `cmcd` makes of the works of its paths: log-variance or trajectory-balance [default: log-variance]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) escort_loss: Option<String>,
    /// How `cmcd` and `nets` turn the tilt on: value, by the value of a state, or line, by that times the share of steps taken
    /// [default: value]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) escort_ramp: Option<String>,
    /// Share of its steps that a batch of `nets` is learned from, drawn anew at every optimiser step [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    pub(in crate::cli) escort_share: Option<f64>,
}

/// The method that weighs works.
const WORKS: &str = "cmcd";
/// The method of residuals.
const RESIDUALS: &str = "nets";

impl EscortArgs {
    /// Whether nothing was given.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Writes what was given into a configuration, which checks it.
    ///
    /// # Errors
    /// When a value is out of range, or the objective does not read a setting.
    pub(super) fn apply(&self, config: &mut FinetuneConfig) -> Result<()> {
        let escorts = objectives_that(|objective| objective.values_states());
        let unread = |key: &str, by: &str| {
            Error::usage(format!("objective `{}` does not read `{key}`", config.objective))
                .hint(format!("leave it out, or take --objective {by}"))
        };
        if self.escort_ramp.is_some() && !escorts.contains(&config.objective.as_str()) {
            return Err(unread("escort-ramp", &escorts.join(" or ")));
        }
        if self.escort_loss.is_some() && config.objective != WORKS {
            return Err(unread("escort-loss", WORKS));
        }
        if self.escort_share.is_some() && config.objective != RESIDUALS {
            return Err(unread("escort-share", RESIDUALS));
        }
        let escort = &mut config.escort;
        if let Some(name) = &self.escort_loss {
            escort.loss = name.parse()?;
        }
        if let Some(name) = &self.escort_ramp {
            escort.ramp = name.parse()?;
        }
        escort.share = within("escort-share", self.escort_share.unwrap_or(escort.share), 1e-12..=1.0)?;
        Ok(())
    }
}
