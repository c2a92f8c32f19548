//! Convolution along the length as one matrix product.
//!
//! A zero-padded sequence of rows is, read with overlapping rows, already the matrix of all windows: row l of it is
//! rows l … l+k−1 of the sequence. A whole batch is one product, with k−1 rows between items that are thrown away.
//! Where those would be many (short sequences), the windows are copied out instead.

use super::arrays::{gradient, operand, result, values};
use super::leaf::add_rows;
use super::matmul::{View, matmul, product};
use candle_core::{CpuStorage, CustomOp3, Layout, Result, Shape, Tensor};
use std::borrow::Cow;

/// x (B, L, in) with weight (out, k, in) and bias (out), to (B, L, out).
pub(crate) fn conv1d(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.contiguous()?.apply_op3(&weight.contiguous()?, &bias.contiguous()?, Conv)
}

struct Conv;

impl CustomOp3 for Conv {
    fn name(&self) -> &'static str {
        "conv1d"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        xl: &Layout,
        w: &CpuStorage,
        wl: &Layout,
        b: &CpuStorage,
        bl: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, length, inp) = xl.shape().dims3()?;
        let (out, kernel, same) = wl.shape().dims3()?;
        let bias = operand(b, bl)?;
        if same != inp || bias.len() != out {
            candle_core::bail!("a convolution of shape {:?} does not fit {:?}", wl.dims(), xl.dims());
        }
        let windows = Windows::new(operand(x, xl)?, [batch, length, inp], kernel, kernel / 2);
        let y = windows.times(operand(w, wl)?, out, |y| {
            for row in y.chunks_exact_mut(out.max(1)) {
                row.copy_from_slice(bias);
            }
        });
        Ok(result(y, (batch, length, out)))
    }

    fn bwd(
        &self,
        x: &Tensor,
        w: &Tensor,
        b: &Tensor,
        _y: &Tensor,
        g: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (batch, length, inp) = x.dims3()?;
        let (out, kernel, _) = w.dims3()?;
        let g = g.contiguous()?;
        let g = values(&g)?;
        let of_x = x
            .track_op()
            .then(|| {
                // dx[l] = Σⱼ g[l − j + left] W[j]: a convolution with the taps in reverse order
                let w = values(w)?;
                let mut reversed = vec![0.0; w.len()];
                for o in 0..out {
                    for tap in 0..kernel {
                        for c in 0..inp {
                            reversed[(c * kernel + kernel - 1 - tap) * out + o] = w[(o * kernel + tap) * inp + c];
                        }
                    }
                }
                let windows = Windows::new(&g, [batch, length, out], kernel, kernel - 1 - kernel / 2);
                gradient(windows.times(&reversed, inp, |_| {}), x)
            })
            .transpose()?;
        let of_w = w
            .track_op()
            .then(|| {
                let windows = Windows::new(&values(x)?, [batch, length, inp], kernel, kernel / 2);
                let g = windows.spread(&g, out);

                let g_view = View::dense(windows.view.rows, out).t();
                gradient(product((&g, g_view), (&windows.data, windows.view)), w)
            })
            .transpose()?;
        let of_b = b
            .track_op()
            .then(|| {
                let mut db = vec![0.0; out];
                add_rows(&mut db, &g);
                gradient(db, b)
            })
            .transpose()?;
        Ok((of_x, of_w, of_b))
    }
}

/// The windows of a batch of sequences as the rows of a matrix.
struct Windows {
    data: Vec<f32>,
    view: View,
    batch: usize,
    length: usize,
    /// Rows from one item's first window to the next item's.
    pitch: usize,
}

impl Windows {
    /// Window l of an item covers rows l − left … l − left + kernel − 1, zero outside.
    fn new(x: &[f32], [batch, length, width]: [usize; 3], kernel: usize, left: usize) -> Self {
        let extra = kernel - 1;
        if 4 * extra <= length {
            let pitch = length + extra;
            let mut data = vec![0.0; batch * pitch * width];
            if length * width > 0 {
                for (padded, item) in data.chunks_exact_mut(pitch * width).zip(x.chunks_exact(length * width)) {
                    padded[left * width..][..item.len()].copy_from_slice(item);
                }
            }
            let view = View::rows((batch * pitch).saturating_sub(extra), kernel * width, width);
            return Self { data, view, batch, length, pitch };
        }
        let mut data = vec![0.0; batch * length * kernel * width];
        for item in 0..batch {
            for l in 0..length {
                // rows first … last of the item are inside the window, which starts at l − left
                let (first, last) = (l.saturating_sub(left), (l + kernel - left).min(length));
                if first < last {
                    let to = ((item * length + l) * kernel + first + left - l) * width;
                    let from = (item * length + first) * width;
                    data[to..to + (last - first) * width].copy_from_slice(&x[from..from + (last - first) * width]);
                }
            }
        }
        let view = View::dense(batch * length, kernel * width);
        Self { data, view, batch, length, pitch: length }
    }

    /// The windows times the transpose of a matrix with `out` rows, added to what `start` fills in.
    fn times(&self, weight: &[f32], out: usize, start: impl Fn(&mut [f32])) -> Vec<f32> {
        let mut y = vec![0.0; self.batch * self.pitch * out];
        start(&mut y);
        let weight = (weight, View::dense(out, self.view.cols).t());
        matmul((&mut y, View::dense(self.view.rows, out)), (&self.data, self.view), weight, true);
        if self.pitch > self.length {
            for item in 1..self.batch {
                let from = item * self.pitch * out;
                y.copy_within(from..from + self.length * out, item * self.length * out);
            }
            y.truncate(self.batch * self.length * out);
        }
        y
    }

    /// Rows of the sequences moved to the rows of their windows, zero between items.
    fn spread<'a>(&self, g: &'a [f32], width: usize) -> Cow<'a, [f32]> {
        if self.pitch == self.length || g.is_empty() {
            return Cow::Borrowed(g);
        }
        let mut spread = vec![0.0; self.batch * self.pitch * width];
        let items = spread.chunks_exact_mut(self.pitch * width);
        for (item, g) in items.zip(g.chunks_exact(self.length * width)) {
            item[..g.len()].copy_from_slice(g);
        }
        Cow::Owned(spread)
    }
}

#[cfg(test)]
mod tests {
    use crate::nn::{Conv1d, check};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(check::cases())]

        #[test]
        fn it_agrees_with_the_composed_form(
            (batch, length, inp, out) in (1_usize..4, 1_usize..24, 1_usize..6, 1_usize..20), kernel in 1_usize..8,
            seed in 0_u64..1000,
        ) {
            let params = check::params_f32();
            let conv = Conv1d::new(&params, inp, out, kernel).unwrap();
            let x = check::normal_f32(seed, &[batch, length, inp]);
            check::layer_against_composed(&params, &[x], |x| conv.forward(&x[0]));
        }
    }
}
