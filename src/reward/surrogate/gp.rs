//! Gaussian processes of sequences.

mod draw;
mod evidence;
mod kernel;
mod relaxed;
mod search;

use super::config::SurrogateConfig;
use super::{Acquisition, Surrogate, check_sequences, dense, unknown_acquisition};
use crate::error::{Error, Result};
use crate::nn::{Placed, Pool};
use crate::random::Seed;
use crate::reward::relaxed::OtherStrand;
use crate::reward::{Domain, Prediction, Standardisation, TrainingSet, check_shape};
use crate::sequence::Sequence;
use candle_core::{Device, Tensor};
use draw::PriorDraw;
use evidence::Problem;
use kernel::{Bank, Kernel, Words};
use ndarray::{Array1, Array2};
use relaxed::Relaxed;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// Sequences predicted at a time.
const BATCH: usize = 512;

/// A Gaussian process whose covariance is a product over positions.
///
/// ```text
/// y = centre + scale · (f(x) + noise),   f ~ GP(0, s² k),   noise ~ N(0, s² σ²)
/// k(x, y) = Π_i [ρ + (1 − ρ) 1(x_i = y_i)] = exp(−Hamming(x, y)/ℓ),   ρ = e^{−1/ℓ}
/// mean = k(x)ᵀ (K + σ²)⁻¹ z,   variance = s² [k(x, x) − k(x)ᵀ (K + σ²)⁻¹ k(x)]
/// ```
///
/// centre and scale are mean and standard deviation of the labels that it keeps, z the standardised labels; s² is the
/// amplitude, σ² the noise relative to it. Options give every position an ℓ of its own, make f the mean of both strands,
/// and let what matters sit some letters to the left or right: f(x) = Σ_a c_a g(T_a x) over shifts and strands T_a, with
/// random letters where a shift leaves none. `auto` settings maximise the log evidence
/// `−½ zᵀC⁻¹z − ½ log|C| − (n/2) log 2π`, C = s²(K + σ²).
///
/// Of a relaxed sequence it gives the process E f(X), letters X_i ~ p_i independent: covariances are linear in every row
/// of p, so mean, variance and Thompson draws are exact there, and differentiable. The arithmetic is in f64 whatever the
/// type of p. Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), chapters 2 and 5; draws by
/// Matheron's rule, Wilson et al. 2020, arXiv 2002.09309.
///
/// ```
/// use seqtilt::nn::Pool;
/// use seqtilt::reward::{GaussianProcess, Surrogate, SurrogateConfig, TrainingSet};
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let word = |text| Sequence::parse(text, &dna);
/// let set = TrainingSet::new(dna.clone(), [(word("AC")?, 1.0), (word("GT")?, 3.0)])?;
/// let process = GaussianProcess::fit(&SurrogateConfig::default(), &set, seqtilt::Seed::root(0), Pool::inline())?;
/// // between two labels that are equally far away lies their mean, and little is known there: k = e^{−1/2.5}
/// let (k, two) = ((-0.4_f64).exp(), (-0.8_f64).exp());
/// let between = process.predict(&[word("AT")?])?[0];
/// assert!((between.mean - 2.0).abs() < 1e-12);
/// assert!((between.sd.unwrap() - (1.0 - 2.0 * k * k / (1.001 + two)).sqrt()).abs() < 1e-12);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Cost
/// A fit takes n³ multiply-adds in f64, a prediction n²/2. With `auto` settings, some dozens of fits of
/// `evidence-points` labels are added.
#[derive(Debug)]
pub struct GaussianProcess {
    domain: Domain,
    standardisation: Standardisation,
    kernel: Kernel,
    words: Words,
    bank: Bank,
    z: Vec<f64>,
    noise: f64,
    amplitude: f64,
    lengths: Vec<f64>,
    evidence: f64,
    /// W = L⁻¹, LLᵀ = K + σ².
    white: Array2<f64>,
    /// (K + σ²)⁻¹ z.
    alpha: Array1<f64>,
    features: usize,
    pool: Pool,
    placed: Placed<Placement>,
    drawn: Mutex<Option<(Seed, Arc<Draw>)>>,
}

/// What relaxed sequences need on a device.
#[derive(Debug)]
struct Placement {
    relaxed: Relaxed,
    /// Wᵀ, (n, n).
    white: Tensor,
    /// (n, 1).
    alpha: Tensor,
}

/// `f(x) = g(x) + k(x)ᵀ (K + σ²)⁻¹ (z − g − noise)`, g a draw from the prior.
#[derive(Debug)]
struct Draw {
    prior: PriorDraw,
    update: Vec<f64>,
    placed: Placed<Tensor>,
}

impl GaussianProcess {
    /// Fits to labels, at most `max-points` of them.
    ///
    /// # Errors
    /// When a setting is out of range, both strands are asked for where letters have no complements, or the covariance is
    /// singular, as it may be without noise.
    pub fn fit(config: &SurrogateConfig, set: &TrainingSet, seed: Seed, pool: &Pool) -> Result<Self> {
        config.check()?;
        let domain = set.domain().clone();
        let merged = if config.both_strands { Some(set.molecules()?) } else { None };
        let set = kept(merged.as_ref().unwrap_or(set), config.max_points, seed)?;
        let standardisation = Standardisation::of(set.values());
        let Standardisation { centre, scale } = standardisation;
        let z: Vec<f64> = set.values().iter().map(|value| (value - centre) / scale).collect();
        let complements = if config.both_strands { Some(complements(&domain)?) } else { None };
        let shape = Kernel::new(domain.alphabet.len(), domain.length, complements, config.shifts);
        let words: Words =
            set.sequences().iter().map(|x| shape.words(&x.padded(&domain.alphabet, domain.length))).collect();
        let pool = if pool.threads() > 1 { Pool::new(pool.threads())? } else { Pool::new(1)? };
        let hyper = search::search(config, &shape, &words, &z, seed, &pool)?;
        let kernel = shape.with(&hyper.lengths, hyper.decay);
        let problem = Problem { kernel: &kernel, words: &words, z: &z, noise: hyper.noise };
        let Some(solved) = problem.solve(config.amplitude, &pool)? else {
            return Err(Error::usage(format!(
                "the covariance of {} sequences is singular at noise {}",
                z.len(),
                hyper.noise
            ))
            .hint("raise `noise`; 0.000001 is enough"));
        };
        let bank = Bank::new(&kernel, &words);
        Ok(Self {
            domain,
            standardisation,
            words,
            bank,
            z,
            noise: hyper.noise,
            amplitude: solved.amplitude,
            lengths: hyper.lengths,
            evidence: solved.evidence,
            white: solved.white,
            alpha: solved.alpha,
            features: config.features,
            pool,
            kernel,
            placed: Placed::default(),
            drawn: Mutex::default(),
        })
    }

    /// ℓ of every position.
    #[must_use]
    pub fn lengths(&self) -> &[f64] {
        &self.lengths
    }

    /// σ², relative to the amplitude.
    #[must_use]
    pub fn noise(&self) -> f64 {
        self.noise
    }

    /// s², in units of the variance of the labels.
    #[must_use]
    pub fn amplitude(&self) -> f64 {
        self.amplitude
    }

    /// The log evidence of the standardised labels that were kept, in nats.
    #[must_use]
    pub fn log_evidence(&self) -> f64 {
        self.evidence
    }

    /// How many labels were kept; the two strands of a molecule are one where both are read.
    #[must_use]
    pub fn points(&self) -> usize {
        self.z.len()
    }

    fn placement(&self, device: &Device) -> Result<Arc<Placement>> {
        self.placed.on(device, || {
            let n = self.z.len();
            let strand = if self.kernel.views.iter().any(|view| view.reverse) {
                OtherStrand::new(&self.domain.alphabet, self.domain.length, device)?
            } else {
                None
            };
            let white = Tensor::from_vec(self.white.t().iter().copied().collect::<Vec<_>>(), (n, n), device)?;
            let alpha = Tensor::from_vec(self.alpha.to_vec(), (n, 1), device)?;
            Ok(Placement { relaxed: Relaxed::new(&self.kernel, &self.words, strand, device)?, white, alpha })
        })
    }

    /// The draw of a seed; the last one is kept.
    fn draw(&self, seed: Seed) -> Arc<Draw> {
        let mut kept = self.drawn.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, draw)) = kept.as_ref().filter(|(known, _)| *known == seed) {
            return Arc::clone(draw);
        }
        let prior = PriorDraw::new(&self.kernel, self.features, seed);
        let mut rng = seed.child("noise").rng();
        let (noise, size) = (self.noise.sqrt(), self.amplitude.sqrt());
        let of_prior = prior.at(&self.kernel, &self.words);
        let residual: Array1<f64> =
            self.z.iter().zip(of_prior).map(|(z, g)| z - size * (g + noise * rng.normal())).collect();
        let update = self.white.t().dot(&self.white.dot(&residual)).to_vec();
        let draw = Arc::new(Draw { prior, update, placed: Placed::default() });
        *kept = Some((seed, Arc::clone(&draw)));
        draw
    }

    /// Standardised means, and standard deviations where they are wanted.
    fn at(&self, words: &[Vec<u8>], spread: bool) -> (Array1<f64>, Vec<f64>) {
        let rows = self.bank.rows(&self.kernel, words);
        let means = rows.dot(&self.alpha);
        if !spread {
            return (means, Vec::new());
        }
        let variance =
            |(word, known): (&Vec<u8>, f64)| self.amplitude * (self.kernel.pair(word, word) - known).max(0.0);
        let known = dense::squares(&self.white, &rows);
        (means, words.iter().zip(known).map(|pair| variance(pair).sqrt()).collect())
    }

    /// Means and standard deviations in the units of the labels; those of a molecule are found once.
    fn predictions(&self, sequences: &[Sequence], spread: bool) -> Result<Vec<Prediction>> {
        check_sequences(&self.domain, sequences)?;
        let mut place: BTreeMap<Sequence, usize> = BTreeMap::new();
        let mut distinct: Vec<&Sequence> = Vec::new();
        let index = |sequence| {
            let key = if self.kernel.is_stranded() { self.molecule(sequence) } else { sequence.clone() };
            *place.entry(key).or_insert_with(|| {
                distinct.push(sequence);
                distinct.len() - 1
            })
        };
        let indices: Vec<usize> = sequences.iter().map(index).collect();
        let batches: Vec<&[&Sequence]> = distinct.chunks(BATCH).collect();
        let found = self.pool.map(batches.len(), |batch| {
            let words: Words = batches[batch].iter().map(|x| self.words(x)).collect();
            let (means, sds) = self.at(&words, spread);
            let Standardisation { centre, scale } = self.standardisation;
            let mean = |(index, mean): (usize, &f64)| Prediction {
                mean: centre + scale * mean,
                sd: sds.get(index).map(|sd| scale * sd),
            };
            Ok(means.iter().enumerate().map(mean).collect::<Vec<_>>())
        })?;
        let found = found.concat();
        Ok(indices.into_iter().map(|index| found[index]).collect())
    }

    /// All views of a sequence.
    fn words(&self, x: &Sequence) -> Vec<u8> {
        self.kernel.words(&x.padded(&self.domain.alphabet, self.domain.length))
    }

    /// Of two strands the one first in the alphabet's order.
    fn molecule(&self, sequence: &Sequence) -> Sequence {
        let other = sequence.reverse_complement(&self.domain.alphabet);
        other.filter(|other| other < sequence).unwrap_or_else(|| sequence.clone())
    }
}

impl Surrogate for GaussianProcess {
    fn domain(&self) -> &Domain {
        &self.domain
    }

    fn predict(&self, sequences: &[Sequence]) -> Result<Vec<Prediction>> {
        self.predictions(sequences, true)
    }

    fn score(&self, sequences: &[Sequence], acquisition: Acquisition, draw: Seed) -> Result<Vec<f64>> {
        let bound = |bonus: f64| -> Result<Vec<f64>> {
            let found = self.predictions(sequences, bonus != 0.0)?;
            Ok(found.into_iter().map(|p| p.mean + bonus * p.sd.unwrap_or(0.0)).collect())
        };
        match acquisition {
            Acquisition::Mean => bound(0.0),
            Acquisition::Ucb { bonus } => bound(bonus),
            Acquisition::Thompson if sequences.is_empty() => Ok(Vec::new()),
            Acquisition::Thompson => {
                check_sequences(&self.domain, sequences)?;
                let drawn = self.draw(draw);
                let batches: Vec<&[Sequence]> = sequences.chunks(BATCH).collect();
                let Standardisation { centre, scale } = self.standardisation;
                let (update, size) = (Array1::from_vec(drawn.update.clone()), self.amplitude.sqrt());
                let values = self.pool.map(batches.len(), |batch| {
                    let words: Words = batches[batch].iter().map(|x| self.words(x)).collect();
                    let means = self.bank.rows(&self.kernel, &words).dot(&update);
                    let prior = drawn.prior.at(&self.kernel, &words);
                    Ok(means.iter().zip(prior).map(|(m, g)| centre + scale * (m + size * g)).collect::<Vec<f64>>())
                })?;
                Ok(values.concat())
            }
            Acquisition::BootstrapMax => Err(no_members(acquisition)),
        }
    }

    fn acquire(&self, probs: &Tensor, acquisition: Acquisition, draw: Seed) -> Result<Tensor> {
        check_shape(probs, Some(self.domain.length), self.domain.alphabet.len())?;
        let placed = self.placement(probs.device())?;
        let Placement { relaxed, white, alpha } = &*placed;
        let views = relaxed.views(probs)?;
        let rows = relaxed.rows(&views)?;
        let mean = |weights: &Tensor| -> Result<Tensor> { Ok(rows.matmul(weights)?.squeeze(1)?) };
        let value = match acquisition {
            Acquisition::Mean => mean(alpha)?,
            Acquisition::Ucb { bonus } => {
                let variance = (relaxed.own(&views)? - rows.matmul(white)?.sqr()?.sum(1)?)?;
                // far below any spread that matters; keeps the gradient of the root finite at the labels
                let sd = variance.relu()?.affine(self.amplitude, 1e-12)?.sqrt()?;
                (mean(alpha)? + (sd * bonus)?)?
            }
            Acquisition::Thompson => {
                let draw = self.draw(draw);
                let n = draw.update.len();
                let update =
                    draw.placed.on(probs.device(), || Ok(Tensor::from_slice(&draw.update, (n, 1), probs.device())?))?;
                (mean(&update)? + (draw.prior.relaxed(relaxed, &views)? * self.amplitude.sqrt())?)?
            }
            Acquisition::BootstrapMax => {
                return Err(no_members(acquisition));
            }
        };
        let Standardisation { centre, scale } = self.standardisation;
        Ok(value.affine(scale, centre)?.to_dtype(probs.dtype())?)
    }
}

/// A process is not an ensemble.
fn no_members(acquisition: Acquisition) -> Error {
    unknown_acquisition("gp", acquisition, "`mean`, `ucb:K`, `thompson`")
        .hint("the surrogate `bootstrap` has members to take the greatest of")
}

/// All labels, or the best half and a random half of the rest.
fn kept(set: &TrainingSet, most: usize, seed: Seed) -> Result<TrainingSet> {
    let mut order: Vec<usize> = (0..set.len()).collect();
    order.sort_by(|a, b| set.values()[*b].total_cmp(&set.values()[*a]));
    if most > 0 && set.len() > most {
        let best = most - most / 2;
        seed.child("points").rng().shuffle(&mut order[best..]);
        order.truncate(most);
    }
    order.sort_unstable();
    let pair = |index: usize| (set.sequences()[index].clone(), set.values()[index]);
    TrainingSet::within(set.domain(), order.into_iter().map(pair))
}

/// The other letter of every pair.
fn complements(domain: &Domain) -> Result<Vec<u8>> {
    let alphabet = &domain.alphabet;
    if alphabet.padding().is_some() {
        return Err(Error::usage("`both-strands` of a Gaussian process is for sequences of one length")
            .hint("leave it out, or learn an ensemble: `seqtilt oracle train`"));
    }
    let ids = (0..alphabet.len()).map(|id| alphabet.complement(id as u8));
    ids.collect::<Option<Vec<u8>>>().ok_or_else(|| {
        Error::usage(format!("`both-strands` asks for complements, and alphabet `{}` has none", alphabet.name()))
            .hint("`both-strands` is for DNA and RNA")
    })
}

#[cfg(test)]
mod tests;
