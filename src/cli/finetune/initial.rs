//! Arguments of a learned initial law, and what they amount to.

use super::settings::Tuning;
use crate::cli::check::within;
use crate::cli::tilted::InitialLaw;
use crate::error::{Error, Result};
use crate::finetune::CONTROL;
use crate::finetune::initial::{INITIAL_ROUTES, Route, ValueConfig};
use serde::{Deserialize, Serialize};

/// What is learned of the initial law.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct InitialArgs {
    /// Learn the law of the initial state too, or leave it on purpose: one of `seqtilt list initial-routes` [default: left, which
    /// wants --eta 1]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) initial: Option<String>,
    /// Steps of the chain that draws the initial state [default: 16]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) lead: Option<usize>,
    /// Peak learning rate of its control [default: 0.005]
    #[arg(long, value_name = "RATE")]
    pub(in crate::cli) lead_rate: Option<f64>,
    /// Paths behind the value of initial states [default: 65536]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) value_paths: Option<usize>,
    /// Optimiser steps of the value of initial states [default: 600]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) value_steps: Option<u64>,
}

/// Steps of a lead unless told otherwise.
const LEAD: usize = 16;
/// Width of a lead's control.
const WIDTH: usize = 64;
/// Its learning rate unless told otherwise.
const RATE: f64 = 5e-3;

impl InitialArgs {
    /// Whether nothing was given.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The initial law of a chain with a share `eta` of noise.
    ///
    /// # Errors
    /// When a value is out of range, a setting would not be read, or the chain remembers a start that nobody learns.
    pub(super) fn law(&self, tuning: &Tuning, eta: f64) -> Result<Option<InitialLaw>> {
        let Some(name) = &self.initial else {
            if let Some(key) = self.given(true) {
                return Err(
                    Error::usage(format!("`{key}` is for a learned initial law")).hint("name one with --initial")
                );
            }
            if eta < 1.0 {
                let message = format!(
                    "at `eta` {eta} the end remembers its start, and a control from a frozen initial law misses the tilt"
                );
                return Err(Error::usage(message).hint(
                    "learn the initial law too with --initial staged-v2, or see the bias with --initial frozen",
                ));
            }
            return Ok(None);
        };
        let route = INITIAL_ROUTES.get(name)?.make;
        if let Some(key) = self.given(route == Route::Frozen).or_else(|| {
            let valued = self.value_paths.map(|_| "value-paths").or(self.value_steps.map(|_| "value-steps"));
            valued.filter(|_| route == Route::Joint)
        }) {
            return Err(Error::usage(format!("`{key}` is not read by initial route `{name}`")).hint("leave it out"));
        }
        let unread = [
            ("objective", tuning.objective.as_deref().is_some_and(|name| name != CONTROL)),
            ("truncate", tuning.truncate.is_some()),
            ("lookahead", tuning.lookahead.is_some()),
            ("control-start", tuning.control_start.as_deref().is_some_and(|start| start != "zero")),
        ];
        if let Some((key, _)) = unread.into_iter().find(|(_, given)| *given) {
            let message =
                format!("`{key}` cannot be combined with `initial`: whole paths are trained by control, from zero");
            return Err(Error::usage(message).hint("leave one of them out"));
        }
        let default = ValueConfig::default();
        let value = ValueConfig {
            pairs: within("value-paths", self.value_paths.unwrap_or(default.pairs), 1..=1 << 30)?,
            updates: within("value-steps", self.value_steps.unwrap_or(default.updates), 1..=10_000_000)?,
            ..default
        };
        Ok(Some(InitialLaw {
            route,
            lead: within("lead", self.lead.unwrap_or(LEAD), 1..=10_000)?,
            width: WIDTH,
            rate: within("lead-rate", self.lead_rate.unwrap_or(RATE), 1e-12..=1.0)?,
            value,
        }))
    }

    /// A setting that needs a lead.
    fn given(&self, wanted: bool) -> Option<&'static str> {
        let keys = [
            ("lead", self.lead.is_some()),
            ("lead-rate", self.lead_rate.is_some()),
            ("value-paths", self.value_paths.is_some()),
            ("value-steps", self.value_steps.is_some()),
        ];
        keys.into_iter().find(|(_, given)| *given && wanted).map(|(key, _)| key)
    }
}
