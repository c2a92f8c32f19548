//! Softmax over the last dimension.

use super::arrays::{gradient, operand, result, values};
use super::simd::{dispatch, exp, sum2};
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// Numbers treated together: they stay in the first-level cache between passes.
const BLOCK: usize = 4096;

/// Softmax over the last dimension.
pub(crate) fn softmax(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Softmax)
}

struct Softmax;

impl CustomOp1 for Softmax {
    fn name(&self) -> &'static str {
        "softmax"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let mut p = operand(x, layout)?.to_vec();
        softmax_rows(&mut p, layout.dims().last().copied().unwrap_or(1));
        Ok(result(p, layout.shape()))
    }

    fn bwd(&self, x: &Tensor, p: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let g = g.contiguous()?;
        let mut dx = values(&g)?.to_vec();
        softmax_chain(&mut dx, &values(p)?, x.dims().last().copied().unwrap_or(1));
        Ok(Some(gradient(dx, x)?))
    }
}

dispatch!(
    /// Each row of `width` numbers becomes its softmax.
    softmax_rows => softmax_rows_body(x: &mut [f32], width: usize)
);
dispatch!(
    /// g ← p · (g − Σ g p), row by row.
    softmax_chain => softmax_chain_body(g: &mut [f32], p: &[f32], width: usize)
);
dispatch!(
    /// x ← exp x
    exponentials => exponentials_body(x: &mut [f32])
);

#[inline(always)]
pub(super) fn maximum(row: &[f32]) -> f32 {
    let (lanes, rest) = row.as_chunks::<16>();
    let start = rest.iter().fold(f32::NEG_INFINITY, |max, x| if *x > max { *x } else { max });
    let mut maxima = [start; 16];
    for lane in lanes {
        for (max, x) in maxima.iter_mut().zip(lane) {
            *max = if *x > *max { *x } else { *max };
        }
    }
    if lanes.is_empty() { start } else { maxima.iter().fold(start, |max, x| if *x > max { *x } else { max }) }
}

#[inline(always)]
fn exponentials_body<const F: bool>(x: &mut [f32]) {
    for x in x {
        *x = exp::<F>(*x);
    }
}

#[inline(always)]
fn softmax_rows_body<const F: bool>(x: &mut [f32], width: usize) {
    if width == 0 {
        return;
    }
    for block in x.chunks_mut(width * (BLOCK / width).max(1)) {
        for row in block.chunks_exact_mut(width) {
            let max = maximum(row);
            for x in row {
                *x -= max;
            }
        }
        // one run over all rows, so that short rows fill whole vectors
        exponentials_body::<F>(block);
        for row in block.chunks_exact_mut(width) {
            let scale = 1.0 / super::simd::sum(row, |x| x);
            for x in row {
                *x *= scale;
            }
        }
    }
}

#[inline(always)]
fn softmax_chain_body<const F: bool>(g: &mut [f32], p: &[f32], width: usize) {
    if width == 0 {
        return;
    }
    for (g, p) in g.chunks_exact_mut(width).zip(p.chunks_exact(width)) {
        let mean = sum2(g, p, |g, p| g * p);
        for (g, p) in g.iter_mut().zip(p) {
            *g = p * (*g - mean);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::nn::{check, softmax};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(check::cases())]

        #[test]
        fn it_agrees_with_the_composed_form(rows in 1_usize..20, width in 1_usize..70, seed in 0_u64..1000) {
            let x = (check::normal_f32(seed, &[rows, width]) * 4.0).unwrap();
            check::against_composed(&[x], |x| softmax(&x[0]));
        }
    }

    #[test]
    fn blocks_do_not_mix_rows() {
        let x = check::normal_f32(3, &[1500, 7]);
        check::against_composed(&[x], |x| softmax(&x[0]));
    }
}
