//! Layer normalisation.

use super::kernel;
use super::params::{Init, Params};
use crate::error::Result;
use candle_core::{D, Tensor};

/// Added to the variance.
pub(crate) const EPSILON: f64 = 1e-5;

/// Layer normalisation over the last dimension.
///
/// ```text
/// y = (x − mean x) / √(var x + 1e-5) · weight + bias
/// ```
///
/// Ba, Kiros and Hinton, arXiv 1607.06450. Parameters, when affine: `weight` (d) from 1 and `bias` (d) from 0.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    dim: usize,
    affine: Option<(Tensor, Tensor)>,
}

impl LayerNorm {
    /// With a learned scale and offset.
    ///
    /// # Errors
    /// When the store holds other shapes.
    pub fn new(params: &Params, dim: usize) -> Result<Self> {
        let affine = (params.get("weight", dim, Init::Ones)?, params.get("bias", dim, Init::Zeros)?);
        Ok(Self { dim, affine: Some(affine) })
    }

    /// Without parameters.
    #[must_use]
    pub fn plain(dim: usize) -> Self {
        Self { dim, affine: None }
    }

    /// The normalised tensor.
    ///
    /// # Shapes
    /// (…, d) to (…, d).
    ///
    /// # Errors
    /// When the last dimension is not d.
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let last = x.dim(D::Minus1)?;
        if last != self.dim {
            return Err(candle_core::Error::Msg(format!("layer norm of {} numbers got {last}", self.dim)).into());
        }
        match &self.affine {
            Some((weight, bias)) if kernel::fused(&[x, weight, bias]) => Ok(kernel::affine_norm(x, weight, bias)?),
            None if kernel::fused(&[x]) => Ok(kernel::plain_norm(x)?),
            Some((weight, bias)) => Ok(normalise(x)?.broadcast_mul(weight)?.broadcast_add(bias)?),
            None => normalise(x),
        }
    }
}

fn normalise(x: &Tensor) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let sd = (centred.sqr()?.mean_keepdim(D::Minus1)? + EPSILON)?.sqrt()?;
    Ok(centred.broadcast_div(&sd)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;

    #[test]
    fn gradients_are_right_with_and_without_parameters() {
        let params = check::params();
        let norm = LayerNorm::new(&params, 6).unwrap();
        let x = check::normal(1, &[2, 3, 6]);
        check::layer(&params, &x, |x| norm.forward(x));
        check::input(&x, |x| LayerNorm::plain(6).forward(x));
    }

    #[test]
    fn a_row_has_mean_zero_and_variance_one() {
        let x = (check::normal(2, &[4, 50]) * 3.0).unwrap();
        for row in LayerNorm::plain(50).forward(&x).unwrap().to_vec2::<f64>().unwrap() {
            let mean = row.iter().sum::<f64>() / 50.0;
            let variance = row.iter().map(|y| (y - mean).powi(2)).sum::<f64>() / 50.0;
            assert!(mean.abs() < 1e-13 && (variance - 1.0).abs() < 1e-5, "{mean} {variance}");
        }
    }
}
