//! Drawing sequences from a prior.

use super::{Grid, Prior, SolverKind};
use crate::error::{Error, Result};
use crate::nn::{Pool, softmax};
use crate::random::{Rng, Seed};
use crate::sequence::{Pick, Sequence};
use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

/// How letters are read off the final logits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decode {
    /// The most probable letter.
    #[default]
    Hard,
    /// A draw from the letter probabilities.
    Draw,
}

impl Decode {
    /// Reads (B, L, V) logits; `rng` is used by [`Decode::Draw`] only. Under a constraint letters are chosen together: the best
    /// sequence that keeps it, or a draw from the letter probabilities given that it is kept.
    ///
    /// # Errors
    /// When the tensor cannot be read.
    pub fn read(self, logits: &Tensor, prior: &Prior, rng: &mut Rng) -> Result<Vec<Sequence>> {
        let (b, l, v) = logits.dims3()?;
        let values = match (self, prior.imposed()) {
            (Self::Hard, _) | (_, Some(_)) => logits.clone(),
            (Self::Draw, None) => softmax(logits)?,
        };
        let values = values.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
        if let Some(bad) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::device(format!("state {} of the batch is no longer finite", bad / (l * v))));
        }
        if let Some(imposed) = prior.imposed() {
            let read = |row: &[f64]| match self {
                Self::Hard => imposed.choose(row, &mut Pick::Best),
                Self::Draw => imposed.choose(row, &mut Pick::Draw(&mut *rng)),
            };
            return values.chunks(l * v).map(read).collect();
        }
        (0..b)
            .map(|row| {
                let ids: Vec<u8> = (0..l)
                    .map(|i| {
                        let letters = &values[(row * l + i) * v..(row * l + i + 1) * v];
                        (match self {
                            Self::Hard => argmax(letters),
                            Self::Draw => rng.weighted(letters),
                        }) as u8
                    })
                    .collect();
                Sequence::from_ids(ids, prior.alphabet())
            })
            .collect()
    }
}

fn argmax(values: &[f64]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if *value > values[best] {
            best = index;
        }
    }
    best
}

/// How to sample; `None` takes the prior's own default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SampleConfig {
    /// Steps, K.
    pub steps: Option<usize>,
    /// Spread of the steps.
    pub grid: Option<Grid>,
    /// Solver.
    pub solver: Option<SolverKind>,
    /// Share of noise: 1 (default) the reverse SDE, 0 the probability-flow ODE.
    pub eta: Option<f64>,
    /// How letters are read off.
    pub decode: Decode,
}

/// Sequences of a length that a shard holds: 1024 tokens, 128 sequences at most. It does not depend on the number of threads,
/// so that samples do not either.
#[must_use]
pub fn shard_rows(length: usize) -> usize {
    (1024 / length.max(1)).clamp(1, 128)
}

/// Sampled sequences.
pub type Samples = Vec<Sequence>;

/// Draws `count` sequences.
///
/// # Errors
/// When an option is out of range or a tensor operation fails.
///
/// # Cost
/// `steps` calls of the denoiser per sequence (twice that with Heun).
pub fn sample(prior: &Prior, config: &SampleConfig, count: usize, seed: Seed, pool: &Pool) -> Result<Samples> {
    let eta = config.eta.unwrap_or(1.0);
    if !(0.0..=1.0).contains(&eta) {
        return Err(Error::usage(format!("`eta` is {eta}; 0 to 1 is accepted")));
    }
    let base = prior.config();
    let solver = config.solver.unwrap_or(base.solver);
    let (first, last) = base.walk();
    let log_snrs = config.grid.unwrap_or(base.grid).log_snrs(
        config.steps.unwrap_or(base.steps),
        first,
        last,
        &base.schedule,
        &base.warp,
    )?;
    let schedule = base.schedule.get();
    let times: Vec<f64> = log_snrs.iter().map(|log_snr| schedule.time(*log_snr)).collect();
    let most = shard_rows(base.length);
    let shards = pool.map(count.div_ceil(most), |shard| {
        let rows = most.min(count - shard * most);
        let mut rng = seed.index(shard as u64).rng();
        let shape = (rows, base.length, base.embedding_dim);
        let mut draw = || -> Result<Tensor> {
            let values = rng.normals(rows * base.length * base.embedding_dim);
            Ok(Tensor::from_vec(values, shape, prior.device())?.to_dtype(prior.codec().table().dtype())?)
        };
        let mut z = draw()?;
        for k in 0..times.len() - 1 {
            let c = solver.get().coefficients(schedule, times[k], times[k + 1], eta);
            let estimate = prior.estimate(&prior.belief(&z, &log_snrs[k..=k])?)?;
            let mut next = ((&z * c.keep)? + (&estimate * c.predict)?)?;
            if solver.get().corrects() {
                let ahead = prior.estimate(&prior.belief(&next, &log_snrs[k + 1..=k + 1])?)?;
                next = ((&z * c.keep)? + ((estimate + ahead)? * (0.5 * c.predict))?)?;
            }
            if c.std > 0.0 {
                next = (next + (draw()? * c.std)?)?;
            }
            z = next;
        }
        let logits = prior.belief(&z, &log_snrs[times.len() - 1..])?;
        let mut letters = seed.index(shard as u64).child("decode").rng();
        config.decode.read(&logits, prior, &mut letters)
    })?;
    Ok(shards.into_iter().flatten().collect())
}
