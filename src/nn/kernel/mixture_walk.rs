//! Several steps of a chain under the tilt of a mixture of products, renewed at every step, as one operation.

use super::arrays::{gradient, operand, result, values};
use super::belief_walk::BeliefStep;
use super::product_mixture::{Scratch, Sizes, exponentials, marginals, of_factors, of_probabilities, slopes, weigh};
use super::simd::{dispatch, exp, fma};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use std::sync::OnceLock;

/// Constants of a walk.
#[derive(Clone, Debug)]
pub(crate) struct MixtureWalk {
    /// Numbers of its steps.
    pub(crate) steps: Vec<BeliefStep>,
    /// Noise, (steps, B, L, D).
    pub(crate) noise: Tensor,
    /// Points E of the letters, (V, D).
    pub(crate) points: Tensor,
    /// The gradient of Σ u·ε reaches the states only, not factors and weights.
    pub(crate) landing: bool,
}

/// Steps from `x` (B, L, D) with held context logits (B, L, V), under factors M (L, V, H) and log weights b (H):
///
/// ```text
/// p = softmax(evidence x Eᵀ + context)      q = softmax(evidence x Eᵀ + context + Δ(p; M, b))
/// u = predict/std (q − p) E                 x ← keep x + predict p E + std (u + ε)
/// ```
/// with Δ of [`product_mixture`](super::product_mixture()). The result is (B, L·D + 2): the last state, Σ ½|u|² and Σ u·ε.
pub(crate) fn mixture_walk(
    x: &Tensor,
    context: &Tensor,
    factors: &Tensor,
    weights: &Tensor,
    walk: MixtureWalk,
) -> Result<Tensor> {
    let (batch, length, dim) = x.dims3()?;
    let (letters, width) = walk.points.dims2()?;
    let (positions, options, components) = factors.dims3()?;
    let fits = (positions, options) == (length, letters) && width == dim && context.dims() == [batch, length, letters];
    if !fits || walk.noise.dims() != [walk.steps.len(), batch, length, dim] {
        candle_core::bail!(
            "states {:?}, context {:?} and factors {:?} do not fit",
            x.shape(),
            context.shape(),
            factors.shape()
        );
    }
    if weights.dims() != [components] {
        candle_core::bail!("weights {:?} do not fit {components} components", weights.shape());
    }
    let track = x.track_op() || context.track_op() || factors.track_op() || weights.track_op();
    let sizes = All { mixture: Sizes { length, letters, components }, dim };
    let input = Tensor::cat(&[x, context], 2)?;
    let (noise, points) = (walk.noise.contiguous()?, walk.points.contiguous()?);
    let op = Op { walk: MixtureWalk { noise, points, ..walk }, sizes, track, kept: OnceLock::new() };
    input.apply_op3(&factors.contiguous()?, &weights.contiguous()?, op)
}

#[derive(Clone, Copy)]
pub(super) struct All {
    mixture: Sizes,
    dim: usize,
}

impl All {
    fn state(self) -> usize {
        self.mixture.length * self.dim
    }

    fn belief(self) -> usize {
        self.mixture.length * self.mixture.letters
    }
}

struct Op {
    walk: MixtureWalk,
    sizes: All,
    track: bool,
    /// p and q of every row and step, for the backward pass.
    kept: OnceLock<Vec<f32>>,
}

/// What both passes read.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    input: &'a [f32],
    factors: &'a [f32],
    weights: &'a [f32],
    noise: &'a [f32],
    points: &'a [f32],
    steps: &'a [BeliefStep],
    sizes: All,
    landing: bool,
}

impl CustomOp3 for Op {
    fn name(&self) -> &'static str {
        "mixture-walk"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        m: &CpuStorage,
        ml: &Layout,
        w: &CpuStorage,
        wl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (noise, points) = (values(&self.walk.noise)?, values(&self.walk.points)?);
        let given = self.given(operand(x, xl)?, operand(m, ml)?, operand(w, wl)?, &noise, &points);
        let (batch, width) = (xl.dims()[0], self.sizes.state() + 2);
        let mut rows = vec![0.0; batch * width];
        let mut kept = vec![0.0; if self.track { batch * self.walk.steps.len() * 2 * self.sizes.belief() } else { 0 }];
        forward(&mut rows, &mut kept, given);
        let _ = self.kept.set(kept);
        Ok(result(rows, (batch, width)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        m: &Tensor,
        w: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let Some(kept) = self.kept.get().filter(|_| self.track) else {
            candle_core::bail!("no beliefs were kept for the backward pass");
        };
        let g = g.contiguous()?;
        let (inputs, factors, weights) = (values(x)?, values(m)?, values(w)?);
        let (noise, points) = (values(&self.walk.noise)?, values(&self.walk.points)?);
        let given = self.given(&inputs, &factors, &weights, &noise, &points);
        let (mut dx, mut dm, mut dw) =
            (vec![0.0; x.elem_count()], vec![0.0; m.elem_count()], vec![0.0; w.elem_count()]);
        backward(&mut dx, &mut dm, &mut dw, &values(&g)?, kept, given);
        Ok((Some(gradient(dx, x)?), Some(gradient(dm, m)?), Some(gradient(dw, w)?)))
    }
}

impl Op {
    fn given<'a>(
        &'a self,
        input: &'a [f32],
        factors: &'a [f32],
        weights: &'a [f32],
        noise: &'a [f32],
        points: &'a [f32],
    ) -> Given<'a> {
        let (steps, sizes, landing) = (&self.walk.steps, self.sizes, self.walk.landing);
        Given { input, factors, weights, noise, points, steps, sizes, landing }
    }
}

dispatch!(forward => forward_body(rows: &mut [f32], kept: &mut [f32], given: Given<'_>));
dispatch!(backward => backward_body(
    dx: &mut [f32], dm: &mut [f32], dw: &mut [f32], g: &[f32], kept: &[f32], given: Given<'_>,
));

/// Softmax of every position's letters.
#[inline(always)]
fn softmax<const F: bool>(x: &mut [f32], letters: usize) {
    for row in x.chunks_exact_mut(letters) {
        let max = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for x in row {
            *x -= max;
        }
    }
    for x in x.iter_mut() {
        *x = exp::<F>(*x);
    }
    for row in x.chunks_exact_mut(letters) {
        let sum: f32 = row.iter().sum();
        for x in row {
            *x /= sum;
        }
    }
}

/// to_i[d] ← to_i[d] + factor Σ_v a_i[v] E[v, d] for every position i.
#[inline(always)]
fn relax<const F: bool>(to: &mut [f32], factor: f32, a: &[f32], points: &[f32], s: All) {
    for (to, a) in to.chunks_exact_mut(s.dim).zip(a.chunks_exact(s.mixture.letters)) {
        for (a, point) in a.iter().zip(points.chunks_exact(s.dim)) {
            for (to, coordinate) in to.iter_mut().zip(point) {
                *to = fma::<F>(factor * a, *coordinate, *to);
            }
        }
    }
}

/// to_i[v] ← to_i[v] + factor Σ_d a_i[d] E[v, d] for every position i.
#[inline(always)]
fn project<const F: bool>(to: &mut [f32], factor: f32, a: &[f32], points: &[f32], s: All) {
    for (to, a) in to.chunks_exact_mut(s.mixture.letters).zip(a.chunks_exact(s.dim)) {
        for (to, point) in to.iter_mut().zip(points.chunks_exact(s.dim)) {
            let inner = a.iter().zip(point).fold(0.0, |sum, (a, e)| fma::<F>(*a, *e, sum));
            *to = fma::<F>(factor, inner, *to);
        }
    }
}

/// g ← p (g − Σ p g) for every position.
#[inline(always)]
fn softmax_chain<const F: bool>(g: &mut [f32], p: &[f32], letters: usize) {
    for (g, p) in g.chunks_exact_mut(letters).zip(p.chunks_exact(letters)) {
        let mean = g.iter().zip(p).fold(0.0, |sum, (g, p)| fma::<F>(*g, *p, sum));
        for (g, p) in g.iter_mut().zip(p) {
            *g = p * (*g - mean);
        }
    }
}

#[inline(always)]
fn forward_body<const F: bool>(rows: &mut [f32], kept: &mut [f32], given: Given<'_>) {
    let Given { input, factors, weights, noise, points, steps, sizes, .. } = given;
    let (state, belief, letters) = (sizes.state(), sizes.belief(), sizes.mixture.letters);
    let (batch, count) = (rows.len() / (state + 2), steps.len());
    let mut rest = Scratch::new(sizes.mixture);
    let [mut context, mut p, mut q, mut change] = [0; 4].map(|_| vec![0.0_f32; belief]);
    let mut shift = vec![0.0_f32; state];
    let weights = exponentials(weights);
    for (index, row) in rows.chunks_exact_mut(state + 2).enumerate() {
        let (x, sums) = row.split_at_mut(state);
        split(x, &mut context, &input[index * (state + belief)..(index + 1) * (state + belief)], sizes);
        let (mut square, mut product) = (0.0_f64, 0.0_f64);
        for (k, step) in steps.iter().enumerate() {
            let epsilon = &noise[(k * batch + index) * state..(k * batch + index + 1) * state];
            q.copy_from_slice(&context);
            project::<F>(&mut q, step.evidence, x, points, sizes);
            p.copy_from_slice(&q);
            softmax::<F>(&mut p, letters);
            weigh::<F>(&mut rest.overlaps, &mut rest.w, &p, factors, &weights, sizes.mixture);
            marginals::<F>(&mut change, &rest.w, factors, sizes.mixture);
            for (q, change) in q.chunks_exact_mut(letters).zip(change.chunks_exact(letters)) {
                // a constant per position does not count, and equal numbers leave exactly zero
                for (q, value) in q.iter_mut().zip(change) {
                    *q += value - change[0];
                }
            }
            softmax::<F>(&mut q, letters);
            if !kept.is_empty() {
                let kept = &mut kept[(index * count + k) * 2 * belief..];
                for (kept, values) in kept.chunks_exact_mut(belief).zip([&p, &q]) {
                    kept.copy_from_slice(values);
                }
            }
            difference(&mut change, &q, &p);
            shift.fill(0.0);
            relax::<F>(&mut shift, step.predict / step.std, &change, points, sizes);
            for ((u, epsilon), x) in shift.iter_mut().zip(epsilon).zip(x.iter_mut()) {
                square += f64::from(0.5 * *u * *u);
                product += f64::from(*u * *epsilon);
                *x = fma::<F>(step.keep, *x, step.std * epsilon);
            }
            relax::<F>(x, step.predict, &q, points, sizes);
        }
        sums.copy_from_slice(&[square as f32, product as f32]);
    }
}

/// The state and the context of one row.
#[inline(always)]
fn split(x: &mut [f32], context: &mut [f32], row: &[f32], s: All) {
    let letters = s.mixture.letters;
    let positions = x.chunks_exact_mut(s.dim).zip(context.chunks_exact_mut(letters));
    for ((x, context), row) in positions.zip(row.chunks_exact(s.dim + letters)) {
        let (state, logits) = row.split_at(s.dim);
        x.copy_from_slice(state);
        context.copy_from_slice(logits);
    }
}

#[inline(always)]
fn difference(to: &mut [f32], a: &[f32], b: &[f32]) {
    for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
        *to = a - b;
    }
}

#[inline(always)]
fn backward_body<const F: bool>(
    dx: &mut [f32],
    dm: &mut [f32],
    dw: &mut [f32],
    g: &[f32],
    kept: &[f32],
    given: Given<'_>,
) {
    let Given { factors, weights, noise, points, steps, sizes, landing, .. } = given;
    let s = sizes.mixture;
    let (state, belief, letters) = (sizes.state(), sizes.belief(), s.letters);
    let (batch, count) = (g.len() / (state + 2), steps.len());
    let mut rest = Scratch::new(s);
    let [mut of_p, mut of_q, mut of_product, mut dp, mut total] = [0; 5].map(|_| vec![0.0_f32; belief]);
    let [mut adjoint, mut shift, mut pull] = [0; 3].map(|_| vec![0.0_f32; state]);
    let weights = exponentials(weights);
    for (index, g) in g.chunks_exact(state + 2).enumerate() {
        adjoint.copy_from_slice(&g[..state]);
        let (of_square, of_inner) = (g[state], g[state + 1]);
        total.fill(0.0);
        for (k, step) in steps.iter().enumerate().rev() {
            let epsilon = &noise[(k * batch + index) * state..(k * batch + index + 1) * state];
            let kept = &kept[(index * count + k) * 2 * belief..(index * count + k + 1) * 2 * belief];
            let (p, q) = kept.split_at(belief);
            let gain = step.predict / step.std;
            // slopes of the price in the points of q: of the square, and of the product
            difference(&mut of_p, q, p);
            shift.fill(0.0);
            relax::<F>(&mut shift, of_square * gain * gain, &of_p, points, sizes);
            of_product.fill(0.0);
            project::<F>(&mut of_product, of_inner * gain, epsilon, points, sizes);
            of_p.fill(0.0);
            project::<F>(&mut of_p, -1.0, &shift, points, sizes);
            for (of_p, of_product) in of_p.iter_mut().zip(&of_product) {
                *of_p -= of_product;
            }
            for ((pull, shift), adjoint) in pull.iter_mut().zip(&shift).zip(&adjoint) {
                *pull = fma::<F>(step.predict, *adjoint, *shift);
            }
            of_q.fill(0.0);
            project::<F>(&mut of_q, 1.0, &pull, points, sizes);
            softmax_chain::<F>(&mut of_q, q, letters);
            softmax_chain::<F>(&mut of_product, q, letters);
            if !landing {
                add(&mut of_q, &of_product);
            }
            // the weights' gradient, from which that of the product is missing when landing
            weigh::<F>(&mut rest.overlaps, &mut rest.w, p, factors, &weights, s);
            slopes::<F>(&mut rest, Some(&mut *dm), &of_q, factors, s);
            of_factors::<F>(dm, &rest, p, s);
            add(dw, &rest.total);
            if landing {
                add(&mut of_q, &of_product);
                slopes::<F>(&mut rest, None, &of_q, factors, s);
            }
            of_probabilities::<F>(&mut dp, &rest, factors, s);
            add(&mut of_p, &dp);
            softmax_chain::<F>(&mut of_p, p, letters);
            add(&mut of_p, &of_q);
            add(&mut total, &of_p);
            for adjoint in &mut adjoint {
                *adjoint *= step.keep;
            }
            relax::<F>(&mut adjoint, step.evidence, &of_p, points, sizes);
        }
        let row = &mut dx[index * (state + belief)..(index + 1) * (state + belief)];
        let positions = row.chunks_exact_mut(sizes.dim + letters);
        for ((row, x), context) in positions.zip(adjoint.chunks_exact(sizes.dim)).zip(total.chunks_exact(letters)) {
            row[..sizes.dim].copy_from_slice(x);
            row[sizes.dim..].copy_from_slice(context);
        }
    }
}

#[inline(always)]
fn add(to: &mut [f32], a: &[f32]) {
    for (to, a) in to.iter_mut().zip(a) {
        *to += a;
    }
}
