//! Convolutions along the sequence.

use super::Domain;
use crate::error::{Error, Result};
use crate::nn::{Conv1d, Mlp, Params, gelu};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Sizes of the convolutional network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CnnConfig {
    /// Channels of every convolution; default 64.
    pub channels: usize,
    /// Taps of every convolution; default 5.
    pub kernel: usize,
    /// Empty positions added on both sides before the first convolution, besides its own; default 2. A motif that the
    /// sequence cuts off is then seen like a whole one.
    pub margin: usize,
    /// Residual convolutions after the first; default 0.
    pub blocks: usize,
    /// Width of the hidden layer of the head; default 64.
    pub hidden: usize,
    /// How positions are brought together; default `max`.
    pub pooling: Pooling,
}

/// How a convolutional network brings its positions together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// The largest answer over positions: whether a motif is there, wherever it is.
    #[default]
    Max,
    /// All positions side by side: the network knows where a motif is.
    Flat,
    /// Mean and smooth maximum over positions: the network knows only whether a motif is there.
    Global,
}

impl Default for CnnConfig {
    fn default() -> Self {
        Self { channels: 64, kernel: 5, margin: 2, blocks: 0, hidden: 64, pooling: Pooling::Max }
    }
}

/// ```text
/// x₀ = gelu(conv(p)),  xᵢ = xᵢ₋₁ + gelu(convᵢ(xᵢ₋₁)),  z = mlp(pool(xₙ))
/// ```
#[derive(Clone, Debug)]
pub(super) struct Cnn {
    stem: Conv1d,
    blocks: Vec<Conv1d>,
    head: Mlp,
    pooling: Pooling,
    margin: usize,
}

impl Cnn {
    pub(super) fn new(params: &Params, config: &CnnConfig, domain: &Domain) -> Result<Self> {
        let CnnConfig { channels, kernel, margin, blocks, hidden, pooling } = *config;
        if channels == 0 || hidden == 0 {
            return Err(Error::usage(format!(
                "a network of {channels} channels and {hidden} hidden units has no output; 1 or more are accepted"
            )));
        }
        let width = match pooling {
            Pooling::Max => channels,
            Pooling::Flat => (domain.length + 2 * margin) * channels,
            Pooling::Global => 2 * channels,
        };
        Ok(Self {
            stem: Conv1d::new(&params.child("stem"), domain.alphabet.len(), channels, kernel)?,
            blocks: (0..blocks)
                .map(|block| Conv1d::new(&params.child(&format!("block.{block}")), channels, channels, kernel))
                .collect::<Result<_>>()?,
            head: Mlp::new(&params.child("head"), &[width, hidden, 1])?,
            pooling,
            margin,
        })
    }

    pub(super) fn forward(&self, probs: &Tensor) -> Result<Tensor> {
        Ok(self.head.forward(&self.pooled(probs)?)?.squeeze(1)?)
    }

    pub(super) fn features(&self, probs: &Tensor) -> Result<Tensor> {
        self.head.hidden(&self.pooled(probs)?)
    }

    fn pooled(&self, probs: &Tensor) -> Result<Tensor> {
        let padded = if self.margin > 0 { &probs.pad_with_zeros(1, self.margin, self.margin)? } else { probs };
        let mut x = gelu(&self.stem.forward(padded)?)?;
        for block in &self.blocks {
            x = (&x + gelu(&block.forward(&x)?)?)?;
        }
        Ok(match self.pooling {
            Pooling::Max => x.max(1)?,
            Pooling::Flat => x.flatten_from(1)?,
            Pooling::Global => Tensor::cat(&[x.mean(1)?, smooth_maximum(&x)?], 1)?,
        })
    }
}

/// log Σₗ exp x over the positions of (B, L, C), shifted by the maximum.
fn smooth_maximum(x: &Tensor) -> Result<Tensor> {
    let top = x.max_keepdim(1)?.detach();
    let sum = x.broadcast_sub(&top)?.exp()?.sum(1)?;
    Ok((sum.log()? + top.squeeze(1)?)?)
}
