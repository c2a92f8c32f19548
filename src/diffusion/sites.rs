//! The letters of each site as data have them, in front of a network.

use super::{Denoiser, Prior, PriorConfig, Transformer};
use crate::error::{Error, Result};
use crate::nn::{Init, Params, Tensors};
use crate::random::Seed;
use crate::sequence::{Alphabet, Sequence};
use candle_core::{D, DType, Device, Tensor};

/// Where the table lies among a denoiser's parameters.
pub(super) const SITES: &str = "sites";

/// The name of the table there.
const TABLE: &str = "table";

/// What a count model is smoothed by, in observations of each letter.
const SMOOTHING: f64 = 0.5;

/// Numbers of changes that the network is told apart: soft steps at ½, 1½ and so on.
const STEPS: usize = 8;

/// What the network reads besides states and letters: the steps, and the number itself.
pub(super) const EXTRA: usize = STEPS + 1;

/// Says how often a letter stands at a site, and adds what a network makes of the others:
///
/// ```text
/// context_i(v) = log f_i(v) + network_i(v),   f_i(v) = (n_i(v) + ½) / (n + V/2)
/// ```
/// Without the second term the posterior of each letter is exact for independent sites (Bayes), and so is the bound of
/// [`elbo`](super::elbo()): the network starts at zero, so that training begins at the site-frequency model instead of at uniform
/// letters. For variants of one molecule, where most sites have one letter, nearly all of the likelihood is in the table.
/// It is counted, not learned: training leaves it as it is.
///
/// The network reads the posteriors `q_i ∝ local_i f_i` of independent sites, and how many letters they expect to have changed, which
/// no single site knows and libraries have a law of:
///
/// ```text
/// n̂ = Σ_i 1 − q_i(argmax f_i)   (all of them where several are most frequent),   at every position: n̂/8, tanh 2(n̂ − ½), tanh 2(n̂ − 1½), …
/// ```
pub(super) struct Sites {
    log_frequencies: Tensor,
    frequencies: Tensor,
    /// 1 at the most frequent letter of each site, (L, V).
    usual: Tensor,
    network: Option<Transformer>,
}

impl Sites {
    /// On the table of `params`, (L, V), which training fills by [`fill`]; without a network where the configuration has no layers.
    ///
    /// # Errors
    /// When stored weights have another shape.
    pub(super) fn new(params: &Params, config: &PriorConfig, letters: usize) -> Result<Self> {
        let (length, table) = (config.length, params.child(SITES));
        let log_frequencies = table.get(TABLE, (length, letters), Init::Zeros)?;
        let frequencies = log_frequencies.detach().exp()?;
        let top = frequencies.max_keepdim(D::Minus1)?;
        let usual = frequencies.broadcast_eq(&top)?.to_dtype(frequencies.dtype())?;
        let inputs = config.embedding_dim + letters + EXTRA;
        let network = (config.denoiser.layers > 0)
            .then(|| Transformer::reading(params, &config.denoiser, length, inputs, letters))
            .transpose()?;
        Ok(Self { log_frequencies, frequencies, usual, network })
    }

    /// The table, (L, V).
    pub(super) fn log_frequencies(&self) -> Tensor {
        self.log_frequencies.clone()
    }

    /// Posteriors of independent sites, (B, L, V), and the numbers that go with them, (B, L, [`EXTRA`]).
    fn independent(&self, local: &Tensor) -> Result<(Tensor, Tensor)> {
        let joint = local.broadcast_mul(&self.frequencies)?;
        let posterior = joint.broadcast_div(&(joint.sum_keepdim(D::Minus1)? + f64::from(f32::MIN_POSITIVE))?)?;
        let (rows, length, _) = posterior.dims3()?;
        let kept = posterior.broadcast_mul(&self.usual)?.flatten_from(1)?.sum_keepdim(1)?;
        let changed = kept.affine(-1.0, length as f64)?;
        let mut numbers = vec![(&changed / STEPS as f64)?];
        for step in 0..STEPS {
            numbers.push(changed.affine(2.0, -2.0 * (step as f64 + 0.5))?.tanh()?);
        }
        let numbers = Tensor::cat(&numbers, 1)?.unsqueeze(1)?.broadcast_as((rows, length, EXTRA))?.contiguous()?;
        Ok((posterior, numbers))
    }
}

impl Denoiser for Sites {
    fn context(&self, z: &Tensor, local: &Tensor, log_snr: &[f64]) -> Result<Tensor> {
        let Some(network) = &self.network else { return Ok(local.zeros_like()?.broadcast_add(&self.log_frequencies)?) };
        let (posterior, numbers) = self.independent(local)?;
        let answer = network.answer(&Tensor::cat(&[z, &posterior, &numbers], 2)?, log_snr)?;
        Ok(answer.broadcast_add(&self.log_frequencies)?)
    }
}

/// Sets the table of trainable `params`, whose owner must not let it learn, to what the data say.
///
/// # Errors
/// When the table has not been asked for, or has another shape.
pub(super) fn fill(params: &Params, data: &[Sequence], length: usize, alphabet: &Alphabet) -> Result<()> {
    let shape = (length, alphabet.len());
    let counted = Tensor::from_vec(log_frequencies(data, length, alphabet), shape, &Device::Cpu)?;
    for (_, table) in params.vars() {
        table.set(&counted.to_dtype(table.dtype())?.to_device(table.device())?)?;
    }
    Ok(())
}

/// The weights of a prior of independent sites, with the frequencies of `data`: nothing to train, and all of its posteriors exact.
///
/// ```
/// use seqtilt::diffusion::{DenoiserConfig, PriorConfig, Prior, site_weights};
/// use seqtilt::{nn::Params, sequence::{Alphabet, Sequence}};
/// use candle_core::Device;
/// let dna = Alphabet::dna();
/// let data = ["AC", "AC", "AG"].map(|text| Sequence::parse(text, &dna).unwrap());
/// let plain = PriorConfig::new(&dna, 2);
/// let shape = PriorConfig { sites: true, denoiser: DenoiserConfig { layers: 0, ..plain.denoiser.clone() }, ..plain };
/// let prior = Prior::new(&shape, &Params::frozen(site_weights(&shape, &data)?, &Device::Cpu))?;
/// let log_f = prior.sites().unwrap().to_vec2::<f32>()?;
/// assert!((log_f[0][0].exp() - 3.5 / 5.0).abs() < 1e-6 && (log_f[1][2].exp() - 1.5 / 5.0).abs() < 1e-6);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Errors
/// When the configuration has a network or no sites, or a sequence has another length.
pub fn site_weights(shape: &PriorConfig, data: &[Sequence]) -> Result<Tensors> {
    if shape.denoiser.layers != 0 || !shape.sites {
        return Err(Error::usage("a prior of sites alone has `sites` and no `denoiser.layers`"));
    }
    data.iter().try_for_each(|x| shape.check_length(x))?;
    let params = Params::trainable(Seed::root(0), DType::F32, &Device::Cpu);
    let alphabet = Prior::new(shape, &params)?.alphabet().clone();
    fill(&params.child("denoiser").child(SITES), data, shape.length, &alphabet)?;
    params.snapshot()
}

fn log_frequencies(data: &[Sequence], length: usize, alphabet: &Alphabet) -> Vec<f64> {
    let letters = alphabet.len();
    let mut counts = vec![SMOOTHING; length * letters];
    for sequence in data {
        for (site, id) in sequence.padded(alphabet, length).into_iter().enumerate() {
            counts[site * letters + usize::from(id)] += 1.0;
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
        let log_f = log_frequencies(&data, 3, &Alphabet::dna());
        let exact = |x: &Sequence| (0..3).map(|i| log_f[i * 4 + usize::from(x.ids()[i])]).sum::<f64>();
        let bound = elbo(&run.prior().unwrap(), &data, 16, Seed::root(1), &pool).unwrap();
        let gaps: Vec<f64> = data.iter().zip(&bound.per_sequence).map(|(x, bound)| bound - exact(x)).collect();
        let mean = gaps.iter().sum::<f64>() / 1000.0;
        let error = (gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / 999.0 / 1000.0).sqrt();
        // a network that says nothing yet leaves nothing to be estimated but the start, where 5e-5 of the signal is left
        assert!(mean.abs() < 1e-3 && error < 1e-3, "{mean} {error}");
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
        let config = PretrainConfig { steps: 1, reverse_complement: false, ..PretrainConfig::default() };
        let run = Pretraining::new(shape(), config, &data, Seed::root(3), &pool, &Device::Cpu).unwrap();
        let drawn = sample(&run.prior().unwrap(), &SampleConfig::default(), 4000, Seed::root(7), &pool).unwrap();
        let share = |site: usize, id: u8| drawn.iter().filter(|x| x.ids()[site] == id).count() as f64 / 4000.0;
        // standard errors .0047 and .0072, and 64 steps instead of none
        assert!((share(0, 1) - 0.1).abs() < 0.03, "{}", share(0, 1));
        assert!((share(1, 2) - 0.3).abs() < 0.04, "{}", share(1, 2));
        assert!(share(2, 3) > 0.995);
    }
}
