//! Letter marginals under a mixture of products, seen from the other positions.

use super::arrays::{gradient, operand, result, values};
use super::mixture::{Mixture, Scratch, Sizes, pull_back, weigh};
use super::simd::{dispatch, ln};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

/// log marginal ratios (B, L, V) of letter probabilities `p` (B, L, V) under factors M (L, V, H) and log weights b (H):
///
/// ```text
/// A_jm = Σ_v p_j(v) M_jm(v)      w_im ∝ exp(b_m) Π_{j≠i} A_jm  (Σ_m w_im = 1)      Δ_i(v) = log Σ_m w_im M_im(v)
/// ```
pub(crate) fn product_mixture(p: &Tensor, factors: &Tensor, weights: &Tensor) -> Result<Tensor> {
    p.contiguous()?.apply_op3(&factors.contiguous()?, &weights.contiguous()?, ProductMixture)
}

struct ProductMixture;

fn sizes(p: &[usize], factors: &[usize], weights: &[usize]) -> Result<Sizes> {
    match (p, factors, weights) {
        (&[_, l, v], &[length, letters, components], &[count]) if (l, v, count) == (length, letters, components) => {
            Ok(Sizes { length, letters, components })
        }
        _ => candle_core::bail!("factors {factors:?} and weights {weights:?} do not fit probabilities {p:?}"),
    }
}

impl CustomOp3 for ProductMixture {
    fn name(&self) -> &'static str {
        "product-mixture"
    }

    fn cpu_fwd(
        &self,
        p: &CpuStorage,
        pl: &Layout,
        m: &CpuStorage,
        ml: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let sizes = sizes(pl.dims(), ml.dims(), bl.dims())?;
        let mut change = vec![0.0; pl.shape().elem_count()];
        forward(&mut change, operand(p, pl)?, &Mixture::new(operand(m, ml)?, operand(b, bl)?, sizes));
        Ok(result(change, pl.shape()))
    }

    fn bwd(
        &self,
        p: &Tensor,
        m: &Tensor,
        b: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let sizes = sizes(p.dims(), m.dims(), b.dims())?;
        let g = g.contiguous()?;
        let mixture = Mixture::new(&values(m)?, &values(b)?, sizes);
        let (mut dp, mut slopes) = (vec![0.0; p.elem_count()], Mixture::zeros(sizes));
        backward(&mut dp, &mut slopes, &values(&g)?, &values(p)?, &mixture);
        let (dm, db) = slopes.gradients();
        Ok((Some(gradient(dp, p)?), Some(gradient(dm, m)?), Some(gradient(db, b)?)))
    }
}

dispatch!(forward => forward_body(change: &mut [f32], p: &[f32], mixture: &Mixture));
dispatch!(backward => backward_body(dp: &mut [f32], slopes: &mut Mixture, g: &[f32], p: &[f32], mixture: &Mixture));

#[inline(always)]
fn forward_body<const F: bool>(change: &mut [f32], p: &[f32], mixture: &Mixture) {
    let state = mixture.sizes.length * mixture.sizes.letters;
    let mut rest = Scratch::new(mixture.sizes);
    for (change, p) in change.chunks_exact_mut(state).zip(p.chunks_exact(state)) {
        weigh(&mut rest, mixture, p);
        for (change, mean) in change.iter_mut().zip(&rest.means) {
            *change = ln::<F>(*mean);
        }
    }
}

#[inline(always)]
fn backward_body<const F: bool>(dp: &mut [f32], slopes: &mut Mixture, g: &[f32], p: &[f32], mixture: &Mixture) {
    let state = mixture.sizes.length * mixture.sizes.letters;
    let mut rest = Scratch::new(mixture.sizes);
    for ((dp, g), p) in dp.chunks_exact_mut(state).zip(g.chunks_exact(state)).zip(p.chunks_exact(state)) {
        weigh(&mut rest, mixture, p);
        pull_back(&mut rest, slopes, mixture, p, g, None, dp);
    }
}
