//! Settings of adjoint matching.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// Which adjoint the control of step k is matched with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alignment {
    /// That of the state after the step, ã_{k+1}: the fixed point is then the best control of the chain as it runs, however coarse.
    #[default]
    Exact,
    /// That of the state before it, ã_k, as the code that was released with the paper has it: the same in the limit of small steps, and
    /// off by their size before.
    Released,
}

impl FromStr for Alignment {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "exact" => Ok(Self::Exact),
            "released" => Ok(Self::Released),
            _ => Err(Error::usage(format!("unknown alignment `{name}`; accepted: `exact`, `released`"))),
        }
    }
}

/// How a control is matched with lean adjoints.
///
/// ```
/// let config: seqtilt::finetune::AdjointConfig = Default::default();
/// assert_eq!((config.share, config.passes), (1.0, 1));
/// assert!(config.check().is_ok());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AdjointConfig {
    /// Which adjoint a step is matched with.
    pub alignment: Alignment,
    /// Share of its steps that a path is learned from, above ¼ to 1. The last quarter always is, as in the paper; of the others a random
    /// few, drawn anew for every shard and optimiser step, each of which counts as many times as it stands for. The paper and its code leave
    /// that factor out, which weighs early steps less.
    pub share: f64,
    /// Residuals `|u + s ã|` from an average of this quantile of theirs on are left out, the average decaying by 0.9 an optimiser step. The
    /// first step leaves out nothing. It bounds what rare large adjoints do, and moves the fixed point.
    pub clip: Option<f64>,
    /// Optimiser steps on one batch of paths and adjoints; from the second on every path counts by the density that the control has come
    /// to give it.
    pub passes: u64,
}

impl Default for AdjointConfig {
    fn default() -> Self {
        Self { alignment: Alignment::Exact, share: 1.0, clip: None, passes: 1 }
    }
}

impl AdjointConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        if !(self.share > 0.25 && self.share <= 1.0) {
            return Err(Error::usage(format!("`adjoint.share` is {}; above 0.25 to 1 is accepted", self.share)));
        }
        if let Some(clip) = self.clip.filter(|clip| !(*clip > 0.0 && *clip < 1.0)) {
            return Err(Error::usage(format!("`adjoint.clip` is {clip}; a quantile between 0 and 1 is accepted")));
        }
        if !(1..=10_000).contains(&self.passes) {
            return Err(Error::usage(format!("`adjoint.passes` is {}; 1 to 10000 is accepted", self.passes)));
        }
        Ok(())
    }
}
