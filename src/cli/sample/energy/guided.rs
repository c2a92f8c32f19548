//! An energy drawn by guidance: nothing is trained.

use crate::cli::context::Context;
use crate::cli::steer;
use crate::cli::tilted::ChainConfig;
use crate::diffusion::{Prior, SolverKind};
use crate::error::{Error, Result};
use crate::finetune::Paths;
use crate::inference::{Guide, Guided, Target};
use crate::nn::Pool;
use crate::reward::{Multilinear, Reward, Score};
use crate::sequence::Sequence;
use crate::store::{RunFolder, RunInfo};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;

/// Steps of the chain unless told otherwise: what 64 leave of 30 coupled letters is nine tenths of a nat, what 256 do a third.
const STEPS: usize = 256;

/// A density and the walk towards it.
pub(super) struct Walked<'a> {
    pub(super) prior: Prior,
    pub(super) reward: &'a dyn Reward,
    pub(super) score: &'a dyn Score,
    /// The energy as it was named, and what identifies it.
    pub(super) named: (&'a str, &'a str),
    pub(super) temperature: f64,
    pub(super) steps: Option<usize>,
    pub(super) hold: Option<usize>,
}

#[derive(Serialize)]
struct Recorded<'a> {
    method: &'static str,
    energy: &'a str,
    temperature: f64,
    chain: ChainConfig,
}

impl Walked<'_> {
    /// Draws `count` sequences with the log-ratios of their paths, and marks `out` as the folder of this density.
    ///
    /// # Errors
    /// When a setting is out of range, the folder is another run's, a tensor operation fails, or Ctrl-C was pressed.
    pub(super) fn draw(self, out: &Path, count: usize, pool: &Pool, context: &Context) -> Result<Paths<Sequence>> {
        let config = self.prior.config().clone();
        let steps = self.steps.unwrap_or(STEPS);
        let fitting = (1..=config.hold).rev().find(|hold| steps.is_multiple_of(*hold)).unwrap_or(1);
        let solver = if config.solver == SolverKind::Heun { SolverKind::Ancestral } else { config.solver };
        let chain = ChainConfig { steps, hold: self.hold.unwrap_or(fitting), grid: config.grid, solver, eta: 1.0 };
        let (energy, fingerprint) = self.named;
        let recorded = Recorded { method: "guidance", energy, temperature: self.temperature, chain };
        let info = RunInfo::new("sample", context.seed_number, &recorded)?.with_version("reward", fingerprint);
        let letters = self.prior.alphabet().len();
        let walk = chain.chain(Arc::new(self.prior))?;
        let folder = RunFolder::open(out, &info)?;
        let table = (!self.reward.has_soft_value())
            .then(|| Multilinear::tabulate(self.reward, letters, config.length, pool))
            .transpose()?;
        let reward = table.as_ref().map_or(self.reward, |table| table as &dyn Reward);
        context.note(format!("method `guidance`: soft values are exact, nothing is trained ({steps} steps)"));
        let target =
            Target { chain: &walk, score: self.score, reward: Some(reward), alpha: self.temperature, outlook: None };
        let method = Guided { guide: Some(Guide::Soft), ..Guided::default() };
        let drawn = steer::draw(&method, &target, count, context.seed().child("energy"), pool, None, context)?;
        if drawn.log_ratio.len() != drawn.sequences.len() {
            return Err(Error::device("guided paths came without their log-ratios"));
        }
        if !folder.is_finished() {
            folder.finish::<&str>(&[])?;
        }
        Ok(Paths { ends: drawn.sequences, log_ratio: drawn.log_ratio, cost: drawn.cost })
    }
}
