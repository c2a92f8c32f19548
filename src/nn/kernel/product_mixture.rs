//! Letter marginals under a mixture of products, seen from the other positions.

use super::arrays::{gradient, operand, result, values};
use super::simd::{dispatch, fma, sum2};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};

/// Least overlap of a component with a position's letters.
const FLOOR: f32 = 1e-12;

/// log marginal ratios (B, L, V) of letter probabilities `p` (B, L, V) under factors M (L, V, H) and log weights b (H):
///
/// ```text
/// A_jm = Σ_v p_j(v) M_jm(v)      w_im ∝ exp(b_m) Π_{j≠i} A_jm  (Σ_m w_im = 1)      Δ_i(v) = log Σ_m w_im M_im(v)
/// ```
pub(crate) fn product_mixture(p: &Tensor, factors: &Tensor, weights: &Tensor) -> Result<Tensor> {
    p.contiguous()?.apply_op3(&factors.contiguous()?, &weights.contiguous()?, ProductMixture)
}

struct ProductMixture;

#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) length: usize,
    pub(super) letters: usize,
    pub(super) components: usize,
}

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
        forward(&mut change, operand(p, pl)?, operand(m, ml)?, &exponentials(operand(b, bl)?), sizes);
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
        let (mut dp, mut dm, mut db) =
            (vec![0.0; p.elem_count()], vec![0.0; m.elem_count()], vec![0.0; b.elem_count()]);
        let weights = exponentials(&values(b)?);
        backward(&mut dp, &mut dm, &mut db, &values(&g)?, &values(p)?, &values(m)?, &weights, sizes);
        Ok((Some(gradient(dp, p)?), Some(gradient(dm, m)?), Some(gradient(db, b)?)))
    }
}

/// exp(b − max b)
pub(super) fn exponentials(b: &[f32]) -> Vec<f32> {
    let max = b.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    b.iter().map(|b| (b - max).exp()).collect()
}

dispatch!(forward => forward_body(change: &mut [f32], p: &[f32], factors: &[f32], weights: &[f32], sizes: Sizes));
dispatch!(backward => backward_body(
    dp: &mut [f32], dm: &mut [f32], db: &mut [f32], g: &[f32], p: &[f32], factors: &[f32], weights: &[f32], sizes: Sizes,
));

/// to ← a · b, scaled to a largest entry of 1: common factors cancel in w.
#[inline(always)]
fn product(to: &mut [f32], a: &[f32], b: &[f32]) {
    for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
        *to = a * b;
    }
    let scale = 1.0 / super::softmax::maximum(to).max(f32::MIN_POSITIVE);
    for to in to {
        *to *= scale;
    }
}

/// to ← to + factor · a
#[inline(always)]
fn add_scaled<const F: bool>(to: &mut [f32], factor: f32, a: &[f32]) {
    for (to, a) in to.iter_mut().zip(a) {
        *to = fma::<F>(factor, *a, *to);
    }
}

/// Overlaps A (L, H) and weights w (L, H) of one sequence.
#[inline(always)]
pub(super) fn weigh<const F: bool>(
    overlaps: &mut [f32],
    w: &mut [f32],
    p: &[f32],
    factors: &[f32],
    weights: &[f32],
    s: Sizes,
) {
    let Sizes { length, letters, components: h } = s;
    for (j, overlap) in overlaps.chunks_exact_mut(h).enumerate() {
        overlap.fill(0.0);
        for (v, p) in p[j * letters..(j + 1) * letters].iter().enumerate() {
            add_scaled::<F>(overlap, *p, &factors[(j * letters + v) * h..][..h]);
        }
        for a in overlap {
            *a = if *a > FLOOR { *a } else { FLOOR };
        }
    }
    // from the left into w, then times what comes from the right
    w[..h].copy_from_slice(weights);
    for j in 1..length {
        let (before, after) = w.split_at_mut(j * h);
        product(&mut after[..h], &before[(j - 1) * h..], &overlaps[(j - 1) * h..j * h]);
    }
    let (mut right, mut next) = (vec![1.0_f32; h], vec![0.0_f32; h]);
    for j in (0..length).rev() {
        let w = &mut w[j * h..(j + 1) * h];
        for (w, right) in w.iter_mut().zip(&right) {
            *w *= right;
        }
        let scale = 1.0 / super::simd::sum(w, |w| w).max(f32::MIN_POSITIVE);
        for w in w {
            *w *= scale;
        }
        product(&mut next, &right, &overlaps[j * h..(j + 1) * h]);
        std::mem::swap(&mut right, &mut next);
    }
}

#[inline(always)]
fn forward_body<const F: bool>(change: &mut [f32], p: &[f32], factors: &[f32], weights: &[f32], s: Sizes) {
    let state = s.length * s.letters;
    let mut rest = Scratch::new(s);
    for (change, p) in change.chunks_exact_mut(state).zip(p.chunks_exact(state)) {
        weigh::<F>(&mut rest.overlaps, &mut rest.w, p, factors, weights, s);
        marginals::<F>(change, &rest.w, factors, s);
    }
}

#[inline(always)]
#[allow(clippy::too_many_arguments, reason = "slices of one kernel call")]
fn backward_body<const F: bool>(
    dp: &mut [f32],
    dm: &mut [f32],
    db: &mut [f32],
    g: &[f32],
    p: &[f32],
    factors: &[f32],
    weights: &[f32],
    s: Sizes,
) {
    let state = s.length * s.letters;
    let mut rest = Scratch::new(s);
    for ((dp, g), p) in dp.chunks_exact_mut(state).zip(g.chunks_exact(state)).zip(p.chunks_exact(state)) {
        weigh::<F>(&mut rest.overlaps, &mut rest.w, p, factors, weights, s);
        slopes::<F>(&mut rest, Some(&mut *dm), g, factors, s);
        add_scaled::<F>(db, 1.0, &rest.total);
        of_probabilities::<F>(dp, &rest, factors, s);
        of_factors::<F>(dm, &rest, p, s);
    }
}

/// What one sequence needs.
pub(super) struct Scratch {
    pub(super) overlaps: Vec<f32>,
    pub(super) w: Vec<f32>,
    slopes: Vec<f32>,
    /// Slopes in the log weights b.
    pub(super) total: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(s: Sizes) -> Self {
        let zeros = |n| vec![0.0_f32; n];
        let each = s.length * s.components;
        Self { overlaps: zeros(each), w: zeros(each), slopes: zeros(each), total: zeros(s.components) }
    }
}

/// log Σ_m w_im M_im(v) of one sequence.
#[inline(always)]
pub(super) fn marginals<const F: bool>(change: &mut [f32], w: &[f32], factors: &[f32], s: Sizes) {
    let h = s.components;
    for (index, change) in change.iter_mut().enumerate() {
        let position = index / s.letters;
        let mean = sum2(&w[position * h..(position + 1) * h], &factors[index * h..(index + 1) * h], |w, m| w * m);
        *change = mean.max(FLOOR).ln();
    }
}

/// Slopes in the logarithms of the overlaps for gradients `g` (L, V), after [`weigh`]; the direct gradient of the factors
/// is added to `dm`.
#[inline(always)]
pub(super) fn slopes<const F: bool>(
    rest: &mut Scratch,
    mut dm: Option<&mut [f32]>,
    g: &[f32],
    factors: &[f32],
    s: Sizes,
) {
    let Sizes { length, letters, components: h } = s;
    rest.total.fill(0.0);
    for i in 0..length {
        let (w, slopes) = (&rest.w[i * h..(i + 1) * h], &mut rest.slopes[i * h..(i + 1) * h]);
        let g = &g[i * letters..(i + 1) * letters];
        slopes.fill(-g.iter().sum::<f32>());
        for (v, g) in g.iter().enumerate() {
            let row = (i * letters + v) * h..(i * letters + v + 1) * h;
            let of_mean = g / sum2(w, &factors[row.clone()], |w, m| w * m).max(FLOOR);
            add_scaled::<F>(slopes, of_mean, &factors[row.clone()]);
            if let Some(dm) = &mut dm {
                add_scaled::<F>(&mut dm[row], of_mean, w);
            }
        }
        // now the slope in log w, unnormalised
        for ((slope, w), total) in slopes.iter_mut().zip(w).zip(&mut rest.total) {
            *slope *= w;
            *total += *slope;
        }
    }
    for (slopes, overlaps) in rest.slopes.chunks_exact_mut(h).zip(rest.overlaps.chunks_exact(h)) {
        for ((slope, total), a) in slopes.iter_mut().zip(&rest.total).zip(overlaps) {
            *slope = (total - *slope) / a;
        }
    }
}

/// Gradient of the probabilities, after [`slopes`].
#[inline(always)]
pub(super) fn of_probabilities<const F: bool>(dp: &mut [f32], rest: &Scratch, factors: &[f32], s: Sizes) {
    let h = s.components;
    for (index, dp) in dp.iter_mut().enumerate() {
        let j = index / s.letters;
        *dp = sum2(&rest.slopes[j * h..(j + 1) * h], &factors[index * h..(index + 1) * h], |s, m| s * m);
    }
}

/// Adds the gradient of the factors through the overlaps, after [`slopes`].
#[inline(always)]
pub(super) fn of_factors<const F: bool>(dm: &mut [f32], rest: &Scratch, p: &[f32], s: Sizes) {
    let h = s.components;
    for (index, p) in p.iter().enumerate() {
        let j = index / s.letters;
        add_scaled::<F>(&mut dm[index * h..(index + 1) * h], *p, &rest.slopes[j * h..(j + 1) * h]);
    }
}
