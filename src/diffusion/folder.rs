//! Priors in model folders.

use super::{Prior, PriorConfig, uniform};
use crate::error::{Error, Result};
use crate::nn::{Params, Tensors};
use crate::sequence::{Constraint, LetterTokenizer};
use crate::store::{ModelFolder, Sha256, encode_tensors, open_model};
use candle_core::Device;

/// The kind of a prior's model folder.
pub const PRIOR: &str = "prior";

/// A prior as a model folder, without a card.
///
/// # Errors
/// When the alphabet is refused or the configuration cannot be written.
pub fn prior_folder(config: &PriorConfig, weights: Tensors) -> Result<ModelFolder> {
    let tokenizer = LetterTokenizer::new(&config.alphabet()?)?.to_json()?;
    Ok(ModelFolder::new(PRIOR, config, weights)?.with_tokenizer(tokenizer))
}

/// The prior in a model folder.
///
/// # Errors
/// When the configuration or the weights are not those of a prior.
pub fn prior_of(folder: &ModelFolder, device: &Device) -> Result<Prior> {
    let config: PriorConfig = folder.config()?;
    let weights = folder.weights.iter().map(|(name, tensor)| Ok((name.clone(), tensor.to_device(device)?)));
    Prior::new(&config, &Params::frozen(weights.collect::<Result<_>>()?, device))
}

/// The prior at a path, or the built-in one with that name, and its folder; `uniform:ALPHABET:LENGTH` is
/// [independent uniform letters](PriorConfig::uniform).
///
/// # Errors
/// As [`open_model`], and when a uniform prior has no such alphabet or length.
pub fn open_prior(name: &str, device: &Device) -> Result<(Prior, ModelFolder)> {
    let folder = uniform::uniform_folder(name).unwrap_or_else(|| open_model(name, PRIOR))?;
    Ok((prior_of(&folder, device)?, folder))
}

/// The same prior under rules that every decoded sequence keeps.
///
/// Base and tilted chains that are made from it share masks and decode, so that certificates speak of the constrained prior.
///
/// # Errors
/// When the folder is no prior's, or of one that keeps rules already.
pub fn constrain(folder: &ModelFolder, constraint: &Constraint) -> Result<ModelFolder> {
    let config: PriorConfig = folder.config()?;
    if !config.constraint.is_empty() {
        return Err(Error::usage("the prior keeps constraints already, and would forget them under others")
            .hint("give all constraints together, to the prior that it was made of"));
    }
    let config = PriorConfig { constraint: constraint.clone(), ..config };
    Ok(prior_folder(&config, folder.weights.clone())?.with_card(folder.card.clone()))
}

/// A hash of a model's configuration and weights, which identifies what it computes.
///
/// # Errors
/// When the weights cannot be encoded.
pub fn fingerprint(folder: &ModelFolder) -> Result<String> {
    let mut hash = Sha256::default();
    hash.update(folder.config.to_string().as_bytes());
    hash.update(&encode_tensors(&folder.weights, None)?);
    Ok(format!("sha256:{}", hash.hex()))
}
