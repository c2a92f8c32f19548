//! What a consistency model is stored with and how it is distilled.

use crate::diffusion::PriorConfig;
use crate::error::{Error, Result};
use crate::nn::Footprint;
use serde::{Deserialize, Serialize};

/// Which prior a model belongs to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PriorRef {
    /// Under which name or path it was opened.
    pub name: String,
    /// Its [`fingerprint`](crate::diffusion::fingerprint).
    pub fingerprint: String,
}

/// Everything that is needed to rebuild a [`Consistency`](super::Consistency) around its weights, stored as `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct ConsistencyConfig {
    /// Whose ODE it follows.
    pub prior: PriorRef,
    /// That prior's shape.
    pub shape: PriorConfig,
}

/// How a consistency model is distilled.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DistilConfig {
    /// Optimiser steps.
    pub steps: u64,
    /// States a step.
    pub batch: usize,
    /// States a shard; the result depends on it, the number of threads does not matter.
    pub shard: usize,
    /// Peak learning rate; warms up over the first 2 % and falls to 1 % along a cosine.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Decay of the averaged weights that are the target and are kept.
    pub ema: f64,
    /// Equal steps in λ that the whole ODE would take from the walk's start to the decode.
    pub ode_steps: usize,
    /// Of these, steps between a state and its target.
    pub skip: usize,
    /// Sequences of the prior's own that states are made of.
    pub samples: usize,
    /// Share of the states whose letters are partly drawn anew, uniformly: where tuned chains go, the prior seldom is.
    pub astray: f64,
}

impl Default for DistilConfig {
    fn default() -> Self {
        Self {
            steps: 4000,
            batch: 256,
            shard: 64,
            learning_rate: 2e-3,
            weight_decay: 0.0,
            ema: 0.99,
            ode_steps: 64,
            skip: 8,
            samples: 8192,
            astray: 0.25,
        }
    }
}

impl DistilConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        for (name, value, last) in [
            ("steps", self.steps, 100_000_000),
            ("batch", self.batch as u64, 1 << 20),
            ("shard", self.shard as u64, 1 << 20),
            ("ode-steps", self.ode_steps as u64, 10_000),
            ("skip", self.skip as u64, self.ode_steps as u64),
            ("samples", self.samples as u64, 1 << 24),
        ] {
            if value == 0 || value > last {
                return Err(Error::usage(format!("`{name}` is {value}; 1 to {last} is accepted")));
            }
        }
        for (name, value, inside, accepted) in [
            (
                "learning-rate",
                self.learning_rate,
                self.learning_rate > 0.0 && self.learning_rate <= 1.0,
                "above 0 to 1",
            ),
            ("weight-decay", self.weight_decay, (0.0..=1.0).contains(&self.weight_decay), "0 to 1"),
            ("ema", self.ema, (0.0..1.0).contains(&self.ema), "0 to below 1"),
            ("astray", self.astray, (0.0..=1.0).contains(&self.astray), "0 to 1"),
        ] {
            if !inside {
                return Err(Error::usage(format!("`{name}` is {value}; {accepted} is accepted")));
            }
        }
        Ok(())
    }

    /// Memory of distilling a prior of this shape on so many threads.
    #[must_use]
    pub fn footprint(&self, shape: &PriorConfig, threads: usize) -> Footprint {
        let (length, embedding, letters) = (shape.length, shape.embedding_dim, shape.letters.len());
        // the gain by noise level: two maps of the width and one to a number
        let width = shape.denoiser.dim as u64;
        let weights = shape.denoiser.weights(length, embedding, letters) + 2 * width * width + 3 * width + 1;
        let rows = self.shard.min(self.batch);
        // the walk and the target keep nothing, and take as much at a time as a forward pass
        let activations = 2 * rows as u64 * shape.denoiser.activations(length, embedding, letters, false);
        Footprint::of_training(weights, self.batch.div_ceil(rows.max(1)), threads, activations, 0)
    }
}
