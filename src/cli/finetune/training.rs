//! The run of a fine-tune, and how it is watched.

use super::job::POINTS;
use super::settings::{Plan, affordable};
use crate::cli::certify::scored_paths;
use crate::cli::tilted::Tuned;
use crate::diffusion::{CONSISTENCY, DiffusionChain, consistency_of};
use crate::error::Result;
use crate::finetune::initial::Elegant;
use crate::finetune::{Consistent, Finetuning, SequenceTerminal};
use crate::nn::{Figures, Pool, Tensors, Training};
use crate::random::Seed;
use crate::reward::Reward;
use crate::store::{ModelFolder, open_model};

/// Paths behind each watched point, fewer of more than 32 letters.
const WATCHED: usize = 2048;

/// What a run is made of.
#[derive(Clone, Copy)]
pub(super) struct Parts<'a> {
    pub(super) plan: &'a Plan,
    pub(super) chain: &'a DiffusionChain,
    /// Where the chain's prior came from.
    pub(super) source: &'a ModelFolder,
    /// The sampler whose control the run goes on from.
    pub(super) from: Option<&'a ModelFolder>,
    pub(super) pool: &'a Pool,
}

impl<'a> Parts<'a> {
    /// A run at step 0: of the control alone, or of the initial law too. Activations of `keep` blocks of steps are kept.
    ///
    /// # Errors
    /// When the settings do not fit together, or a route cannot begin.
    pub(super) fn begin(
        &self,
        terminal: &'a SequenceTerminal<'a>,
        keep: usize,
        seed: Seed,
    ) -> Result<Box<dyn Training + 'a>> {
        let config = &self.plan.finetune;
        let Some(law) = &self.plan.initial else {
            let mut run = Finetuning::new(config.clone(), self.chain, terminal, seed, self.pool)?;
            if let Some(folder) = self.from {
                run = run.continuing(&folder.weights)?;
            }
            if let Some(name) = &self.plan.consistency {
                let folder = open_model(name, CONSISTENCY)?;
                let model = consistency_of(&folder, self.source, self.chain.prior().clone())?;
                run = run.glimpsing(Box::new(Consistent::new(self.chain, model)));
            }
            return Ok(Box::new(run.keeping(keep)));
        };
        let forms = law.forms(self.chain, config)?;
        let run = Elegant::new(law.config(config), self.chain, terminal, forms, seed, self.pool)?;
        let chain = self.chain;
        Ok(Box::new(run.ending(move |step| config.steps_at(chain, step))))
    }

    /// The tuned chain on a run's weights.
    ///
    /// # Errors
    /// When the weights do not fit.
    pub(super) fn tuned(&self, weights: Tensors) -> Result<Tuned<'a>> {
        Tuned::new(self.chain, &self.plan.finetune, self.plan.initial.as_ref(), weights)
    }
}

/// A run that is watched now and then.
pub(super) struct Watched<'a> {
    pub(super) inner: Box<dyn Training + 'a>,
    pub(super) parts: Parts<'a>,
    pub(super) reward: &'a dyn Reward,
    pub(super) seed: Seed,
    /// Whether it is.
    pub(super) watches: bool,
}

impl Training for Watched<'_> {
    fn total(&self) -> u64 {
        self.inner.total()
    }

    fn done(&self) -> u64 {
        self.inner.done()
    }

    fn stage(&self) -> Option<&'static str> {
        self.inner.stage()
    }

    fn step(&mut self) -> Result<Figures> {
        let mut figures = self.inner.step()?;
        let (done, total) = (self.inner.done(), self.inner.total());
        if self.watches && (done.is_multiple_of((total / POINTS).max(1)) || done == total) {
            let tuned = self.parts.tuned(self.inner.weights())?;
            let chain = self.parts.chain;
            let count = affordable(WATCHED, chain.prior().config().length, WATCHED / 8);
            let paths = scored_paths(chain, tuned.walk(), self.reward, count, self.seed, self.parts.pool)?;
            let n = paths.ends.len() as f64;
            figures.push(("hard_reward", paths.ends.iter().map(|(_, reward)| reward).sum::<f64>() / n));
            figures.push(("hard_path_kl", paths.log_ratio.iter().sum::<f64>() / n));
        }
        Ok(figures)
    }

    fn state(&self) -> Result<Tensors> {
        self.inner.state()
    }

    fn restore(&mut self, done: u64, state: &Tensors) -> Result<()> {
        self.inner.restore(done, state)
    }

    fn weights(&self) -> Tensors {
        self.inner.weights()
    }
}
