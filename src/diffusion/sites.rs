//! The letters of each site as data have them, in front of a network.

use super::Denoiser;
use crate::error::Result;
use crate::nn::{Init, Params};
use crate::sequence::Sequence;
use candle_core::{Device, Tensor};

/// The name of the table among a prior's parameters.
const TABLE: &str = "table";

/// What a count model is smoothed by, in observations of each letter.
const SMOOTHING: f64 = 0.5;

/// Says how often a letter stands at a site, and adds what a network makes of the others:
///
/// ```text
/// context_i(v) = log f_i(v) + network_i(v),   f_i(v) = (n_i(v) + ½) / (n + V/2)
/// ```
/// Without the second term the posterior of each letter is exact for independent sites (Bayes), and so is the bound of
/// [`elbo`](super::elbo()): the network starts at zero, so that training begins at the site-frequency model instead of at uniform
/// letters. For variants of one molecule, where most sites have one letter, nearly all of the likelihood is in the table.
/// It is counted, not learned: training leaves it as it is.
pub(super) struct Sites {
    log_frequencies: Tensor,
    network: Box<dyn Denoiser>,
}

impl Sites {
    /// On the table of `params`, (L, V), which training fills by [`fill`].
    ///
    /// # Errors
    /// When the stored table has another shape.
    pub(super) fn new(params: &Params, network: Box<dyn Denoiser>, length: usize, letters: usize) -> Result<Self> {
        Ok(Self { log_frequencies: params.get(TABLE, (length, letters), Init::Zeros)?, network })
    }
}

impl Denoiser for Sites {
    fn context(&self, z: &Tensor, local: &Tensor, log_snr: &[f64]) -> Result<Tensor> {
        Ok(self.network.context(z, local, log_snr)?.broadcast_add(&self.log_frequencies)?)
    }
}

/// Sets the table of trainable `params`, whose owner must not let it learn, to what the data say.
///
/// # Errors
/// When the table has not been asked for, or has another shape.
pub(super) fn fill(params: &Params, data: &[Sequence], length: usize, letters: usize) -> Result<()> {
    let counted = Tensor::from_vec(log_frequencies(data, length, letters), (length, letters), &Device::Cpu)?;
    for (_, table) in params.vars() {
        table.set(&counted.to_dtype(table.dtype())?.to_device(table.device())?)?;
    }
    Ok(())
}

fn log_frequencies(data: &[Sequence], length: usize, letters: usize) -> Vec<f64> {
    let mut counts = vec![SMOOTHING; length * letters];
    for sequence in data {
        for (site, id) in sequence.ids().iter().enumerate() {
            counts[site * letters + usize::from(*id)] += 1.0;
        }
    }
    let total = data.len() as f64 + SMOOTHING * letters as f64;
    counts.into_iter().map(|count| (count / total).ln()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::{DenoiserConfig, PretrainConfig, Pretraining, PriorConfig, SampleConfig, elbo, sample};
    use crate::nn::{Pool, Training as _};
    use crate::random::Seed;
    use crate::sequence::Alphabet;

    /// Three letters out of four sites that differ: 90 %, 70 % and one letter only.
    fn library() -> Vec<Sequence> {
        let dna = Alphabet::dna();
        (0..1000)
            .map(|i| Sequence::from_ids([u8::from(i % 10 == 0), 2 * u8::from(i % 10 < 3), 3], &dna).unwrap())
            .collect()
    }

    fn shape() -> PriorConfig {
        let mut shape = PriorConfig::new(&Alphabet::dna(), 3);
        shape.denoiser = DenoiserConfig { dim: 8, layers: 1, heads: 2 };
        shape.sites = true;
        shape
    }

    #[test]
    fn training_starts_at_the_site_frequencies_and_keeps_their_table() {
        let (data, pool) = (library(), Pool::new(2).unwrap());
        let config = PretrainConfig { steps: 50, batch: 16, ema: 0.5, reverse_complement: false, ..Default::default() };
        let mut run = Pretraining::new(shape(), config, &data, Seed::root(3), &pool, &Device::Cpu).unwrap();
        let log_f = log_frequencies(&data, 3, 4);
        let exact = |x: &Sequence| (0..3).map(|i| log_f[i * 4 + usize::from(x.ids()[i])]).sum::<f64>();
        let bound = elbo(&run.prior().unwrap(), &data, 16, Seed::root(1), &pool).unwrap();
        let gaps: Vec<f64> = data.iter().zip(&bound.per_sequence).map(|(x, bound)| bound - exact(x)).collect();
        let mean = gaps.iter().sum::<f64>() / 1000.0;
        let error = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / 999.0 / 1000.0).sqrt();
        // a bound that is exact but for its noise, whose standard error is small beside the 0.94 nats of a sequence
        assert!(mean.abs() < 3.0 * error && error < 0.015, "{mean} {error}");
        let table = |run: &Pretraining<'_>| run.weights()["denoiser.sites.table"].to_vec2::<f32>().unwrap().concat();
        for (found, counted) in table(&run).iter().zip(&log_f) {
            assert!((f64::from(*found) - counted).abs() < 1e-6);
        }
        let before = table(&run);
        let moved = |run: &Pretraining<'_>| run.weights()["denoiser.output.weight"].to_vec2::<f32>().unwrap().concat();
        let still = moved(&run);
        for _ in 0..3 {
            run.step().unwrap();
        }
        assert_eq!(table(&run), before);
        assert_ne!(moved(&run), still);
    }

    #[test]
    fn draws_have_the_frequencies_of_the_sites() {
        let (data, pool) = (library(), Pool::new(2).unwrap());
        let config = PretrainConfig { steps: 1, ..PretrainConfig::default() };
        let run = Pretraining::new(shape(), config, &data, Seed::root(3), &pool, &Device::Cpu).unwrap();
        let drawn = sample(&run.prior().unwrap(), &SampleConfig::default(), 4000, Seed::root(7), &pool).unwrap();
        let share = |site: usize, id: u8| drawn.iter().filter(|x| x.ids()[site] == id).count() as f64 / 4000.0;
        // standard errors .0047 and .0072, and 64 steps instead of none
        assert!((share(0, 1) - 0.1).abs() < 0.03, "{}", share(0, 1));
        assert!((share(1, 2) - 0.3).abs() < 0.04, "{}", share(1, 2));
        assert!(share(2, 3) > 0.995);
    }
}
