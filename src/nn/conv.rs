//! Convolution along a sequence.

use super::kernel;
use super::params::{Init, Params};
use super::precision::product;
use crate::error::{Error, Result};
use candle_core::Tensor;

/// Convolution along the length, zero-padded so that the length stays.
///
/// ```text
/// y[l] = b + Σⱼ W[:, j] x[l + j − ⌊k/2⌋],  j = 0 … k−1
/// ```
///
/// Parameters: `weight` (out, k, in) and `bias` (out), uniform in ±1/√(k·in).
#[derive(Clone, Debug)]
pub struct Conv1d {
    weight: Tensor,
    bias: Tensor,
}

impl Conv1d {
    /// A convolution with `kernel` taps.
    ///
    /// # Errors
    /// When `kernel` is 0, or the store holds other shapes.
    pub fn new(params: &Params, inp: usize, out: usize, kernel: usize) -> Result<Self> {
        if kernel == 0 {
            return Err(Error::usage("a convolution of `0` taps has no output; 1 or more are accepted"));
        }
        let init = Init::Uniform(1.0 / ((inp * kernel).max(1) as f64).sqrt());
        Ok(Self { weight: params.get("weight", (out, kernel, inp), init)?, bias: params.get("bias", out, init)? })
    }

    /// The convolved sequence.
    ///
    /// # Shapes
    /// (B, L, in) to (B, L, out).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if kernel::fused(&[x, &self.weight, &self.bias]) {
            return Ok(kernel::conv1d(x, &self.weight, &self.bias)?);
        }
        let (out, kernel, _) = self.weight.dims3()?;
        let (batch, length, inp) = x.dims3()?;
        // tap by tap in memory: a device multiplies by rows that follow each other only
        let taps = self.weight.transpose(0, 1)?.contiguous()?;
        let padded = x.pad_with_zeros(1, kernel / 2, kernel - 1 - kernel / 2)?;
        let mut sum: Option<Tensor> = None;
        for tap in 0..kernel {
            let shifted = padded.narrow(1, tap, length)?.contiguous()?.reshape((batch * length, inp))?;
            let term = product(&shifted, &taps.get(tap)?.t()?)?;
            sum = Some(match sum {
                Some(sum) => (sum + term)?,
                None => term,
            });
        }
        let sum = sum.ok_or_else(|| Error::usage("a convolution of `0` taps has no output"))?;
        Ok(sum.broadcast_add(&self.bias)?.reshape((batch, length, out))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;

    #[test]
    fn gradients_are_right_for_odd_and_even_kernels_and_short_sequences() {
        for (kernel, length) in [(1, 3), (3, 5), (4, 5), (7, 2)] {
            let params = check::params();
            let conv = Conv1d::new(&params, 2, 3, kernel).unwrap();
            check::layer(&params, &check::normal(1, &[2, length, 2]), |x| conv.forward(x));
        }
    }

    #[test]
    fn it_agrees_with_candles_convolution() {
        let params = check::params();
        let conv = Conv1d::new(&params, 2, 3, 5).unwrap();
        let x = check::normal(1, &[2, 7, 2]);
        let weight = conv.weight.permute((0, 2, 1)).unwrap().contiguous().unwrap();
        let y = x.transpose(1, 2).unwrap().contiguous().unwrap().conv1d(&weight, 2, 1, 1, 1).unwrap();
        let y = y.transpose(1, 2).unwrap().broadcast_add(&conv.bias).unwrap();
        assert!(check::distance(&conv.forward(&x).unwrap(), &y) < 1e-14);
    }
}
