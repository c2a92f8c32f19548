//! Several steps of a chain under the tilt of a mixture of products, renewed at every step, as one operation.

use super::arrays::{gradient, operand, result, values};
use super::belief_walk::{BeliefStep, LANES, Lane, add, load, project, relax, softmax, softmax_chain};
use super::mixture::{Mixture, Scratch, Sizes, pull_back, weigh};
use super::simd::{dispatch, fma, ln};
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

    /// Rows that are walked together: as many as fill a chunk of positions.
    fn group(self) -> usize {
        (LANES / self.mixture.length.max(1)).max(1)
    }

    /// Chunks of positions in a group.
    fn chunks(self) -> usize {
        (self.group() * self.mixture.length).div_ceil(LANES)
    }
}

struct Op {
    walk: MixtureWalk,
    sizes: All,
    track: bool,
    /// p and q of every step for the backward pass: (groups, steps, chunks, 2 V) lanes.
    kept: OnceLock<Vec<Lane>>,
}

/// What both passes read.
#[derive(Clone, Copy)]
pub(super) struct Given<'a> {
    input: &'a [f32],
    mixture: &'a Mixture,
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
        let mixture = Mixture::new(operand(m, ml)?, operand(w, wl)?, self.sizes.mixture);
        let given = self.given(operand(x, xl)?, &mixture, &noise, &points);
        let (batch, width) = (xl.dims()[0], self.sizes.state() + 2);
        let (mut rows, mut kept) = (vec![0.0; batch * width], Vec::new());
        forward(&mut rows, self.track.then_some(&mut kept), given);
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
        let (inputs, noise, points) = (values(x)?, values(&self.walk.noise)?, values(&self.walk.points)?);
        let mixture = Mixture::new(&values(m)?, &values(w)?, self.sizes.mixture);
        let given = self.given(&inputs, &mixture, &noise, &points);
        let (mut dx, mut slopes) = (vec![0.0; x.elem_count()], Mixture::zeros(self.sizes.mixture));
        backward(&mut dx, &mut slopes, &values(&g)?, kept, given);
        let (dm, dw) = slopes.gradients();
        Ok((Some(gradient(dx, x)?), Some(gradient(dm, m)?), Some(gradient(dw, w)?)))
    }
}

impl Op {
    fn given<'a>(&'a self, input: &'a [f32], mixture: &'a Mixture, noise: &'a [f32], points: &'a [f32]) -> Given<'a> {
        let (steps, sizes, landing) = (&self.walk.steps, self.sizes, self.walk.landing);
        Given { input, mixture, noise, points, steps, sizes, landing }
    }
}

dispatch!(forward => forward_body(rows: &mut [f32], kept: Option<&mut Vec<Lane>>, given: Given<'_>));
dispatch!(backward => backward_body(
    dx: &mut [f32], slopes: &mut Mixture, g: &[f32], kept: &[Lane], given: Given<'_>,
));

/// The lane of a position of a group, in rows of `width` lanes a chunk.
#[inline(always)]
fn lane(position: usize, width: usize) -> (usize, usize) {
    (position / LANES * width, position % LANES)
}

#[inline(always)]
fn forward_body<const F: bool>(rows: &mut [f32], mut kept: Option<&mut Vec<Lane>>, given: Given<'_>) {
    let Given { input, mixture, noise, points, steps, sizes, .. } = given;
    let Sizes { length, letters, .. } = sizes.mixture;
    let (state, dim) = (sizes.state(), sizes.dim);
    let (width, stride, chunks) = (dim + letters, input.len() / (dim + letters) * dim, sizes.chunks());
    let (mut rest, mut row_p) = (Scratch::new(sizes.mixture), vec![0.0_f32; length * letters]);
    let zeros = |n: usize| vec![[0.0_f32; LANES]; n];
    let (mut x, mut epsilon, mut shift) = (zeros(chunks * dim), zeros(dim), zeros(dim));
    let [mut context, mut p, mut change] = [0; 3].map(|_| zeros(chunks * letters));
    let (mut q, mut squares, mut products) = (zeros(letters), zeros(chunks), zeros(chunks));
    change.fill([1.0; LANES]);
    for (group, rows) in rows.chunks_mut(sizes.group() * (state + 2)).enumerate() {
        let (first, count) = (group * sizes.group() * length, rows.len() / (state + 2));
        let inputs = &input[first * width..(first + count * length) * width];
        for (chunk, inputs) in inputs.chunks(LANES * width).enumerate() {
            load(&mut x[chunk * dim..(chunk + 1) * dim], inputs, width, 0);
            load(&mut context[chunk * letters..(chunk + 1) * letters], inputs, width, dim);
        }
        squares.fill([0.0; LANES]);
        products.fill([0.0; LANES]);
        for (k, step) in steps.iter().enumerate() {
            p.copy_from_slice(&context);
            for (p, x) in p.chunks_exact_mut(letters).zip(x.chunks_exact(dim)) {
                project(p, step.evidence, x, points);
                softmax(p);
            }
            for row in 0..count {
                gather(&mut row_p, &p, row * length, letters, letters);
                weigh(&mut rest, mixture, &row_p);
                scatter(&mut change, &rest.means, row * length, letters);
            }
            for chunk in 0..chunks.min((count * length).div_ceil(LANES)) {
                let letters_here = chunk * letters..(chunk + 1) * letters;
                let (x, p) = (&mut x[chunk * dim..(chunk + 1) * dim], &p[letters_here.clone()]);
                let change = &mut change[letters_here.clone()];
                q.copy_from_slice(&context[letters_here]);
                project(&mut q, step.evidence, x, points);
                tilt::<F>(&mut q, change);
                softmax(&mut q);
                if let Some(kept) = &mut kept {
                    kept.extend_from_slice(p);
                    kept.extend_from_slice(&q);
                }
                difference(change, &q, p);
                shift.fill([0.0; LANES]);
                relax(&mut shift, change, points);
                let at = k * stride + (first + chunk * LANES) * dim;
                let end = (k * stride + (first + count * length) * dim).min(at + LANES * dim);
                load(&mut epsilon, &noise[at..end], dim, 0);
                let gain = step.predict / step.std;
                for (shift, epsilon) in shift.iter().zip(&epsilon) {
                    let sums = squares[chunk].iter_mut().zip(&mut products[chunk]);
                    for ((shift, epsilon), (square, product)) in shift.iter().zip(epsilon).zip(sums) {
                        let u = gain * shift;
                        *square = fma::<F>(0.5 * u, u, *square);
                        *product = fma::<F>(u, *epsilon, *product);
                    }
                }
                shift.fill([0.0; LANES]);
                relax(&mut shift, &q, points);
                for ((x, shift), epsilon) in x.iter_mut().zip(&shift).zip(&epsilon) {
                    for ((x, shift), epsilon) in x.iter_mut().zip(shift).zip(epsilon) {
                        *x = fma::<F>(step.keep, *x, fma::<F>(step.predict, *shift, step.std * epsilon));
                    }
                }
            }
        }
        for (index, row) in rows.chunks_exact_mut(state + 2).enumerate() {
            let (mut square, mut product) = (0.0_f64, 0.0_f64);
            for j in 0..length {
                let (at, lane) = lane(index * length + j, 1);
                square += f64::from(squares[at][lane]);
                product += f64::from(products[at][lane]);
                for (to, x) in row[j * dim..(j + 1) * dim].iter_mut().zip(&x[at * dim..]) {
                    *to = x[lane];
                }
            }
            row[state..].copy_from_slice(&[square as f32, product as f32]);
        }
    }
}

/// One row (L, V) of a group, from rows of `width` lanes a chunk.
#[inline(always)]
fn gather(to: &mut [f32], lanes: &[Lane], first: usize, letters: usize, width: usize) {
    for (j, to) in to.chunks_exact_mut(letters).enumerate() {
        let (at, lane) = lane(first + j, width);
        for (to, from) in to.iter_mut().zip(&lanes[at..]) {
            *to = from[lane];
        }
    }
}

/// The reverse of [`gather`].
#[inline(always)]
fn scatter(lanes: &mut [Lane], from: &[f32], first: usize, letters: usize) {
    for (j, from) in from.chunks_exact(letters).enumerate() {
        let (at, lane) = lane(first + j, letters);
        for (to, from) in lanes[at..].iter_mut().zip(from) {
            to[lane] = *from;
        }
    }
}

/// Adds log means: a constant per position does not count, and equal numbers leave exactly zero.
#[inline(always)]
fn tilt<const F: bool>(q: &mut [Lane], means: &[Lane]) {
    let mut first = means[0];
    for first in &mut first {
        *first = ln::<F>(*first);
    }
    for (q, means) in q.iter_mut().zip(means) {
        for ((q, mean), first) in q.iter_mut().zip(means).zip(&first) {
            *q += ln::<F>(*mean) - first;
        }
    }
}

#[inline(always)]
fn difference(to: &mut [Lane], a: &[Lane], b: &[Lane]) {
    for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
        for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
            *to = a - b;
        }
    }
}

/// What the gradient of one step passes through: (chunks, V) lanes.
struct Slopes {
    /// In the logits of q, without the product's where that lands.
    direct: Vec<Lane>,
    /// All of it.
    whole: Vec<Lane>,
    /// In p, without what goes through the mixture.
    of_p: Vec<Lane>,
    /// In p through the mixture.
    through: Vec<Lane>,
}

#[inline(always)]
fn backward_body<const F: bool>(dx: &mut [f32], slopes: &mut Mixture, g: &[f32], kept: &[Lane], given: Given<'_>) {
    let Given { input, mixture, noise, points, steps, sizes, landing } = given;
    let Sizes { length, letters, .. } = sizes.mixture;
    let (state, dim) = (sizes.state(), sizes.dim);
    let (width, stride) = (dim + letters, input.len() / (dim + letters) * dim);
    let mut rest = Scratch::new(sizes.mixture);
    let zeros = |n: usize| vec![[0.0_f32; LANES]; n];
    let chunks = sizes.chunks();
    let (mut adjoint, mut total) = (zeros(chunks * dim), zeros(chunks * letters));
    let [direct, whole, of_p, through] = [0; 4].map(|_| zeros(chunks * letters));
    let mut here = Slopes { direct, whole, of_p, through };
    let [mut p, mut of_direct, mut of_whole, mut dp] = [0; 4].map(|_| vec![0.0_f32; length * letters]);
    let (mut epsilon, mut price, mut pull) = (zeros(dim), zeros(dim), zeros(dim));
    let (mut of_square, mut of_product) = (zeros(chunks), zeros(chunks));
    let mut kept = kept;
    let groups = dx.chunks_mut(sizes.group() * length * width).zip(g.chunks(sizes.group() * (state + 2)));
    for (group, (dx, g)) in groups.enumerate() {
        let (first, count) = (group * sizes.group() * length, g.len() / (state + 2));
        let used = (count * length).div_ceil(LANES);
        for position in 0..count * length {
            let (row, j) = (&g[position / length * (state + 2)..][..state + 2], position % length);
            let (at, lane) = lane(position, 1);
            for (to, g) in adjoint[at * dim..(at + 1) * dim].iter_mut().zip(&row[j * dim..]) {
                to[lane] = *g;
            }
            (of_square[at][lane], of_product[at][lane]) = (row[state], row[state + 1]);
        }
        total.fill([0.0; LANES]);
        let (now, later) = kept.split_at(steps.len() * used * 2 * letters);
        kept = later;
        for (k, step) in steps.iter().enumerate().rev() {
            let beliefs = &now[k * used * 2 * letters..(k + 1) * used * 2 * letters];
            let gain = step.predict / step.std;
            for chunk in 0..used {
                let letters_here = chunk * letters..(chunk + 1) * letters;
                let (p, q) = beliefs[chunk * 2 * letters..(chunk + 1) * 2 * letters].split_at(letters);
                let (direct, whole) = (&mut here.direct[letters_here.clone()], &mut here.whole[letters_here.clone()]);
                let of_p = &mut here.of_p[letters_here];
                let at = k * stride + (first + chunk * LANES) * dim;
                let end = (k * stride + (first + count * length) * dim).min(at + LANES * dim);
                load(&mut epsilon, &noise[at..end], dim, 0);
                difference(of_p, q, p);
                price.fill([0.0; LANES]);
                relax(&mut price, of_p, points);
                // slopes of the price in the points of q: of the square, and of the product
                let rows = price.iter_mut().zip(&mut pull).zip(adjoint[chunk * dim..].iter().zip(&mut epsilon));
                for ((price, pull), (adjoint, epsilon)) in rows {
                    for lane in 0..LANES {
                        let square = of_square[chunk][lane] * gain * gain * price[lane];
                        epsilon[lane] *= of_product[chunk][lane] * gain;
                        pull[lane] = fma::<F>(step.predict, adjoint[lane], square);
                        price[lane] = square + epsilon[lane];
                    }
                }
                for slopes in [&mut *of_p, &mut *direct, &mut *whole] {
                    slopes.fill([0.0; LANES]);
                }
                project(of_p, -1.0, &price, points);
                project(direct, 1.0, &pull, points);
                project(whole, 1.0, &epsilon, points);
                softmax_chain(direct, q);
                softmax_chain(whole, q);
                add(whole, direct);
            }
            for first in (0..count * length).step_by(length) {
                gather(&mut p, beliefs, first, letters, 2 * letters);
                gather(&mut of_whole, &here.whole, first, letters, letters);
                weigh(&mut rest, mixture, &p);
                if landing {
                    gather(&mut of_direct, &here.direct, first, letters, letters);
                    pull_back(&mut rest, slopes, mixture, &p, &of_direct, Some(&of_whole), &mut dp);
                } else {
                    pull_back(&mut rest, slopes, mixture, &p, &of_whole, None, &mut dp);
                }
                scatter(&mut here.through, &dp, first, letters);
            }
            for chunk in 0..used {
                let letters_here = chunk * letters..(chunk + 1) * letters;
                let of_p = &mut here.of_p[letters_here.clone()];
                add(of_p, &here.through[letters_here.clone()]);
                softmax_chain(of_p, &beliefs[chunk * 2 * letters..][..letters]);
                add(of_p, &here.whole[letters_here.clone()]);
                add(&mut total[letters_here], of_p);
                pull.fill([0.0; LANES]);
                relax(&mut pull, of_p, points);
                for (adjoint, pull) in adjoint[chunk * dim..].iter_mut().zip(&pull) {
                    for (adjoint, pull) in adjoint.iter_mut().zip(pull) {
                        *adjoint = fma::<F>(step.keep, *adjoint, step.evidence * pull);
                    }
                }
            }
        }
        for (position, row) in dx.chunks_exact_mut(width).enumerate() {
            let (at, lane) = lane(position, 1);
            let lanes = adjoint[at * dim..(at + 1) * dim].iter().chain(&total[at * letters..(at + 1) * letters]);
            for (to, from) in row.iter_mut().zip(lanes) {
                *to = from[lane];
            }
        }
    }
}
