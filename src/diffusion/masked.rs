//! Letters that a position may not have.

use super::Denoiser;
use crate::error::Result;
use crate::sequence::Imposed;
use candle_core::{DType, Device, Tensor};

/// What a masked letter's logit is lowered by: nothing is left of it in f32, and nothing is infinite.
const NEVER: f64 = -1e4;

/// Takes letters away from another denoiser's answer:
///
/// ```text
/// context_i(v) = inner_i(v) + log [v may stand at i]
/// ```
/// The posterior of each letter is then the inner one given that its position has none of the masked letters; what other positions
/// say of it is as without the mask.
pub(super) struct Masked {
    inner: Box<dyn Denoiser>,
    /// 0 or [`NEVER`], (L, V).
    mask: Tensor,
}

impl Masked {
    /// The masks of rules for `length` letters of V.
    ///
    /// # Errors
    /// When the table cannot be made.
    pub(super) fn new(
        inner: Box<dyn Denoiser>,
        imposed: &Imposed,
        (length, letters): (usize, usize),
        (dtype, device): (DType, &Device),
    ) -> Result<Self> {
        let cell = |at: usize| if imposed.allows(at / letters, (at % letters) as u8) { 0.0 } else { NEVER };
        let mask: Vec<f64> = (0..length * letters).map(cell).collect();
        Ok(Self { inner, mask: Tensor::from_vec(mask, (length, letters), device)?.to_dtype(dtype)? })
    }
}

impl Denoiser for Masked {
    fn context(&self, z: &Tensor, local: &Tensor, log_snr: &[f64]) -> Result<Tensor> {
        Ok(self.inner.context(z, local, log_snr)?.broadcast_add(&self.mask)?)
    }
}
