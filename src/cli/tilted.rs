//! Fine-tuned samplers in model folders: a control, and the prior that it tilts.

use crate::diffusion::{Chain as _, Decode, DiffusionChain, Grid, Prior, SolverKind};
use crate::diffusion::{PRIOR, fingerprint, prior_of};
use crate::error::{Error, Result};
use crate::finetune::{FinetuneConfig, Paths, TokenControl, roll_out};
use crate::nn::{Params, Pool, Tensors};
use crate::random::Seed;
use crate::sequence::Sequence;
use crate::store::ModelFolder;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::sync::Arc;

/// The kind of a control's model folder.
pub(super) const CONTROL: &str = "control";

/// The folder of the prior inside a control's folder.
pub(super) const PRIOR_FOLDER: &str = "prior";

/// The chain that is tilted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct ChainConfig {
    /// Steps, K.
    pub(super) steps: usize,
    /// Steps between two calls of the networks.
    pub(super) hold: usize,
    /// Spread of the steps.
    pub(super) grid: Grid,
    /// Solver.
    pub(super) solver: SolverKind,
}

impl ChainConfig {
    /// The chain over a prior.
    ///
    /// # Errors
    /// When the numbers do not fit together.
    pub(super) fn chain(&self, prior: Arc<Prior>) -> Result<DiffusionChain> {
        DiffusionChain::new(prior, self.steps, self.hold, self.grid, self.solver)
    }
}

/// `config.json` of a control.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Tilted {
    /// What the prior was called.
    pub(super) prior: String,
    /// What identifies it.
    pub(super) prior_fingerprint: String,
    /// What the reward was called.
    pub(super) reward: String,
    /// The chain.
    pub(super) chain: ChainConfig,
    /// How the control was trained.
    pub(super) finetune: FinetuneConfig,
}

/// A fine-tuned sampler, opened.
pub(super) struct Sampler {
    pub(super) config: Tilted,
    pub(super) chain: DiffusionChain,
    weights: Tensors,
    device: Device,
}

impl Sampler {
    /// From a folder that `finetune` wrote.
    ///
    /// # Errors
    /// When a file is missing, damaged or of another kind, or the prior is not the one that was tilted.
    pub(super) fn open(folder: &Path, device: &Device) -> Result<Self> {
        let model = ModelFolder::load(folder, CONTROL)?;
        let config: Tilted = model.config()?;
        let prior = ModelFolder::load(folder.join(PRIOR_FOLDER), PRIOR)?;
        let found = fingerprint(&prior)?;
        if found != config.prior_fingerprint {
            let message =
                format!("the prior is `{found}`, but the control was trained on `{}`", config.prior_fingerprint);
            return Err(Error::integrity(message).at(folder.join(PRIOR_FOLDER)).hint("run `seqtilt finetune` again"));
        }
        let chain = config.chain.chain(Arc::new(prior_of(&prior, device)?))?;
        let weights = model.weights.iter().map(|(name, tensor)| Ok((name.clone(), tensor.to_device(device)?)));
        let weights = weights.collect::<Result<_>>()?;
        Ok(Self { config, chain, weights, device: device.clone() })
    }

    /// Draws `count` hard-decoded sequences with the log-ratios of their paths.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn draw(&self, count: usize, seed: Seed, pool: &Pool) -> Result<Paths<Sequence>> {
        let (chain, control) = (&self.chain, self.control()?);
        let read = |x: &Tensor| -> Result<Vec<Sequence>> {
            Decode::Hard.read(&chain.read(chain.steps(), x)?, chain.prior(), &mut seed.rng())
        };
        roll_out(chain, Some(&control), count, seed, pool, read)
    }

    /// The control.
    ///
    /// # Errors
    /// When the weights do not fit the configuration.
    pub(super) fn control(&self) -> Result<TokenControl<'_>> {
        TokenControl::new(
            &self.chain,
            &self.config.finetune.control,
            &Params::frozen(self.weights.clone(), &self.device),
        )
    }
}
