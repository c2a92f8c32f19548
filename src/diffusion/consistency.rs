//! A network that answers at once where the prior's probability-flow ODE ends.

mod config;
mod distilling;
mod fidelity;
mod folder;
mod ode;
mod sample;

pub use config::{ConsistencyConfig, DistilConfig, PriorRef};
pub use distilling::Distilling;
pub use fidelity::{Fidelity, Missed, fidelity};
pub use folder::{CONSISTENCY, consistency_folder, consistency_of, open_consistency};
pub use ode::Flow;
pub use sample::few_steps;

use super::{Denoiser as _, Prior, Scales, Transformer, level};
use crate::error::Result;
use crate::nn::{Linear, Params, Tensors, TimeEmbedding};
use candle_core::Tensor;
use std::sync::Arc;

/// f_ψ: letter probabilities of the point where the probability-flow ODE of a frozen prior, started at z_λ, ends.
///
/// ```text
/// logits f(z, λ) = e^{c(λ) g_ψ(λ)} · belief(z, λ) + c(λ) h_ψ(z, λ)
/// c(λ) = (noise²(λ) − noise²(λ_K)) / (1 − noise²(λ_K)),  0 from the decode λ_K on
/// ```
/// Song et al. 2023 (arXiv 2303.01469), distilled as in Luo et al. 2023 (arXiv 2310.04378). Departures: letters have
/// probabilities, so that f answers logits, not a point ([`relax`](super::Codec::relax) makes one of them); and the boundary
/// condition is that of the chain: at the decode f *is* the frozen head that reads letters, whatever ψ. As the noise goes to 0
/// the evidence `signal/noise² z·E[v]` in the belief outgrows everything else, and f is the letter's vertex.
///
/// g is one number per noise level, h a transformer of the prior's sizes. At ψ = 0 f is the belief of the prior (Tweedie).
///
/// What the ODE ends in is nearly one letter per position, so that f is nearly flat in z between narrow steps at high noise:
/// the belief is an average over ends, f is not.
///
/// ```
/// use candle_core::{DType, Device, Tensor};
/// use seqtilt::diffusion::{Consistency, PriorConfig, Prior};
/// use seqtilt::{Seed, nn::Params, sequence::Alphabet};
/// use std::sync::Arc;
/// # fn main() -> seqtilt::Result<()> {
/// let params = || Params::trainable(Seed::root(1), DType::F64, &Device::Cpu);
/// let prior = Arc::new(Prior::new(&PriorConfig::new(&Alphabet::dna(), 3), &params())?);
/// let f = Consistency::new(Arc::clone(&prior), &params())?;
/// let z = Tensor::ones((1, 3, 4), DType::F64, &Device::Cpu)?;
/// let difference = (f.logits(&z, -1.0)? - prior.belief(&z, &[-1.0])?)?.abs()?.sum_all()?;
/// assert_eq!(difference.to_scalar::<f64>()?, 0.0);
/// # Ok(()) }
/// ```
pub struct Consistency {
    prior: Arc<Prior>,
    network: Transformer,
    time: TimeEmbedding,
    gain: Linear,
}

impl std::fmt::Debug for Consistency {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Consistency").field("prior", &self.prior).finish_non_exhaustive()
    }
}

impl Consistency {
    /// Around a prior, with the weights of `params`: trainable ones while distilling, frozen ones ever after.
    ///
    /// # Errors
    /// When stored weights have another shape.
    pub fn new(prior: Arc<Prior>, params: &Params) -> Result<Self> {
        let config = prior.config();
        let (letters, dim, width) = (prior.alphabet().len(), config.embedding_dim, config.denoiser.dim);
        let network = Transformer::new(&params.child(NETWORK), &config.denoiser, config.length, dim, letters)?;
        let time = TimeEmbedding::new(&params.child("time"), width)?;
        let gain = Linear::zeros(&params.child("gain"), width, 1)?;
        Ok(Self { prior, network, time, gain })
    }

    /// The prior.
    #[must_use]
    pub fn prior(&self) -> &Arc<Prior> {
        &self.prior
    }

    /// Letter logits of the end of the ODE that starts at `z` at a log signal-to-noise ratio; differentiable in `z`.
    ///
    /// # Shapes
    /// (B, L, D) → (B, L, V).
    ///
    /// # Errors
    /// When the shapes do not fit.
    ///
    /// # Cost
    /// One call of the prior's denoiser and one of a network of the same size; from the decode on, the first alone.
    pub fn logits(&self, z: &Tensor, log_snr: f64) -> Result<Tensor> {
        self.logits_at(z, &[log_snr])
    }

    /// As [`logits`](Self::logits), one log signal-to-noise ratio per row or one for all.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn logits_at(&self, z: &Tensor, log_snrs: &[f64]) -> Result<Tensor> {
        let local = self.prior.local(z, log_snrs)?;
        let belief = (&local + self.prior.context(z, &local, log_snrs)?)?;
        let decode = self.prior.config().decode_log_snr;
        let shares: Vec<f64> = log_snrs.iter().map(|log_snr| freedom(*log_snr, decode)).collect();
        if shares.iter().all(|share| *share == 0.0) {
            return Ok(belief);
        }
        let share = Tensor::from_vec(shares, (log_snrs.len(), 1, 1), z.device())?.to_dtype(z.dtype())?;
        let levels: Vec<f64> = log_snrs.iter().map(|log_snr| level(*log_snr)).collect();
        let gain = self.gain.forward(&self.time.forward(&levels)?)?.unsqueeze(2)?;
        let probabilities = crate::nn::softmax(&local)?;
        let change = self.network.context(z, &probabilities, log_snrs)?.broadcast_mul(&share)?;
        Ok((belief.broadcast_mul(&(gain * &share)?.exp()?)? + change)?)
    }

    /// The end itself in the space of embeddings, `softmax(logits) E`: (B, L, D).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn estimate(&self, z: &Tensor, log_snr: f64) -> Result<Tensor> {
        self.prior.estimate(&self.logits(z, log_snr)?)
    }
}

/// Where the transformer's weights are.
const NETWORK: &str = "network";

/// The share of ψ in f: 1 in pure noise, 0 from the decode on.
fn freedom(log_snr: f64, decode: f64) -> f64 {
    let noise = |log_snr: f64| Scales::at_log_snr(log_snr).noise.powi(2);
    ((noise(log_snr) - noise(decode)) / (1.0 - noise(decode))).max(0.0)
}

/// The weights of f as it begins: what `params` drew, with the prior's own where it has some, but for the output layer, which
/// stays 0: f begins as the prior's belief.
fn begin(params: &Params, prior: &Tensors) -> Result<()> {
    let mut weights = params.snapshot()?;
    let output = format!("{NETWORK}.output.");
    for (name, tensor) in prior {
        let Some(name) = name.strip_prefix("denoiser.").map(|rest| format!("{NETWORK}.{rest}")) else { continue };
        if weights.contains_key(&name) && !name.starts_with(&output) {
            weights.insert(name, tensor.clone());
        }
    }
    params.restore(&weights)
}
