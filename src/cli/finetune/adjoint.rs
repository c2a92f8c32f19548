//! Arguments of adjoint matching, and what they amount to.

use crate::error::{Error, Result};
use crate::finetune::{ADJOINT_MATCHING, FinetuneConfig};
use serde::{Deserialize, Serialize};

/// How a control is matched with lean adjoints.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct AdjointArgs {
    /// Which adjoint `adjoint-matching` pairs a step with: exact, that of the state after it, or released, that of the state before
    /// it, as the published code does [default: exact]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) alignment: Option<String>,
    /// Share of its steps that a path of `adjoint-matching` is learned from, above 0.25 to 1: the last quarter always, the others at
    /// random, counted for those that are left out [default: 1]
    #[arg(long, value_name = "SHARE")]
    pub(in crate::cli) adjoint_share: Option<f64>,
    /// Leave out residuals of `adjoint-matching` from a running average of this quantile of theirs on, 0.9 in the published code: less
    /// noise, and a bias [default: none is left out]
    #[arg(long, value_name = "QUANTILE")]
    pub(in crate::cli) adjoint_clip: Option<f64>,
    /// Optimiser steps that `adjoint-matching` takes on one batch of paths and adjoints, weighed by their densities [default: 1]
    #[arg(long, value_name = "P")]
    pub(in crate::cli) adjoint_passes: Option<u64>,
}

impl AdjointArgs {
    /// Whether nothing was given.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Writes what was given into a configuration, which checks it.
    ///
    /// # Errors
    /// When the objective reads none of it, or there is no such alignment.
    pub(super) fn apply(&self, config: &mut FinetuneConfig) -> Result<()> {
        if config.objective != ADJOINT_MATCHING && !self.is_empty() {
            let message = format!("objective `{}` matches no adjoints", config.objective);
            return Err(Error::usage(message).hint(
                "`--objective adjoint-matching` reads `alignment`, `adjoint-share`, `adjoint-clip` and `adjoint-passes`",
            ));
        }
        if let Some(name) = &self.alignment {
            config.adjoint.alignment = name.parse()?;
        }
        config.adjoint.share = self.adjoint_share.unwrap_or(config.adjoint.share);
        config.adjoint.clip = self.adjoint_clip;
        config.adjoint.passes = self.adjoint_passes.unwrap_or(config.adjoint.passes);
        Ok(())
    }
}
