//! A residual perceptron on all positions at once.

use super::Domain;
use crate::error::{Error, Result};
use crate::nn::{Linear, Params};
use candle_core::Tensor;
use serde::{Deserialize, Serialize};

/// Sizes of the residual perceptron.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResidualConfig {
    /// Width of every layer; default 128.
    pub width: usize,
    /// Residual blocks after the first layer; default 2.
    pub blocks: usize,
}

impl Default for ResidualConfig {
    fn default() -> Self {
        Self { width: 128, blocks: 2 }
    }
}

/// ```text
/// x₀ = gelu(A p + a),  xᵢ = xᵢ₋₁ + Bᵢ gelu(Cᵢ xᵢ₋₁ + cᵢ) + bᵢ,  z = d·xₙ + e
/// ```
#[derive(Clone, Debug)]
pub(super) struct Residual {
    stem: Linear,
    blocks: Vec<(Linear, Linear)>,
    head: Linear,
}

impl Residual {
    pub(super) fn new(params: &Params, config: &ResidualConfig, domain: &Domain) -> Result<Self> {
        let ResidualConfig { width, blocks } = *config;
        if width == 0 {
            return Err(Error::usage("a network of width `0` has no output; 1 or more are accepted"));
        }
        let block = |index: usize| -> Result<(Linear, Linear)> {
            let params = params.child(&format!("block.{index}"));
            Ok((Linear::new(&params.child("in"), width, width)?, Linear::new(&params.child("out"), width, width)?))
        };
        Ok(Self {
            stem: Linear::new(&params.child("stem"), domain.length * domain.alphabet.len(), width)?,
            blocks: (0..blocks).map(block).collect::<Result<_>>()?,
            head: Linear::new(&params.child("head"), width, 1)?,
        })
    }

    pub(super) fn forward(&self, probs: &Tensor) -> Result<Tensor> {
        Ok(self.head.forward(&self.features(probs)?)?.squeeze(1)?)
    }

    pub(super) fn features(&self, probs: &Tensor) -> Result<Tensor> {
        let mut x = self.stem.forward_gelu(&probs.flatten_from(1)?)?;
        for (inner, outer) in &self.blocks {
            x = (&x + outer.forward(&inner.forward_gelu(&x)?)?)?;
        }
        Ok(x)
    }
}
