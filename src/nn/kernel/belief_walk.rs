//! Several steps of a chain whose drift is an expected point under token beliefs, as one operation.

use super::arrays::{gradient, operand, result, values};
use super::simd::{dispatch, exp, fma};
use candle_core::{CpuStorage, CustomOp2, Layout, Result, Shape, Tensor};
use std::sync::OnceLock;

/// Positions treated together, one in each lane of the vectors.
pub(super) const LANES: usize = 32;

pub(super) type Lane = [f32; LANES];

/// Numbers of one step.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BeliefStep {
    /// Factor of x·E[v] in the logits.
    pub(crate) evidence: f32,
    /// Factor of the state.
    pub(crate) keep: f32,
    /// Factor of the expected point.
    pub(crate) predict: f32,
    /// Standard deviation of the noise.
    pub(crate) std: f32,
}

/// Steps from `x` (B, L, D) with held logits (B, L, G·V), noise (steps, B, L, D) and points E (V, D):
///
/// ```text
/// p = softmax(evidence x Eᵀ + context)      q = softmax(evidence x Eᵀ + context + change)
/// u = predict/std (q − p) E                 x ← keep x + predict p E + std (u + ε)
/// ```
/// `logits` is the context, followed by the change when G ≥ 2 (else q = p), and by a twin of the change when G = 3. The result
/// is (B, L·D + 2): the last state, Σ ½|u|² and Σ u·ε, sums over steps, positions and dimensions in f64, rounded once. The
/// gradient of Σ u·ε reaches the twin instead of the change: its numbers must be the same, its graph may differ.
pub(crate) fn belief_walk(
    x: &Tensor,
    logits: &Tensor,
    noise: &Tensor,
    points: &Tensor,
    steps: Vec<BeliefStep>,
) -> Result<Tensor> {
    let (letters, dim) = points.dims2()?;
    let (batch, length, width) = logits.dims3()?;
    let groups = width / letters;
    if !(1..=3).contains(&groups) || groups * letters != width || x.dims3()? != (batch, length, dim) {
        candle_core::bail!("logits {:?} do not fit states {:?} and {letters} points", logits.shape(), x.shape());
    }
    if noise.dims() != [steps.len(), batch, length, dim] {
        candle_core::bail!("noise {:?} does not fit {} steps of {:?}", noise.shape(), steps.len(), x.shape());
    }
    let points = values(&points.contiguous()?)?.to_vec();
    let track = x.track_op() || logits.track_op();
    let sizes = Sizes { length, dim, letters, groups };
    let walk = Walk { sizes, steps, noise: noise.contiguous()?, points, track, beliefs: OnceLock::new() };
    x.contiguous()?.apply_op2(&logits.contiguous()?, walk)
}

#[derive(Clone, Copy)]
pub(in crate::nn::kernel) struct Sizes {
    length: usize,
    dim: usize,
    letters: usize,
    groups: usize,
}

struct Walk {
    sizes: Sizes,
    steps: Vec<BeliefStep>,
    noise: Tensor,
    points: Vec<f32>,
    track: bool,
    /// p and q of every step for the backward pass: (chunks, steps, 2 V) lanes.
    beliefs: OnceLock<Vec<Lane>>,
}

impl CustomOp2 for Walk {
    fn name(&self) -> &'static str {
        "belief-walk"
    }

    fn cpu_fwd(&self, x: &CpuStorage, xl: &Layout, logits: &CpuStorage, ll: &Layout) -> Result<(CpuStorage, Shape)> {
        let (x, logits) = (operand(x, xl)?, operand(logits, ll)?);
        let (batch, state) = (xl.dims()[0], self.sizes.length * self.sizes.dim);
        let mut end = x.to_vec();
        let (mut squares, mut products) = (vec![0.0_f64; batch], vec![0.0_f64; batch]);
        let mut beliefs = Vec::new();
        let kept = self.track.then_some(&mut beliefs);
        let noise = values(&self.noise)?;
        walk(&mut end, logits, &noise, &self.points, &self.steps, self.sizes, &mut squares, &mut products, kept);
        let _ = self.beliefs.set(beliefs);
        let mut rows = Vec::with_capacity(batch * (state + 2));
        for (row, (square, product)) in squares.iter().zip(&products).enumerate() {
            rows.extend_from_slice(&end[row * state..(row + 1) * state]);
            rows.extend([*square as f32, *product as f32]);
        }
        Ok(result(rows, (batch, state + 2)))
    }

    fn bwd(&self, x: &Tensor, logits: &Tensor, _: &Tensor, g: &Tensor) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Some(beliefs) = self.beliefs.get().filter(|_| self.track) else {
            candle_core::bail!("no beliefs were kept for the backward pass");
        };
        let g = g.contiguous()?;
        let (mut dx, mut dl) = (vec![0.0; x.elem_count()], vec![0.0; logits.elem_count()]);
        pull_back(
            &mut dx,
            &mut dl,
            &values(&g)?,
            beliefs,
            &values(&self.noise)?,
            &self.points,
            &self.steps,
            self.sizes,
        );
        Ok((Some(gradient(dx, x)?), Some(gradient(dl, logits)?)))
    }
}

dispatch!(walk => walk_body(
    x: &mut [f32], logits: &[f32], noise: &[f32], points: &[f32], steps: &[BeliefStep], sizes: Sizes,
    squares: &mut [f64], products: &mut [f64], kept: Option<&mut Vec<Lane>>,
));
dispatch!(pull_back => pull_back_body(
    dx: &mut [f32], dl: &mut [f32], g: &[f32], beliefs: &[Lane], noise: &[f32], points: &[f32], steps: &[BeliefStep],
    sizes: Sizes,
));

/// Columns `first`.. of rows of `width` into lanes.
#[inline(always)]
pub(super) fn load(lanes: &mut [Lane], rows: &[f32], width: usize, first: usize) {
    for (lane, row) in rows.chunks_exact(width).enumerate() {
        for (column, value) in lanes.iter_mut().zip(&row[first..]) {
            column[lane] = *value;
        }
    }
}

/// The reverse of [`load`].
#[inline(always)]
fn store(rows: &mut [f32], lanes: &[Lane], width: usize, first: usize) {
    for (lane, row) in rows.chunks_exact_mut(width).enumerate() {
        for (value, column) in row[first..].iter_mut().zip(lanes) {
            *value = column[lane];
        }
    }
}

/// sum ← sum + factor · a
#[inline(always)]
fn add_scaled<const F: bool>(sum: &mut Lane, factor: f32, a: &Lane) {
    for (sum, a) in sum.iter_mut().zip(a) {
        *sum = fma::<F>(factor, *a, *sum);
    }
}

dispatch!(
    /// Softmax over the letters.
    softmax => softmax_body(x: &mut [Lane])
);

#[inline(always)]
fn softmax_body<const F: bool>(x: &mut [Lane]) {
    let mut max = [f32::NEG_INFINITY; LANES];
    for row in x.iter() {
        for (max, x) in max.iter_mut().zip(row) {
            *max = if *x > *max { *x } else { *max };
        }
    }
    let mut sum = [0.0; LANES];
    for row in x.iter_mut() {
        for ((x, max), sum) in row.iter_mut().zip(&max).zip(&mut sum) {
            *x = exp::<F>(*x - max);
            *sum += *x;
        }
    }
    for row in x {
        for (x, sum) in row.iter_mut().zip(&sum) {
            *x /= sum;
        }
    }
}

dispatch!(
    /// to[d] ← to[d] + Σ_v a[v] E[v, d]
    relax => relax_body(to: &mut [Lane], a: &[Lane], points: &[f32])
);

#[inline(always)]
fn relax_body<const F: bool>(to: &mut [Lane], a: &[Lane], points: &[f32]) {
    for (a, point) in a.iter().zip(points.chunks_exact(to.len())) {
        for (to, coordinate) in to.iter_mut().zip(point) {
            add_scaled::<F>(to, *coordinate, a);
        }
    }
}

dispatch!(
    /// to[v] ← to[v] + factor Σ_d a[d] E[v, d]
    project => project_body(to: &mut [Lane], factor: f32, a: &[Lane], points: &[f32])
);

#[inline(always)]
fn project_body<const F: bool>(to: &mut [Lane], factor: f32, a: &[Lane], points: &[f32]) {
    for (to, point) in to.iter_mut().zip(points.chunks_exact(a.len())) {
        for (a, coordinate) in a.iter().zip(point) {
            add_scaled::<F>(to, factor * coordinate, a);
        }
    }
}

#[inline(always)]
#[allow(
    clippy::too_many_arguments,
    reason = "the dispatched kernels take slices: a struct of them would be another set of lifetimes"
)]
fn walk_body<const F: bool>(
    x: &mut [f32],
    logits: &[f32],
    noise: &[f32],
    points: &[f32],
    steps: &[BeliefStep],
    sizes: Sizes,
    squares: &mut [f64],
    products: &mut [f64],
    mut kept: Option<&mut Vec<Lane>>,
) {
    let Sizes { length, dim, letters, groups } = sizes;
    let (stride, width) = (x.len(), groups * letters);
    let zeros = |n: usize| vec![[0.0_f32; LANES]; n];
    let (mut state, mut epsilon, mut shift) = (zeros(dim), zeros(dim), zeros(dim));
    let (mut context, mut change, mut p, mut q) = (zeros(letters), zeros(letters), zeros(letters), zeros(letters));
    for (chunk, states) in x.chunks_mut(LANES * dim).enumerate() {
        let (first, count) = (chunk * LANES, states.len() / dim);
        let held = &logits[first * width..(first + count) * width];
        load(&mut state, states, dim, 0);
        load(&mut context, held, width, 0);
        if groups > 1 {
            load(&mut change, held, width, letters);
        }
        let (mut square, mut product) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for (index, step) in steps.iter().enumerate() {
            load(&mut epsilon, &noise[index * stride + first * dim..][..count * dim], dim, 0);
            p.copy_from_slice(&context);
            project(&mut p, step.evidence, &state, points);
            if groups > 1 {
                for ((q, p), change) in q.iter_mut().zip(&p).zip(&change) {
                    for ((q, p), change) in q.iter_mut().zip(p).zip(change) {
                        *q = p + change;
                    }
                }
                softmax(&mut q);
            }
            softmax(&mut p);
            if groups == 1 {
                q.copy_from_slice(&p);
            }
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(&p);
                kept.extend_from_slice(&q);
            }
            // p ← q − p
            for (p, q) in p.iter_mut().zip(&q) {
                for (p, q) in p.iter_mut().zip(q) {
                    *p = q - *p;
                }
            }
            shift.fill([0.0; LANES]);
            relax(&mut shift, &p, points);
            let gain = step.predict / step.std;
            for (shift, epsilon) in shift.iter().zip(&epsilon) {
                for (((shift, epsilon), square), product) in
                    shift.iter().zip(epsilon).zip(&mut square).zip(&mut product)
                {
                    let u = gain * shift;
                    *square = fma::<F>(0.5 * u, u, *square);
                    *product = fma::<F>(u, *epsilon, *product);
                }
            }
            shift.fill([0.0; LANES]);
            relax(&mut shift, &q, points);
            for ((state, shift), epsilon) in state.iter_mut().zip(&shift).zip(&epsilon) {
                for ((state, shift), epsilon) in state.iter_mut().zip(shift).zip(epsilon) {
                    *state = fma::<F>(step.keep, *state, fma::<F>(step.predict, *shift, step.std * epsilon));
                }
            }
        }
        store(states, &state, dim, 0);
        for lane in 0..count {
            squares[(first + lane) / length] += f64::from(square[lane]);
            products[(first + lane) / length] += f64::from(product[lane]);
        }
    }
}

dispatch!(
    /// logits' ← p (g − Σ p g)
    softmax_chain => softmax_chain_body(g: &mut [Lane], p: &[Lane])
);

#[inline(always)]
fn softmax_chain_body<const F: bool>(g: &mut [Lane], p: &[Lane]) {
    let mut mean = [0.0; LANES];
    for (g, p) in g.iter().zip(p) {
        for ((mean, g), p) in mean.iter_mut().zip(g).zip(p) {
            *mean = fma::<F>(*g, *p, *mean);
        }
    }
    for (g, p) in g.iter_mut().zip(p) {
        for ((g, p), mean) in g.iter_mut().zip(p).zip(&mean) {
            *g = p * (*g - mean);
        }
    }
}

#[inline(always)]
pub(super) fn add(to: &mut [Lane], a: &[Lane]) {
    for (to, a) in to.iter_mut().zip(a) {
        for (to, a) in to.iter_mut().zip(a) {
            *to += a;
        }
    }
}

#[inline(always)]
#[allow(
    clippy::too_many_arguments,
    reason = "the dispatched kernels take slices: a struct of them would be another set of lifetimes"
)]
fn pull_back_body<const F: bool>(
    dx: &mut [f32],
    dl: &mut [f32],
    g: &[f32],
    beliefs: &[Lane],
    noise: &[f32],
    points: &[f32],
    steps: &[BeliefStep],
    sizes: Sizes,
) {
    let Sizes { length, dim, letters, groups } = sizes;
    let (stride, width, row_width) = (dx.len(), groups * letters, length * dim + 2);
    let zeros = |n: usize| vec![[0.0_f32; LANES]; n];
    let (mut adjoint, mut epsilon, mut price, mut pull) = (zeros(dim), zeros(dim), zeros(dim), zeros(dim));
    let (mut of_p, mut of_q, mut of_twin, mut total) = (zeros(letters), zeros(letters), zeros(letters), zeros(width));
    for (chunk, (states, held)) in dx.chunks_mut(LANES * dim).zip(dl.chunks_mut(LANES * width)).enumerate() {
        let (first, count) = (chunk * LANES, states.len() / dim);
        let (mut of_square, mut of_product) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        for lane in 0..count {
            let (row, position) = ((first + lane) / length, (first + lane) % length);
            let row = &g[row * row_width..(row + 1) * row_width];
            for (adjoint, g) in adjoint.iter_mut().zip(&row[position * dim..]) {
                adjoint[lane] = *g;
            }
            (of_square[lane], of_product[lane]) = (row[row_width - 2], row[row_width - 1]);
        }
        total.fill([0.0; LANES]);
        for (index, step) in steps.iter().enumerate().rev() {
            load(&mut epsilon, &noise[index * stride + first * dim..][..count * dim], dim, 0);
            let (p, q) = beliefs[(chunk * steps.len() + index) * 2 * letters..][..2 * letters].split_at(letters);
            of_p.fill([0.0; LANES]);
            if groups > 1 {
                let gain = step.predict / step.std;
                for ((of_p, p), q) in of_p.iter_mut().zip(p).zip(q) {
                    for ((of_p, p), q) in of_p.iter_mut().zip(p).zip(q) {
                        *of_p = q - p;
                    }
                }
                price.fill([0.0; LANES]);
                relax(&mut price, &of_p, points);
                // slopes of the price in the points of q and of its twin, and of all in the points of p
                for ((price, pull), (adjoint, epsilon)) in
                    price.iter_mut().zip(&mut pull).zip(adjoint.iter().zip(&mut epsilon))
                {
                    for lane in 0..LANES {
                        let square = of_square[lane] * gain * gain * price[lane];
                        epsilon[lane] *= of_product[lane] * gain;
                        pull[lane] = fma::<F>(step.predict, adjoint[lane], square);
                        price[lane] = square + epsilon[lane];
                    }
                }
                of_p.fill([0.0; LANES]);
                of_q.fill([0.0; LANES]);
                of_twin.fill([0.0; LANES]);
                project(&mut of_p, -1.0, &price, points);
                project(&mut of_q, 1.0, &pull, points);
                project(&mut of_twin, 1.0, &epsilon, points);
                softmax_chain(&mut of_q, q);
                softmax_chain(&mut of_twin, q);
                add(&mut total[letters..2 * letters], &of_q);
                add(&mut total[width - letters..], &of_twin);
            } else {
                project(&mut of_p, step.predict, &adjoint, points);
            }
            softmax_chain(&mut of_p, p);
            if groups > 1 {
                add(&mut of_p, &of_q);
                add(&mut of_p, &of_twin);
            }
            add(&mut total[..letters], &of_p);
            pull.fill([0.0; LANES]);
            relax(&mut pull, &of_p, points);
            for (adjoint, pull) in adjoint.iter_mut().zip(&pull) {
                for (adjoint, pull) in adjoint.iter_mut().zip(pull) {
                    *adjoint = fma::<F>(step.keep, *adjoint, step.evidence * pull);
                }
            }
        }
        store(states, &adjoint, dim, 0);
        store(held, &total, width, 0);
    }
}
