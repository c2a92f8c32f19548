//! Training by Adjoint Matching.

use super::{Matching, MatchingConfig, additive};
use crate::diffusion::Chain;
use crate::error::Result;
use crate::finetune::initial::Form;
use crate::finetune::{Control, Terminal};
use crate::nn::{AdamWConfig, Figures, Learner, Params, Pool, Tensors, Training, over_shards, read};
use crate::random::Seed;
use candle_core::{Device, Tensor};

/// Name of the clipping level in a run's state.
const LEVEL: &str = "clip/level";

/// A run of Adjoint Matching on any chain without blocks, from a control that starts at zero.
///
/// Figures of a step: `loss`, the share of entries `clipped` (of the level that earlier batches gave), `reward` and `path_kl` of the
/// paths.
pub struct MatchingTraining<'a> {
    config: MatchingConfig,
    chain: &'a dyn Chain,
    terminal: &'a dyn Terminal,
    form: Form<'a>,
    seed: Seed,
    pool: &'a Pool,
    learner: Learner,
    level: Option<f64>,
}

impl<'a> MatchingTraining<'a> {
    /// A run at step 0.
    ///
    /// # Errors
    /// When a number is out of range, or the noise of a step depends on the state.
    pub fn new(
        config: MatchingConfig,
        chain: &'a dyn Chain,
        terminal: &'a dyn Terminal,
        form: Form<'a>,
        seed: Seed,
        pool: &'a Pool,
    ) -> Result<Self> {
        config.check()?;
        additive(chain)?;
        let params = Params::trainable(seed.child("weights"), chain.dtype(), chain.device());
        form(&params)?;
        let settings =
            AdamWConfig { lr: config.learning_rate, beta2: 0.99, clip_norm: Some(10.0), ..AdamWConfig::default() };
        let learner = Learner::new(params, settings, config.ema, config.updates)?;
        Ok(Self { config, chain, terminal, form, seed, pool, learner, level: None })
    }

    /// The control with the averaged weights so far.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn control(&self) -> Result<Box<dyn Control + 'a>> {
        (self.form)(&Params::frozen(self.weights(), self.chain.device()))
    }
}

impl Training for MatchingTraining<'_> {
    fn total(&self) -> u64 {
        self.config.updates
    }

    fn done(&self) -> u64 {
        self.learner.done()
    }

    fn step(&mut self) -> Result<Figures> {
        let seed = self.seed.child("step").index(self.done());
        let MatchingConfig { batch, shard, alignment, alpha, clip, subset, .. } = self.config;
        let steps = subset.choose(self.chain.steps(), &mut seed.child("steps").rng());
        let matching = Matching {
            chain: self.chain,
            terminal: self.terminal,
            alpha,
            alignment,
            steps: &steps,
            level: clip.and(self.level),
        };
        let (vars, held) = (self.learner.params().vars(), self.learner.held());
        let (sums, parts) = over_shards(self.pool, batch.div_ceil(shard), |i| {
            let (control, frozen) = ((self.form)(self.learner.params())?, (self.form)(&held)?);
            let rows = shard.min(batch - i * shard);
            let matched =
                matching.gradient(control.as_ref(), frozen.as_ref(), &vars, rows, batch, seed.index(i as u64))?;
            Ok((matched.gradients, [matched.roots, matched.reward, matched.cost]))
        })?;
        let figures: Vec<&Tensor> = parts.iter().flatten().collect();
        let learnt = self.learner.learn(&sums, self.pool, &figures, |rows| {
            let all = |first: usize| rows.iter().skip(first).step_by(3).flatten().copied().collect::<Vec<f64>>();
            Ok([all(0), all(1), all(2)])
        })?;
        let [roots, reward, cost] = learnt.figures;
        let mean = |values: &[f64], of: &dyn Fn(f64) -> f64| {
            values.iter().map(|value| of(*value)).sum::<f64>() / values.len() as f64
        };
        let clipped = matching.level.map_or(0.0, |level| mean(&roots, &|root| f64::from(root >= level)));
        let loss = mean(&roots, &|root| 0.5 * root * root);
        if let Some(clip) = clip {
            self.level = clip.level(self.level, &roots);
        }
        let (reward, cost) = (mean(&reward, &|value| value), mean(&cost, &|value| value));
        Ok(vec![("loss", loss), ("clipped", clipped), ("reward", reward), ("path_kl", cost)])
    }

    fn state(&self) -> Result<Tensors> {
        let mut state = self.learner.state()?;
        if let Some(level) = self.level {
            state.insert(LEVEL.to_owned(), Tensor::new(&[level], &Device::Cpu)?);
        }
        Ok(state)
    }

    fn restore(&mut self, done: u64, state: &Tensors) -> Result<()> {
        self.learner.restore(done, state)?;
        self.level = state.get(LEVEL).map(|level| Ok::<_, crate::error::Error>(read(&[level])?[0][0])).transpose()?;
        Ok(())
    }

    fn weights(&self) -> Tensors {
        self.learner.weights().clone()
    }
}
