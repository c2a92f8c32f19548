//! Attention of all heads, read in place from the joint projection of queries, keys and values.

mod long;
mod short;

use super::arrays::{gradient, operand, result, values};
use super::buffer::Buffer;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};
use std::sync::OnceLock;

/// Longest sequence for which plain loops beat matrix products.
const SHORT: usize = 24;

/// Attention for qkv (B, L, 3d) and a mask (B, L), to (B, L, d).
pub(crate) fn attention(qkv: &Tensor, mask: Option<&Tensor>, heads: usize) -> Result<Tensor> {
    let (batch, length, width) = qkv.dims3()?;
    let sizes = Sizes { batch, length, dim: width / 3, heads };
    let kept = qkv.track_op().then(OnceLock::new);
    qkv.contiguous()?.apply_op1(Attention { sizes, bias: mask_bias(mask, batch, length)?, kept })
}

/// What a mask (B, L) adds to the scores of each position.
pub(super) fn mask_bias(mask: Option<&Tensor>, batch: usize, length: usize) -> Result<Vec<f32>> {
    match mask {
        Some(mask) if mask.dims() == [batch, length] => {
            let masked = super::super::attention::MASKED;
            mask.to_dtype(candle_core::DType::F32)?.affine(-masked, masked)?.flatten_all()?.to_vec1()
        }
        Some(mask) => candle_core::bail!("a mask of shape {:?} does not fit {:?}", mask.dims(), [batch, length]),
        None => Ok(vec![0.0; batch * length]),
    }
}

#[derive(Clone, Copy)]
pub(in crate::nn::kernel) struct Sizes {
    pub(in crate::nn::kernel) batch: usize,
    pub(in crate::nn::kernel) length: usize,
    pub(in crate::nn::kernel) dim: usize,
    pub(in crate::nn::kernel) heads: usize,
}

impl Sizes {
    fn head_dim(self) -> usize {
        self.dim / self.heads
    }

    fn scale(self) -> f32 {
        1.0 / (self.head_dim() as f32).sqrt()
    }
}

/// Numbers that attention keeps of one sequence.
pub(crate) fn attention_keeps(heads: usize, length: usize) -> usize {
    let sizes = Sizes { batch: 1, length, dim: heads, heads };
    if length > SHORT { long::kept_len(sizes) } else { short::kept_len(sizes) }
}

/// Writes the attention of all heads to `out`; answers what [`attend_back`] wants to see again, if anything will.
pub(super) fn attend(out: &mut [f32], qkv: &[f32], bias: &[f32], sizes: Sizes, keep: bool) -> Buffer {
    let long = sizes.length > SHORT;
    let kept = if long { long::kept_len(sizes) } else { short::kept_len(sizes) };
    let mut kept = Buffer::new(if keep { kept } else { 0 });
    let forward = if long { long::forward } else { short::forward };
    forward(out, &mut kept, qkv, bias, sizes);
    kept
}

/// Writes the gradient of `qkv` for the gradient `g` of [`attend`]'s result `out`.
pub(super) fn attend_back(
    d_qkv: &mut [f32],
    kept: &[f32],
    qkv: &[f32],
    (out, g): (&[f32], &[f32]),
    bias: &[f32],
    sizes: Sizes,
) {
    if sizes.length > SHORT {
        long::backward(d_qkv, kept, qkv, (out, g), bias, sizes);
    } else {
        short::backward(d_qkv, kept, qkv, g, sizes);
    }
}

struct Attention {
    sizes: Sizes,
    /// Added to the scores of each position, (B, L).
    bias: Vec<f32>,
    /// Probabilities of the forward pass of a short sequence; log Σ exp of the scores of a long one.
    kept: Option<OnceLock<Buffer>>,
}

impl CustomOp1 for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let sizes = self.sizes;
        let mut out = vec![0.0; sizes.batch * sizes.length * sizes.dim];
        let kept = attend(&mut out, operand(qkv, layout)?, &self.bias, sizes, self.kept.is_some());
        if let Some(cell) = &self.kept {
            let _ = cell.set(kept);
        }
        Ok(result(out, (sizes.batch, sizes.length, sizes.dim)))
    }

    fn bwd(&self, qkv: &Tensor, out: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let g = g.contiguous()?;
        let Some(kept) = self.kept.as_ref().and_then(OnceLock::get) else {
            candle_core::bail!("nothing was kept for the backward pass")
        };
        let mut d_qkv = vec![0.0; qkv.elem_count()];
        let (out, g) = (values(out)?, values(&g)?);
        attend_back(&mut d_qkv, kept, &values(qkv)?, (&out, &g), &self.bias, self.sizes);
        Ok(Some(gradient(d_qkv, qkv)?))
    }
}

#[cfg(test)]
mod tests {
    use crate::nn::{SelfAttention, check};
    use candle_core::{Device, Tensor};
    use proptest::prelude::*;
    use proptest::test_runner::Config;

    fn compare(batch: usize, length: usize, heads: usize, head_dim: usize, masked: bool, seed: u64) {
        let params = check::params_f32();
        let layer = SelfAttention::new(&params, heads * head_dim, heads).unwrap();
        let x = check::normal_f32(seed, &[batch, length, heads * head_dim]);
        let mask: Vec<f32> = (0..batch * length).map(|i| f32::from(u8::from(i % 5 != 3 || i == 0))).collect();
        let mask = Tensor::from_vec(mask, (batch, length), &Device::Cpu).unwrap();
        let mask = masked.then_some(&mask);
        check::layer_against_composed(&params, &[x], |x| layer.forward(&x[0], mask));
    }

    proptest! {
        #![proptest_config(check::cases())]

        #[test]
        fn short_sequences_agree_with_the_composed_form(
            (batch, length, heads, head_dim) in (1_usize..4, 1_usize..25, 1_usize..4, 1_usize..20), masked: bool,
            seed in 0_u64..1000,
        ) {
            compare(batch, length, heads, head_dim, masked, seed);
        }
    }

    proptest! {
        #![proptest_config(Config { cases: 24, ..check::cases() })]

        #[test]
        fn long_sequences_agree_with_the_composed_form(
            (batch, length, heads, head_dim) in (1_usize..3, 25_usize..80, 1_usize..3, 1_usize..36), masked: bool,
            seed in 0_u64..1000,
        ) {
            compare(batch, length, heads, head_dim, masked, seed);
        }
    }
}
