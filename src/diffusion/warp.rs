//! Where along the log signal-to-noise ratio the sequence is decided.

use crate::error::{Error, Result};
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// A running profile of the denoising cross-entropy against the log signal-to-noise ratio λ, and the density that
/// follows its slope.
///
/// ```text
/// density(λ) ∝ (1 − floor) · max(0, −d CE/dλ) + floor / (last − first)
/// ```
/// Training draws λ from it (time warping, Dieleman et al. 2022, arXiv 2211.15089), so that effort goes where letters
/// are decided; samplers place their steps at its quantiles.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Warp {
    first: f64,
    last: f64,
    loss: Vec<f64>,
    seen: Vec<f64>,
}

const FLOOR: f64 = 0.25;
const MEMORY: f64 = 0.999;

impl Warp {
    /// A flat profile over `bins` bins of [`first`, `last`].
    #[must_use]
    pub fn new(first: f64, last: f64, bins: usize) -> Self {
        Self { first, last, loss: vec![0.0; bins.max(2)], seen: vec![0.0; bins.max(2)] }
    }

    /// The range of λ.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        (self.first, self.last)
    }

    /// Records one cross-entropy in nats per token seen at `log_snr`.
    pub fn record(&mut self, log_snr: f64, loss: f64) {
        let bins = self.loss.len();
        let place = (log_snr - self.first) / (self.last - self.first) * bins as f64;
        let bin = (place.max(0.0) as usize).min(bins - 1);
        self.seen[bin] = MEMORY * self.seen[bin] + 1.0;
        self.loss[bin] += (loss - self.loss[bin]) / self.seen[bin];
    }

    /// The profile: bin centres and mean cross-entropy, in nats per token.
    #[must_use]
    pub fn profile(&self) -> Vec<(f64, f64)> {
        let width = (self.last - self.first) / self.loss.len() as f64;
        self.loss.iter().enumerate().map(|(bin, loss)| (self.first + (bin as f64 + 0.5) * width, *loss)).collect()
    }

    /// The whole state, for checkpoints: (2, bins), f64.
    ///
    /// # Errors
    /// When the tensor cannot be made.
    pub fn tensor(&self) -> Result<Tensor> {
        let values = [self.loss.clone(), self.seen.clone()].concat();
        Ok(Tensor::from_vec(values, (2, self.loss.len()), &Device::Cpu)?)
    }

    /// Back from [`tensor`](Self::tensor).
    ///
    /// # Errors
    /// When the tensor has another shape.
    pub fn from_tensor(first: f64, last: f64, tensor: &Tensor) -> Result<Self> {
        let mut rows = tensor.to_vec2::<f64>()?;
        match (rows.pop(), rows.pop(), rows.pop()) {
            (Some(seen), Some(loss), None) => Ok(Self { first, last, loss, seen }),
            _ => Err(Error::integrity("the noise-level profile of the checkpoint does not have two rows")),
        }
    }

    /// Probability of each bin.
    fn masses(&self) -> Vec<f64> {
        let bins = self.loss.len();
        let flat = 1.0 / bins as f64;
        if self.seen.iter().any(|seen| *seen < 8.0) {
            return vec![flat; bins];
        }
        let slope: Vec<f64> = (0..bins)
            .map(|bin| (self.loss[bin.saturating_sub(1)] - self.loss[(bin + 1).min(bins - 1)]).max(0.0))
            .collect();
        let total: f64 = slope.iter().sum();
        if total <= 0.0 {
            return vec![flat; bins];
        }
        slope.iter().map(|slope| (1.0 - FLOOR) * slope / total + FLOOR * flat).collect()
    }

    /// The share of the density below `log_snr`, in [0, 1].
    #[must_use]
    pub fn cumulative(&self, log_snr: f64) -> f64 {
        let masses = self.masses();
        let place = ((log_snr - self.first) / (self.last - self.first)).clamp(0.0, 1.0) * masses.len() as f64;
        let bin = (place as usize).min(masses.len() - 1);
        masses[..bin].iter().sum::<f64>() + masses[bin] * (place - bin as f64)
    }

    /// `1 / density(log_snr)`: the width in λ that a unit of share covers there.
    #[must_use]
    pub fn slowness(&self, log_snr: f64) -> f64 {
        let masses = self.masses();
        let width = (self.last - self.first) / masses.len() as f64;
        let place = ((log_snr - self.first) / (self.last - self.first)).clamp(0.0, 1.0) * masses.len() as f64;
        width / masses[(place as usize).min(masses.len() - 1)]
    }

    /// The λ below which a `share` of the density lies; inverse of [`cumulative`](Self::cumulative).
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let masses = self.masses();
        let width = (self.last - self.first) / masses.len() as f64;
        let mut left = share.clamp(0.0, 1.0);
        for (bin, mass) in masses.iter().enumerate() {
            if left <= *mass {
                return self.first + (bin as f64 + left / mass) * width;
            }
            left -= mass;
        }
        self.last
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantile_inverts_cumulative_and_follows_the_slope() {
        let mut warp = Warp::new(-8.0, 4.0, 24);
        for round in 0..40 {
            for bin in 0..24 {
                let log_snr = -8.0 + (f64::from(bin) + 0.5) * 0.5;
                warp.record(log_snr, 1.386 / (1.0 + (2.0 * (log_snr + 1.0)).exp()) + f64::from(round % 2) * 1e-3);
            }
        }
        for share in [0.0, 0.1, 0.5, 0.9, 1.0] {
            assert!((warp.cumulative(warp.quantile(share)) - share).abs() < 1e-12);
        }
        // the loss falls fastest at λ = −1: the middle half of the density is narrow and sits there
        let (low, high) = (warp.quantile(0.25), warp.quantile(0.75));
        assert!(low > -3.0 && high < 1.0, "{low} {high}");
    }
}
