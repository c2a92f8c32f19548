//! What is measured: the sizes that both sides read from one file.

use candle_core::{DType, Device, Tensor};
use seqtilt::diffusion::{DenoiserConfig, Transformer};
use seqtilt::nn::{Params, Tensors};
use seqtilt::{Error, Result, Seed};
use serde::Deserialize;

/// What a case does.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Forward, backward and AdamW.
    Train,
    /// The same through `calls` steps of a sampler.
    Rollout,
    /// `calls` calls of the network.
    Sample,
}

/// A case of `tests/bench/cases.json`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) length: usize,
    pub(crate) letters: usize,
    pub(crate) embedding: usize,
    pub(crate) width: usize,
    pub(crate) layers: usize,
    pub(crate) heads: usize,
    pub(crate) batch: usize,
    /// Calls of the network in one roll-out or sample.
    #[serde(default)]
    pub(crate) calls: usize,
}

/// Every case.
pub(crate) fn cases() -> Result<Vec<Case>> {
    serde_json::from_str(include_str!("../cases.json"))
        .map_err(|error| Error::data("`cases.json` cannot be read").because(error))
}

/// The case of a name.
pub(crate) fn named(name: &str) -> Result<Case> {
    let case = cases()?.into_iter().find(|case| case.name == name);
    case.ok_or_else(|| Error::usage(format!("no case `{name}`; those of `tests/bench/cases.json` are accepted")))
}

impl Case {
    /// Sizes of the denoiser.
    pub(crate) fn denoiser(&self) -> DenoiserConfig {
        DenoiserConfig { dim: self.width, layers: self.layers, heads: self.heads }
    }

    /// The package's denoiser on some parameters.
    pub(crate) fn network(&self, params: &Params) -> Result<Transformer> {
        Transformer::new(params, &self.denoiser(), self.length, self.embedding, self.letters)
    }

    /// Trainable weights of the denoiser, away from the zeros that some start at.
    pub(crate) fn weights(&self) -> Result<Params> {
        let params = Params::trainable(Seed::root(1), DType::F32, &Device::Cpu);
        self.network(&params)?;
        shake(&params)?;
        Ok(params)
    }

    /// Rows of each of `shards` shards.
    pub(crate) fn shares(&self, shards: usize) -> Vec<usize> {
        let rows = self.batch.div_ceil(shards.max(1));
        (0..self.batch).step_by(rows.max(1)).map(|first| rows.min(self.batch - first)).collect()
    }
}

/// Adds a little noise to every weight.
pub(crate) fn shake(params: &Params) -> Result<()> {
    for (index, (_, var)) in params.vars().iter().enumerate() {
        let noise = normal(Seed::root(2).index(index as u64), var.dims())?;
        var.set(&(var.as_detached_tensor() + (noise * 0.05)?)?)?;
    }
    Ok(())
}

/// The same weights held fixed, sharing their storage.
pub(crate) fn held(params: &Params) -> Params {
    let tensors: Tensors = params.vars().into_iter().map(|(name, var)| (name, var.as_detached_tensor())).collect();
    Params::frozen(tensors, &Device::Cpu)
}

/// Standard normal numbers.
pub(crate) fn normal(seed: Seed, dims: &[usize]) -> Result<Tensor> {
    Ok(Tensor::from_vec(seed.rng().normals(dims.iter().product()), dims, &Device::Cpu)?)
}
