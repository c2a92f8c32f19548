//! Long sequences: 32 queries at a time against all keys, so that scores stay in the nearest caches.
//!
//! Scores are transposed, a row for each key and a column for each query, so that the softmax runs down the rows in
//! every lane at once. What the way back needs of it is log Σⱼ exp sᵢⱼ for each query (Dao et al. 2022, arXiv 2205.14135).

use super::Sizes;
use crate::nn::kernel::buffer::Buffer;
use crate::nn::kernel::simd::{dispatch, exp, fma, sum2};
use crate::nn::kernel::tile::{HEIGHT, Left, Product, WIDTH};

/// Queries treated together.
const QUERIES: usize = 32;
type Lanes = [f32; QUERIES];

/// Numbers that the forward pass keeps.
pub(super) fn kept_len(sizes: Sizes) -> usize {
    sizes.batch * sizes.heads * sizes.length
}

/// One head's rows of queries, keys, values or gradients.
#[derive(Clone, Copy)]
struct Rows<'a> {
    data: &'a [f32],
    stride: usize,
}

impl<'a> Rows<'a> {
    /// The rows in place, or copied with zeros behind them where they are not whole vectors.
    fn whole(self, copy: &'a mut [f32], width: usize) -> Self {
        if width.is_multiple_of(WIDTH) {
            return self;
        }
        let stride = width.next_multiple_of(WIDTH);
        for (to, from) in copy.chunks_exact_mut(stride).zip(self.data.chunks(self.stride)) {
            to[..width].copy_from_slice(&from[..width]);
            to[width..].fill(0.0);
        }
        Rows { data: copy, stride }
    }

    fn from(self, row: usize) -> &'a [f32] {
        &self.data[row * self.stride..]
    }

    /// The transpose of `count` rows: a row for each number and a lane for each row, zero in unused lanes.
    fn columns(self, to: &mut [f32], first: usize, count: usize, width: usize) {
        to.fill(0.0);
        for (lane, row) in self.from(first).chunks(self.stride).take(count).enumerate() {
            for (to, x) in to.chunks_exact_mut(QUERIES).zip(&row[..width]) {
                to[lane] = *x;
            }
        }
    }
}

/// Calls `work` for every head with its number and the offsets of its numbers in a projection and in a result.
fn for_each_head(sizes: Sizes, mut work: impl FnMut(usize, usize, usize)) {
    for item in 0..sizes.batch {
        for head in 0..sizes.heads {
            let (row, at) = (item * sizes.length, head * sizes.head_dim());
            work(item * sizes.heads + head, row * 3 * sizes.dim + at, row * sizes.dim + at);
        }
    }
}

/// Scratch of both passes.
struct Scratch {
    height: usize,
    width: usize,
    queries: Buffer,
    scores: Buffer,
    result: Buffer,
}

impl Scratch {
    fn new(sizes: Sizes) -> Self {
        let (height, width) = (sizes.length.next_multiple_of(HEIGHT), sizes.head_dim().next_multiple_of(WIDTH));
        Self {
            height,
            width,
            queries: Buffer::new(sizes.head_dim() * QUERIES),
            scores: Buffer::new(height * QUERIES),
            result: Buffer::new(QUERIES * width),
        }
    }
}

/// scores ← rows · queries, with a row for each of `length` rows and a column for each query
fn against_queries(scores: &mut [f32], height: usize, rows: Rows<'_>, length: usize, queries: &[f32]) {
    let left = Left::Rows { data: rows.data, stride: rows.stride, rows: length };
    let depth = queries.len() / QUERIES;
    let (right, right_stride) = (queries, QUERIES);
    Product { to: scores, height, width: QUERIES, depth, left, right, right_stride, add: false }.run();
}

/// to ← scoresᵀ · rows, with a row for each query
fn mix(to: &mut [f32], width: usize, scores: &[f32], length: usize, rows: Rows<'_>) {
    let left = Left::Columns { data: scores, stride: QUERIES };
    let (right, right_stride) = (rows.data, rows.stride);
    Product { to, height: QUERIES, width, depth: length, left, right, right_stride, add: false }.run();
}

pub(super) fn forward(out: &mut [f32], kept: &mut [f32], qkv: &[f32], bias: &[f32], sizes: Sizes) {
    let (length, dim, head_dim) = (sizes.length, sizes.dim, sizes.head_dim());
    let mut scratch = Scratch::new(sizes);
    let Scratch { height, width, .. } = scratch;
    let mut copy = Buffer::new(length * width);
    for_each_head(sizes, |head, at, at_out| {
        let part = |index: usize| Rows { data: &qkv[at + index * dim..], stride: 3 * dim };
        let (q, k, v) = (part(0), part(1), part(2).whole(&mut copy, head_dim));
        let bias = &bias[head / sizes.heads * length..][..length];
        for first in (0..length).step_by(QUERIES) {
            let count = QUERIES.min(length - first);
            q.columns(&mut scratch.queries, first, count, head_dim);
            against_queries(&mut scratch.scores, height, k, length, &scratch.queries);
            let (mut total, mut log_total) = ([0.0; QUERIES], [0.0; QUERIES]);
            softmax(&mut scratch.scores[..length * QUERIES], &mut total, &mut log_total, bias, sizes.scale());
            mix(&mut scratch.result, width, &scratch.scores, length, v);
            let rows = out[at_out + first * dim..].chunks_mut(dim).zip(scratch.result.chunks_exact(width));
            for ((to, from), total) in rows.zip(&total[..count]) {
                let inverse = 1.0 / total;
                for (to, from) in to[..head_dim].iter_mut().zip(from) {
                    *to = from * inverse;
                }
            }
            if !kept.is_empty() {
                kept[head * length + first..][..count].copy_from_slice(&log_total[..count]);
            }
        }
    });
}

pub(super) fn backward(
    d_qkv: &mut [f32],
    kept: &[f32],
    qkv: &[f32],
    (out, g): (&[f32], &[f32]),
    bias: &[f32],
    sizes: Sizes,
) {
    let (length, dim, head_dim) = (sizes.length, sizes.dim, sizes.head_dim());
    let mut scratch = Scratch::new(sizes);
    let Scratch { height, width, .. } = scratch;
    let mut d_scores = Buffer::new(height * QUERIES);
    let mut g_columns = Buffer::new(head_dim * QUERIES);
    let (mut dk, mut dv) = (Buffer::new(height * width), Buffer::new(height * width));
    let (mut copy_q, mut copy_k, mut copy_g) =
        (Buffer::new(length * width), Buffer::new(length * width), Buffer::new(length * width));
    for_each_head(sizes, |head, at, at_out| {
        let part = |index: usize| Rows { data: &qkv[at + index * dim..], stride: 3 * dim };
        let of_result = |data| Rows { data, stride: dim };
        let (q, k, v) = (part(0).whole(&mut copy_q, head_dim), part(1).whole(&mut copy_k, head_dim), part(2));
        let (g, out) = (of_result(&g[at_out..]).whole(&mut copy_g, head_dim), of_result(&out[at_out..]));
        let bias = &bias[head / sizes.heads * length..][..length];
        for first in (0..length).step_by(QUERIES) {
            let count = QUERIES.min(length - first);
            q.columns(&mut scratch.queries, first, count, head_dim);
            g.columns(&mut g_columns, first, count, head_dim);
            let (mut log_total, mut mean) = ([0.0; QUERIES], [0.0; QUERIES]);
            log_total[..count].copy_from_slice(&kept[head * length + first..][..count]);
            for (lane, mean) in mean[..count].iter_mut().enumerate() {
                *mean = dot(&g.from(first + lane)[..head_dim], &out.from(first + lane)[..head_dim]);
            }
            against_queries(&mut scratch.scores, height, k, length, &scratch.queries);
            against_queries(&mut d_scores, height, v, length, &g_columns);
            let (p, ds) = (&mut scratch.scores[..length * QUERIES], &mut d_scores[..length * QUERIES]);
            softmax_back(p, ds, &log_total, &mean, bias, sizes.scale());
            mix(&mut scratch.result, width, &d_scores, length, k);
            store(&mut d_qkv[at + first * 3 * dim..], 3 * dim, &scratch.result, width, (count, head_dim));
            for (to, scores, rows) in [(&mut dk, &d_scores, q), (&mut dv, &scratch.scores, g)] {
                let left = Left::Rows { data: scores, stride: QUERIES, rows: length };
                let (right, right_stride) = (rows.from(first), rows.stride);
                let add = first > 0;
                Product { to, height, width, depth: count, left, right, right_stride, add }.run();
            }
        }
        store(&mut d_qkv[at + dim..], 3 * dim, &dk, width, (length, head_dim));
        store(&mut d_qkv[at + 2 * dim..], 3 * dim, &dv, width, (length, head_dim));
    });
}

/// Copies `count` rows of `width` numbers from rows of `stride`.
fn store(to: &mut [f32], to_stride: usize, from: &[f32], stride: usize, (count, width): (usize, usize)) {
    for (to, from) in to.chunks_mut(to_stride).zip(from.chunks_exact(stride)).take(count) {
        to[..width].copy_from_slice(&from[..width]);
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum2(a, b, |a, b| a * b)
}

dispatch!(
    /// s ← exp(s scale + bias − max) down the rows; the sums of each column, and log Σ exp(s scale + bias).
    softmax => softmax_body(s: &mut [f32], total: &mut Lanes, log_total: &mut Lanes, bias: &[f32], scale: f32)
);
dispatch!(
    /// s ← p = exp(s scale + bias − log_total), dp ← p (dp − mean) scale
    softmax_back => softmax_back_body(
        s: &mut [f32], dp: &mut [f32], log_total: &Lanes, mean: &Lanes, bias: &[f32], scale: f32,
    )
);

#[inline(always)]
fn softmax_body<const F: bool>(s: &mut [f32], total: &mut Lanes, log_total: &mut Lanes, bias: &[f32], scale: f32) {
    let (rows, _) = s.as_chunks_mut::<QUERIES>();
    let mut max = [f32::NEG_INFINITY; QUERIES];
    for (row, bias) in rows.iter_mut().zip(bias) {
        for (s, max) in row.iter_mut().zip(&mut max) {
            *s = fma::<F>(*s, scale, *bias);
            *max = if *s > *max { *s } else { *max };
        }
    }
    let mut sum = [0.0; QUERIES];
    for row in rows {
        for ((s, max), sum) in row.iter_mut().zip(&max).zip(&mut sum) {
            *s = exp::<F>(*s - max);
            *sum += *s;
        }
    }
    for ((log_total, sum), max) in log_total.iter_mut().zip(&sum).zip(&max) {
        *log_total = max + sum.ln();
    }
    *total = sum;
}

#[inline(always)]
fn softmax_back_body<const F: bool>(
    s: &mut [f32],
    dp: &mut [f32],
    log_total: &Lanes,
    mean: &Lanes,
    bias: &[f32],
    scale: f32,
) {
    let rows = s.as_chunks_mut::<QUERIES>().0.iter_mut().zip(dp.as_chunks_mut::<QUERIES>().0);
    for ((s, dp), bias) in rows.zip(bias) {
        for (((s, dp), log_total), mean) in s.iter_mut().zip(dp).zip(log_total).zip(mean) {
            *s = exp::<F>(fma::<F>(*s, scale, bias - log_total));
            *dp = *s * (*dp - mean) * scale;
        }
    }
}
