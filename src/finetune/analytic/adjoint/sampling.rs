//! Adjoint Sampling: a density from its energy, without data.

use super::{MatchingConfig, Reference, additive};
use crate::diffusion::{Chain, Memory};
use crate::error::{Error, Result};
use crate::finetune::initial::Form;
use crate::finetune::{Control, Rollout, Terminal};
use crate::nn::{
    AdamWConfig, Figures, Learner, Params, Pool, Tensors, Training, gradients, gradients_with, over_shards, read,
};
use crate::random::Seed;
use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};

/// Name of the kept ends in a run's state.
const KEPT: &str = "kept";

/// How ends are kept and learned from.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SamplingConfig {
    /// Price, optimiser and batch; `clip` and `alignment` are not read.
    pub matching: MatchingConfig,
    /// Ends that are kept.
    pub kept: usize,
    /// Paths that are walked whenever ends are renewed.
    pub fresh: usize,
    /// Optimiser steps between two renewals.
    pub reuse: u64,
    /// Largest slope of the end that is learned from: larger ones are cut to it.
    pub most: f64,
    /// Whether ends are drawn with their path weights, `e^{r/α − L}`, and not alike.
    pub weighted: bool,
}

impl Default for SamplingConfig {
    fn default() -> Self {
        Self { matching: MatchingConfig::default(), kept: 8192, fresh: 512, reuse: 4, most: 150.0, weighted: true }
    }
}

impl SamplingConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        self.matching.check()?;
        for (name, value) in [("kept", self.kept as u64), ("fresh", self.fresh as u64), ("reuse", self.reuse)] {
            if value == 0 || value > 1 << 24 {
                return Err(Error::usage(format!("`{name}` is {value}; 1 to {} is accepted", 1 << 24)));
            }
        }
        if !(self.most > 0.0 && self.most.is_finite()) {
            return Err(Error::usage(format!("`most` is {}; a finite number above 0 is accepted", self.most)));
        }
        Ok(())
    }
}

/// An end of a path: where, the slope of r/α there, and r/α − L of its path.
#[derive(Clone, Copy, Debug, PartialEq)]
struct End {
    x: f64,
    slope: f64,
    log_weight: f64,
}

/// A run of Adjoint Sampling on a chain of one number with affine steps, from a control that starts at zero.
///
/// ```text
/// x_K ~ Pᵘ kept,   x_k ~ base bridge | x_K        loss = ½ |u_θ(x_k) − s_k A_{k+1} ∇r(x_K)/α|²
/// ```
/// The adjoint of a Gaussian reference has a closed form, A ∇r with the base's A ([`Reference`]), and the optimum's paths given
/// their end are the base's, so that an end serves every step and is kept (Havens et al. 2025, arXiv 2504.11713). With ends drawn
/// alike that is blind to how much mass each mode has: whatever the present sampler's ends are is what is learned. With `weighted`
/// ends are drawn by `e^{r/α − L}` among those kept, which makes them those of the density.
///
/// Figures of a step: `loss`, the effective share of the `kept` ends, `reward` and `path_kl` of the last fresh paths.
pub struct SamplingTraining<'a> {
    config: SamplingConfig,
    chain: &'a dyn Chain,
    reference: Reference,
    terminal: &'a dyn Terminal,
    form: Form<'a>,
    seed: Seed,
    pool: &'a Pool,
    learner: Learner,
    kept: Vec<End>,
    next: usize,
    fresh: [f64; 2],
}

impl<'a> SamplingTraining<'a> {
    /// A run at step 0.
    ///
    /// # Errors
    /// When a number is out of range, or the chain's steps are not affine with noise of their own.
    pub fn new(
        config: SamplingConfig,
        chain: &'a dyn Chain,
        terminal: &'a dyn Terminal,
        form: Form<'a>,
        seed: Seed,
        pool: &'a Pool,
    ) -> Result<Self> {
        config.check()?;
        additive(chain)?;
        let reference = Reference::of(chain)?;
        let params = Params::trainable(seed.child("weights"), chain.dtype(), chain.device());
        form(&params)?;
        let MatchingConfig { learning_rate, ema, updates, .. } = config.matching;
        let settings = AdamWConfig { lr: learning_rate, beta2: 0.99, clip_norm: Some(10.0), ..AdamWConfig::default() };
        let learner = Learner::new(params, settings, ema, updates)?;
        Ok(Self {
            config,
            chain,
            reference,
            terminal,
            form,
            seed,
            pool,
            learner,
            kept: Vec::new(),
            next: 0,
            fresh: [0.0; 2],
        })
    }

    /// The control with the averaged weights so far.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn control(&self) -> Result<Box<dyn Control + 'a>> {
        (self.form)(&Params::frozen(self.weights(), self.chain.device()))
    }

    /// Walks fresh paths under the present control and keeps their ends in the place of the oldest.
    fn renew(&mut self, seed: Seed) -> Result<()> {
        let SamplingConfig { kept, fresh, most, matching, .. } = self.config;
        let control = (self.form)(&self.learner.held())?;
        let paths = Rollout::draw(self.chain, Some(control.as_ref()), self.chain.steps(), fresh, seed, false)?;
        let ends = Var::from_tensor(&paths.last().detach())?;
        let reward = (self.terminal.reward(self.chain.steps(), ends.as_tensor())? * (1.0 / matching.alpha))?;
        let (_, mut slopes) = gradients_with(&reward.sum_all()?, &[], &[&ends])?;
        let columns = read(&[&reward.detach(), &paths.log_ratio, &paths.cost, ends.as_tensor(), &slopes.remove(0)])?;
        let [reward, log_ratio, cost, ends, slopes] = columns.as_slice() else {
            return Err(Error::device("columns of fresh paths are missing"));
        };
        for i in 0..fresh {
            let end = End { x: ends[i], slope: slopes[i].clamp(-most, most), log_weight: reward[i] - log_ratio[i] };
            if self.kept.len() < kept {
                self.kept.push(end);
            } else {
                self.kept[self.next] = end;
            }
            self.next = (self.next + 1) % kept;
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
        self.fresh = [matching.alpha * mean(reward), mean(cost)];
        Ok(())
    }

    /// What kept ends are drawn by, and their effective share.
    fn shares(&self) -> (Vec<f64>, f64) {
        let top = self.kept.iter().map(|end| end.log_weight).fold(f64::NEG_INFINITY, f64::max);
        let weight = |end: &End| if self.config.weighted { (end.log_weight - top).exp() } else { 1.0 };
        let mut sum = 0.0;
        let shares: Vec<f64> = self
            .kept
            .iter()
            .map(|end| {
                sum += weight(end);
                sum
            })
            .collect();
        let squares: f64 = self.kept.iter().map(|end| weight(end).powi(2)).sum();
        (shares, sum * sum / squares / self.kept.len() as f64)
    }
}

impl Training for SamplingTraining<'_> {
    fn total(&self) -> u64 {
        self.config.matching.updates
    }

    fn done(&self) -> u64 {
        self.learner.done()
    }

    fn step(&mut self) -> Result<Figures> {
        let seed = self.seed.child("step").index(self.done());
        if self.done().is_multiple_of(self.config.reuse) {
            self.renew(seed.child("fresh"))?;
        }
        let MatchingConfig { batch, shard, subset, .. } = self.config.matching;
        let steps = subset.choose(self.chain.steps(), &mut seed.child("steps").rng());
        let (shares, effective) = self.shares();
        let (total, vars) = (shares.last().copied().unwrap_or(0.0), self.learner.params().vars());
        let (sums, parts) = over_shards(self.pool, batch.div_ceil(shard), |i| {
            let control = (self.form)(self.learner.params())?;
            let rows = shard.min(batch - i * shard);
            let mut rng = seed.index(i as u64).rng();
            let drawn: Vec<End> = (0..rows)
                .map(|_| {
                    let at = rng.uniform() * total;
                    self.kept[shares.partition_point(|share| *share <= at).min(self.kept.len() - 1)]
                })
                .collect();
            let column = |values: Vec<f64>| -> Result<Tensor> {
                Ok(Tensor::from_vec(values, (rows, 1), self.chain.device())?.to_dtype(self.chain.dtype())?)
            };
            let mut sum: Option<Tensor> = None;
            for &k in &steps {
                let states = drawn.iter().map(|end| {
                    let law = self.reference.bridge(k, end.x);
                    law.mean + law.variance.sqrt() * rng.normal()
                });
                let x = column(states.collect())?;
                let pull = self.reference.std(k) * self.reference.carry(k + 1);
                let goal = column(drawn.iter().map(|end| pull * end.slope).collect())?;
                let mut memory = Memory::default();
                let base = self.chain.advance(k, &x, &mut memory)?;
                let loss = (control.control(k, &x, &base, &mut memory)? - goal)?.sqr()?.sum_all()?;
                sum = Some(sum.map_or_else(|| Ok(loss.clone()), |sum| sum + &loss)?);
            }
            let sum = sum.ok_or_else(|| Error::usage("no step to learn from; at least 1 is needed"))?;
            let loss = (sum * (0.5 / (batch * steps.len()) as f64))?;
            Ok((gradients(&loss, &vars)?, [loss.detach().reshape(1)?]))
        })?;
        let figures: Vec<&Tensor> = parts.iter().flatten().collect();
        let learnt = self.learner.learn(&sums, self.pool, &figures, |rows| Ok(rows.concat().iter().sum::<f64>()))?;
        let [reward, cost] = self.fresh;
        Ok(vec![("loss", learnt.figures), ("kept", effective), ("reward", reward), ("path_kl", cost)])
    }

    fn state(&self) -> Result<Tensors> {
        let mut state = self.learner.state()?;
        let rows: Vec<f64> = self.kept.iter().flat_map(|end| [end.x, end.slope, end.log_weight]).collect();
        let rows = [vec![self.next as f64, self.fresh[0], self.fresh[1]], rows].concat();
        state.insert(KEPT.to_owned(), Tensor::from_vec(rows, (self.kept.len() + 1, 3), &Device::Cpu)?);
        Ok(state)
    }

    fn restore(&mut self, done: u64, state: &Tensors) -> Result<()> {
        self.learner.restore(done, state)?;
        let kept = state.get(KEPT).ok_or_else(|| Error::integrity("the checkpoint has no kept ends"))?;
        let rows = kept.to_vec2::<f64>()?;
        let Some((first, rows)) = rows.split_first() else {
            return Err(Error::integrity("the kept ends of the checkpoint are empty"));
        };
        self.next = first[0] as usize;
        self.fresh = [first[1], first[2]];
        self.kept = rows.iter().map(|row| End { x: row[0], slope: row[1], log_weight: row[2] }).collect();
        Ok(())
    }

    fn weights(&self) -> Tensors {
        self.learner.weights().clone()
    }
}
