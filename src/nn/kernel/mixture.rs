//! Overlaps, weights and slopes of a mixture of products, for one sequence.
//!
//! Components lie along the vectors, padded to whole ones with components of weight zero. Loops run over all components and
//! take a few letters at once, so that each number of a sequence that is loaded serves all of them.

use super::simd::{dispatch, fma};

/// Components are padded to a multiple of this.
const WIDTH: usize = 16;

/// Least overlap of a component with a position's letters, and least mean.
const FLOOR: f32 = 1e-12;

/// Positions after which the products are scaled: three overlaps of [`FLOOR`] are still a normal number.
const RESCALE: usize = 2;

#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) length: usize,
    pub(super) letters: usize,
    pub(super) components: usize,
}

impl Sizes {
    fn width(self) -> usize {
        self.components.next_multiple_of(WIDTH)
    }
}

/// Factors M (L, V, H) and weights exp(b − max b) (H), or their gradients; padded with zeros.
pub(super) struct Mixture {
    factors: Vec<f32>,
    weights: Vec<f32>,
    pub(super) sizes: Sizes,
}

impl Mixture {
    pub(super) fn new(factors: &[f32], logs: &[f32], sizes: Sizes) -> Self {
        let max = logs.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let mut mixture = Self::zeros(sizes);
        let rows = mixture.factors.chunks_exact_mut(sizes.width()).zip(factors.chunks_exact(sizes.components));
        for (row, factors) in rows {
            row[..sizes.components].copy_from_slice(factors);
        }
        for (weight, b) in mixture.weights.iter_mut().zip(logs) {
            *weight = (b - max).exp();
        }
        mixture
    }

    pub(super) fn zeros(sizes: Sizes) -> Self {
        let zeros = |n| vec![0.0; n * sizes.width()];
        Self { factors: zeros(sizes.length * sizes.letters), weights: zeros(1), sizes }
    }

    /// Gradients in the factors and in the log weights.
    pub(super) fn gradients(&self) -> (Vec<f32>, Vec<f32>) {
        let Sizes { components, .. } = self.sizes;
        let factors = self.factors.chunks_exact(self.sizes.width()).flat_map(|row| &row[..components]);
        (factors.copied().collect(), self.weights[..components].to_vec())
    }

    /// Factors of one position.
    fn at(&self, position: usize) -> &[f32] {
        let size = self.sizes.letters * self.sizes.width();
        &self.factors[position * size..(position + 1) * size]
    }
}

/// What a sequence needs. Rows are (L, H), padded.
pub(super) struct Scratch {
    overlaps: Vec<f32>,
    /// Not normalised: see `scales`.
    w: Vec<f32>,
    right: Vec<f32>,
    slopes: [Vec<f32>; 2],
    totals: [Vec<f32>; 2],
    /// What makes the weights of a position add up to 1, (L).
    scales: Vec<f32>,
    /// Σ_m w_im M_im(v), (L, V).
    pub(super) means: Vec<f32>,
    /// Coefficients of one position's letters.
    of_means: Vec<f32>,
}

impl Scratch {
    pub(super) fn new(s: Sizes) -> Self {
        let zeros = |n: usize| vec![0.0_f32; n * s.width()];
        Self {
            overlaps: zeros(s.length),
            w: zeros(s.length),
            right: zeros(1),
            slopes: [zeros(s.length), zeros(s.length)],
            totals: [zeros(1), zeros(1)],
            scales: vec![0.0; s.length],
            means: vec![0.0; s.length * s.letters],
            of_means: vec![0.0; s.letters],
        }
    }
}

/// What makes the largest entry 1.
#[inline(always)]
fn rescale(row: &[f32]) -> f32 {
    1.0 / super::softmax::maximum(row).max(f32::MIN_POSITIVE)
}

/// Sums of vectors. Not inlined: the compiler then keeps the running sums in whole vectors up to here.
#[inline(never)]
fn totals<const N: usize>(sums: &[[f32; WIDTH]; N]) -> [f32; N] {
    let mut to = [0.0; N];
    for (to, sums) in to.iter_mut().zip(sums) {
        let mut quarter = [0.0_f32; 4];
        for (index, sum) in quarter.iter_mut().enumerate() {
            *sum = (sums[index] + sums[index + 8]) + (sums[index + 4] + sums[index + 12]);
        }
        *to = (quarter[0] + quarter[2]) + (quarter[1] + quarter[3]);
    }
    to
}

/// Σ_m a_m
#[inline(always)]
fn sum(a: &[f32]) -> f32 {
    let mut sums = [[0.0_f32; WIDTH]; 1];
    for a in a.as_chunks::<WIDTH>().0 {
        for (sum, a) in sums[0].iter_mut().zip(a) {
            *sum += a;
        }
    }
    totals(&sums)[0]
}

/// Σ_m a_m b_m
#[inline(always)]
fn dot<const F: bool>(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [[0.0_f32; WIDTH]; 1];
    for (a, b) in a.as_chunks::<WIDTH>().0.iter().zip(b.as_chunks::<WIDTH>().0) {
        add_products::<F>(&mut sums[0], a, b);
    }
    totals(&sums)[0]
}

#[inline(always)]
fn add_products<const F: bool>(to: &mut [f32; WIDTH], a: &[f32; WIDTH], b: &[f32; WIDTH]) {
    for ((to, a), b) in to.iter_mut().zip(a).zip(b) {
        *to = fma::<F>(*a, *b, *to);
    }
}

/// Σ_m a_m b_m for four b.
#[inline(always)]
fn dot4<const F: bool>(a: &[f32], b: [&[f32]; 4]) -> [f32; 4] {
    let [b0, b1, b2, b3] = b.map(|b| b.as_chunks::<WIDTH>().0);
    let mut sums = [[0.0_f32; WIDTH]; 4];
    for ((((a, b0), b1), b2), b3) in a.as_chunks::<WIDTH>().0.iter().zip(b0).zip(b1).zip(b2).zip(b3) {
        add_products::<F>(&mut sums[0], a, b0);
        add_products::<F>(&mut sums[1], a, b1);
        add_products::<F>(&mut sums[2], a, b2);
        add_products::<F>(&mut sums[3], a, b3);
    }
    totals(&sums)
}

/// to ← start + a₀ m₀ + a₁ m₁ + a₂ m₂ + a₃ m₃
#[inline(always)]
fn set4<const F: bool>(
    to: &mut [f32],
    start: f32,
    a: [f32; 4],
    (m0, m1): (&[f32], &[f32]),
    (m2, m3): (&[f32], &[f32]),
) {
    for ((((to, m0), m1), m2), m3) in to.iter_mut().zip(m0).zip(m1).zip(m2).zip(m3) {
        *to = fma::<F>(a[3], *m3, fma::<F>(a[2], *m2, fma::<F>(a[1], *m1, fma::<F>(a[0], *m0, start))));
    }
}

/// to ← to + a m
#[inline(always)]
fn add_scaled<const F: bool>(to: &mut [f32], a: f32, m: &[f32]) {
    for (to, m) in to.iter_mut().zip(m) {
        *to = fma::<F>(a, *m, *to);
    }
}

/// The first four rows of `width`, and the others.
#[inline(always)]
fn four(rows: &[f32], width: usize) -> ([&[f32]; 4], &[f32]) {
    let (first, rest) = rows.split_at(4 * width);
    let (a, b) = first.split_at(2 * width);
    let ((a0, a1), (b0, b1)) = (a.split_at(width), b.split_at(width));
    ([a0, a1, b0, b1], rest)
}

/// to ← start + Σ_v a_v M(v) of one position.
#[inline(always)]
fn over_letters<const F: bool>(to: &mut [f32], factors: &[f32], start: f32, a: &[f32]) {
    let mut rest = factors;
    let mut a = a;
    if let [a0, a1, a2, a3, others @ ..] = a {
        let ([m0, m1, m2, m3], more) = four(factors, to.len());
        set4::<F>(to, start, [*a0, *a1, *a2, *a3], (m0, m1), (m2, m3));
        (a, rest) = (others, more);
    } else {
        to.fill(start);
    }
    for (a, factors) in a.iter().zip(rest.chunks_exact(to.len())) {
        add_scaled::<F>(to, *a, factors);
    }
}

dispatch!(
    /// Σ_m a_m M_m(v) of one position for every letter. A function of its own: inlined into larger ones the compiler leaves
    /// these sums scalar.
    over_components => over_components_body(a: &[f32], factors: &[f32], to: &mut [f32])
);

#[inline(always)]
fn over_components_body<const F: bool>(a: &[f32], factors: &[f32], to: &mut [f32]) {
    let (blocks, left) = to.as_chunks_mut::<4>();
    let mut rest = factors;
    for to in blocks {
        let (factors, more) = four(rest, a.len());
        *to = dot4::<F>(a, factors);
        rest = more;
    }
    for (to, factors) in left.iter_mut().zip(rest.chunks_exact(a.len())) {
        *to = dot::<F>(a, factors);
    }
}

#[inline(always)]
fn at_least(row: &mut [f32], least: f32) {
    for x in row {
        *x = if *x > least { *x } else { least };
    }
}

/// to ← before · scale · overlap
#[inline(always)]
fn product(to: &mut [f32], before: &[f32], scale: f32, overlaps: &[f32]) {
    for ((to, before), overlap) in to.iter_mut().zip(before).zip(overlaps) {
        *to = before * scale * overlap;
    }
}

dispatch!(
    /// to ← to · scale · by. A function of its own: inlined where positions run backwards, the compiler's check that the two do
    /// not overlap always fails, and the loop stays scalar.
    multiply => multiply_body(to: &mut [f32], scale: f32, by: &[f32])
);

#[inline(always)]
fn multiply_body<const F: bool>(to: &mut [f32], scale: f32, by: &[f32]) {
    for (to, by) in to.iter_mut().zip(by) {
        *to *= scale * by;
    }
}

dispatch!(
    /// Overlaps, weights and means for letter probabilities `p` (L, V).
    weigh => weigh_body(rest: &mut Scratch, mixture: &Mixture, p: &[f32])
);

#[inline(always)]
fn weigh_body<const F: bool>(rest: &mut Scratch, mixture: &Mixture, p: &[f32]) {
    let Sizes { length, letters, .. } = mixture.sizes;
    let width = mixture.sizes.width();
    // from the left into w, then times what comes from the right; common factors cancel
    rest.w[..width].copy_from_slice(&mixture.weights);
    for j in 0..length {
        let overlaps = &mut rest.overlaps[j * width..(j + 1) * width];
        over_letters::<F>(overlaps, mixture.at(j), 0.0, &p[j * letters..(j + 1) * letters]);
        at_least(overlaps, FLOOR);
        let (before, after) = rest.w.split_at_mut((j + 1) * width);
        if j + 1 < length {
            let before = &before[j * width..];
            let scale = if j % RESCALE == 1 { rescale(before) } else { 1.0 };
            product(&mut after[..width], before, scale, overlaps);
        }
    }
    rest.right.fill(1.0);
    for j in (0..length).rev() {
        let here = j * width..(j + 1) * width;
        let (w, overlaps) = (&mut rest.w[here.clone()], &rest.overlaps[here]);
        let scale = if j % RESCALE == 1 { rescale(&rest.right) } else { 1.0 };
        multiply(w, scale, &rest.right);
        multiply(&mut rest.right, scale, overlaps);
        let scale = 1.0 / sum(w).max(f32::MIN_POSITIVE);
        rest.scales[j] = scale;
        let means = &mut rest.means[j * letters..(j + 1) * letters];
        over_components(w, mixture.at(j), means);
        for mean in means {
            *mean = (*mean * scale).max(FLOOR);
        }
    }
}

/// slope ← slope · w, total ← total + slope: from now on the slope in log w, unnormalised.
#[inline(always)]
fn of_logs(slopes: &mut [f32], w: &[f32], totals: &mut [f32]) {
    for ((slope, w), total) in slopes.iter_mut().zip(w).zip(totals) {
        *slope *= w;
        *total += *slope;
    }
}

/// slope ← (total − slope) / overlap: from now on the slope in the overlap.
#[inline(always)]
fn of_overlaps(slopes: &mut [f32], totals: &[f32], overlaps: &[f32]) {
    for ((slope, total), overlap) in slopes.iter_mut().zip(totals).zip(overlaps) {
        *slope = (total - *slope) / overlap;
    }
}

/// to ← to + a w + p s
#[inline(always)]
fn add_both<const F: bool>(to: &mut [f32], (a, w): (f32, &[f32]), (p, s): (f32, &[f32])) {
    for ((to, w), s) in to.iter_mut().zip(w).zip(s) {
        *to = fma::<F>(p, *s, fma::<F>(a, *w, *to));
    }
}

/// a ← g / mean · scale
#[inline(always)]
fn of_means(a: &mut [f32], g: &[f32], means: &[f32], scale: f32) {
    for ((a, g), mean) in a.iter_mut().zip(g).zip(means) {
        *a = g / mean * scale;
    }
}

dispatch!(
    /// Pulls gradients (L, V) of the log means back, after [`weigh`] of the same `p`: `g` to the mixture, and to `dp` as well
    /// unless another one takes its place there.
    pull_back => pull_back_body(
        rest: &mut Scratch, slopes: &mut Mixture, mixture: &Mixture, p: &[f32], g: &[f32], other: Option<&[f32]>,
        dp: &mut [f32],
    )
);

#[inline(always)]
fn pull_back_body<const F: bool>(
    rest: &mut Scratch,
    slopes: &mut Mixture,
    mixture: &Mixture,
    p: &[f32],
    g: &[f32],
    other: Option<&[f32]>,
    dp: &mut [f32],
) {
    let letters = mixture.sizes.letters;
    let width = mixture.sizes.width();
    let Scratch { overlaps, w, slopes: both, totals, scales, means, of_means: a, .. } = rest;
    for ((to, totals), g) in both.iter_mut().zip(totals.iter_mut()).zip([Some(g), other].into_iter().flatten()) {
        totals.fill(0.0);
        for (j, scale) in scales.iter().enumerate() {
            let (here, letters_here) = (j * width..(j + 1) * width, j * letters..(j + 1) * letters);
            let g = &g[letters_here.clone()];
            of_means(a, g, &means[letters_here], *scale);
            let to = &mut to[here.clone()];
            over_letters::<F>(to, mixture.at(j), -scale * g.iter().sum::<f32>(), a);
            of_logs(to, &w[here], totals);
        }
        for (to, overlaps) in to.chunks_exact_mut(width).zip(overlaps.chunks_exact(width)) {
            of_overlaps(to, totals, overlaps);
        }
    }
    add_scaled::<F>(&mut slopes.weights, 1.0, &totals[0]);
    let last = usize::from(other.is_some());
    for (j, scale) in scales.iter().enumerate() {
        let (here, letters_here) = (j * width..(j + 1) * width, j * letters..(j + 1) * letters);
        over_components(&both[last][here.clone()], mixture.at(j), &mut dp[letters_here.clone()]);
        of_means(a, &g[letters_here.clone()], &means[letters_here.clone()], *scale);
        let rows = slopes.factors[letters_here.start * width..letters_here.end * width].chunks_exact_mut(width);
        for ((to, a), p) in rows.zip(&*a).zip(&p[letters_here]) {
            add_both::<F>(to, (*a, &w[here.clone()]), (*p, &both[0][here.clone()]));
        }
    }
}
