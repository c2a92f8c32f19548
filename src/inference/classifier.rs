//! Guidance by a learnt mean reward.

use crate::diffusion::{Chain, DiffusionChain, Memory, Move, level, shard_rows};
use crate::error::{Error, Result};
use crate::finetune::{Control, Rollout, Valued};
use crate::nn::{AdamWConfig, Learner, Mlp, Params, Pool, Tensors, gradients, gradients_with, over_shards};
use crate::random::Seed;
use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};

/// How a classifier is fitted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ClassifierConfig {
    /// Base paths that it is fitted to.
    pub paths: usize,
    /// Units of its two hidden layers.
    pub width: usize,
    /// Optimiser steps.
    pub updates: u64,
    /// States a step.
    pub batch: usize,
    /// Peak learning rate.
    pub learning_rate: f64,
}

impl Default for ClassifierConfig {
    fn default() -> Self {
        Self { paths: 8192, width: 128, updates: 600, batch: 1024, learning_rate: 3e-3 }
    }
}

/// The mean reward of what a state of the base chain becomes, learnt from its own paths:
///
/// ```text
/// ŷ = argmin_y E_base[(y(x_k, k) − r(x_K))²],   ŷ ≈ E_base[r(x_K) | x_k]
/// ```
/// over the states at block boundaries; the classifier of classifier guidance (Dhariwal and Nichol 2021, arXiv 2105.05233) for
/// a real-valued reward, of which it needs values alone.
#[derive(Clone, Debug)]
pub struct Classifier {
    weights: Tensors,
    width: usize,
    mean: f64,
    sd: f64,
    /// Share of the reward's variance that it explains, over all noise levels, on paths it was not fitted to.
    pub explained: f64,
}

/// States of base paths at block boundaries, and the standardised rewards of their ends.
struct Pairs {
    inputs: Tensor,
    targets: Tensor,
}

/// Of every so many shards one is held out.
const HELD_OUT: usize = 8;

impl Classifier {
    /// Fits one; same bytes whatever the threads.
    ///
    /// # Errors
    /// When a number is out of range, a tensor operation or a score fails.
    ///
    /// # Cost
    /// One walk of the base chain per path, then perceptrons.
    pub fn fit(
        chain: &DiffusionChain,
        values: &dyn Valued,
        config: ClassifierConfig,
        seed: Seed,
        pool: &Pool,
    ) -> Result<Self> {
        let rows = shard_rows(chain.prior().config().length);
        let shards = config.paths.div_ceil(rows);
        if shards < 2 || config.width == 0 || config.updates == 0 || config.batch == 0 {
            return Err(Error::usage(format!("{config:?}: more than {rows} paths, and 1 of the rest, are needed")));
        }
        let walked = pool.map(shards, |i| {
            let rollout = Rollout::draw(chain, None, chain.steps(), rows, seed.child("paths").index(i as u64), true)?;
            let rewards = values.values(rollout.last())?;
            Ok((rollout.states, rewards))
        })?;
        let all: Vec<f64> = walked.iter().flat_map(|(_, rewards)| rewards.iter().copied()).collect();
        let mean = all.iter().sum::<f64>() / all.len() as f64;
        let sd = (all.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / all.len() as f64).sqrt().max(1e-12);
        let pairs = pool.map(shards, |i| {
            let (states, rewards) = &walked[i];
            let blocks = states.len() - 1;
            let inputs = states[..blocks].iter().enumerate();
            let inputs: Vec<Tensor> = inputs.map(|(b, x)| input(chain, b * chain.block(), x)).collect::<Result<_>>()?;
            let targets: Vec<f64> = (0..blocks).flat_map(|_| rewards.iter().map(|r| (r - mean) / sd)).collect();
            let targets = Tensor::from_vec(targets, blocks * rewards.len(), &Device::Cpu)?;
            let targets = targets.to_dtype(chain.dtype())?.to_device(chain.device())?;
            Ok(Pairs { inputs: Tensor::cat(&inputs, 0)?, targets })
        })?;
        let dims = Self::dims(chain, config.width);
        let params = Params::trainable(seed.child("weights"), chain.dtype(), chain.device());
        Mlp::zero_last(&params, &dims)?;
        let adam = AdamWConfig { lr: config.learning_rate, clip_norm: Some(1.0), ..AdamWConfig::default() };
        let mut learner = Learner::new(params, adam, 0.98, config.updates)?;
        let held: Vec<&Pairs> = pairs.iter().step_by(HELD_OUT).collect();
        let fitted: Vec<&Pairs> = pairs.iter().enumerate().filter(|(i, _)| i % HELD_OUT > 0).map(|(_, p)| p).collect();
        for step in 0..config.updates {
            // every shard of a step takes its rows from one shard of paths: all noise levels are in each
            let parts = config.batch.div_ceil(rows);
            let (sums, _) = over_shards(pool, parts, |part| {
                let mut rng = seed.child("step").index(step).index(part as u64).rng();
                let pairs = fitted[rng.below(fitted.len())];
                let chosen: Vec<u32> = (0..rows).map(|_| rng.below(pairs.targets.elem_count()) as u32).collect();
                let chosen = Tensor::from_vec(chosen, rows, &Device::Cpu)?.to_device(chain.device())?;
                let network = Mlp::zero_last(learner.params(), &dims)?;
                let fit = network.forward(&pairs.inputs.index_select(&chosen, 0)?)?.squeeze(1)?;
                let error = (fit - pairs.targets.index_select(&chosen, 0)?)?.sqr()?.sum_all()?;
                let loss = (error / (parts * rows) as f64)?;
                Ok((gradients(&loss, &learner.params().vars())?, ()))
            })?;
            learner.learn(&sums, pool, &[], |_| Ok(()))?;
        }
        let weights = learner.weights().clone();
        let network = Mlp::zero_last(&Params::frozen(weights.clone(), chain.device()), &dims)?;
        let (mut left, mut total) = (0.0, 0.0);
        for pairs in held {
            let residual = (network.forward(&pairs.inputs)?.squeeze(1)? - &pairs.targets)?.sqr()?.sum_all()?;
            let sums = crate::nn::read(&[&residual, &pairs.targets.sqr()?.sum_all()?])?;
            (left, total) = (left + sums[0][0], total + sums[1][0]);
        }
        Ok(Self { weights, width: config.width, mean, sd, explained: 1.0 - left / total })
    }

    /// Widths of the network: the state's numbers and the noise level go in, a standardised reward comes out.
    fn dims(chain: &DiffusionChain, width: usize) -> [usize; 4] {
        [chain.shape().iter().product::<usize>() + 1, width, width, 1]
    }

    /// The control that follows the slope of ŷ.
    ///
    /// # Errors
    /// When α is not positive or the scale not finite.
    pub fn guidance<'a>(&self, chain: &'a DiffusionChain, alpha: f64, scale: f64) -> Result<ClassifierGuidance<'a>> {
        if !(alpha > 0.0 && alpha.is_finite() && scale.is_finite()) {
            return Err(Error::usage(format!(
                "alpha is {alpha} and `scale` {scale}; positive and finite ones are accepted"
            )));
        }
        let params = Params::frozen(self.weights.clone(), chain.device());
        let network = Mlp::zero_last(&params, &Self::dims(chain, self.width))?;
        Ok(ClassifierGuidance { chain, network, factor: scale * self.sd / alpha })
    }

    /// ŷ of states before step `k`, (B,).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn predict(&self, chain: &DiffusionChain, k: usize, x: &Tensor) -> Result<Vec<f64>> {
        let params = Params::frozen(self.weights.clone(), chain.device());
        let network = Mlp::zero_last(&params, &Self::dims(chain, self.width))?;
        let fit = crate::nn::read(&[&network.forward(&input(chain, k, x)?)?])?.remove(0);
        Ok(fit.into_iter().map(|y| self.mean + self.sd * y).collect())
    }
}

/// States and their noise level, (B, N + 1).
fn input(chain: &DiffusionChain, k: usize, x: &Tensor) -> Result<Tensor> {
    let flat = x.flatten_from(1)?;
    // the levels of a walk lie in about −1 … 1 then
    let level = (flat.narrow(1, 0, 1)?.zeros_like()? + 20.0 * (level(chain.log_snrs()[k]) - level(-1.5)))?;
    Ok(Tensor::cat(&[&flat, &level], 1)?)
}

/// Classifier guidance:
///
/// ```text
/// u_k(x) = scale · std_k ∇_x ŷ(x, k)/α
/// ```
/// The drift `std ∇ log E[e^{r/α} | x]` of the tilt with the mean reward over α in the place of the logarithm: biased for the tilt,
/// exact for Pearson's divergence without truncation, up to a factor. Its certificate says by how much.
pub struct ClassifierGuidance<'a> {
    chain: &'a DiffusionChain,
    network: Mlp,
    factor: f64,
}

impl Control for ClassifierGuidance<'_> {
    fn control(&self, k: usize, x: &Tensor, base: &Move, _: &mut Memory) -> Result<Tensor> {
        let x = Var::from_tensor(&x.detach())?;
        let value = self.network.forward(&input(self.chain, k, x.as_tensor())?)?.sum_all()?;
        let slope = gradients_with(&value, &[], &[&x])?.1.remove(0);
        Ok((slope * (self.factor * base.std))?)
    }
}
