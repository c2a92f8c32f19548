//! Products of small matrices that stay in the nearest caches, in vectors as wide as the processor's.
//!
//! A general matrix product first copies its operands into the order it wants them in. Where they are small and near
//! already, that costs as much as the product.

use pulp::{Arch, Simd, WithSimd};

/// A row of every right operand, result and scratch is a multiple of this long.
pub(super) const WIDTH: usize = 16;

/// Results have a multiple of so many rows.
pub(super) const HEIGHT: usize = 8;

/// Where the left operand's numbers lie.
#[derive(Clone, Copy)]
pub(super) enum Left<'a> {
    /// `a[m][k]` in rows `stride` apart; the last of `rows` stands in for those behind it.
    Rows { data: &'a [f32], stride: usize, rows: usize },
    /// `a[m][k]` at `k · stride + m`.
    Columns { data: &'a [f32], stride: usize },
}

/// `to[m][n] = Σ_k a[m][k] b[k][n]`, or adds that to it.
pub(super) struct Product<'a> {
    pub(super) to: &'a mut [f32],
    /// Rows of the result: a multiple of [`HEIGHT`], `width` apart.
    pub(super) height: usize,
    /// Columns of the result: a multiple of [`WIDTH`].
    pub(super) width: usize,
    pub(super) depth: usize,
    pub(super) left: Left<'a>,
    /// `b[k][n]` in rows `right_stride` apart.
    pub(super) right: &'a [f32],
    pub(super) right_stride: usize,
    pub(super) add: bool,
}

impl Product<'_> {
    pub(super) fn run(self) {
        assert!(self.height.is_multiple_of(HEIGHT) && self.width.is_multiple_of(WIDTH));
        Arch::new().dispatch(self);
    }

    #[inline(always)]
    fn blocks<S: Simd, const M: usize>(mut self, simd: S) {
        let lanes = S::F32_LANES;
        let pairs = self.width / (2 * lanes) * 2 * lanes;
        for row in (0..self.height).step_by(M) {
            for column in (0..pairs).step_by(2 * lanes) {
                self.block::<S, M, 2>(simd, row, column);
            }
            for column in (pairs..self.width).step_by(lanes) {
                self.block::<S, M, 1>(simd, row, column);
            }
        }
    }

    #[inline(always)]
    fn block<S: Simd, const M: usize, const N: usize>(&mut self, simd: S, row: usize, column: usize) {
        match self.left {
            Left::Rows { data, stride, rows } => {
                let lines: [&[f32]; M] =
                    std::array::from_fn(|m| &data[(row + m).min(rows - 1) * stride..][..self.depth]);
                self.sums::<S, M, N>(simd, row, column, |k| std::array::from_fn(|m| lines[m][k]));
            }
            Left::Columns { data, stride } => {
                let data = &data[row..];
                self.sums::<S, M, N>(simd, row, column, |k| {
                    let at = &data[k * stride..][..M];
                    std::array::from_fn(|m| at[m])
                });
            }
        }
    }

    #[inline(always)]
    fn sums<S: Simd, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        row: usize,
        column: usize,
        left: impl Fn(usize) -> [f32; M],
    ) {
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        let right = &self.right[column..];
        for k in 0..self.depth {
            let (b, _) = S::as_simd_f32s(&right[k * self.right_stride..][..N * S::F32_LANES]);
            let b: [S::f32s; N] = std::array::from_fn(|n| b[n]);
            let a = left(k);
            for m in 0..M {
                let a = simd.splat_f32s(a[m]);
                for n in 0..N {
                    sums[m][n] = simd.mul_add_e_f32s(a, b[n], sums[m][n]);
                }
            }
        }
        for (m, sums) in sums.iter().enumerate() {
            let (to, _) = S::as_mut_simd_f32s(&mut self.to[(row + m) * self.width + column..][..N * S::F32_LANES]);
            for (to, sum) in to.iter_mut().zip(sums) {
                *to = if self.add { simd.add_f32s(*to, *sum) } else { *sum };
            }
        }
    }
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // sums of 8 x 2 vectors fill 16 of 32 registers; where there are 16 registers, half as many
        if S::F32_LANES == WIDTH {
            self.blocks::<S, 8>(simd);
        } else {
            self.blocks::<S, 4>(simd);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;
    use proptest::prelude::*;

    /// A product of other vectors than this processor's own.
    struct Narrow<'a>(Product<'a>);

    proptest! {
        #![proptest_config(check::cases())]

        #[test]
        fn it_is_the_sum_of_products(
            (rows, columns, depth) in (1_usize..4, 1_usize..5, 1_usize..20), by_rows: bool, add: bool, narrow: bool,
            seed in 0_u64..1000,
        ) {
            let (height, width, short) = (rows * HEIGHT, columns * WIDTH, rows * HEIGHT - 3);
            let numbers = |seed, n: usize| check::normal_f32(seed, &[n]).to_vec1::<f32>().unwrap();
            // operands inside larger ones
            let (a, b) = (numbers(seed, (height + 2) * (depth + 3) * 2), numbers(seed + 1, depth * (width + 5)));
            let mut to = numbers(seed + 2, height * width);
            let start = to.clone();
            let left = if by_rows {
                Left::Rows { data: &a, stride: depth + 3, rows: short }
            } else {
                Left::Columns { data: &a, stride: height + 2 }
            };
            let right_stride = width + 5;
            let product =
                Product { to: &mut to, height, width, depth, left, right: &b, right_stride, add };
            if narrow { Narrow(product).run() } else { product.run() }
            for m in 0..if by_rows { short } else { height } {
                for n in 0..width {
                    let of_a = |k| if by_rows { a[m * (depth + 3) + k] } else { a[k * (height + 2) + m] };
                    let exact: f64 =
                        (0..depth).map(|k| f64::from(of_a(k)) * f64::from(b[k * (width + 5) + n])).sum();
                    let exact = exact + if add { f64::from(start[m * width + n]) } else { 0.0 };
                    prop_assert!((f64::from(to[m * width + n]) - exact).abs() < 2e-5, "{m} {n}");
                }
            }
        }
    }

    impl Narrow<'_> {
        fn run(self) {
            self.0.with_simd(pulp::Scalar::new());
        }
    }
}
