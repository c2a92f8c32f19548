//! Upper confidence bounds of a linear model.

mod features;

pub use features::LinearFeatures;

use super::config::SurrogateConfig;
use super::dense::{cholesky, invert_lower};
use super::{Acquisition, Surrogate, check_sequences, unknown_acquisition};
use crate::error::{Error, Result};
use crate::nn::{Placed, Pool, read};
use crate::random::Seed;
use crate::reward::{Domain, Prediction, Standardisation, TrainingSet, check_shape};
use crate::sequence::Sequence;
use candle_core::{DType, Device, Tensor};
use features::Features;
use ndarray::{Array1, Array2, Axis};

/// Sequences read at a time.
const BATCH: usize = 512;

/// The bonus of the released form is never more, in units of the labels.
const MOST: f64 = 10.0;

/// A linear model of features φ with the bonus of what its data do not fix.
///
/// ```text
/// Gram:        sd = scale · a √(φᵀ (Σ φφᵀ + λI)⁻¹ φ)            falls as 1/√n
/// covariance:  sd = min(a √(φᵀ (C + λI)⁻¹ φ), 10),  C = cov(φ)     does not fall with n
/// ```
///
/// a is `bonus-scale`, λ the `ridge`, scale the standard deviation of the labels; the second form, in the units of the
/// labels, is the one of the programs released with SEIKO (Uehara et al., arXiv 2402.16359: a = 0.01, λ = 0.001, φ the 16
/// activations before the last map). Features are those of a trained network, whose output is then the mean, or one-hot
/// letters with or without their pairs, whose mean is the ridge regression. A Thompson draw adds `scale · a φᵀ(Σφφᵀ + λI)^{−½} ε`.
///
/// Of relaxed sequences, letters and pairs have their means over independent letters; networks read them as they are.
#[derive(Debug)]
pub struct LinearUcb {
    domain: Domain,
    features: Features,
    standardisation: Standardisation,
    /// W, WᵀW the inverse of the matrix of the bonus.
    white: Array2<f64>,
    /// The weights of the mean, where it is not the network's.
    weights: Option<Array1<f64>>,
    covariance: bool,
    scale: f64,
    pool: Pool,
    placed: Placed<(Tensor, Option<Tensor>)>,
}

impl LinearUcb {
    /// Fits features, mean and bonus to labels.
    ///
    /// # Errors
    /// When a setting is out of range, training diverges, or there are too many pairs of letters.
    pub fn fit(config: &SurrogateConfig, set: &TrainingSet, seed: Seed, pool: &Pool) -> Result<Self> {
        config.check()?;
        let features = Features::fit(config, set, seed, pool)?;
        let standardisation = Standardisation::of(set.values());
        let rows = matrix(&features, set.domain(), set.sequences(), &Pool::new(pool.threads())?)?;
        let weights = features.is_fixed().then(|| {
            let z: Array1<f64> =
                set.values().iter().map(|v| (v - standardisation.centre) / standardisation.scale).collect();
            rows.t().dot(&z)
        });
        let inner = if config.covariance { covariance(&rows) } else { rows.t().dot(&rows) };
        let white = inverse_root(inner, config.ridge)?;
        let weights = match weights {
            Some(product) if config.covariance => {
                let gram = inverse_root(rows.t().dot(&rows), config.ridge)?;
                Some(gram.t().dot(&gram.dot(&product)))
            }
            Some(product) => Some(white.t().dot(&white.dot(&product))),
            None => None,
        };
        let scale = if config.covariance { config.bonus_scale } else { config.bonus_scale * standardisation.scale };
        Ok(Self {
            domain: set.domain().clone(),
            features,
            standardisation,
            white,
            weights,
            covariance: config.covariance,
            scale,
            pool: Pool::new(pool.threads())?,
            placed: Placed::default(),
        })
    }

    /// Mean, and the features times W: (B,) and (B, F).
    fn parts(&self, probs: &Tensor) -> Result<(Tensor, Tensor)> {
        check_shape(probs, Some(self.domain.length), self.domain.alphabet.len())?;
        let device = probs.device();
        let placed = self.placed.on(device, || {
            let (width, white) = (self.white.nrows(), self.white.t().iter().copied().collect::<Vec<_>>());
            let column = |weights: &Array1<f64>| Tensor::from_vec(weights.to_vec(), (width, 1), device);
            Ok((Tensor::from_vec(white, (width, width), device)?, self.weights.as_ref().map(column).transpose()?))
        })?;
        let (white, weights) = &*placed;
        let features = self.features.of(probs)?.to_dtype(DType::F64)?;
        let Standardisation { centre, scale } = self.standardisation;
        let mean = match weights {
            Some(weights) => features.matmul(weights)?.squeeze(1)?.affine(scale, centre)?,
            None => self.features.output(probs)?.to_dtype(DType::F64)?,
        };
        Ok((mean, features.matmul(white)?))
    }

    /// The bonus for (B, F) whitened features.
    fn bonus(&self, whitened: &Tensor) -> Result<Tensor> {
        // far below any bonus that matters; keeps the gradient of the root finite
        let bonus = (whitened.sqr()?.sum(1)?.affine(1.0, 1e-18)?.sqrt()? * self.scale)?;
        Ok(if self.covariance { bonus.clamp(0.0, MOST)? } else { bonus })
    }
}

/// The features of sequences, (n, F).
fn matrix(features: &Features, domain: &Domain, sequences: &[Sequence], pool: &Pool) -> Result<Array2<f64>> {
    let batches: Vec<&[Sequence]> = sequences.chunks(BATCH).collect();
    let parts = pool.map(batches.len(), |index| {
        let probs = domain.one_hot(batches[index], &Device::Cpu)?;
        Ok(read(&[&features.of(&probs)?])?.remove(0))
    })?;
    let all = parts.concat();
    let width = all.len() / sequences.len().max(1);
    Array2::from_shape_vec((sequences.len(), width), all)
        .map_err(|error| Error::data("features of sequences do not make a table").because(error))
}

/// The sample covariance, ÷ (n − 1).
fn covariance(rows: &Array2<f64>) -> Array2<f64> {
    let n = rows.nrows() as f64;
    let mean = rows.sum_axis(Axis(0)) / n;
    let centred = rows - &mean;
    centred.t().dot(&centred) / (n - 1.0)
}

/// W with WᵀW = (A + λI)⁻¹.
fn inverse_root(mut a: Array2<f64>, ridge: f64) -> Result<Array2<f64>> {
    a.diag_mut().mapv_inplace(|entry| entry + ridge);
    let factor = cholesky(a).ok_or_else(|| {
        Error::usage(format!("the matrix of the features is singular at ridge {ridge}")).hint("raise `ridge`")
    })?;
    Ok(invert_lower(&factor))
}

impl Surrogate for LinearUcb {
    fn domain(&self) -> &Domain {
        &self.domain
    }

    fn predict(&self, sequences: &[Sequence]) -> Result<Vec<Prediction>> {
        check_sequences(&self.domain, sequences)?;
        let batches: Vec<&[Sequence]> = sequences.chunks(BATCH).collect();
        let predicted = self.pool.map(batches.len(), |index| {
            let (mean, whitened) = self.parts(&self.domain.one_hot(batches[index], &Device::Cpu)?)?;
            let numbers = read(&[&mean, &self.bonus(&whitened)?])?;
            let pairs = numbers[0].iter().zip(&numbers[1]);
            Ok(pairs.map(|(mean, sd)| Prediction { mean: *mean, sd: Some(*sd) }).collect::<Vec<_>>())
        })?;
        Ok(predicted.concat())
    }

    fn acquire(&self, probs: &Tensor, acquisition: Acquisition, draw: Seed) -> Result<Tensor> {
        let (mean, whitened) = self.parts(probs)?;
        let value = match acquisition {
            Acquisition::Mean => mean,
            Acquisition::Ucb { bonus } => (mean + (self.bonus(&whitened)? * bonus)?)?,
            Acquisition::Thompson if !self.covariance => {
                let (mut rng, width) = (draw.rng(), self.white.nrows());
                let draws: Vec<f64> = (0..width).map(|_| self.scale * rng.normal()).collect();
                let draws = Tensor::from_vec(draws, (width, 1), probs.device())?;
                (mean + whitened.matmul(&draws)?.squeeze(1)?)?
            }
            _ if self.covariance => {
                return Err(unknown_acquisition("linear-ucb", acquisition, "`mean`, `ucb:K` with `covariance`"));
            }
            _ => return Err(unknown_acquisition("linear-ucb", acquisition, "`mean`, `ucb:K`, `thompson`")),
        };
        Ok(value.to_dtype(probs.dtype())?)
    }
}

#[cfg(test)]
mod tests;
