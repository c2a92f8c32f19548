//! The network inside the prior.

use super::DenoiserConfig;
use crate::error::Result;
use crate::nn::{Block, Init, LayerNorm, Linear, Params, TimeEmbedding};
use candle_core::Tensor;

/// A log signal-to-noise ratio on the scale of [`TimeEmbedding`], whose slowest sinusoids then turn once over the whole range.
#[must_use]
pub fn level(log_snr: f64) -> f64 {
    (log_snr + 12.0) / 200.0
}

/// Answers what the other positions say about each letter.
///
/// The posterior of a letter splits exactly (Bayes, independent noise per position):
///
/// ```text
/// p(x_i = v | z) ∝ p(z_i | x_i = v) · p(x_i = v | z_{−i})
/// ```
/// The first factor is known in closed form ([`Prior::belief`](super::Prior::belief) adds it); a denoiser learns the log of the
/// second. A denoiser that answers zeros is thus exact for independent uniform letters.
pub trait Denoiser: Send + Sync {
    /// Context logits (B, L, V) for states `z` (B, L, D), the letter probabilities `local` (B, L, V) that each position's own
    /// noise leaves, and log signal-to-noise ratios, one per row or one for all.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn context(&self, z: &Tensor, local: &Tensor, log_snr: &[f64]) -> Result<Tensor>;
}

/// A pre-norm transformer with learned positions and adaptive layer norm on the noise level (Peebles and Xie 2023,
/// arXiv 2212.09748), reading `[z, local]` per position; its output layer starts at zero.
#[derive(Debug)]
pub struct Transformer {
    input: Linear,
    positions: Tensor,
    time: TimeEmbedding,
    blocks: Vec<Block>,
    norm: LayerNorm,
    output: Linear,
}

impl Transformer {
    /// A denoiser of L = `length`, D = `dim`, V = `letters`.
    ///
    /// # Errors
    /// When stored weights have another shape.
    pub fn new(params: &Params, config: &DenoiserConfig, length: usize, dim: usize, letters: usize) -> Result<Self> {
        Self::reading(params, config, length, dim + letters, letters)
    }

    /// A denoiser that reads so many numbers a position; [`answer`](Self::answer) hands them in.
    ///
    /// # Errors
    /// When stored weights have another shape.
    pub(super) fn reading(
        params: &Params,
        config: &DenoiserConfig,
        length: usize,
        inputs: usize,
        letters: usize,
    ) -> Result<Self> {
        let width = config.dim;
        let blocks = (0..config.layers)
            .map(|i| Block::new(&params.child(&format!("block{i}")), width, config.heads, width))
            .collect::<Result<_>>()?;
        Ok(Self {
            input: Linear::new(&params.child("input"), inputs, width)?,
            positions: params.get("positions", (1, length, width), Init::Normal(0.3))?,
            time: TimeEmbedding::new(&params.child("time"), width)?,
            blocks,
            norm: LayerNorm::new(&params.child("norm"), width)?,
            output: Linear::zeros(&params.child("output"), width, letters)?,
        })
    }
}

impl Denoiser for Transformer {
    fn context(&self, z: &Tensor, local: &Tensor, log_snr: &[f64]) -> Result<Tensor> {
        self.answer(&Tensor::cat(&[z, local], 2)?, log_snr)
    }
}

impl Transformer {
    /// Context logits (B, L, V) for inputs (B, L, …).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub(super) fn answer(&self, input: &Tensor, log_snr: &[f64]) -> Result<Tensor> {
        let levels: Vec<f64> = log_snr.iter().map(|log_snr| level(*log_snr)).collect();
        let time = self.time.forward(&levels)?;
        let mut x = self.input.forward(input)?.broadcast_add(&self.positions)?;
        for block in &self.blocks {
            x = block.forward(&x, &time, None)?;
        }
        self.output.forward(&self.norm.forward(&x)?)
    }
}
