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

impl LinearFeatures {
    /// How many features letters or pairs of a set have.
    #[must_use]
    pub fn count(self, set: &TrainingSet) -> usize {
        let (length, letters) = (set.domain().length, set.domain().alphabet.len());
        match self {
            Self::Letters if length * letters > MANY => 2 + seen(set, letters).len(),
            Self::Pairs => 1 + length * letters + length * (length - 1) / 2 * letters * letters,
            Self::Letters | Self::Network => 1 + length * letters,
        }
    }
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
        /// Letters of positions that occur in the data, where there are too many to keep them all: see [`MANY`].
        seen: Option<Vec<u32>>,
    },
}

/// One-hot letters from which on only those that occur in the data have features of their own.
///
/// The others have no weight and add `Σ p²/λ` to the squared bonus; one feature `√Σ p²`, which no datum has, does the same. Only
/// Thompson draws differ: letters that were not seen share one draw.
const MANY: usize = 1000;

impl Features {
    pub(super) fn fit(config: &SurrogateConfig, set: &TrainingSet, seed: Seed, pool: &Pool) -> Result<Self> {
        let (length, letters) = (set.domain().length, set.domain().alphabet.len());
        match config.linear_features {
            LinearFeatures::Network => Ok(Self::Network(Box::new(train(config, 1, false, set, seed, pool)?))),
            LinearFeatures::Letters | LinearFeatures::Pairs => {
                let (width, paired) = (length * letters, config.linear_features == LinearFeatures::Pairs);
                let seen = (!paired && width > MANY).then(|| seen(set, letters));
                let count = config.linear_features.count(set);
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
                Ok(Self::Fixed { length, letters, pairs: (paired && length > 1).then(places), seen })
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
            Self::Fixed { length, letters, pairs, seen } => {
                let (batch, width) = (probs.dim(0)?, length * letters);
                let single = probs.to_dtype(DType::F64)?.reshape((batch, width))?;
                let constant = Tensor::ones((batch, 1), DType::F64, probs.device())?;
                if let Some(seen) = seen {
                    let kept = single.index_select(&Tensor::new(seen.as_slice(), probs.device())?, 1)?;
                    let left = (single.sqr()?.sum_keepdim(1)? - kept.sqr()?.sum_keepdim(1)?)?;
                    // relaxed letters leave rounding errors below zero
                    let other = (left.relu()? + 1e-30)?.sqrt()?;
                    return Ok(Tensor::cat(&[&constant, &kept, &other], 1)?);
                }
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

/// Places of the letters that occur, in the table of all letters of all positions.
fn seen(set: &TrainingSet, letters: usize) -> Vec<u32> {
    let mut occurs = vec![false; set.domain().length * letters];
    for sequence in set.sequences() {
        for (position, id) in sequence.padded(&set.domain().alphabet, set.domain().length).into_iter().enumerate() {
            occurs[position * letters + usize::from(id)] = true;
        }
    }
    (0_u32..).zip(&occurs).filter(|(_, occurs)| **occurs).map(|(place, _)| place).collect()
}
