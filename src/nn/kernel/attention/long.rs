//! Long sequences: matrix products for each head on an L × L scratch.

use super::Sizes;
use crate::nn::kernel::matmul::{View, matmul};
use crate::nn::kernel::softmax::{softmax_chain, softmax_rows};

/// Where one head of one item lies.
struct Head<'a> {
    qkv: &'a [f32],
    dim: usize,
    /// Rows of the queries, keys or values.
    rows: View,
    scale: f32,
    bias: &'a [f32],
}

impl Head<'_> {
    fn part(&self, index: usize) -> &[f32] {
        &self.qkv[index * self.dim..]
    }

    /// p ← softmax(q kᵀ scale + bias)
    fn probabilities(&self, p: &mut [f32]) {
        let length = self.rows.rows;
        matmul((p, View::dense(length, length)), (self.part(0), self.rows), (self.part(1), self.rows.t()), false);
        for row in p.chunks_exact_mut(length) {
            for (score, bias) in row.iter_mut().zip(self.bias) {
                *score = *score * self.scale + bias;
            }
        }
        softmax_rows(p, length);
    }
}

/// Calls `work` for every head with its place, the offset of its output and the offset of its item's projection.
fn for_each_head(qkv: &[f32], bias: &[f32], sizes: Sizes, mut work: impl FnMut(&Head<'_>, usize, usize)) {
    let (length, dim) = (sizes.length, sizes.dim);
    for item in 0..sizes.batch {
        for head in 0..sizes.heads {
            let at = head * sizes.head_dim();
            let place = Head {
                qkv: &qkv[item * length * 3 * dim + at..],
                dim,
                rows: View::rows(length, sizes.head_dim(), 3 * dim),
                scale: sizes.scale(),
                bias: &bias[item * length..][..length],
            };
            work(&place, item * length * dim + at, item * length * 3 * dim + at);
        }
    }
}

pub(super) fn forward(out: &mut [f32], qkv: &[f32], bias: &[f32], sizes: Sizes) {
    let length = sizes.length;
    let square = View::dense(length, length);
    let mut p = vec![0.0; length * length];
    for_each_head(qkv, bias, sizes, |head, at, _| {
        head.probabilities(&mut p);
        let target = View::rows(length, sizes.head_dim(), sizes.dim);
        matmul((&mut out[at..], target), (&p, square), (head.part(2), head.rows), false);
    });
}

pub(super) fn backward(d_qkv: &mut [f32], qkv: &[f32], g: &[f32], bias: &[f32], sizes: Sizes) {
    let (length, dim) = (sizes.length, sizes.dim);
    let square = View::dense(length, length);
    let (mut p, mut ds) = (vec![0.0; length * length], vec![0.0; length * length]);
    for_each_head(qkv, bias, sizes, |head, at, at_qkv| {
        head.probabilities(&mut p);
        let g = (&g[at..], View::rows(length, sizes.head_dim(), dim));
        matmul((&mut ds, square), g, (head.part(2), head.rows.t()), false);
        softmax_chain(&mut ds, &p, length);
        for ds in &mut ds {
            *ds *= head.scale;
        }
        matmul((&mut d_qkv[at_qkv..], head.rows), (&ds, square), (head.part(1), head.rows), false);
        matmul((&mut d_qkv[at_qkv + dim..], head.rows), (&ds, square.t()), (head.part(0), head.rows), false);
        matmul((&mut d_qkv[at_qkv + 2 * dim..], head.rows), (&p, square.t()), g, false);
    });
}
