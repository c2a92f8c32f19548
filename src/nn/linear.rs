//! The affine map.

use super::activation::gelu;
use super::kernel;
use super::params::{Init, Params};
use super::precision::product;
use crate::error::{Error, Result};
use candle_core::Tensor;

/// An affine map of the last dimension.
///
/// ```text
/// y = x Wᵀ + b
/// ```
///
/// Parameters: `weight` (out, in), as in PyTorch, and `bias` (out).
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Weight and bias uniform in ±1/√in.
    ///
    /// # Errors
    /// When the store holds other shapes.
    pub fn new(params: &Params, inp: usize, out: usize) -> Result<Self> {
        let weight = params.get("weight", (out, inp), Init::FanIn)?;
        let bias = params.get("bias", out, Init::Uniform(1.0 / (inp.max(1) as f64).sqrt()))?;
        Ok(Self { weight, bias })
    }

    /// Weight and bias 0: the output is 0 until the first update.
    ///
    /// # Errors
    /// When the store holds other shapes.
    pub fn zeros(params: &Params, inp: usize, out: usize) -> Result<Self> {
        let weight = params.get("weight", (out, inp), Init::Zeros)?;
        let bias = params.get("bias", out, Init::Zeros)?;
        Ok(Self { weight, bias })
    }

    /// The map.
    ///
    /// # Shapes
    /// (…, in) to (…, out).
    ///
    /// # Errors
    /// When the last dimension is not `in`.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        if self.fused(x) {
            return Ok(kernel::linear(x, &self.weight, &self.bias, false)?);
        }
        let (out, inp) = self.weight.dims2()?;
        let mut dims = x.dims().to_vec();
        let rows = x.elem_count() / inp.max(1);
        match dims.last_mut() {
            Some(last) if *last == inp => *last = out,
            _ => return Err(Error::device(format!("a map from {inp} to {out} numbers got shape {:?}", x.dims()))),
        }
        let y = product(&x.reshape((rows, inp))?, &self.weight.t()?)?.broadcast_add(&self.bias)?;
        Ok(y.reshape(dims)?)
    }

    /// The map followed by [`gelu`].
    ///
    /// # Errors
    /// As [`Linear::forward`].
    pub fn forward_gelu(&self, x: &Tensor) -> Result<Tensor> {
        if self.fused(x) {
            return Ok(kernel::linear(x, &self.weight, &self.bias, true)?);
        }
        gelu(&self.forward(x)?)
    }

    /// Weight and bias.
    pub(crate) fn parts(&self) -> (Tensor, Tensor) {
        (self.weight.clone(), self.bias.clone())
    }

    fn fused(&self, x: &Tensor) -> bool {
        kernel::fused(&[x, &self.weight, &self.bias])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;

    #[test]
    fn gradients_are_right_on_any_leading_dimensions() {
        let params = check::params();
        let linear = Linear::new(&params, 3, 4).unwrap();
        let x = check::normal(1, &[2, 5, 3]);
        check::layer(&params, &x, |x| linear.forward(x));
        check::layer(&params, &x, |x| linear.forward_gelu(x));
        check::layer(&params, &check::normal(2, &[3]), |x| linear.forward(x));
    }

    #[test]
    fn a_zero_map_gives_zero_and_trains() {
        let params = check::params();
        let linear = Linear::zeros(&params, 3, 2).unwrap();
        let x = check::normal(1, &[4, 3]);
        assert_eq!(linear.forward(&x).unwrap().abs().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap(), 0.0);
        check::layer(&params, &x, |x| linear.forward(x));
    }
}
