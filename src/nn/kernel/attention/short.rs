//! Short sequences: loops over vectors of eight queries, without a matrix product's start-up cost.
//!
//! Scores are kept transposed, a row for each key and a lane for each query, so that the softmax over keys runs down
//! the rows in every lane at once.

use super::Sizes;
use crate::nn::kernel::simd::{dispatch, exp, fma};

const LANES: usize = 8;
type Lanes = [f32; LANES];

/// Queries rounded up to whole vectors.
fn padded(n: usize) -> usize {
    n.next_multiple_of(LANES)
}

/// Numbers in the probabilities of all heads.
pub(super) fn kept_len(sizes: Sizes) -> usize {
    sizes.batch * sizes.heads * sizes.length * padded(sizes.length)
}

dispatch!(forward => forward_body(out: &mut [f32], kept: &mut [f32], qkv: &[f32], bias: &[f32], sizes: Sizes));
dispatch!(backward => backward_body(d_qkv: &mut [f32], kept: &[f32], qkv: &[f32], g: &[f32], sizes: Sizes));

/// One head's part of a projection: a row of whole vectors for each position.
#[derive(Clone, Copy)]
struct Rows<'a> {
    data: &'a [f32],
    stride: usize,
}

impl<'a> Rows<'a> {
    /// The rows in place, or copied to `packed` with zeros behind them when they are not whole vectors.
    #[inline(always)]
    fn new(packed: &'a mut [f32], from: &'a [f32], stride: usize, width: usize) -> Self {
        if width.is_multiple_of(LANES) {
            return Self { data: from, stride };
        }
        for (to, from) in packed.chunks_exact_mut(padded(width)).zip(from.chunks(stride)) {
            to[..width].copy_from_slice(&from[..width]);
        }
        Self { data: packed, stride: padded(width) }
    }

    #[inline(always)]
    fn lane(self, row: usize, at: usize) -> &'a Lanes {
        lane(self.data, row * self.stride + at * LANES)
    }
}

// The loops below count, because a chunk iterator divides when it is made, which costs as much as a short loop.

/// Eight numbers from `start` on.
#[inline(always)]
fn lane(data: &[f32], start: usize) -> &Lanes {
    &data[start..start + LANES].as_chunks().0[0]
}

/// As [`lane`], to write to.
#[inline(always)]
fn lane_mut(data: &mut [f32], start: usize) -> &mut Lanes {
    &mut data[start..start + LANES].as_chunks_mut().0[0]
}

/// The transpose of a head's part: a row for each number and a lane for each position, zero in unused lanes.
#[inline(always)]
fn columns(to: &mut [f32], from: &[f32], stride: usize, width: usize, length: usize) {
    let lanes = padded(length);
    for first in (0..lanes).step_by(LANES) {
        if first + LANES <= length {
            let [r0, r1, r2, r3, r4, r5, r6, r7]: [&[f32]; LANES] =
                std::array::from_fn(|lane| &from[(first + lane) * stride..][..width]);
            for c in 0..width {
                *lane_mut(to, c * lanes + first) = [r0[c], r1[c], r2[c], r3[c], r4[c], r5[c], r6[c], r7[c]];
            }
        } else {
            for position in first..length {
                for c in 0..width {
                    to[c * lanes + position] = from[position * stride + c];
                }
            }
        }
    }
}

/// `to[j][i] = Σ_c a[j][c] b[c][i]` for `length` rows of whole vectors.
#[inline(always)]
fn product<const F: bool>(to: &mut [f32], a: Rows<'_>, b: &[f32], length: usize, width: usize) {
    let lanes = padded(length);
    // four rows at a time, so that each vector of b is read once for all; rows behind the last are read twice
    for row in (0..length).step_by(4) {
        let [a0, a1, a2, a3]: [&[f32]; 4] =
            std::array::from_fn(|r| &a.data[(row + r).min(length - 1) * a.stride..][..width]);
        for first in (0..lanes).step_by(LANES) {
            let (mut s0, mut s1) = ([0.0_f32; LANES], [0.0_f32; LANES]);
            let (mut s2, mut s3) = (s0, s1);
            for c in 0..width {
                let b = lane(b, c * lanes + first);
                axpy::<F>(&mut s0, a0[c], b);
                axpy::<F>(&mut s1, a1[c], b);
                axpy::<F>(&mut s2, a2[c], b);
                axpy::<F>(&mut s3, a3[c], b);
            }
            for (r, sum) in [s0, s1, s2, s3].into_iter().enumerate().take(length - row) {
                *lane_mut(to, (row + r) * lanes + first) = sum;
            }
        }
    }
}

/// Writes `Σⱼ weight(j) rows[j]` over `length` rows of `width` numbers.
#[inline(always)]
fn mix<const F: bool>(to: &mut [f32], rows: Rows<'_>, length: usize, width: usize, weight: impl Fn(usize) -> f32) {
    let vectors = width.div_ceil(LANES);
    // four vectors at a time, so that a multiplication need not wait for the one before
    let whole = vectors / 4 * 4;
    for at in (0..whole).step_by(4) {
        let (mut s0, mut s1) = ([0.0_f32; LANES], [0.0_f32; LANES]);
        let (mut s2, mut s3) = (s0, s1);
        for j in 0..length {
            let (weight, row) = (weight(j), &rows.data[j * rows.stride + at * LANES..][..4 * LANES]);
            axpy::<F>(&mut s0, weight, lane(row, 0));
            axpy::<F>(&mut s1, weight, lane(row, LANES));
            axpy::<F>(&mut s2, weight, lane(row, 2 * LANES));
            axpy::<F>(&mut s3, weight, lane(row, 3 * LANES));
        }
        for (vector, sum) in [s0, s1, s2, s3].into_iter().enumerate() {
            store(to, at + vector, width, sum);
        }
    }
    for at in whole..vectors {
        let mut sum = [0.0_f32; LANES];
        for j in 0..length {
            axpy::<F>(&mut sum, weight(j), rows.lane(j, at));
        }
        store(to, at, width, sum);
    }
}

/// y ← y + a x
#[inline(always)]
fn axpy<const F: bool>(y: &mut Lanes, a: f32, x: &Lanes) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = fma::<F>(a, *x, *y);
    }
}

/// Softmax down the rows, each lane by itself.
#[inline(always)]
fn softmax_down<const F: bool>(scores: &mut [f32], lanes: usize, scale: f32, bias: &[f32]) {
    let length = scores.len() / lanes;
    for first in (0..lanes).step_by(LANES) {
        let mut max = [f32::NEG_INFINITY; LANES];
        for (j, bias) in bias[..length].iter().enumerate() {
            for (score, max) in lane_mut(scores, j * lanes + first).iter_mut().zip(&mut max) {
                *score = fma::<F>(*score, scale, *bias);
                *max = if *score > *max { *score } else { *max };
            }
        }
        let mut total = [0.0_f32; LANES];
        for j in 0..length {
            for ((score, max), total) in lane_mut(scores, j * lanes + first).iter_mut().zip(&max).zip(&mut total) {
                *score = exp::<F>(*score - max);
                *total += *score;
            }
        }
        let inverse = total.map(|total| 1.0 / total);
        for j in 0..length {
            for (score, inverse) in lane_mut(scores, j * lanes + first).iter_mut().zip(&inverse) {
                *score *= inverse;
            }
        }
    }
}

/// Writes the first `width` numbers of a row from whole vectors.
#[inline(always)]
fn store(to: &mut [f32], at: usize, width: usize, value: Lanes) {
    let first = at * LANES;
    if first + LANES <= width {
        *lane_mut(to, first) = value;
    } else {
        to[first..width].copy_from_slice(&value[..width - first]);
    }
}

#[inline(always)]
fn forward_body<const F: bool>(out: &mut [f32], kept: &mut [f32], qkv: &[f32], bias: &[f32], sizes: Sizes) {
    let Sizes { batch, length, dim, heads } = sizes;
    let (head_dim, lanes, stride) = (sizes.head_dim(), padded(length), 3 * dim);
    let width = padded(head_dim);
    let (mut k, mut v) = (vec![0.0; length * width], vec![0.0; length * width]);
    let (mut qt, mut own) = (vec![0.0; width * lanes], vec![0.0; length * lanes]);
    for item in 0..batch {
        for head in 0..heads {
            let from = &qkv[item * length * stride + head * head_dim..];
            columns(&mut qt, from, stride, head_dim, length);
            let k = Rows::new(&mut k, &from[dim..], stride, head_dim);
            let v = Rows::new(&mut v, &from[2 * dim..], stride, head_dim);
            let p = if kept.is_empty() {
                &mut own[..]
            } else {
                &mut kept[(item * heads + head) * length * lanes..][..length * lanes]
            };
            product::<F>(p, k, &qt, length, width);
            softmax_down::<F>(p, lanes, sizes.scale(), &bias[item * length..]);
            for i in 0..length {
                let to = &mut out[(item * length + i) * dim + head * head_dim..][..head_dim];
                mix::<F>(to, v, length, head_dim, |j| p[j * lanes + i]);
            }
        }
    }
}

/// dp = v gᵀ, ds = p (dp − Σ p dp) scale, dq = dsᵀ k, dk = ds q, dv = p g, all with a row for each key.
#[inline(always)]
fn backward_body<const F: bool>(d_qkv: &mut [f32], kept: &[f32], qkv: &[f32], g: &[f32], sizes: Sizes) {
    let Sizes { batch, length, dim, heads } = sizes;
    let (head_dim, lanes, stride) = (sizes.head_dim(), padded(length), 3 * dim);
    let width = padded(head_dim);
    let scale = sizes.scale();
    let zeros = || vec![0.0; length * width];
    let (mut q, mut k, mut v, mut go) = (zeros(), zeros(), zeros(), zeros());
    let (mut gt, mut ds) = (vec![0.0; width * lanes], vec![0.0; length * lanes]);
    for item in 0..batch {
        for head in 0..heads {
            let start = item * length * stride + head * head_dim;
            let from = &qkv[start..];
            let q = Rows::new(&mut q, from, stride, head_dim);
            let k = Rows::new(&mut k, &from[dim..], stride, head_dim);
            let v = Rows::new(&mut v, &from[2 * dim..], stride, head_dim);
            let from = &g[item * length * dim + head * head_dim..];
            let go = Rows::new(&mut go, from, dim, head_dim);
            columns(&mut gt, from, dim, head_dim, length);
            let p = &kept[(item * heads + head) * length * lanes..][..length * lanes];
            product::<F>(&mut ds, v, &gt, length, width);
            for first in (0..lanes).step_by(LANES) {
                let mut mean = [0.0_f32; LANES];
                for j in 0..length {
                    let at = j * lanes + first;
                    for ((mean, ds), p) in mean.iter_mut().zip(lane(&ds, at)).zip(lane(p, at)) {
                        *mean = fma::<F>(*ds, *p, *mean);
                    }
                }
                for j in 0..length {
                    let at = j * lanes + first;
                    for ((ds, mean), p) in lane_mut(&mut ds, at).iter_mut().zip(&mean).zip(lane(p, at)) {
                        *ds = p * (*ds - mean) * scale;
                    }
                }
            }
            for position in 0..length {
                let to = &mut d_qkv[start + position * stride..];
                mix::<F>(to, k, length, head_dim, |j| ds[j * lanes + position]);
                mix::<F>(&mut to[dim..], q, length, head_dim, |i| ds[position * lanes + i]);
                mix::<F>(&mut to[2 * dim..], go, length, head_dim, |i| p[position * lanes + i]);
            }
        }
    }
}
