//! Fine-tuned samplers in model folders: a control, and the prior that it tilts.

mod law;
mod tuned;

pub(super) use law::InitialLaw;
pub(super) use tuned::Tuned;

use crate::diffusion::{Chain as _, Decode, DiffusionChain, Grid, Prior, SolverKind};
use crate::diffusion::{PRIOR, fingerprint, prior_of};
use crate::error::{Error, Result};
use crate::finetune::{FinetuneConfig, Paths, roll_out};
use crate::nn::{Pool, Tensors};
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
    /// Share of noise.
    #[serde(default = "all_noise", skip_serializing_if = "is_all_noise")]
    pub(super) eta: f64,
}

/// The share of noise of memoryless chains.
fn all_noise() -> f64 {
    1.0
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "the signature is serde's")]
fn is_all_noise(eta: &f64) -> bool {
    *eta >= 1.0
}

impl ChainConfig {
    /// The chain over a prior.
    ///
    /// # Errors
    /// When the numbers do not fit together.
    pub(super) fn chain(&self, prior: Arc<Prior>) -> Result<DiffusionChain> {
        DiffusionChain::new(prior, self.steps, self.hold, self.grid, self.solver)?.with_eta(self.eta)
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
    /// What lies before the chain, where its initial law is learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) initial: Option<InitialLaw>,
}

/// A fine-tuned sampler, opened.
pub(super) struct Sampler {
    pub(super) config: Tilted,
    pub(super) chain: DiffusionChain,
    weights: Tensors,
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
        Ok(Self { config, chain, weights })
    }

    /// Draws `count` hard-decoded sequences with the log-ratios of their paths.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn draw(&self, count: usize, seed: Seed, pool: &Pool) -> Result<Paths<Sequence>> {
        let chain = &self.chain;
        let read = |x: &Tensor| -> Result<Vec<Sequence>> {
            Decode::Hard.read(&chain.read(chain.steps(), x)?, chain.prior(), &mut seed.rng())
        };
        let tuned = self.tuned()?;
        let (walked, control) = tuned.walk();
        roll_out(walked, control, count, seed, pool, read)
    }

    /// The chain with its control.
    ///
    /// # Errors
    /// When the weights do not fit the configuration.
    pub(super) fn tuned(&self) -> Result<Tuned<'_>> {
        Tuned::new(&self.chain, &self.config.finetune, self.config.initial.as_ref(), self.weights.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chains_of_before_there_was_less_noise_are_read_and_written_as_they_were() {
        let text = r#"{"steps":64,"hold":4,"grid":"time","solver":"ancestral"}"#;
        let old: ChainConfig = serde_json::from_str(text).unwrap();
        assert_eq!((old.eta, serde_json::to_string(&old).unwrap().as_str()), (1.0, text));
        let less = ChainConfig { eta: 0.5, ..old };
        assert_eq!(serde_json::from_str::<ChainConfig>(&serde_json::to_string(&less).unwrap()).unwrap(), less);
    }

    #[test]
    fn a_sampler_of_before_there_were_initial_laws_is_read_and_written_as_it_was() {
        let text = r#"{"prior":"p","prior-fingerprint":"f","reward":"r","chain":{"steps":8,"hold":2,"grid":"time",
            "solver":"euler"},"finetune":{}}"#;
        let old: Tilted = serde_json::from_str(text).unwrap();
        assert_eq!(old.initial, None);
        let written = serde_json::to_string(&old).unwrap();
        assert!(!written.contains("initial") && !written.contains("eta\":1"), "{written}");
        let law = r#"{"route":"joint","lead":16,"width":64,"rate":0.005,"value":{}}"#;
        let new: Tilted =
            serde_json::from_str(&text.replace("\"finetune\":{}", &format!("\"finetune\":{{}},\"initial\":{law}")))
                .unwrap();
        assert_eq!(serde_json::from_str::<Tilted>(&serde_json::to_string(&new).unwrap()).unwrap(), new);
        assert!(new.initial.is_some_and(|law| law.is_learned() && law.name() == "joint"));
    }
}
