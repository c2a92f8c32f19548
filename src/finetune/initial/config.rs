//! How an initial law is learned.

use crate::error::{Error, Result};
use crate::finetune::Estimator;
use crate::registry::registry;
use serde::{Deserialize, Serialize};

/// The ways to an initial law by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// Value of initial states by Feynman–Kac regression on base paths, then the lead, then the main chain.
    StagedV1,
    /// A control from the frozen start, the value by regression on its returns, then the lead, then the main chain: for small
    /// alpha.
    #[default]
    StagedV2,
    /// Lead and main chain at once.
    Joint,
    /// The main chain from its frozen initial law: biased unless the chain forgets its start.
    Frozen,
}

registry! {
    /// The ways to an initial law by name.
    pub INITIAL_ROUTES: Route, "initial route", "initial routes";
    "joint" => Route::Joint, "lead and main chain at once, through both";
    "frozen" => Route::Frozen, "the initial law left as it is: biased where the end remembers the start";
    "staged-v1" => Route::StagedV1, "value by Feynman-Kac regression on base paths, then the lead, then the main chain";
    "staged-v2" => Route::StagedV2, "control from a frozen start, value from its returns, then lead and main chain";
}

/// How the value of initial states is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ValueConfig {
    /// Paths that are walked for it.
    pub pairs: usize,
    /// Optimiser steps.
    pub updates: u64,
    /// Pairs an optimiser step.
    pub batch: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Width of the network.
    pub width: usize,
    /// Residuals of the log-domain loss count linearly above this.
    pub clip: f64,
    /// alpha starts this many times higher in that loss and falls geometrically to its value over the first half.
    pub anneal: f64,
    /// Fewest effective paths that a Feynman–Kac regression is done with.
    pub effective: f64,
}

impl Default for ValueConfig {
    fn default() -> Self {
        Self {
            pairs: 65_536,
            updates: 600,
            batch: 2048,
            learning_rate: 0.03,
            width: 32,
            clip: 8.0,
            anneal: 4.0,
            effective: 100.0,
        }
    }
}

/// How lead and main chain are trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct InitialConfig {
    /// The way there.
    pub route: Route,
    /// Price of a nat, in reward units, in lead and main chain alike.
    pub alpha: f64,
    /// Steps from the fixed point to the initial law; rounded up to whole blocks of the main chain.
    pub lead: usize,
    /// Optimiser steps of each stage that trains a control.
    pub updates: u64,
    /// Paths an optimiser step.
    pub batch: usize,
    /// Paths a shard.
    pub shard: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// That of the lead, where its control is of another kind; 0.005 suits a [`StateControl`](super::StateControl).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lead_learning_rate: Option<f64>,
    /// Decay of the averaged weights.
    pub ema: f64,
    /// Gradient estimator of the divergence.
    pub estimator: Estimator,
    /// The value of initial states.
    pub value: ValueConfig,
}

impl Default for InitialConfig {
    fn default() -> Self {
        Self {
            route: Route::default(),
            alpha: 0.5,
            lead: 16,
            updates: 300,
            batch: 512,
            shard: 256,
            learning_rate: 0.02,
            lead_learning_rate: None,
            ema: 0.95,
            estimator: Estimator::Landing,
            value: ValueConfig::default(),
        }
    }
}

impl InitialConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        let value = self.value;
        for (name, value, most) in [
            ("lead", self.lead as u64, 10_000),
            ("updates", self.updates, 10_000_000),
            ("batch", self.batch as u64, 1 << 20),
            ("shard", self.shard as u64, 1 << 20),
            ("value.pairs", value.pairs as u64, 1 << 30),
            ("value.updates", value.updates, 10_000_000),
            ("value.batch", value.batch as u64, 1 << 24),
            ("value.width", value.width as u64, 8192),
        ] {
            if value == 0 || value > most {
                return Err(Error::usage(format!("`{name}` is {value}; 1 to {most} is accepted")));
            }
        }
        for (name, value, least, most) in [
            ("alpha", self.alpha, 1e-9, 1e9),
            ("learning-rate", self.learning_rate, 1e-12, 1.0),
            ("lead-learning-rate", self.lead_learning_rate.unwrap_or(self.learning_rate), 1e-12, 1.0),
            ("ema", self.ema, 0.0, 1.0 - 1e-9),
            ("value.learning-rate", value.learning_rate, 1e-12, 1.0),
            ("value.clip", value.clip, 1.0, 80.0),
            ("value.anneal", value.anneal, 1.0, 1e6),
            ("value.effective", value.effective, 1.0, 1e12),
        ] {
            if !(least..=most).contains(&value) {
                return Err(Error::usage(format!("`{name}` is {value}; {least} to {most} is accepted")));
            }
        }
        Ok(())
    }
}
