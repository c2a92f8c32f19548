//! A motif as a reward: the log-odds of its sites.

mod file;

use super::{Reward, check_shape, enumerable};
use crate::error::{Error, Result};
use crate::nn::{Placed, exact_product};
use crate::registry::registry;
use crate::sequence::{Alphabet, Sequence};
use crate::store::Sha256;
use candle_core::{D, DType, Tensor};
use std::fmt::Write as _;
use std::sync::Arc;

pub use file::Motif;

/// Longest sequence that a motif is looked for in.
pub(crate) const LONGEST: usize = 4096;

/// What the sites of a motif add up to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sites {
    /// `log Σ_k e^{s_k}`: all sites together, as a protein that binds any of them sees the sequence.
    #[default]
    Sum,
    /// `max_k s_k`: the best site alone.
    Best,
}

registry! {
    /// What the sites of a motif add up to.
    pub SITES: Sites, "rule of sites", "rules of sites";
    "sum" => Sites::Sum, "log of the sum of the sites' odds";
    "best" => Sites::Best, "log-odds of the best site";
}

/// A position weight matrix: what the sites of a motif are worth, in nats.
///
/// ```text
/// s_k(x) = Σ_j ln(q_j(x_{k+j}) / b(x_{k+j}))        score = log Σ_k e^{s_k(x)}  or  max_k s_k(x)
/// s_k(p) = Σ_j Σ_v p_{k+j}(v) ln(q_j(v)/b(v))
/// ```
/// q the motif's letter probabilities, b its background, k over all places that the motif fits into, on one or both strands (Stormo
/// 2000, Bioinformatics 16:16). The relaxed value is the same log of a sum, or maximum, of the sites' *mean* scores `s_k(p)`: it is the
/// score where every position is one letter, and at most the mean of the score in between (Jensen).
///
/// ```
/// use seqtilt::reward::{Motif, Pwm, Reward, Sites};
/// use seqtilt::sequence::Sequence;
/// let motif = Motif::parse(">M1 one\nA [ 8 0 ]\nC [ 0 8 ]\nG [ 0 0 ]\nT [ 0 0 ]\n", None)?;
/// let pwm = Pwm::new(&motif, Sites::Best, false)?;
/// let score = pwm.score(&Sequence::parse("TTACT", pwm.alphabet())?);
/// // one pseudocount, spread over four letters: q = 8.25/9 at both positions
/// assert!((score - 2.0 * (8.25_f64 / 9.0 / 0.25).ln()).abs() < 1e-12);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Cost
/// Places times width times V multiply-adds a sequence, and as many again for the other strand.
#[derive(Clone, Debug)]
pub struct Pwm {
    name: String,
    alphabet: Alphabet,
    width: usize,
    sites: Sites,
    /// Log-odds (width, V) of one strand or two.
    strands: Vec<Vec<f64>>,
    single: Arc<Placed<Tensor>>,
    double: Arc<Placed<Tensor>>,
}

impl Pwm {
    /// The sites of a motif on one strand or both.
    ///
    /// # Errors
    /// When the motif's letters have no complements and both strands are asked for.
    pub fn new(motif: &Motif, sites: Sites, both: bool) -> Result<Self> {
        let (alphabet, v) = (motif.alphabet.clone(), motif.alphabet.len());
        let odds: Vec<f64> =
            motif.rows.iter().flat_map(|row| row.iter().zip(&motif.background).map(|(q, b)| (q / b).ln())).collect();
        let width = motif.rows.len();
        if width == 0 || width > LONGEST {
            return Err(Error::data(format!(
                "motif `{}` has {width} positions; 1 to {LONGEST} are accepted",
                motif.name
            )));
        }
        if let Some(odd) = odds.iter().position(|odds| !odds.is_finite()) {
            let (name, position) = (&motif.name, odd / v + 1);
            return Err(Error::data(format!("a log-odds of motif `{name}` at position {position} is not finite"))
                .hint("counts, probabilities and the background must be finite and not too far apart"));
        }
        let mut strands = vec![odds];
        if both {
            let complement = |id: usize| alphabet.complement(id as u8).map(usize::from);
            let other = (0..width * v).map(|k| {
                let from = complement(k % v)?;
                Some(strands[0][(width - 1 - k / v) * v + from])
            });
            let other = other.collect::<Option<Vec<f64>>>().ok_or_else(|| {
                Error::usage(format!("letters of alphabet `{}` have no complements", alphabet.name()))
                    .hint("leave out `strands=both`")
            })?;
            strands.push(other);
        }
        let name = motif.name.clone();
        Ok(Self { name, alphabet, width, sites, strands, single: Arc::default(), double: Arc::default() })
    }

    /// Its letters.
    #[must_use]
    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    /// The number of positions of the motif.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// A hash of letters, log-odds and the rule of sites.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let mut text = format!("pwm {} {:?}", String::from_utf8_lossy(self.alphabet.letters()), self.sites);
        for (strand, odds) in self.strands.iter().enumerate() {
            for value in odds {
                let _ = write!(text, ";{strand} {value}");
            }
        }
        let mut hash = Sha256::default();
        hash.update(text.as_bytes());
        format!("sha256:{}", hash.hex())
    }

    /// The score of a sequence of its alphabet: −∞ where the motif does not fit into it.
    #[must_use]
    pub fn score(&self, sequence: &Sequence) -> f64 {
        let v = self.alphabet.len();
        let windows = || sequence.ids().windows(self.width);
        let site = |odds: &[f64], window: &[u8]| -> f64 {
            (0..).zip(window).map(|(j, id): (usize, &u8)| odds[j * v + usize::from(*id)]).sum()
        };
        let scores: Vec<f64> =
            self.strands.iter().flat_map(|odds| windows().map(|window| site(odds, window))).collect();
        let best = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match self.sites {
            Sites::Sum if best.is_finite() => best + scores.iter().map(|s| (s - best).exp()).sum::<f64>().ln(),
            _ => best,
        }
    }

    /// `log Σ_x e^{score(x)}` of all sites together: sums and letters exchange,
    ///
    /// ```text
    /// Σ_x Σ_k e^{s_k(x)} = Σ_k V^{L−w} Π_j Σ_v q_j(v)/b(v)
    /// ```
    fn all_sites(&self, length: usize) -> f64 {
        let v = self.alphabet.len();
        let places = (length - self.width + 1) as f64;
        let strand = |odds: &Vec<f64>| -> f64 {
            odds.chunks_exact(v).map(|row| row.iter().map(|s| s.exp()).sum::<f64>().ln()).sum::<f64>()
        };
        let strands: Vec<f64> = self.strands.iter().map(strand).collect();
        let most = strands.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let together = most + strands.iter().map(|s| (s - most).exp()).sum::<f64>().ln();
        places.ln() + (length - self.width) as f64 * (v as f64).ln() + together
    }

    /// (width · V, strands) in the type and on the device of `like`.
    fn odds(&self, like: &Tensor) -> Result<Arc<Tensor>> {
        let placed = if like.dtype() == DType::F64 { &self.double } else { &self.single };
        placed.on(like.device(), || {
            let rows = self.width * self.alphabet.len();
            let odds = Tensor::from_vec(self.strands.concat(), (self.strands.len(), rows), like.device())?;
            Ok(odds.to_dtype(like.dtype())?.t()?.contiguous()?)
        })
    }
}

impl Reward for Pwm {
    fn name(&self) -> &str {
        &self.name
    }

    fn reward(&self, probs: &Tensor) -> Result<Tensor> {
        let v = self.alphabet.len();
        check_shape(probs, None, v)?;
        let (rows, length, _) = probs.dims3()?;
        if length < self.width {
            let (name, width) = (&self.name, self.width);
            return Err(Error::usage(format!("motif `{name}` has {width} positions; {length} letters do not hold it")));
        }
        let probs = if probs.dtype() == DType::F64 { probs.clone() } else { probs.to_dtype(DType::F32)? };
        let places = length - self.width + 1;
        let shifted = (0..self.width).map(|j| probs.narrow(1, j, places));
        let windows = Tensor::cat(&shifted.collect::<candle_core::Result<Vec<_>>>()?, 2)?;
        let flat = windows.reshape((rows * places, self.width * v))?;
        let scores = exact_product(&flat, self.odds(&flat)?.as_ref())?.reshape((rows, places * self.strands.len()))?;
        let best = scores.max_keepdim(D::Minus1)?.detach();
        match self.sites {
            Sites::Sum => {
                let odds = scores.broadcast_sub(&best)?.exp()?.sum(1)?;
                Ok((odds.log()? + best.squeeze(1)?)?)
            }
            Sites::Best => {
                // the mean of the best sites, which is one but for ties
                let chosen = scores.broadcast_eq(&best)?.to_dtype(scores.dtype())?.detach();
                let chosen = chosen.broadcast_div(&chosen.sum_keepdim(1)?)?;
                Ok((scores * chosen)?.sum(1)?)
            }
        }
    }

    fn log_partition(&self, length: usize, temperature: f64) -> Option<f64> {
        if length < self.width {
            return None;
        }
        if self.sites == Sites::Sum && temperature == 1.0 {
            return Some(self.all_sites(length));
        }
        let v = self.alphabet.len();
        if !enumerable(v, length) {
            return None;
        }
        let words = (0..v.pow(length as u32)).map(|word| {
            let ids: Vec<u8> = (0..length).rev().map(|i| (word / v.pow(i as u32) % v) as u8).collect();
            Sequence::from_ids(ids, &self.alphabet).map(|x| self.score(&x) / temperature)
        });
        let scores = words.collect::<Result<Vec<f64>>>().ok()?;
        let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        Some(most + scores.iter().map(|s| (s - most).exp()).sum::<f64>().ln())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;
    use crate::random::Seed;
    use crate::reward::one_hot;
    use candle_core::Device;

    const MEME: &str = "MEME version 4\n\nALPHABET= ACGT\n\nBackground letter frequencies\nA 0.3 C 0.2 G 0.2 T 0.3\n\n\
                        MOTIF one\nletter-probability matrix: alength= 4 w= 3 nsites= 10 E= 0\n 0.7 0.1 0.1 0.1\n \
                        0.0 1.0 0.0 0.0\n 0.25 0.25 0.4 0.1\n";

    fn pwm(sites: Sites, both: bool) -> Pwm {
        Pwm::new(&Motif::parse(MEME, None).unwrap(), sites, both).unwrap()
    }

    fn words(length: usize) -> Vec<Sequence> {
        (0..4_usize.pow(length as u32))
            .map(|w| {
                let ids: Vec<u8> = (0..length).rev().map(|i| (w / 4_usize.pow(i as u32) % 4) as u8).collect();
                Sequence::from_ids(ids, &Alphabet::dna()).unwrap()
            })
            .collect()
    }

    #[test]
    fn the_score_is_that_of_sites_written_out() {
        let q = |p: f64, b: f64| ((p * 10.0 + b) / 11.0 / b).ln();
        let site = |x: &[u8]| -> f64 {
            let b = [0.3, 0.2, 0.2, 0.3];
            let rows = [[0.7, 0.1, 0.1, 0.1], [0.0, 1.0, 0.0, 0.0], [0.25, 0.25, 0.4, 0.1]];
            rows.iter().zip(x).map(|(row, id)| q(row[usize::from(*id)], b[usize::from(*id)])).sum()
        };
        let dna = Alphabet::dna();
        let word = Sequence::parse("TACGA", &dna).unwrap();
        let other = word.reverse_complement(&dna).unwrap();
        let one: Vec<f64> = word.ids().windows(3).map(site).collect();
        let both: Vec<f64> = one.iter().copied().chain(other.ids().windows(3).map(site)).collect();
        let sum = |scores: &[f64]| scores.iter().map(|s| s.exp()).sum::<f64>().ln();
        let best = |scores: &[f64]| scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        for (sites, strands, want) in [
            (Sites::Sum, false, sum(&one)),
            (Sites::Sum, true, sum(&both)),
            (Sites::Best, false, best(&one)),
            (Sites::Best, true, best(&both)),
        ] {
            let pwm = pwm(sites, strands);
            // rounding alone
            assert!((pwm.score(&word) - want).abs() < 1e-12, "{sites:?} {strands}");
            let vertex = one_hot(std::slice::from_ref(&word), 4, &Device::Cpu).unwrap();
            let relaxed = pwm.reward(&vertex).unwrap().to_vec1::<f32>().unwrap()[0];
            assert!((f64::from(relaxed) - want).abs() < 1e-5, "f32: {relaxed} {want}");
        }
    }

    #[test]
    fn relaxed_values_bound_the_mean_from_below_and_their_slopes_agree_with_differences() {
        let mut rng = Seed::root(3).rng();
        let rows: Vec<Vec<f64>> = (0..8)
            .map(|_| {
                let w: Vec<f64> = (0..4).map(|_| rng.normal().exp()).collect();
                let sum: f64 = w.iter().sum();
                w.into_iter().map(|w| w / sum).collect()
            })
            .collect();
        let probs = Tensor::from_vec(rows.concat(), (2, 4, 4), &Device::Cpu).unwrap();
        for sites in [Sites::Sum, Sites::Best] {
            let pwm = pwm(sites, true);
            let got = pwm.reward(&probs).unwrap().to_vec1::<f64>().unwrap();
            for (row, got) in got.iter().enumerate() {
                let p = |x: &Sequence| -> f64 {
                    x.ids().iter().enumerate().map(|(i, id)| rows[row * 4 + i][usize::from(*id)]).product()
                };
                let mean: f64 = words(4).iter().map(|x| p(x) * pwm.score(x)).sum();
                assert!(*got <= mean + 1e-12, "{sites:?}: {got} {mean}");
            }
            check::input(&probs, |p| pwm.reward(p));
        }
    }

    #[test]
    fn the_partition_function_is_brute_force() {
        for both in [false, true] {
            for sites in [Sites::Sum, Sites::Best] {
                for temperature in [0.5, 1.0] {
                    let pwm = pwm(sites, both);
                    let brute: f64 = words(5).iter().map(|x| (pwm.score(x) / temperature).exp()).sum();
                    let got = pwm.log_partition(5, temperature).unwrap();
                    // 1024 terms in f64
                    assert!((got - brute.ln()).abs() < 1e-11, "{sites:?} {temperature}: {got} {}", brute.ln());
                }
            }
        }
        assert!(pwm(Sites::Sum, true).log_partition(500, 1.0).is_some());
        assert!(pwm(Sites::Best, true).log_partition(500, 1.0).is_none());
        assert!(pwm(Sites::Sum, true).log_partition(2, 1.0).is_none());
    }

    #[test]
    fn sequences_that_are_too_short_are_refused() {
        let error = pwm(Sites::Sum, false).reward(&Tensor::ones((1, 2, 4), DType::F32, &Device::Cpu).unwrap());
        assert!(error.unwrap_err().message().contains("2 letters do not hold it"));
        assert_ne!(pwm(Sites::Sum, false).fingerprint(), pwm(Sites::Sum, true).fingerprint());
        assert_ne!(pwm(Sites::Sum, false).fingerprint(), pwm(Sites::Best, false).fingerprint());
    }
}
