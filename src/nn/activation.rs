//! Activations with a gradient: GELU and softmax.

use super::kernel;
use crate::error::Result;
use candle_core::{D, Tensor};

/// √(2/π)
const SQRT_2_OVER_PI: f64 = 0.797_884_560_802_865_4;

/// GELU in its tanh form, element by element.
///
/// ```text
/// gelu(x) = ½ x (1 + tanh u) = x · σ(2u),  u = √(2/π) (x + 0.044715 x³)
/// ```
///
/// Hendrycks and Gimpel, arXiv 1606.08415.
///
/// # Errors
/// When the tensor operation fails.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if kernel::fused(&[x]) {
        return Ok(kernel::gelu(x)?);
    }
    // 2u = x (a + b x²)
    let slope = x.sqr()?.affine(2.0 * SQRT_2_OVER_PI * 0.044_715, 2.0 * SQRT_2_OVER_PI)?;
    let sigmoid = candle_nn::ops::sigmoid(&(x * slope)?)?;
    Ok((x * sigmoid)?)
}

/// Softmax over the last dimension.
///
/// ```text
/// pᵢ = exp(xᵢ − max x) / Σⱼ exp(xⱼ − max x)
/// ```
///
/// ```
/// # fn main() -> seqtilt::Result<()> {
/// let x = candle_core::Tensor::new(&[[0f32, 0.0, 2f32.ln()]], &candle_core::Device::Cpu)?;
/// let p = seqtilt::nn::softmax(&x)?.to_vec2::<f32>()?;
/// assert!((p[0][2] - 0.5).abs() < 1e-6);
/// # Ok(()) }
/// ```
///
/// # Errors
/// When the tensor operation fails.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    if kernel::fused(&[x]) {
        return Ok(kernel::softmax(x)?);
    }
    let shifted = x.broadcast_sub(&x.max_keepdim(D::Minus1)?.detach())?;
    let exp = shifted.exp()?;
    Ok(exp.broadcast_div(&exp.sum_keepdim(D::Minus1)?)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;

    #[test]
    fn gelu_matches_its_definition_and_has_its_derivative() {
        let x = check::normal(3, &[50]);
        let y = gelu(&x).unwrap().to_vec1::<f64>().unwrap();
        for (x, y) in x.to_vec1::<f64>().unwrap().into_iter().zip(y) {
            let u = SQRT_2_OVER_PI * (x + 0.044_715 * x.powi(3));
            assert!((y - 0.5 * x * (1.0 + u.tanh())).abs() < 1e-14);
        }
        check::input(&x, gelu);
    }

    #[test]
    fn softmax_sums_to_one_and_has_its_derivative() {
        let x = check::normal(4, &[3, 7]);
        for row in softmax(&x).unwrap().to_vec2::<f64>().unwrap() {
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-14);
        }
        check::input(&x, softmax);
        let tied = Tensor::new(&[[1.0f64, 1.0, 0.0]], &candle_core::Device::Cpu).unwrap();
        check::input(&tied, softmax);
    }
}
