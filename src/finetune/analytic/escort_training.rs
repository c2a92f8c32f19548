//! Training an escort.

use super::escort_loss::Taped;
use super::{EscortLoss, EscortNetwork, TiltedPath};
use crate::error::{Error, Result};
use crate::nn::{AdamWConfig, Figures, Init, Learner, Params, Pool, Tensors, Training, gradients, over_shards};
use crate::random::Seed;
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

/// How an escort is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct EscortConfig {
    /// The loss.
    pub loss: EscortLoss,
    /// Optimiser steps.
    pub updates: u64,
    /// Walks an optimiser step.
    pub batch: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Width of the network.
    pub width: usize,
}

impl Default for EscortConfig {
    fn default() -> Self {
        Self { loss: EscortLoss::LogVariance, updates: 400, batch: 256, learning_rate: 0.01, width: 32 }
    }
}

/// Decay of the averaged weights.
const EMA: f64 = 0.95;

/// How many times as fast as the network the log Z of trajectory balance learns.
const LEVEL_SHARE: f64 = 10.0;

/// A training run of an [`EscortNetwork`] on the walks of a [`TiltedPath`] with the linear ramp: CMCD-tilt (works of kernels) and
/// NETS-tilt (the residual of the rate). Both are derived forms for tilting, not the published algorithms; their Z is that of
/// continuous time up to O(h), while the base sampler of K steps as it runs has Z of its own (`eval::weights`).
pub struct EscortTraining<'a> {
    config: EscortConfig,
    path: &'a TiltedPath,
    seed: Seed,
    pool: &'a Pool,
    learner: Learner,
}

impl<'a> EscortTraining<'a> {
    /// A run at step 0, where the escort is exactly zero.
    ///
    /// # Errors
    /// When a number is out of range.
    pub fn new(path: &'a TiltedPath, config: EscortConfig, seed: Seed, pool: &'a Pool) -> Result<Self> {
        if config.batch < 2 || config.updates == 0 || config.width == 0 {
            let EscortConfig { batch, updates, width, .. } = config;
            let message =
                format!("`batch` is {batch}, `updates` {updates}, `width` {width}; at least 2, 1 and 1 are accepted");
            return Err(Error::usage(message));
        }
        if (0..=path.steps()).any(|k| path.node(k).half_noise <= 0.0) && config.loss != EscortLoss::Residual {
            return Err(Error::usage(
                "a path without noise has no step densities; only the loss `residual` is accepted",
            ));
        }
        let params = Params::trainable(seed.child("weights"), DType::F64, &Device::Cpu);
        EscortNetwork::new(&params.child("escort"), config.width)?;
        Self::level(&params, config.loss, path.steps())?;
        let settings =
            AdamWConfig { lr: config.learning_rate, beta2: 0.99, clip_norm: Some(10.0), ..AdamWConfig::default() };
        // a level is far from 0 where weights are of the order of 1
        let learner = Learner::new(params, settings, EMA, config.updates)?.with_share("log_z", LEVEL_SHARE);
        Ok(Self { config, path, seed, pool, learner })
    }

    /// What a loss learns of log Z: the number, or its rate at every step.
    fn level(params: &Params, loss: EscortLoss, steps: usize) -> Result<Option<Tensor>> {
        match loss {
            EscortLoss::LogVariance | EscortLoss::Kl => Ok(None),
            EscortLoss::TrajectoryBalance => params.child("log_z").get("level", 1, Init::Zeros).map(Some),
            EscortLoss::Residual => params.get("log_z_rate", steps, Init::Zeros).map(Some),
        }
    }

    /// The escort with the averaged weights so far.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn escort(&self) -> Result<EscortNetwork> {
        EscortNetwork::new(&Params::frozen(self.weights(), &Device::Cpu).child("escort"), self.config.width)
    }

    /// The learned log Z, where the loss learns one: `log Z`, or `h Σ dF/dτ`.
    ///
    /// # Errors
    /// When a tensor cannot be read.
    pub fn log_z(&self) -> Result<Option<f64>> {
        let level = Self::level(&Params::frozen(self.weights(), &Device::Cpu), self.config.loss, self.path.steps())?;
        let mean = level.map(|level| Ok::<_, Error>(level.mean_all()?.to_scalar::<f64>()?)).transpose()?;
        // a sum of K rates over K is their mean
        Ok(mean)
    }
}

impl Training for EscortTraining<'_> {
    fn total(&self) -> u64 {
        self.config.updates
    }

    fn done(&self) -> u64 {
        self.learner.done()
    }

    fn step(&mut self) -> Result<Figures> {
        let EscortConfig { loss, batch, width, .. } = self.config;
        let (seed, vars) = (self.seed.child("step").index(self.done()), self.learner.params().vars());
        // a variance is of the whole batch, so that the batch is one shard
        let (sums, losses) = over_shards(self.pool, 1, |_| {
            let params = self.learner.params();
            let (network, taped) = (EscortNetwork::new(&params.child("escort"), width)?, Taped::new(self.path)?);
            let (mut rng, level) = (seed.rng(), Self::level(params, loss, self.path.steps())?);
            let loss = match (loss, level) {
                (EscortLoss::Residual, Some(rates)) => taped.residual(&network, &rates, batch, &mut rng)?,
                (EscortLoss::TrajectoryBalance, Some(log_z)) => {
                    taped.works(&network, batch, false, &mut rng)?.broadcast_sub(&log_z)?.sqr()?.mean_all()?
                }
                (EscortLoss::Kl, _) => taped.works(&network, batch, true, &mut rng)?.mean_all()?.neg()?,
                _ => {
                    let works = taped.works(&network, batch, false, &mut rng)?;
                    let centred = works.broadcast_sub(&works.mean_all()?)?;
                    (centred.sqr()?.sum_all()? / (batch as f64 - 1.0))?
                }
            };
            Ok((gradients(&loss, &vars)?, loss.detach()))
        })?;
        let losses: Vec<&Tensor> = losses.iter().collect();
        let learnt = self.learner.learn(&sums, self.pool, &losses, |rows| Ok(rows.iter().flatten().sum::<f64>()))?;
        Ok(vec![("loss", learnt.figures), ("gradient_norm", learnt.norm), ("learning_rate", learnt.rate)])
    }

    fn state(&self) -> Result<Tensors> {
        self.learner.state()
    }

    fn restore(&mut self, done: u64, state: &Tensors) -> Result<()> {
        self.learner.restore(done, state)
    }

    fn weights(&self) -> Tensors {
        self.learner.weights().clone()
    }
}

#[cfg(test)]
mod tests;
