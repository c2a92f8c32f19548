//! Layer normalisation: plain, with learned scale and offset, and with those of a condition.

use super::arrays::{gradient, operand, result, values};
use super::simd::{dispatch, fma, sum, sum2};
use crate::nn::norm::EPSILON;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, CustomOp3, Layout, Result, Shape, Tensor};

/// norm(x)
pub(crate) fn plain_norm(x: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op1(Plain)
}

/// norm(x) · weight + bias
pub(crate) fn affine_norm(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Affine)
}

/// norm(x) · (1 + scale) + shift, for x (B, L, d) and a modulation (B, 3d) of shift, scale and gate.
pub(crate) fn modulated_norm(x: &Tensor, modulation: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op2(&modulation.contiguous()?, Modulated)
}

/// Where the rows of one group find their shift and scale: `unit + scale` multiplies.
#[derive(Clone, Copy)]
pub(super) struct Plan {
    dim: usize,
    /// Rows that share a shift and a scale.
    group: usize,
    /// Numbers from one group's shift to the next; the scale lies `dim` behind the shift.
    stride: usize,
    unit: f32,
}

struct Plain;

impl CustomOp1 for Plain {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = operand(x, layout)?;
        let dim = layout.dims().last().copied().unwrap_or(1);
        let mut y = vec![0.0; x.len()];
        forward(&mut y, x, &vec![0.0; 2 * dim], Plan { dim, group: x.len(), stride: 0, unit: 1.0 });
        Ok(result(y, layout.shape()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let dim = x.dims().last().copied().unwrap_or(1);
        let g = g.contiguous()?;
        let mut dx = vec![0.0; x.elem_count()];
        let plan = Plan { dim, group: dx.len(), stride: 0, unit: 1.0 };
        backward(&mut dx, &mut vec![0.0; 2 * dim], &values(x)?, &values(&g)?, &vec![0.0; 2 * dim], plan);
        Ok(Some(gradient(dx, x)?))
    }
}

struct Affine;

impl CustomOp3 for Affine {
    fn name(&self) -> &'static str {
        "affine-layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        w: &CpuStorage,
        w_layout: &Layout,
        b: &CpuStorage,
        b_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let x = operand(x, x_layout)?;
        let both = [operand(b, b_layout)?, operand(w, w_layout)?].concat();
        let mut y = vec![0.0; x.len()];
        forward(&mut y, x, &both, Plan { dim: both.len() / 2, group: x.len(), stride: 0, unit: 0.0 });
        Ok(result(y, x_layout.shape()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let both = [&*values(b)?, &*values(w)?].concat();
        let g = g.contiguous()?;
        let (mut dx, mut db) = (vec![0.0; x.elem_count()], vec![0.0; both.len()]);
        let plan = Plan { dim: both.len() / 2, group: dx.len(), stride: 0, unit: 0.0 };
        backward(&mut dx, &mut db, &values(x)?, &values(&g)?, &both, plan);
        let dw = db.split_off(plan.dim);
        Ok((Some(gradient(dx, x)?), Some(gradient(dw, w)?), Some(gradient(db, b)?)))
    }
}

struct Modulated;

impl Modulated {
    fn plan(x: &[usize], modulation: &[usize]) -> Result<Plan> {
        match (x, modulation) {
            (&[batch, length, dim], &[same, width]) if batch == same && width == 3 * dim => {
                Ok(Plan { dim, group: length, stride: width, unit: 1.0 })
            }
            _ => candle_core::bail!("a modulation of shape {modulation:?} does not fit {x:?}"),
        }
    }
}

impl CustomOp2 for Modulated {
    fn name(&self) -> &'static str {
        "modulated-layer-norm"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, m: &CpuStorage, ml: &Layout) -> Result<(CpuStorage, Shape)> {
        let plan = Self::plan(xl.dims(), ml.dims())?;
        let x = operand(x, xl)?;
        let mut y = vec![0.0; x.len()];
        forward(&mut y, x, operand(m, ml)?, plan);
        Ok(result(y, xl.shape()))
    }

    fn bwd(&self, x: &Tensor, m: &Tensor, _y: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let plan = Self::plan(x.dims(), m.dims())?;
        let g = g.contiguous()?;
        let (mut dx, mut dm) = (vec![0.0; x.elem_count()], vec![0.0; m.elem_count()]);
        backward(&mut dx, &mut dm, &values(x)?, &values(&g)?, &values(m)?, plan);
        Ok((Some(gradient(dx, x)?), Some(gradient(dm, m)?)))
    }
}

dispatch!(forward => forward_body(y: &mut [f32], x: &[f32], modulation: &[f32], plan: Plan));
dispatch!(backward => backward_body(
    dx: &mut [f32], dm: &mut [f32], x: &[f32], g: &[f32], modulation: &[f32], plan: Plan,
));

/// The mean and one over the standard deviation.
#[inline(always)]
fn moments(x: &[f32]) -> (f32, f32) {
    let n = x.len() as f32;
    let mean = sum(x, |x| x) / n;
    let variance = sum(x, |x| (x - mean) * (x - mean)) / n;
    (mean, 1.0 / (variance + EPSILON as f32).sqrt())
}

#[inline(always)]
fn forward_body<const F: bool>(y: &mut [f32], x: &[f32], modulation: &[f32], plan: Plan) {
    let Plan { dim, group, stride, unit } = plan;
    if dim == 0 {
        return;
    }
    for (index, (y, x)) in y.chunks_exact_mut(dim).zip(x.chunks_exact(dim)).enumerate() {
        let shift = &modulation[index / group * stride..][..2 * dim];
        let (shift, scale) = shift.split_at(dim);
        let (mean, inverse) = moments(x);
        for (((y, x), shift), scale) in y.iter_mut().zip(x).zip(shift).zip(scale) {
            *y = fma::<F>((x - mean) * inverse, unit + scale, *shift);
        }
    }
}

/// With n = (x − mean)/sd and h = g (unit + scale): dx = (h − mean h − n · mean(h n)) / sd.
#[inline(always)]
fn backward_body<const F: bool>(dx: &mut [f32], dm: &mut [f32], x: &[f32], g: &[f32], modulation: &[f32], plan: Plan) {
    let Plan { dim, group, stride, unit } = plan;
    if dim == 0 {
        return;
    }
    let rows = dx.chunks_exact_mut(dim).zip(x.chunks_exact(dim)).zip(g.chunks_exact(dim));
    for (index, ((dx, x), g)) in rows.enumerate() {
        let at = index / group * stride;
        let scale = &modulation[at + dim..][..dim];
        let (d_shift, d_scale) = dm[at..][..2 * dim].split_at_mut(dim);
        let (mean, inverse) = moments(x);
        for ((((d_shift, d_scale), dx), x), g) in d_shift.iter_mut().zip(d_scale).zip(dx.iter_mut()).zip(x).zip(g) {
            let normal = (x - mean) * inverse;
            *d_shift += g;
            *d_scale = fma::<F>(*g, normal, *d_scale);
            *dx = *g;
        }
        for (dx, scale) in dx.iter_mut().zip(scale) {
            *dx *= unit + scale;
        }
        let n = dim as f32;
        let mean_h = sum(dx, |h| h) / n;
        let mean_hn = sum2(dx, x, |h, x| h * (x - mean)) * inverse / n;
        for (dx, x) in dx.iter_mut().zip(x) {
            *dx = inverse * (*dx - mean_h - (x - mean) * inverse * mean_hn);
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::nn::{LayerNorm, check, transformer};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(check::cases())]

        #[test]
        fn they_agree_with_the_composed_forms(
            (batch, length, dim) in (1_usize..4, 1_usize..9, 8_usize..70), seed in 0_u64..1000,
        ) {
            let x = check::normal_f32(seed, &[batch, length, dim]);
            check::against_composed(std::slice::from_ref(&x), |x| LayerNorm::plain(dim).forward(&x[0]));
            let params = check::params_f32();
            let norm = LayerNorm::new(&params, dim).unwrap();
            check::shake(&params);
            check::layer_against_composed(&params, std::slice::from_ref(&x), |x| norm.forward(&x[0]));
            let modulation = check::normal_f32(seed + 1, &[batch, 3 * dim]);
            check::against_composed(&[x, modulation], |x| transformer::modulated(&x[0], &x[1]));
        }
    }
}
