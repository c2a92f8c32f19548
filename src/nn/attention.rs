//! Self-attention.

use super::activation::softmax;
use super::kernel;
use super::linear::Linear;
use super::params::Params;
use super::precision::product;
use crate::error::{Error, Result};
use candle_core::Tensor;

/// Added to the score of a masked position.
pub(crate) const MASKED: f64 = -1e9;

/// Multi-head self-attention.
///
/// ```text
/// y = concatₕ softmax(Qₕ Kₕᵀ / √(d/H)) Vₕ · Wₒᵀ + bₒ
/// ```
///
/// Vaswani et al., arXiv 1706.03762. Parameters: `qkv` (3d, d) with rows in the order query, key, value, and
/// `out` (d, d).
#[derive(Clone, Debug)]
pub struct SelfAttention {
    qkv: Linear,
    out: Linear,
    heads: usize,
}

impl SelfAttention {
    /// A layer with `heads` heads of width `dim / heads`.
    ///
    /// # Errors
    /// When `heads` does not divide `dim`, or the store holds other shapes.
    pub fn new(params: &Params, dim: usize, heads: usize) -> Result<Self> {
        if heads == 0 || !dim.is_multiple_of(heads) {
            return Err(Error::usage(format!("`{heads}` attention heads do not divide width `{dim}`"))
                .hint("choose a number of heads that divides the width"));
        }
        let qkv = Linear::new(&params.child("qkv"), dim, 3 * dim)?;
        Ok(Self { qkv, out: Linear::new(&params.child("out"), dim, dim)?, heads })
    }

    /// The maps to queries, keys and values, and out of the heads; and the number of heads.
    pub(crate) fn parts(&self) -> (&Linear, &Linear, usize) {
        (&self.qkv, &self.out, self.heads)
    }

    /// Attention over the positions whose mask is 1 (all of them without a mask).
    ///
    /// # Shapes
    /// x (B, L, d) and mask (B, L), to (B, L, d).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Tensor, mask: Option<&Tensor>) -> Result<Tensor> {
        self.out.forward(&attend(&self.qkv.forward(x)?, mask, self.heads)?)
    }
}

fn attend(qkv: &Tensor, mask: Option<&Tensor>, heads: usize) -> Result<Tensor> {
    if kernel::fused(&[qkv]) {
        return Ok(kernel::attention(qkv, mask, heads)?);
    }
    let (batch, length, width) = qkv.dims3()?;
    let dim = width / 3;
    let split = qkv.reshape((batch, length, 3, heads, dim / heads))?.permute((2, 0, 3, 1, 4))?.contiguous()?;
    let (q, k, v) = (split.get(0)?, split.get(1)?, split.get(2)?);
    let scale = 1.0 / ((dim / heads) as f64).sqrt();
    let mut scores = (product(&q, &k.t()?)? * scale)?;
    if let Some(mask) = mask {
        let bias = mask.to_dtype(qkv.dtype())?.affine(-MASKED, MASKED)?.reshape((batch, 1, 1, length))?;
        scores = scores.broadcast_add(&bias)?;
    }
    let mixed = product(&softmax(&scores)?, &v)?;
    Ok(mixed.transpose(1, 2)?.reshape((batch, length, dim))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;
    use candle_core::Device;

    #[test]
    fn gradients_are_right_with_and_without_a_mask() {
        let params = check::params();
        let layer = SelfAttention::new(&params, 6, 2).unwrap();
        let x = check::normal(1, &[2, 3, 6]);
        check::layer(&params, &x, |x| layer.forward(x, None));
        let mask = Tensor::new(&[[1.0f64, 1.0, 0.0], [1.0, 0.0, 1.0]], &Device::Cpu).unwrap();
        check::layer(&params, &x, |x| layer.forward(x, Some(&mask)));
    }

    #[test]
    fn a_masked_position_changes_no_other() {
        let params = check::params();
        let layer = SelfAttention::new(&params, 4, 2).unwrap();
        let x = check::normal(1, &[1, 3, 4]);
        let mask = Tensor::new(&[[1.0f64, 1.0, 0.0]], &Device::Cpu).unwrap();
        let masked = layer.forward(&x, Some(&mask)).unwrap().narrow(1, 0, 2).unwrap();
        let short = layer.forward(&x.narrow(1, 0, 2).unwrap(), None).unwrap();
        assert!(check::distance(&masked, &short) < 1e-14);
    }

    #[test]
    fn heads_must_divide_the_width() {
        assert_eq!(SelfAttention::new(&check::params(), 6, 4).unwrap_err().kind(), crate::Kind::Usage);
    }
}
