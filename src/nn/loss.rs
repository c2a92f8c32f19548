//! Cross-entropy.

use super::host::token_ids;
use super::kernel;
use crate::error::{Error, Result};
use candle_core::{D, Tensor};

/// Negative log-likelihood of each row's letter, in nats.
///
/// ```text
/// lossₙ = log Σᵥ exp(logitsₙᵥ) − logits[n, idsₙ]
/// ```
///
/// # Shapes
/// (N, V) and (N) of `u32`, to (N). Ids on a device are not read back: whoever makes them has checked them.
///
/// # Errors
/// When the shapes do not fit, or an id is V or more.
///
/// ```
/// use candle_core::{Device, Tensor};
/// # fn main() -> seqtilt::Result<()> {
/// let logits = Tensor::zeros((1, 4), candle_core::DType::F32, &Device::Cpu)?;
/// let loss = seqtilt::nn::cross_entropy(&logits, &Tensor::new(&[2u32], &Device::Cpu)?)?;
/// assert!((loss.to_vec1::<f32>()?[0] - 4f32.ln()).abs() < 1e-6);
/// # Ok(()) }
/// ```
pub fn cross_entropy(logits: &Tensor, ids: &Tensor) -> Result<Tensor> {
    let (rows, letters) = logits.dims2()?;
    if ids.dims() != [rows] {
        return Err(Error::data(format!(
            "token ids have shape {:?}; [{rows}] is expected, one for each row of logits",
            ids.dims()
        )));
    }
    let list = token_ids(ids, letters)?;
    if kernel::fused(&[logits])
        && let Some(list) = list
    {
        return Ok(kernel::cross_entropy(logits, list)?);
    }
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    let total = shifted.exp()?.sum(D::Minus1)?.log()?;
    let chosen = shifted.gather(&ids.unsqueeze(1)?, 1)?.squeeze(1)?;
    Ok((total - chosen)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{check, softmax};
    use candle_core::Device;

    #[test]
    fn loss_is_minus_the_log_of_the_softmax_and_has_its_derivative() {
        let logits = check::normal(8, &[5, 4]);
        let ids = Tensor::new(&[3u32, 0, 1, 2, 0], &Device::Cpu).unwrap();
        let loss = cross_entropy(&logits, &ids).unwrap().to_vec1::<f64>().unwrap();
        let probs = softmax(&logits).unwrap().to_vec2::<f64>().unwrap();
        for (n, id) in [3, 0, 1, 2, 0].into_iter().enumerate() {
            assert!((loss[n] + probs[n][id].ln()).abs() < 1e-13);
        }
        check::input(&logits, |logits| cross_entropy(logits, &ids));
    }

    #[test]
    fn an_id_out_of_range_is_bad_data() {
        let error = cross_entropy(&check::normal(8, &[1, 4]), &Tensor::new(&[4u32], &Device::Cpu).unwrap());
        assert_eq!(error.unwrap_err().to_string(), "token id `4` is out of range; only ids below 4 are accepted");
    }
}
