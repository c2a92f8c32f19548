//! The transformer block.

use super::activation::gelu;
use super::attention::SelfAttention;
use super::kernel;
use super::linear::Linear;
use super::norm::LayerNorm;
use super::params::Params;
use crate::error::Result;
use candle_core::{D, Tensor};

/// A pre-norm transformer block whose normalisations are steered by a condition.
///
/// ```text
/// (shift, scale, gate) = W gelu(c) + b                      one set for each half
/// x ← x + gate · attention(norm(x) · (1 + scale) + shift)
/// x ← x + gate · mlp(norm(x) · (1 + scale) + shift)         width × 4, GELU
/// ```
///
/// Peebles and Xie, arXiv 2212.09748 (adaLN-Zero), with GELU in place of SiLU. The modulation starts at 0, so a new
/// block is the identity. Parameters: `attention`, `mlp`, `modulation.attention`, `modulation.mlp`.
#[derive(Clone, Debug)]
pub struct Block {
    attention: SelfAttention,
    up: Linear,
    down: Linear,
    modulate_attention: Linear,
    modulate_mlp: Linear,
}

impl Block {
    /// A block of width `dim` steered by conditions of width `cond_dim`.
    ///
    /// # Errors
    /// When `heads` does not divide `dim`, or the store holds other shapes.
    pub fn new(params: &Params, dim: usize, heads: usize, cond_dim: usize) -> Result<Self> {
        let (modulation, mlp) = (params.child("modulation"), params.child("mlp"));
        Ok(Self {
            attention: SelfAttention::new(&params.child("attention"), dim, heads)?,
            up: Linear::new(&mlp.child("0"), dim, 4 * dim)?,
            down: Linear::new(&mlp.child("1"), 4 * dim, dim)?,
            modulate_attention: Linear::zeros(&modulation.child("attention"), cond_dim, 3 * dim)?,
            modulate_mlp: Linear::zeros(&modulation.child("mlp"), cond_dim, 3 * dim)?,
        })
    }

    /// Numbers that a block of this width keeps of a sequence of `length` tokens for the way back: 12 d for each token, two
    /// pairs of moments, and of the attention the probabilities of short sequences or the sums of long ones. With
    /// [`recompute`](super::recompute) it is d.
    #[must_use]
    pub fn activations(dim: usize, heads: usize, length: usize, recompute: bool) -> usize {
        if recompute { length * dim } else { length * (12 * dim + 4) + kernel::attention_keeps(heads, length) }
    }

    /// Numbers in use for a sequence while a block is on its way back.
    #[must_use]
    pub fn scratch(dim: usize, length: usize) -> usize {
        20 * dim * length
    }

    /// Weights of a block whose condition has the same width.
    #[must_use]
    pub fn weights(dim: usize) -> u64 {
        let dim = dim as u64;
        18 * dim * dim + 15 * dim
    }

    /// The block's output.
    ///
    /// # Shapes
    /// x (B, L, d), cond (B, c) or (1, c) for all rows, and mask (B, L) with 1 = attend to this position, to (B, L, d).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Tensor, cond: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        if kernel::fused(&[x, cond]) {
            let weights = self.maps();
            if weights.alike() {
                return Ok(kernel::block(x, cond, mask, &weights, self.attention.parts().2)?);
            }
        }
        let cond = match (cond.dims2()?, x.dim(0)?) {
            ((1, width), batch) => gelu(cond)?.broadcast_as((batch, width))?.contiguous()?,
            _ => gelu(cond)?,
        };
        let modulation = self.modulate_attention.forward(&cond)?;
        let x = residual(x, &self.attention.forward(&modulated(x, &modulation)?, mask)?, &modulation)?;
        let modulation = self.modulate_mlp.forward(&cond)?;
        let hidden = self.up.forward_gelu(&modulated(&x, &modulation)?)?;
        residual(&x, &self.down.forward(&hidden)?, &modulation)
    }

    fn maps(&self) -> kernel::BlockWeights {
        let (qkv, out, _) = self.attention.parts();
        kernel::BlockWeights {
            qkv: qkv.parts(),
            out: out.parts(),
            up: self.up.parts(),
            down: self.down.parts(),
            steer_attention: self.modulate_attention.parts(),
            steer_mlp: self.modulate_mlp.parts(),
        }
    }
}

/// norm(x) · (1 + scale) + shift, for x (B, L, d) and a modulation (B, 3d) of shift, scale and gate.
pub(crate) fn modulated(x: &Tensor, modulation: &Tensor) -> Result<Tensor> {
    if kernel::fused(&[x, modulation]) {
        return Ok(kernel::modulated_norm(x, modulation)?);
    }
    let dim = x.dim(D::Minus1)?;
    let shift = modulation.narrow(1, 0, dim)?.unsqueeze(1)?;
    let scale = modulation.narrow(1, dim, dim)?.unsqueeze(1)?;
    Ok(LayerNorm::plain(dim).forward(x)?.broadcast_mul(&(scale + 1.0)?)?.broadcast_add(&shift)?)
}

/// x + gate · y
pub(crate) fn residual(x: &Tensor, y: &Tensor, modulation: &Tensor) -> Result<Tensor> {
    if kernel::fused(&[x, y, modulation]) {
        return Ok(kernel::gate(x, y, modulation)?);
    }
    let dim = x.dim(D::Minus1)?;
    let gate = modulation.narrow(1, 2 * dim, dim)?.unsqueeze(1)?;
    Ok((x + y.broadcast_mul(&gate)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;
    use candle_core::Device;

    #[test]
    fn gradients_are_right_with_respect_to_everything() {
        let params = check::params();
        let block = Block::new(&params, 4, 2, 3).unwrap();
        check::shake(&params);
        let (x, cond) = (check::normal(1, &[2, 3, 4]), check::normal(2, &[2, 3]));
        let mask = Tensor::new(&[[1.0f64, 1.0, 1.0], [1.0, 1.0, 0.0]], &Device::Cpu).unwrap();
        check::layer(&params, &x, |x| block.forward(x, &cond, Some(&mask)));
        check::input(&cond, |cond| block.forward(&x, cond, None));
    }

    #[test]
    fn a_new_block_is_the_identity() {
        let block = Block::new(&check::params(), 4, 2, 3).unwrap();
        let (x, cond) = (check::normal(1, &[2, 3, 4]), check::normal(2, &[2, 3]));
        assert_eq!(check::distance(&block.forward(&x, &cond, None).unwrap(), &x), 0.0);
    }
}
