//! Back-propagation on the linear-quadratic problem.

use super::{Affine, LinearChain, LinearQuadratic, Start};
use crate::diffusion::Chain as _;
use crate::error::{Error, Result};
use crate::finetune::backprop::means;
use crate::finetune::{BackProp, Batch, Estimator, Problem};
use crate::nn::{AdamWConfig, Figures, Learner, Params, Pool, Tensors, Training, over_shards};
use crate::random::Seed;
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};

/// How the affine control is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AnalyticConfig {
    /// Whether the initial law is learned.
    pub start: Start,
    /// Euler steps of the base.
    pub steps: usize,
    /// Steps from the fixed point to the initial law, with a joint start.
    pub lead: usize,
    /// Optimiser steps.
    pub updates: u64,
    /// Paths an optimiser step.
    pub batch: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
    /// Gradient estimator of the divergence.
    pub estimator: Estimator,
}

impl Default for AnalyticConfig {
    fn default() -> Self {
        Self {
            start: Start::Joint,
            steps: 64,
            lead: 16,
            updates: 300,
            batch: 512,
            learning_rate: 0.02,
            estimator: Estimator::Landing,
        }
    }
}

/// Paths a shard.
const SHARD: usize = 256;

/// Decay of the averaged weights.
const EMA: f64 = 0.95;

/// A training run of the same method, optimiser and averaging that sequence chains get, on a problem with a known answer.
pub struct AnalyticTraining<'a> {
    config: AnalyticConfig,
    problem: LinearQuadratic,
    chain: LinearChain,
    seed: Seed,
    pool: &'a Pool,
    learner: Learner,
}

impl<'a> AnalyticTraining<'a> {
    /// A run at step 0, where the control is exactly zero.
    ///
    /// # Errors
    /// When a number is out of range.
    pub fn new(problem: LinearQuadratic, config: AnalyticConfig, seed: Seed, pool: &'a Pool) -> Result<Self> {
        problem.check()?;
        if config.batch == 0 || config.updates == 0 {
            let (batch, updates) = (config.batch, config.updates);
            return Err(Error::usage(format!("`batch` is {batch} and `updates` {updates}; at least 1 is accepted")));
        }
        let chain = LinearChain::euler(&problem, config.start, config.steps, config.lead)?;
        let params = Params::trainable(seed.child("weights"), DType::F64, &Device::Cpu);
        Affine::new(&params, chain.steps())?;
        let settings =
            AdamWConfig { lr: config.learning_rate, beta2: 0.99, clip_norm: Some(10.0), ..AdamWConfig::default() };
        let learner = Learner::new(params, settings, EMA, config.updates)?;
        Ok(Self { config, problem, chain, seed, pool, learner })
    }

    /// The chain that is walked.
    #[must_use]
    pub fn chain(&self) -> &LinearChain {
        &self.chain
    }

    /// The control with the averaged weights so far.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn control(&self) -> Result<Affine> {
        Affine::new(&Params::frozen(self.weights(), &Device::Cpu), self.chain.steps())
    }
}

impl Training for AnalyticTraining<'_> {
    fn total(&self) -> u64 {
        self.config.updates
    }

    fn done(&self) -> u64 {
        self.learner.done()
    }

    fn step(&mut self) -> Result<Figures> {
        let seed = self.seed.child("step").index(self.done());
        let (batch, steps) = (self.config.batch, self.chain.steps());
        let problem = Problem { chain: &self.chain, terminal: &self.problem, alpha: Some(self.problem.alpha) };
        let (vars, held) = (self.learner.params().vars(), self.learner.held());
        let method = BackProp { estimator: self.config.estimator, ..BackProp::default() };
        let (sums, parts) = over_shards(self.pool, batch.div_ceil(SHARD), |i| {
            let (control, frozen) = (Affine::new(self.learner.params(), steps)?, Affine::new(&held, steps)?);
            let rows = SHARD.min(batch - i * SHARD);
            let part = Batch { rows, total: batch, steps, seed: seed.index(i as u64) };
            let part = method.gradient(&problem, &control, &frozen, &vars, &part)?;
            Ok((part.gradients, [part.value, part.cost]))
        })?;
        let figures: Vec<&Tensor> = parts.iter().flatten().collect();
        let learnt = self.learner.learn(&sums, self.pool, &figures, |rows| Ok(means(&rows, batch)))?;
        let (reward, cost) = learnt.figures;
        Ok(vec![("reward", reward), ("path_kl", cost), ("objective", reward - self.problem.alpha * cost)])
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
