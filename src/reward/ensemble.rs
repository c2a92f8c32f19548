//! Several networks, their mean and how far they disagree.

use super::{Architecture, Domain, Member, Reward, TrainConfig, check_shape};
use crate::error::{Error, Result};
use crate::nn::{Params, Placed, Tensors};
use crate::sequence::{Alphabet, LetterTokenizer, Sequence};
use crate::store::{ModelFolder, Sha256, encode_tensors};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The kind of a reward's model folder.
pub const KIND: &str = "reward";

/// Sequences predicted at a time.
const BATCH: usize = 512;

/// The shape of an ensemble.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct EnsembleConfig {
    /// Networks; at least 1, default 5. More give a better mean and a better idea of what is not known.
    pub members: usize,
    /// What each network is made of.
    pub architecture: Architecture,
    /// Whether a sequence and its reverse complement are the same molecule (DNA and RNA only); default true.
    pub both_strands: bool,
    /// How many standard deviations to take off the mean when the ensemble is a reward: `mean − k · sd`; default 0.
    pub pessimism: f64,
}

impl Default for EnsembleConfig {
    fn default() -> Self {
        Self { members: 5, architecture: Architecture::default(), both_strands: true, pessimism: 0.0 }
    }
}

/// `value = centre + scale · z`: what the networks learn is z.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Standardisation {
    /// Mean of the training values.
    pub centre: f64,
    /// Their standard deviation.
    pub scale: f64,
}

impl Standardisation {
    /// Mean and standard deviation (÷ n); constant values have scale 1.
    pub(crate) fn of(values: &[f64]) -> Self {
        let n = values.len() as f64;
        let centre = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|value| (value - centre).powi(2)).sum::<f64>() / n;
        Self { centre, scale: if variance > 0.0 { variance.sqrt() } else { 1.0 } }
    }
}

/// Mean and standard deviation for each sequence of a batch.
#[derive(Clone, Debug)]
pub struct Posterior {
    /// (B,), in the units of the training values.
    pub mean: Tensor,
    /// (B,); 0 where there is one member only.
    pub sd: Tensor,
}

/// What an ensemble says about one sequence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Mean over the members.
    pub mean: f64,
    /// Standard deviation over the members; `None` for one member.
    pub sd: Option<f64>,
}

/// `config.json` of a reward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    alphabet: StoredAlphabet,
    length: usize,
    ensemble: EnsembleConfig,
    standardisation: Standardisation,
    training: Option<TrainConfig>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredAlphabet {
    name: String,
    letters: String,
}

/// A deep ensemble: networks of one architecture that differ in their initial weights and the order of their data.
///
/// ```text
/// mean = centre + scale · (1/M) Σₘ fₘ(p)
/// sd   = scale · √( 1/(M−1) Σₘ (fₘ(p) − f̄)² )
/// reward = mean − k · sd            k: the pessimism
/// ```
/// Lakshminarayanan, Pritzel and Blundell, arXiv 1612.01474; as published but without variance heads and adversarial
/// inputs.
#[derive(Clone, Debug)]
pub struct Ensemble {
    name: String,
    stored: Stored,
    domain: Domain,
    members: Vec<Member>,
    /// The members where probabilities come from another device than the CPU.
    elsewhere: Arc<Placed<Vec<Member>>>,
    weights: Tensors,
    fingerprint: String,
}

impl Ensemble {
    /// From trained weights.
    pub(super) fn assemble(
        name: &str,
        domain: &Domain,
        ensemble: EnsembleConfig,
        standardisation: Standardisation,
        training: Option<TrainConfig>,
        weights: Tensors,
    ) -> Result<Self> {
        let letters = String::from_utf8_lossy(domain.alphabet.letters()).into_owned();
        let alphabet = StoredAlphabet { name: domain.alphabet.name().to_owned(), letters };
        Self::build(name, Stored { alphabet, length: domain.length, ensemble, standardisation, training }, weights)
    }

    fn build(name: &str, stored: Stored, weights: Tensors) -> Result<Self> {
        let StoredAlphabet { name: alphabet, letters } = &stored.alphabet;
        let alphabet = Alphabet::stored(alphabet, letters)?;
        let domain = Domain { alphabet, length: stored.length };
        let members = members_on(&Device::Cpu, &stored.ensemble, &domain, &weights)?;
        if members.is_empty() {
            return Err(Error::usage("an ensemble of `0` members predicts nothing; 1 or more are accepted"));
        }
        let mut hash = Sha256::default();
        let config = serde_json::to_vec(&stored)
            .map_err(|error| Error::usage("the configuration cannot be written as JSON").because(error))?;
        hash.update(&config);
        hash.update(&encode_tensors(&weights, None)?);
        let fingerprint = format!("sha256:{}", hash.hex());
        Ok(Self { name: name.to_owned(), stored, domain, members, elsewhere: Arc::default(), weights, fingerprint })
    }

    /// Reads a model folder of kind `reward`; `name` is what people will call it.
    ///
    /// # Errors
    /// When the folder's configuration or weights are not those of a reward.
    pub fn from_folder(name: &str, folder: &ModelFolder) -> Result<Self> {
        Self::build(name, folder.config()?, folder.weights.clone())
    }

    /// The model folder, without a card.
    ///
    /// # Errors
    /// When configuration or tokenizer cannot be written.
    pub fn to_folder(&self) -> Result<ModelFolder> {
        let tokenizer = LetterTokenizer::new(&self.domain.alphabet)?.to_json()?;
        Ok(ModelFolder::new(KIND, &self.stored, self.weights.clone())?.with_tokenizer(tokenizer))
    }

    /// With another pessimism: how many standard deviations the reward lies below the mean.
    #[must_use]
    pub fn with_pessimism(mut self, pessimism: f64) -> Self {
        self.stored.ensemble.pessimism = pessimism;
        self
    }

    /// Alphabet and length.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The shape of the ensemble.
    #[must_use]
    pub fn config(&self) -> &EnsembleConfig {
        &self.stored.ensemble
    }

    /// How it was trained, if it says so.
    #[must_use]
    pub fn training(&self) -> Option<&TrainConfig> {
        self.stored.training.as_ref()
    }

    /// Hash of configuration and weights; the pessimism that it was stored with is part of it.
    #[must_use]
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// The networks.
    #[must_use]
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// Every member's prediction in the units of the training values. The networks follow the probabilities to their device, and
    /// stay there for the next call.
    ///
    /// # Shapes
    /// (B, L, V) to (M, B).
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn each(&self, probs: &Tensor) -> Result<Tensor> {
        let Standardisation { centre, scale } = self.stored.standardisation;
        let outputs = self.with_members(probs, |members, inner| {
            members.iter().map(|member| member.forward(inner)).collect::<Result<Vec<_>>>()
        })?;
        Ok(Tensor::stack(&outputs, 0)?.affine(scale, centre)?.to_dtype(probs.dtype())?)
    }

    /// One member's prediction, (B,); as [`each`](Self::each) otherwise.
    ///
    /// # Errors
    /// When the shape does not fit, or there are not so many members.
    pub fn one(&self, index: usize, probs: &Tensor) -> Result<Tensor> {
        let Standardisation { centre, scale } = self.stored.standardisation;
        let output = self.with_members(probs, |members, inner| match members.get(index) {
            Some(member) => member.forward(inner),
            None => Err(Error::usage(format!(
                "member {index} of an ensemble of {}; they are counted from 0",
                members.len()
            ))),
        })?;
        Ok(output.affine(scale, centre)?.to_dtype(probs.dtype())?)
    }

    /// Calls `run` with the networks where the probabilities are, and the probabilities in f32.
    pub(super) fn with_members<T>(
        &self,
        probs: &Tensor,
        run: impl FnOnce(&[Member], &Tensor) -> Result<T>,
    ) -> Result<T> {
        check_shape(probs, Some(self.domain.length), self.domain.alphabet.len())?;
        let inner = probs.to_dtype(DType::F32)?;
        if probs.device().is_cpu() {
            return run(&self.members, &inner);
        }
        let copy = || members_on(probs.device(), self.config(), &self.domain, &self.weights);
        run(&self.elsewhere.on(probs.device(), copy)?, &inner)
    }

    /// Mean and standard deviation over the members, differentiable.
    ///
    /// # Shapes
    /// (B, L, V) to twice (B,).
    ///
    /// # Errors
    /// When the shape does not fit.
    pub fn posterior(&self, probs: &Tensor) -> Result<Posterior> {
        let each = self.each(probs)?;
        let mean = each.mean(0)?;
        let count = self.members.len();
        if count == 1 {
            return Ok(Posterior { sd: mean.zeros_like()?, mean });
        }
        let square = each.broadcast_sub(&mean)?.sqr()?.sum(0)?;
        // far below any spread that matters; keeps the gradient of the root finite where all members agree
        let least = 1e-12 * self.stored.standardisation.scale.powi(2);
        let sd = square.affine(1.0 / (count - 1) as f64, least)?.sqrt()?;
        Ok(Posterior { mean, sd })
    }

    /// Predictions for sequences, in batches.
    ///
    /// # Errors
    /// When a sequence has another length or alphabet.
    pub fn predict(&self, sequences: &[Sequence]) -> Result<Vec<Prediction>> {
        let mut predictions = Vec::with_capacity(sequences.len());
        for batch in sequences.chunks(BATCH) {
            let probs = self.domain.one_hot(batch, &Device::Cpu)?;
            let each = self.each(&probs)?.to_vec2::<f32>()?;
            predictions.extend((0..batch.len()).map(|column| summary(each.iter().map(|row| f64::from(row[column])))));
        }
        Ok(predictions)
    }
}

fn members_on(device: &Device, config: &EnsembleConfig, domain: &Domain, weights: &Tensors) -> Result<Vec<Member>> {
    let params = Params::frozen(weights.clone(), device);
    let member =
        |index| Member::new(&params.child(&member_name(index)), &config.architecture, domain, config.both_strands);
    (0..config.members).map(member).collect()
}

/// Mean and sample standard deviation.
fn summary(values: impl ExactSizeIterator<Item = f64> + Clone) -> Prediction {
    let count = values.len() as f64;
    let mean = values.clone().sum::<f64>() / count;
    let sd = (count > 1.0).then(|| (values.map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt());
    Prediction { mean, sd }
}

/// The path of a member's parameters.
pub(super) fn member_name(index: usize) -> String {
    format!("member.{index}")
}

impl Reward for Ensemble {
    fn name(&self) -> &str {
        &self.name
    }

    fn reads(&self) -> Option<&Domain> {
        Some(&self.domain)
    }

    fn reward(&self, probs: &Tensor) -> Result<Tensor> {
        let pessimism = self.stored.ensemble.pessimism;
        if pessimism == 0.0 {
            return Ok(self.each(probs)?.mean(0)?);
        }
        let Posterior { mean, sd } = self.posterior(probs)?;
        Ok((mean - (sd * pessimism)?)?)
    }
}
