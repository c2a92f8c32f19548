//! What a linear model reads.

use crate::error::{Error, Result};
use crate::nn::Pool;
use crate::random::Seed;
use crate::reward::surrogate::config::SurrogateConfig;
use crate::reward::surrogate::networks::train;
use crate::reward::{Ensemble, TrainingSet};
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// Features of a linear surrogate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinearFeatures {
    /// Activations before the last map of a network trained on the labels.
    #[default]
    Network,
    /// A constant and one-hot letters.
    Letters,
    /// A constant, one-hot letters and all pairs of letters at two positions.
    Pairs,
}

/// The most features that letters and pairs may have: their matrix is dense.
const MOST: usize = 5000;

#[derive(Debug)]
pub(super) enum Features {
    Network(Box<Ensemble>),
    Fixed {
        length: usize,
        letters: usize,
        /// Places of pairs at two positions in the table of all pairs, the first position before the second; none of letters alone.
        pairs: Option<Vec<u32>>,
    },
}

impl Features {
    pub(super) fn fit(config: &SurrogateConfig, set: &TrainingSet, seed: Seed, pool: &Pool) -> Result<Self> {
        let (length, letters) = (set.domain().length, set.domain().alphabet.len());
        match config.linear_features {
            LinearFeatures::Network => Ok(Self::Network(Box::new(train(config, 1, false, set, seed, pool)?))),
            LinearFeatures::Letters | LinearFeatures::Pairs => {
                let (width, paired) = (length * letters, config.linear_features == LinearFeatures::Pairs);
                let joint = if paired { length * (length - 1) / 2 * letters * letters } else { 0 };
                let count = 1 + width + joint;
                if count > MOST {
                    return Err(Error::usage(format!(
                        "{length} positions of {letters} letters have {count} features; {MOST} at most are accepted"
                    ))
                    .hint("`linear-features = \"network\"` takes any length"));
                }
                let places = || {
                    let pairs = (0..width).flat_map(|a| (0..width).map(move |b| (a, b)));
                    pairs.filter(|(a, b)| a / letters < b / letters).map(|(a, b)| (a * width + b) as u32).collect()
                };
                Ok(Self::Fixed { length, letters, pairs: (joint > 0).then(places) })
            }
        }
    }

    /// Whether they do not depend on labels.
    pub(super) fn is_fixed(&self) -> bool {
        matches!(self, Self::Fixed { .. })
    }

    /// φ of relaxed sequences (B, L, V), as (B, F).
    pub(super) fn of(&self, probs: &Tensor) -> Result<Tensor> {
        match self {
            Self::Network(ensemble) => ensemble.with_members(probs, |members, probs| members[0].features(probs)),
            Self::Fixed { length, letters, pairs } => {
                let (batch, width) = (probs.dim(0)?, length * letters);
                let single = probs.to_dtype(DType::F64)?.reshape((batch, width))?;
                let constant = Tensor::ones((batch, 1), DType::F64, probs.device())?;
                let Some(places) = pairs else { return Ok(Tensor::cat(&[&constant, &single], 1)?) };
                let table =
                    single.unsqueeze(2)?.broadcast_mul(&single.unsqueeze(1)?)?.reshape((batch, width * width))?;
                let pairs = table.index_select(&Tensor::new(places.as_slice(), probs.device())?, 1)?;
                Ok(Tensor::cat(&[&constant, &single, &pairs], 1)?)
            }
        }
    }

    /// The prediction of the network, in the units of the labels.
    pub(super) fn output(&self, probs: &Tensor) -> Result<Tensor> {
        match self {
            Self::Network(ensemble) => ensemble.one(0, probs),
            Self::Fixed { .. } => Err(Error::usage("letters and their pairs have no prediction of their own")),
        }
    }
}
