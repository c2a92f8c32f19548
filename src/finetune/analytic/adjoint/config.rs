//! Settings of Adjoint Matching.

use super::Subset;
use crate::error::{Error, Result};
use crate::finetune::{Alignment, QuantileClip};
use serde::{Deserialize, Serialize};

/// How a control is matched to lean adjoints.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct MatchingConfig {
    /// Price of a nat, in reward units.
    pub alpha: f64,
    /// Which adjoint a step is paired with.
    pub alignment: Alignment,
    /// Steps that are learned from.
    pub subset: Subset,
    /// Which losses are left out, if any.
    pub clip: Option<QuantileClip>,
    /// Optimiser steps.
    pub updates: u64,
    /// Paths an optimiser step.
    pub batch: usize,
    /// Paths a shard.
    pub shard: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Decay of the averaged weights.
    pub ema: f64,
}

impl Default for MatchingConfig {
    fn default() -> Self {
        Self {
            alpha: 1.0,
            alignment: Alignment::Exact,
            subset: Subset::default(),
            clip: None,
            updates: 800,
            batch: 256,
            shard: 128,
            learning_rate: 0.005,
            ema: 0.98,
        }
    }
}

impl MatchingConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        let counts = [("updates", self.updates), ("batch", self.batch as u64), ("shard", self.shard as u64)];
        for (name, value) in counts {
            if value == 0 || value > 10_000_000 {
                return Err(Error::usage(format!("`{name}` is {value}; 1 to 10000000 is accepted")));
            }
        }
        for (name, value, least, most) in [
            ("alpha", self.alpha, 1e-9, 1e9),
            ("learning-rate", self.learning_rate, 1e-12, 1.0),
            ("ema", self.ema, 0.0, 1.0 - 1e-9),
        ] {
            if !(least..=most).contains(&value) {
                return Err(Error::usage(format!("`{name}` is {value}; {least} to {most} is accepted")));
            }
        }
        self.subset.check()?;
        self.clip.map_or(Ok(()), |clip| clip.check())
    }
}
