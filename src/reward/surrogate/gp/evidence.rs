//! Log evidence, its slope, and the settings that maximise it.

use super::dense::{cholesky, invert_lower};
use super::kernel::{Bank, Kernel, Words};
use crate::error::{Error, Result};
use crate::nn::Pool;
use crate::random::Seed;
use crate::reward::surrogate::config::SurrogateConfig;
use crate::reward::surrogate::tuned::Tuned;
use ndarray::{Array1, Array2};

/// Rows of a covariance made at a time.
const ROWS: usize = 128;

/// Labels and a prior of them.
pub(super) struct Problem<'a> {
    pub(super) kernel: &'a Kernel,
    pub(super) words: &'a Words,
    /// Standardised labels.
    pub(super) z: &'a [f64],
    /// σ², relative to the amplitude.
    pub(super) noise: f64,
}

/// The answer to a [`Problem`].
pub(super) struct Solved {
    /// L⁻¹, LLᵀ = K + σ².
    pub(super) white: Array2<f64>,
    /// (K + σ²)⁻¹ z.
    pub(super) alpha: Array1<f64>,
    /// s².
    pub(super) amplitude: f64,
    /// `−½ zᵀC⁻¹z − ½ log|C| − (n/2) log 2π`, C = s²(K + σ²).
    pub(super) evidence: f64,
}

impl Problem<'_> {
    /// `None` where the covariance is singular. The best amplitude for the rest is `zᵀ(K + σ²)⁻¹z/n`.
    pub(super) fn solve(&self, amplitude: Tuned, pool: &Pool) -> Result<Option<Solved>> {
        let (n, bank) = (self.z.len(), Bank::new(self.kernel, self.words));
        let blocks: Vec<&[Vec<u8>]> = self.words.chunks(ROWS).collect();
        let blocks = pool.map(blocks.len(), |index| Ok(bank.rows(self.kernel, blocks[index])))?;
        let views: Vec<_> = blocks.iter().map(|block| block.view()).collect();
        let Ok(mut covariance) = ndarray::concatenate(ndarray::Axis(0), &views) else { return Ok(None) };
        covariance.diag_mut().mapv_inplace(|own| own + self.noise);
        let Some(factor) = cholesky(covariance) else { return Ok(None) };
        let logs: f64 = factor.diag().iter().map(|entry| entry.ln()).sum();
        let white = invert_lower(&factor);
        let whitened = white.dot(&Array1::from_iter(self.z.iter().copied()));
        let (square, count) = (whitened.dot(&whitened), n as f64);
        let amplitude = amplitude.fixed().unwrap_or((square / count).max(1e-12));
        let evidence = -0.5 * square / amplitude - logs - 0.5 * count * (2.0 * std::f64::consts::PI * amplitude).ln();
        Ok(Some(Solved { alpha: white.t().dot(&whitened), white, amplitude, evidence }))
    }
}

/// What the evidence decides.
#[derive(Clone, Debug)]
pub(super) struct Hyper {
    /// ℓ of every position.
    pub(super) lengths: Vec<f64>,
    /// σ².
    pub(super) noise: f64,
    /// What a shift by one letter costs a view's weight, as a factor.
    pub(super) decay: f64,
}

/// The settings of the configuration, those that are `auto` at the maximum of the evidence.
pub(super) fn search(
    config: &SurrogateConfig,
    shape: &Kernel,
    _words: &Words,
    _z: &[f64],
    _seed: Seed,
    _pool: &Pool,
) -> Result<Hyper> {
    let automatic = [config.length_scale, config.noise, config.shift_decay].contains(&Tuned::Auto);
    if automatic || config.per_position {
        return Err(Error::usage("`auto` and `per-position` settings of the surrogate `gp` are not there yet"));
    }
    Ok(Hyper {
        lengths: vec![config.length_scale.fixed().unwrap_or(2.5); shape.rho.len()],
        noise: config.noise.fixed().unwrap_or(1e-3),
        decay: config.shift_decay.fixed().unwrap_or(0.5),
    })
}
