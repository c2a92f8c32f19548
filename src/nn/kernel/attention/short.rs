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

/// One head's part of a projection, one row for each position, zero-padded to whole vectors.
#[inline(always)]
fn rows(to: &mut [f32], from: &[f32], stride: usize, width: usize) {
    for (to, from) in to.chunks_exact_mut(padded(width)).zip(from.chunks(stride)) {
        to[..width].copy_from_slice(&from[..width]);
    }
}

/// The same with a row for each number and a lane for each position.
#[inline(always)]
fn columns(to: &mut [f32], from: &[f32], stride: usize, width: usize, length: usize) {
    let lanes = padded(length);
    for (position, from) in from.chunks(stride).take(length).enumerate() {
        for (row, value) in to.chunks_exact_mut(lanes).zip(&from[..width]) {
            row[position] = *value;
        }
    }
}

/// to[j][i] = Σ_c a[j][c] b[c][i] over whole vectors.
#[inline(always)]
fn product<const F: bool>(to: &mut [f32], a: &[f32], b: &[f32], lanes: usize, width: usize) {
    for (to, a) in to.chunks_exact_mut(lanes).zip(a.chunks_exact(width)) {
        let a = a.as_chunks::<4>().0;
        for (at, to) in to.as_chunks_mut::<LANES>().0.iter_mut().enumerate() {
            // four sums, so that a multiplication need not wait for the one before
            let mut sums = [[0.0_f32; LANES]; 4];
            for (a, b) in a.iter().zip(b.chunks_exact(4 * lanes)) {
                for (index, sum) in sums.iter_mut().enumerate() {
                    let b = lane(&b[index * lanes..], at);
                    for (sum, b) in sum.iter_mut().zip(b) {
                        *sum = fma::<F>(a[index], *b, *sum);
                    }
                }
            }
            for (index, to) in to.iter_mut().enumerate() {
                *to = (sums[0][index] + sums[1][index]) + (sums[2][index] + sums[3][index]);
            }
        }
    }
}

/// Σⱼ weight(j) rows[j], for one vector of each row.
#[inline(always)]
fn mix<const F: bool>(rows: &[f32], width: usize, at: usize, weights: impl Iterator<Item = f32>) -> Lanes {
    let mut sum = [0.0_f32; LANES];
    for (row, weight) in rows.chunks_exact(width).zip(weights) {
        for (sum, value) in sum.iter_mut().zip(lane(row, at)) {
            *sum = fma::<F>(weight, *value, *sum);
        }
    }
    sum
}

#[inline(always)]
fn lane(row: &[f32], at: usize) -> &Lanes {
    &row.as_chunks::<LANES>().0[at]
}

/// Softmax down the rows, each lane by itself.
#[inline(always)]
fn softmax_down<const F: bool>(scores: &mut [f32], lanes: usize, scale: f32, bias: &[f32]) {
    for at in 0..lanes / LANES {
        let mut max = [f32::NEG_INFINITY; LANES];
        for (row, bias) in scores.chunks_exact_mut(lanes).zip(bias) {
            for (score, max) in row.as_chunks_mut::<LANES>().0[at].iter_mut().zip(&mut max) {
                *score = fma::<F>(*score, scale, *bias);
                *max = if *score > *max { *score } else { *max };
            }
        }
        let mut total = [0.0_f32; LANES];
        for row in scores.chunks_exact_mut(lanes) {
            for ((score, max), total) in row.as_chunks_mut::<LANES>().0[at].iter_mut().zip(&max).zip(&mut total) {
                *score = exp::<F>(*score - max);
                *total += *score;
            }
        }
        for total in &mut total {
            *total = 1.0 / *total;
        }
        for row in scores.chunks_exact_mut(lanes) {
            for (score, inverse) in row.as_chunks_mut::<LANES>().0[at].iter_mut().zip(&total) {
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
        to[first..first + LANES].copy_from_slice(&value);
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
            rows(&mut k, &from[dim..], stride, head_dim);
            rows(&mut v, &from[2 * dim..], stride, head_dim);
            let p = if kept.is_empty() {
                &mut own[..]
            } else {
                &mut kept[(item * heads + head) * length * lanes..][..length * lanes]
            };
            product::<F>(p, &k, &qt, lanes, width);
            softmax_down::<F>(p, lanes, sizes.scale(), &bias[item * length..]);
            for i in 0..length {
                let to = &mut out[(item * length + i) * dim + head * head_dim..][..head_dim];
                for at in 0..width / LANES {
                    store(to, at, head_dim, mix::<F>(&v, width, at, p.iter().skip(i).step_by(lanes).copied()));
                }
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
    let zeros = || vec![0.0; length * width];
    let (mut q, mut k, mut v, mut go) = (zeros(), zeros(), zeros(), zeros());
    let (mut gt, mut ds) = (vec![0.0; width * lanes], vec![0.0; length * lanes]);
    for item in 0..batch {
        for head in 0..heads {
            let start = item * length * stride + head * head_dim;
            let from = &qkv[start..];
            rows(&mut q, from, stride, head_dim);
            rows(&mut k, &from[dim..], stride, head_dim);
            rows(&mut v, &from[2 * dim..], stride, head_dim);
            let from = &g[item * length * dim + head * head_dim..];
            rows(&mut go, from, dim, head_dim);
            columns(&mut gt, from, dim, head_dim, length);
            let p = &kept[(item * heads + head) * length * lanes..][..length * lanes];
            product::<F>(&mut ds, &v, &gt, lanes, width);
            for at in 0..lanes / LANES {
                let mut mean = [0.0_f32; LANES];
                for (ds, p) in ds.chunks_exact(lanes).zip(p.chunks_exact(lanes)) {
                    for ((mean, ds), p) in mean.iter_mut().zip(lane(ds, at)).zip(lane(p, at)) {
                        *mean = fma::<F>(*ds, *p, *mean);
                    }
                }
                for (ds, p) in ds.chunks_exact_mut(lanes).zip(p.chunks_exact(lanes)) {
                    let ds = &mut ds.as_chunks_mut::<LANES>().0[at];
                    for ((ds, mean), p) in ds.iter_mut().zip(&mean).zip(lane(p, at)) {
                        *ds = p * (*ds - mean) * sizes.scale();
                    }
                }
            }
            for position in 0..length {
                let to = &mut d_qkv[start + position * stride..];
                for at in 0..width / LANES {
                    let down = ds.iter().skip(position).step_by(lanes).copied();
                    store(to, at, head_dim, mix::<F>(&k, width, at, down));
                    let along = ds[position * lanes..][..length].iter().copied();
                    store(&mut to[dim..], at, head_dim, mix::<F>(&q, width, at, along));
                    let along = p[position * lanes..][..length].iter().copied();
                    store(&mut to[2 * dim..], at, head_dim, mix::<F>(&go, width, at, along));
                }
            }
        }
    }
}
