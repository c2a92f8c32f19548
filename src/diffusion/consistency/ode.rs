//! The prior's probability-flow ODE in steps of second order.

use crate::diffusion::{Ancestral, Coefficients, Prior, Scales};
use crate::error::Result;
use candle_core::Tensor;

/// Deterministic walks along the log signal-to-noise ratio λ, each row from a level of its own.
///
/// ```text
/// z' = keep z + predict ẑ₀(z),   z ← keep z + ½ predict (ẑ₀(z) + ẑ₀(z'))       DDIM at eta 0 with Heun's correction
/// ```
/// Song et al. 2021 (arXiv 2010.02502), Karras et al. 2022 (arXiv 2206.00364).
#[derive(Clone, Copy, Debug)]
pub struct Flow<'a> {
    prior: &'a Prior,
}

impl<'a> Flow<'a> {
    /// The flow of a prior.
    #[must_use]
    pub fn new(prior: &'a Prior) -> Self {
        Self { prior }
    }

    /// One step of every row from its level in `from` to its level in `to`; a row whose levels are the same stays.
    ///
    /// # Errors
    /// When the shapes do not fit.
    ///
    /// # Cost
    /// Two calls of the denoiser.
    pub fn step(&self, z: &Tensor, from: &[f64], to: &[f64]) -> Result<Tensor> {
        let pairs = from.iter().zip(to);
        let steps: Vec<Coefficients> = pairs
            .map(|(from, to)| Ancestral::between(Scales::at_log_snr(*from), Scales::at_log_snr(*to), 0.0))
            .collect();
        let column = |pick: fn(&Coefficients) -> f64| -> Result<Tensor> {
            let values: Vec<f64> = steps.iter().map(pick).collect();
            Ok(Tensor::from_vec(values, (steps.len(), 1, 1), z.device())?.to_dtype(z.dtype())?)
        };
        let kept = z.broadcast_mul(&column(|c| c.keep)?)?;
        let predict = column(|c| c.predict)?;
        let estimate = |z: &Tensor, levels: &[f64]| self.prior.estimate(&self.prior.belief(z, levels)?);
        let here = estimate(z, from)?;
        let ahead = estimate(&(&kept + here.broadcast_mul(&predict)?)?, to)?;
        Ok((kept + ((here + ahead)? * 0.5)?.broadcast_mul(&predict)?)?)
    }

    /// Where the ODE from `z` ends: the letter logits that the frozen head reads at the decode after `steps` equal steps in λ.
    ///
    /// # Errors
    /// When the shapes do not fit.
    ///
    /// # Cost
    /// `2 steps + 1` calls of the denoiser.
    pub fn end(&self, z: &Tensor, log_snr: f64, steps: usize) -> Result<Tensor> {
        let last = self.prior.config().decode_log_snr;
        let node = |k: usize| if k == steps { last } else { log_snr + (last - log_snr) * k as f64 / steps as f64 };
        let mut z = z.clone();
        for k in 0..steps {
            z = self.step(&z, &[node(k)], &[node(k + 1)])?;
        }
        self.prior.belief(&z, &[last])
    }
}
