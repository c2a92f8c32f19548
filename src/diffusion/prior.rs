//! The prior as one object.

use super::masked::Masked;
use super::sites::Sites;
use super::{Codec, Denoiser, PriorConfig, Scales, Transformer, Uniform};
use crate::error::Result;
use crate::nn::{Params, softmax};
use crate::sequence::{Alphabet, Imposed};
use candle_core::{Device, Tensor};

/// A diffusion prior: codec, schedule and denoiser.
pub struct Prior {
    config: PriorConfig,
    alphabet: Alphabet,
    codec: Codec,
    denoiser: Box<dyn Denoiser>,
    imposed: Option<Imposed>,
    /// Log frequencies of letters at their sites, (L, V), where the denoiser adds to them.
    sites: Option<Tensor>,
    device: Device,
}

impl std::fmt::Debug for Prior {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prior").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Prior {
    /// Builds the layers on their parameters: trainable ones while pretraining, frozen ones ever after.
    ///
    /// # Errors
    /// When the configuration is out of range or stored weights have another shape.
    pub fn new(config: &PriorConfig, params: &Params) -> Result<Self> {
        config.check()?;
        let alphabet = config.alphabet()?;
        let (v, d) = (alphabet.len(), config.embedding_dim);
        let codec = Codec::new(params, config.embedding, v, d)?;
        let at = params.child("denoiser");
        let mut sites = None;
        let denoiser: Box<dyn Denoiser> = if config.sites {
            let counted = Sites::new(&at, config, v)?;
            sites = Some(counted.log_frequencies());
            Box::new(counted)
        } else if config.denoiser.layers == 0 {
            Box::new(Uniform)
        } else {
            Box::new(Transformer::new(&at, &config.denoiser, config.length, d, v)?)
        };
        Ok(Self { sites, ..Self::put_together(config, params, codec, denoiser)? })
    }

    /// With a denoiser of the caller's own, for instance an exact one.
    ///
    /// # Errors
    /// When the configuration is out of range or a stored embedding has another shape.
    pub fn with_denoiser(config: &PriorConfig, params: &Params, denoiser: Box<dyn Denoiser>) -> Result<Self> {
        config.check()?;
        let codec = Codec::new(params, config.embedding, config.alphabet()?.len(), config.embedding_dim)?;
        Self::put_together(config, params, codec, denoiser)
    }

    fn put_together(
        config: &PriorConfig,
        params: &Params,
        codec: Codec,
        mut denoiser: Box<dyn Denoiser>,
    ) -> Result<Self> {
        let (alphabet, device) = (config.alphabet()?, params.device().clone());
        let mut imposed = None;
        if !config.constraint.is_empty() || alphabet.padding().is_some() {
            let rules = Imposed::new(&config.rules(), &alphabet, config.length)?;
            if rules.masks() {
                let (shape, kind) = ((config.length, alphabet.len()), (params.dtype(), &device));
                denoiser = Box::new(Masked::new(denoiser, &rules, shape, kind)?);
            }
            imposed = Some(rules);
        }
        Ok(Self { config: config.clone(), alphabet, codec, denoiser, imposed, sites: None, device })
    }

    /// Its configuration.
    #[must_use]
    pub fn config(&self) -> &PriorConfig {
        &self.config
    }

    /// Its alphabet.
    #[must_use]
    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    /// The rules that its decoded sequences keep, if there are any: those of its constraint, and that padding ends a sequence.
    #[must_use]
    pub fn imposed(&self) -> Option<&Imposed> {
        self.imposed.as_ref()
    }

    /// Log frequencies of letters at their sites, (L, V), where the denoiser adds to them; letters are uniform to it elsewhere.
    #[must_use]
    pub fn sites(&self) -> Option<&Tensor> {
        self.sites.as_ref()
    }

    /// Its codec.
    #[must_use]
    pub fn codec(&self) -> &Codec {
        &self.codec
    }

    /// Where its weights live.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Token logits of the posterior p(x_i | z) at a noise level, one log signal-to-noise ratio per row or one for all.
    ///
    /// ```text
    /// logits_v = signal/noise² · z·E[v] + context_v(z)
    /// ```
    /// The first term is log p(z_i | x_i = v) up to a constant, because all rows of E have the same norm.
    ///
    /// # Shapes
    /// `z` (B, L, D) → (B, L, V).
    ///
    /// # Errors
    /// When the shapes do not fit.
    ///
    /// # Cost
    /// One call of the denoiser.
    pub fn belief(&self, z: &Tensor, log_snr: &[f64]) -> Result<Tensor> {
        let local = self.local(z, log_snr)?;
        let context = self.context(z, &local, log_snr)?;
        Ok((local + context)?)
    }

    /// The first term of [`belief`](Self::belief): each position's own evidence.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn local(&self, z: &Tensor, log_snr: &[f64]) -> Result<Tensor> {
        let factor = |log_snr: &f64| {
            let scales = Scales::at_log_snr(*log_snr);
            scales.signal / scales.noise.powi(2)
        };
        let projected = self.codec.project(z)?;
        if let [one] = log_snr {
            Ok((projected * factor(one))?)
        } else {
            let factors: Vec<f64> = log_snr.iter().map(factor).collect();
            let factors = Tensor::from_vec(factors, (log_snr.len(), 1, 1), &self.device)?.to_dtype(z.dtype())?;
            Ok(projected.broadcast_mul(&factors)?)
        }
    }

    /// The second term of [`belief`](Self::belief): what the other positions say.
    ///
    /// # Errors
    /// When the shapes do not fit.
    ///
    /// # Cost
    /// One call of the denoiser.
    pub fn context(&self, z: &Tensor, local: &Tensor, log_snr: &[f64]) -> Result<Tensor> {
        self.denoiser.context(z, &softmax(local)?, log_snr)
    }

    /// Expected clean points E[z₀ | z] of token logits: (B, L, V) → (B, L, D).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn estimate(&self, logits: &Tensor) -> Result<Tensor> {
        self.codec.relax(&softmax(logits)?)
    }
}
