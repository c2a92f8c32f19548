//! A learned initial law, as a run and a sampler on disk record it.

use crate::diffusion::{Chain as _, DiffusionChain};
use crate::error::Result;
use crate::finetune::initial::{Forms, INITIAL_ROUTES, InitialConfig, Joined, Route, StateControl, ValueConfig};
use crate::finetune::{FinetuneConfig, TokenControl};
use serde::{Deserialize, Serialize};

/// What lies before the chain.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct InitialLaw {
    /// How it is learned.
    pub(in crate::cli) route: Route,
    /// Steps of the lead.
    pub(in crate::cli) lead: usize,
    /// Width of the lead's control.
    pub(in crate::cli) width: usize,
    /// Its peak learning rate.
    pub(in crate::cli) rate: f64,
    /// The value of initial states.
    pub(in crate::cli) value: ValueConfig,
}

impl InitialLaw {
    /// The route's name.
    pub(in crate::cli) fn name(&self) -> &'static str {
        INITIAL_ROUTES.entries().iter().find(|entry| entry.make == self.route).map_or("initial law", |entry| entry.name)
    }

    /// Whether there is a lead at all.
    pub(in crate::cli) fn is_learned(&self) -> bool {
        self.route != Route::Frozen
    }

    /// With what the control is trained by.
    pub(in crate::cli) fn config(&self, tuning: &FinetuneConfig) -> InitialConfig {
        InitialConfig {
            route: self.route,
            alpha: tuning.alpha,
            lead: self.lead,
            updates: tuning.steps,
            batch: tuning.batch,
            shard: tuning.shard,
            learning_rate: tuning.learning_rate,
            lead_learning_rate: Some(self.rate),
            ema: tuning.ema,
            estimator: tuning.estimator,
            value: self.value,
        }
    }

    /// The networks of lead and chain.
    ///
    /// # Errors
    /// When the initial law cannot be led to.
    pub(in crate::cli) fn forms<'a>(&self, chain: &'a DiffusionChain, tuning: &FinetuneConfig) -> Result<Forms<'a>> {
        let steps = Joined::new(chain, self.lead)?.lead().steps();
        let control = tuning.control.clone();
        Ok(Forms {
            lead: StateControl::form(chain.shape(), steps, self.width),
            main: Box::new(move |params| Ok(Box::new(TokenControl::new(chain, &control, params)?))),
        })
    }
}
