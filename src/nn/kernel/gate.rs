//! The gated residual of a steered transformer block.

use super::arrays::{gradient, operand, result, values};
use super::simd::{dispatch, fma};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

/// x + gate · y, for x and y (B, L, d) and a modulation (B, 3d) of shift, scale and gate.
pub(crate) fn gate(x: &Tensor, y: &Tensor, modulation: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op3(&y.contiguous()?, &modulation.contiguous()?, Gate)
}

struct Gate;

impl Gate {
    /// Length and width.
    fn sizes(x: &[usize], y: &[usize], modulation: &[usize]) -> Result<(usize, usize)> {
        match (x, modulation) {
            (&[batch, length, dim], &[same, width]) if x == y && batch == same && width == 3 * dim => Ok((length, dim)),
            _ => candle_core::bail!("a modulation of shape {modulation:?} does not fit {x:?} and {y:?}"),
        }
    }
}

impl CustomOp3 for Gate {
    fn name(&self) -> &'static str {
        "gated-residual"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        y: &CpuStorage,
        yl: &Layout,
        m: &CpuStorage,
        ml: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (length, dim) = Self::sizes(xl.dims(), yl.dims(), ml.dims())?;
        let mut sum = operand(x, xl)?.to_vec();
        forward(&mut sum, operand(y, yl)?, operand(m, ml)?, length, dim);
        Ok(result(sum, xl.shape()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        y: &Tensor,
        m: &Tensor,
        _sum: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (length, dim) = Self::sizes(x.dims(), y.dims(), m.dims())?;
        let g = g.contiguous()?;
        let (mut dy, mut dm) = (vec![0.0; y.elem_count()], vec![0.0; m.elem_count()]);
        backward(&mut dy, &mut dm, &values(&g)?, &values(y)?, &values(m)?, length, dim);
        Ok((x.track_op().then_some(g), Some(gradient(dy, y)?), Some(gradient(dm, m)?)))
    }
}

dispatch!(forward => forward_body(sum: &mut [f32], y: &[f32], modulation: &[f32], length: usize, dim: usize));
dispatch!(backward => backward_body(
    dy: &mut [f32], dm: &mut [f32], g: &[f32], y: &[f32], modulation: &[f32], length: usize, dim: usize,
));

#[inline(always)]
fn forward_body<const F: bool>(sum: &mut [f32], y: &[f32], modulation: &[f32], length: usize, dim: usize) {
    if sum.is_empty() {
        return;
    }
    for (index, (sum, y)) in sum.chunks_exact_mut(dim).zip(y.chunks_exact(dim)).enumerate() {
        let gate = &modulation[index / length * 3 * dim + 2 * dim..][..dim];
        for ((sum, y), gate) in sum.iter_mut().zip(y).zip(gate) {
            *sum = fma::<F>(*gate, *y, *sum);
        }
    }
}

#[inline(always)]
fn backward_body<const F: bool>(
    dy: &mut [f32],
    dm: &mut [f32],
    g: &[f32],
    y: &[f32],
    modulation: &[f32],
    length: usize,
    dim: usize,
) {
    if dy.is_empty() {
        return;
    }
    let rows = dy.chunks_exact_mut(dim).zip(g.chunks_exact(dim)).zip(y.chunks_exact(dim));
    for (index, ((dy, g), y)) in rows.enumerate() {
        let at = index / length * 3 * dim + 2 * dim;
        let (gate, d_gate) = (&modulation[at..][..dim], &mut dm[at..][..dim]);
        for ((((dy, g), y), gate), d_gate) in dy.iter_mut().zip(g).zip(y).zip(gate).zip(d_gate) {
            *dy = g * gate;
            *d_gate = fma::<F>(*g, *y, *d_gate);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::nn::{check, transformer};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(check::cases())]

        #[test]
        fn it_agrees_with_the_composed_form(
            (batch, length, dim) in (1_usize..4, 1_usize..9, 1_usize..40), seed in 0_u64..1000,
        ) {
            let x = check::normal_f32(seed, &[batch, length, dim]);
            let y = check::normal_f32(seed + 1, &[batch, length, dim]);
            let modulation = check::normal_f32(seed + 2, &[batch, 3 * dim]);
            check::against_composed(&[x, y, modulation], |x| transformer::residual(&x[0], &x[1], &x[2]));
        }
    }
}
