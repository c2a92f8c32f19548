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

/// Powers of two among which is found what to add to the counts of a prior of sites alone.
const ADDED: std::ops::RangeInclusive<i32> = -14..=6;

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
    set(params, log_frequencies(&counts(data, length, alphabet), alphabet.len(), Smoothing::Add(SMOOTHING)), length)
}

fn set(params: &Params, log_frequencies: Vec<f64>, length: usize) -> Result<()> {
    let letters = log_frequencies.len() / length;
    let counted = Tensor::from_vec(log_frequencies, (length, letters), &Device::Cpu)?;
    for (_, table) in params.vars() {
        table.set(&counted.to_dtype(table.dtype())?.to_device(table.device())?)?;
    }
    Ok(())
}

/// The weights of a prior of independent sites, with the frequencies of `data`: nothing to train, and all of its posteriors exact.
///
/// ```text
/// f_i(v) = (n_i(v) + s)/(n + sV)   or   f_i(v) = (max(n_i(v) − d, 0) + d k_i/V)/n,   k_i letters that occur at site i
/// ```
/// whichever rule, s or d makes every sequence likeliest by the counts of all others. In a library of few variants most changes occur
/// once: adding to counts would add changes at every site, taking off them gives new ones the place of those that will not come again.
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
/// let shares: Vec<f32> = log_f[1].iter().map(|log| log.exp()).collect();
/// assert!(shares[1] > shares[2] && shares[2] > shares[0] && (shares.iter().sum::<f32>() - 1.0).abs() < 1e-6);
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
    let counts = counts(data, shape.length, &alphabet);
    let table = log_frequencies(&counts, alphabet.len(), Smoothing::best(&counts, alphabet.len()));
    set(&params.child("denoiser").child(SITES), table, shape.length)?;
    params.snapshot()
}

/// How often every letter stands at every site.
fn counts(data: &[Sequence], length: usize, alphabet: &Alphabet) -> Vec<f64> {
    let mut counts = vec![0.0; length * alphabet.len()];
    for sequence in data {
        for (site, id) in sequence.padded(alphabet, length).into_iter().enumerate() {
            counts[site * alphabet.len() + usize::from(id)] += 1.0;
        }
    }
    counts
}

fn log_frequencies(counts: &[f64], letters: usize, smoothing: Smoothing) -> Vec<f64> {
    counts.chunks(letters).flat_map(|site| site.iter().map(|count| smoothing.share(*count, site, 0.0).ln())).collect()
}

/// How a share is made of a count.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Smoothing {
    /// So much is added to every count.
    Add(f64),
    /// So much, 1 at most, is taken off every count above 0, and spread over all letters (absolute discounting, Ney et al. 1994).
    Discount(f64),
}

impl Smoothing {
    /// The share of a letter with a count at a site; `without` is 1 where one observation of this letter is left out.
    fn share(self, count: f64, site: &[f64], without: f64) -> f64 {
        let (letters, left) = (site.len() as f64, count - without);
        let n = site.iter().sum::<f64>() - without;
        match self {
            Self::Add(s) => (left + s) / (n + s * letters),
            Self::Discount(d) => {
                let gone = f64::from(u8::from(without > 0.0 && left <= 0.0));
                let kinds = site.iter().map(|count| f64::from(u8::from(*count > 0.0))).sum::<f64>() - gone;
                ((left - d).max(0.0) + d * kinds / letters) / n
            }
        }
    }

    /// That under which every sequence is likeliest by the counts of all others; half an observation of each letter for one alone.
    fn best(counts: &[f64], letters: usize) -> Self {
        if counts[..letters].iter().sum::<f64>() < 2.0 {
            return Self::Add(SMOOTHING);
        }
        let fit = |smoothing: Self| -> f64 {
            let seen = |site: &[f64]| -> f64 {
                let each = site.iter().filter(|count| **count > 0.0);
                each.map(|count| count * smoothing.share(*count, site, 1.0).ln()).sum()
            };
            counts.chunks(letters).map(seen).sum()
        };
        let added = ADDED.map(|power| Self::Add(2_f64.powi(power)));
        let taken = (1..=20).map(|twentieth| Self::Discount(f64::from(twentieth) / 20.0));
        let best = added.chain(taken).map(|rule| (rule, fit(rule)));
        best.reduce(|best, next| if next.1 > best.1 { next } else { best }).map_or(Self::Add(SMOOTHING), |best| best.0)
    }
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
    fn a_small_library_gets_new_changes_as_often_as_it_had_them() {
        let (protein, mut rng) = (Alphabet::protein(), Seed::root(4).rng());
        let library: Vec<Sequence> = (0..200)
            .map(|_| {
                let ids: Vec<u8> =
                    (0..100).map(|_| if rng.uniform() < 0.03 { rng.below(20) as u8 } else { 7 }).collect();
                Sequence::from_ids(ids, &protein).unwrap()
            })
            .collect();
        let counts = counts(&library, 100, &protein);
        let changed = |smoothing: Smoothing| -> f64 {
            let usual =
                log_frequencies(&counts, 20, smoothing).into_iter().skip(7).step_by(20).map(f64::exp).sum::<f64>();
            100.0 - usual
        };
        let sums = |rule| {
            log_frequencies(&counts, 20, rule)
                .chunks(20)
                .map(|site| site.iter().map(|l| l.exp()).sum::<f64>())
                .collect::<Vec<_>>()
        };
        // 100 · 0.03 · 19/20 = 2.85 changes a sequence; a library of 200 has that to ±0.12 (two standard errors 0.24)
        let best = Smoothing::best(&counts, 20);
        let found = changed(best);
        assert!(sums(best).iter().chain(&sums(Smoothing::Add(1.0))).all(|sum| (sum - 1.0).abs() < 1e-12));
        assert!(matches!(best, Smoothing::Discount(_)) && (found - 2.85).abs() < 0.6, "{best:?} {found}");
        assert!(changed(Smoothing::Add(SMOOTHING)) > 6.0, "half an observation of every letter triples them");
    }

    #[test]
    fn training_starts_at_the_site_frequencies_and_keeps_their_table() {
        let (data, pool) = (library(), Pool::new(2).unwrap());
        let config = PretrainConfig { steps: 50, batch: 16, ema: 0.5, reverse_complement: false, ..Default::default() };
        let mut run = Pretraining::new(shape(), config, &data, Seed::root(3), &pool, &Device::Cpu).unwrap();
        let log_f = log_frequencies(&counts(&data, 3, &Alphabet::dna()), 4, Smoothing::Add(SMOOTHING));
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
