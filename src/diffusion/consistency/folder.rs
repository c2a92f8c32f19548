//! Consistency models in model folders.

use super::{Consistency, ConsistencyConfig};
use crate::diffusion::{PRIOR, Prior, fingerprint, prior_of};
use crate::error::{Error, Result};
use crate::nn::{Params, Tensors};
use crate::sequence::LetterTokenizer;
use crate::store::{ModelFolder, open_model};
use candle_core::Device;
use std::sync::Arc;

/// The kind of a consistency model's folder.
pub const CONSISTENCY: &str = "consistency";

/// A consistency model as a model folder, without a card.
///
/// # Errors
/// When the alphabet is refused or the configuration cannot be written.
pub fn consistency_folder(config: &ConsistencyConfig, weights: Tensors) -> Result<ModelFolder> {
    let tokenizer = LetterTokenizer::new(&config.shape.alphabet()?)?.to_json()?;
    Ok(ModelFolder::new(CONSISTENCY, config, weights)?.with_tokenizer(tokenizer))
}

/// The consistency model in a folder, around its prior, which came out of `source`.
///
/// # Errors
/// An integrity error when the prior is not the one that it was distilled from; when the configuration or the weights are not
/// those of a consistency model.
pub fn consistency_of(folder: &ModelFolder, source: &ModelFolder, prior: Arc<Prior>) -> Result<Consistency> {
    let config: ConsistencyConfig = folder.config()?;
    let found = fingerprint(source)?;
    if found != config.prior.fingerprint {
        return Err(Error::integrity(format!(
            "the consistency model follows the prior `{}`, {}; the prior given is {found}",
            config.prior.name, config.prior.fingerprint
        ))
        .hint("give the prior that it was distilled from, or distil this one"));
    }
    let device = prior.device().clone();
    let weights = folder.weights.iter().map(|(name, tensor)| Ok((name.clone(), tensor.to_device(&device)?)));
    let params = Params::frozen(weights.collect::<Result<_>>()?, &device);
    Consistency::new(prior, &params)
}

/// The consistency model at a path, or the built-in one with that name, around `prior`, or, where none is given, around the
/// one that it was distilled from under the name it had then; and both folders.
///
/// # Errors
/// As [`open_model`] and [`consistency_of`].
pub fn open_consistency(
    name: &str,
    prior: Option<&str>,
    device: &Device,
) -> Result<(Consistency, ModelFolder, ModelFolder)> {
    let folder = open_model(name, CONSISTENCY)?;
    let config: ConsistencyConfig = folder.config()?;
    let source = open_model(prior.unwrap_or(&config.prior.name), PRIOR)
        .map_err(|error| if prior.is_none() { error.hint("name its prior with --prior") } else { error })?;
    let consistency = consistency_of(&folder, &source, Arc::new(prior_of(&source, device)?))?;
    Ok((consistency, folder, source))
}
