//! Chains whose states stand for letters.

use super::{Chain as _, Codec, Decode, DiffusionChain, Scales};
use crate::error::Result;
use crate::random::Seed;
use crate::sequence::Sequence;
use candle_core::Tensor;

/// A chain whose end is read as letters, and whose states on the way are those letters' points under noise:
///
/// ```text
/// x_k = signal_k E[letters] + noise_k ε
/// ```
/// which is the law of a path's states given its letters for every tilt of a memoryless chain by its letters, so that states at any level can
/// be drawn anew from ends alone.
pub trait Lettered: Send + Sync {
    /// The hard-decoded letters of final states, (B, L), `u32`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn letters(&self, x: &Tensor) -> Result<Tensor>;

    /// States (B, …) before step `k` of letters (B, L), from standard normal draws (B, …).
    ///
    /// # Errors
    /// When the shapes do not fit or a letter is none.
    fn noised(&self, k: usize, letters: &Tensor, noise: &Tensor) -> Result<Tensor>;

    /// States before an earlier step `head` given those before step `k` and, through them, their letters.
    ///
    /// ```text
    /// x_head = ρ x_k + √(noise_head² − ρ² noise_k²) ε,   ρ = signal_head/signal_k
    /// ```
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn noisier(&self, head: usize, k: usize, x: &Tensor, noise: &Tensor) -> Result<Tensor>;

    /// What a unit of squared error in the denoised estimate costs at step `k`, in nats times two: `(predict/std)²`.
    fn price(&self, k: usize) -> f64;

    /// Number of different letters.
    fn alphabet(&self) -> usize;
}

impl Lettered for DiffusionChain {
    fn letters(&self, x: &Tensor) -> Result<Tensor> {
        let logits = self.read(self.steps(), x)?;
        if self.prior().imposed().is_none() {
            return Ok(logits.argmax(candle_core::D::Minus1)?);
        }
        let words = Decode::Hard.read(&logits, self.prior(), &mut Seed::root(0).rng())?;
        let words: Vec<&Sequence> = words.iter().collect();
        let ids = Codec::ids(&words, self.prior().alphabet(), self.prior().config().length, x.device())?;
        Ok(ids.reshape((words.len(), self.prior().config().length))?)
    }

    fn noised(&self, k: usize, letters: &Tensor, noise: &Tensor) -> Result<Tensor> {
        let Scales { signal, noise: scale } = Scales::at_log_snr(self.log_snrs()[k]);
        let codec: &Codec = self.prior().codec();
        let points = codec.embed(&letters.flatten_all()?, letters.dim(0)?)?.detach();
        Ok(((points * signal)? + (noise * scale)?)?)
    }

    fn noisier(&self, head: usize, k: usize, x: &Tensor, noise: &Tensor) -> Result<Tensor> {
        let [high, low] = [head, k].map(|k| Scales::at_log_snr(self.log_snrs()[k]));
        let ratio = high.signal / low.signal;
        let fresh = (high.noise.powi(2) - (ratio * low.noise).powi(2)).max(0.0).sqrt();
        Ok(((x * ratio)? + (noise * fresh)?)?)
    }

    fn price(&self, k: usize) -> f64 {
        let c = self.coefficients(k);
        (c.predict / c.std).powi(2)
    }

    fn alphabet(&self) -> usize {
        self.prior().alphabet().len()
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Grid, Prior, PriorConfig, SolverKind};
    use super::*;
    use crate::nn::{Params, check};
    use crate::sequence::Alphabet;
    use candle_core::{DType, Device};
    use std::sync::Arc;

    #[test]
    fn noised_letters_have_the_law_of_their_level_however_they_are_led_there() {
        let config = PriorConfig::new(&Alphabet::dna(), 3);
        let params = check::params();
        Prior::new(&config, &params).unwrap();
        let prior = Prior::new(&config, &Params::frozen(params.snapshot().unwrap(), &Device::Cpu)).unwrap();
        let chain = DiffusionChain::new(Arc::new(prior), 6, 3, Grid::Time, SolverKind::Ancestral).unwrap();
        let letters = Tensor::new(&[[0_u32, 3, 1], [2, 2, 0]], &Device::Cpu).unwrap();
        let zero = Tensor::zeros((2, 3, config.embedding_dim), DType::F64, &Device::Cpu).unwrap();
        let one = zero.ones_like().unwrap();
        let size = |x: &Tensor| x.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
        for (head, k) in [(0, 2), (3, 4), (3, 3)] {
            let far = chain.noised(head, &letters, &zero).unwrap();
            let near = chain.noised(k, &letters, &zero).unwrap();
            let led = chain.noisier(head, k, &near, &zero).unwrap();
            assert!(size(&(&led - &far).unwrap()) < 1e-12);
            // the two noises are independent: their squares add up
            let near = (chain.noised(k, &letters, &one).unwrap() - near).unwrap();
            let first = chain.noisier(head, k, &near, &zero).unwrap();
            let second = chain.noisier(head, k, &zero, &one).unwrap();
            let both = (first.sqr().unwrap() + second.sqr().unwrap()).unwrap();
            let own = (chain.noised(head, &letters, &one).unwrap() - far).unwrap().sqr().unwrap();
            assert!(size(&(both - own).unwrap()) < 1e-12);
        }
        // a state without noise, at the decode, is read as the letters it was made of
        let end = Scales::at_log_snr(chain.log_snrs()[6]).signal;
        let points = chain.prior().codec().embed(&letters.flatten_all().unwrap(), 2).unwrap();
        let read = chain.letters(&(points * end).unwrap()).unwrap();
        assert_eq!(read.to_vec2::<u32>().unwrap(), letters.to_vec2::<u32>().unwrap());
        assert!(chain.price(0) > 0.0 && chain.alphabet() == 4);
    }
}
