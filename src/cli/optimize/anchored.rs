//! The reward of a round: an acquisition, and what the rounds before it weigh.

use crate::campaign::Anchor;
use crate::error::Result;
use crate::random::Seed;
use crate::reward::{Acquired, Acquisition, Domain, Measured, Multilinear, Reward, Score as _, Surrogate, enumerable};
use crate::sequence::Sequence;
use candle_core::Tensor;

/// A surrogate of a round and the seed of what it draws.
pub(in crate::cli) struct Fit {
    pub(in crate::cli) surrogate: Box<dyn Surrogate>,
    pub(in crate::cli) acquisition: Acquisition,
    pub(in crate::cli) draw: Seed,
}

impl Fit {
    pub(in crate::cli) fn acquired(&self) -> Acquired<'_> {
        Acquired::new(self.surrogate.as_ref(), self.acquisition, self.draw)
    }

    /// The acquisition of all words.
    fn words(&self) -> Result<Vec<f64>> {
        let Domain { alphabet, length } = self.surrogate.domain();
        self.acquired().scores(&Sequence::all(alphabet, *length).collect::<Vec<_>>())
    }
}

/// Two prices over rounds: see [`Anchor`].
pub(in crate::cli) struct Anchored {
    prices: (f64, f64),
    /// Where words are enumerated: the recursion on all of them.
    table: Option<Anchor>,
    /// Where they are not: the fits before this round.
    fits: Vec<Fit>,
    /// Rounds that were gone through.
    pub(in crate::cli) rounds: usize,
}

/// The reward of a round.
pub(in crate::cli) enum RoundReward<'a> {
    /// On all words: that of the anchor, and the acquisition alone.
    Table { anchored: Multilinear, acquisition: Vec<f64> },
    /// A weighted sum of acquisitions, the last of which is the round's own.
    Sum(WeightedSum<'a>),
}

impl RoundReward<'_> {
    pub(in crate::cli) fn reward(&self) -> &dyn Reward {
        match self {
            Self::Table { anchored, .. } => anchored,
            Self::Sum(sum) => sum,
        }
    }

    /// The round's acquisition of all words, where they are enumerated.
    pub(in crate::cli) fn words(&self) -> Option<&[f64]> {
        match self {
            Self::Table { acquisition, .. } => Some(acquisition),
            Self::Sum(_) => None,
        }
    }
}

/// Σ_j w_j a_j.
pub(in crate::cli) struct WeightedSum<'a> {
    name: String,
    parts: Vec<(f64, Acquired<'a>)>,
}

impl Reward for WeightedSum<'_> {
    fn name(&self) -> &str {
        &self.name
    }

    fn reward(&self, probs: &Tensor) -> Result<Tensor> {
        let mut total: Option<Tensor> = None;
        for (weight, part) in &self.parts {
            let term = (part.reward(probs)? * *weight)?;
            total = Some(match total {
                None => term,
                Some(sum) => (sum + term)?,
            });
        }
        match total {
            Some(total) => Ok(total),
            None => Ok(Tensor::zeros(probs.dim(0)?, probs.dtype(), probs.device())?),
        }
    }
}

impl Anchored {
    /// Before the first round.
    ///
    /// # Errors
    /// When a price is out of range.
    pub(in crate::cli) fn new(alpha: f64, beta: f64, letters: usize, length: usize) -> Result<Self> {
        let words = enumerable(letters, length).then(|| letters.pow(length as u32));
        let table = Anchor::new(alpha, beta, words.unwrap_or(0))?;
        Ok(Self { prices: (alpha, beta), table: words.map(|_| table), fits: Vec::new(), rounds: 0 })
    }

    /// What a round climbs. Where words are enumerated, those of `known` are worth no more than the least: they cannot be measured for
    /// the first time again.
    ///
    /// # Errors
    /// When a surrogate fails.
    pub(in crate::cli) fn reward<'a>(&'a self, fit: &'a Fit, known: Option<&Measured>) -> Result<RoundReward<'a>> {
        let name = format!("{} of round {}", fit.acquisition, self.rounds + 1);
        let domain = fit.surrogate.domain();
        if let Some(anchor) = &self.table {
            let acquisition = fit.words()?;
            let mut values = anchor.reward(&acquisition)?;
            let least = values.iter().copied().fold(f64::INFINITY, f64::min);
            for label in known.into_iter().flat_map(Measured::labels) {
                values[label.sequence.number(domain.alphabet.len())] = least;
            }
            let anchored = Multilinear::new(name, &values, domain.alphabet.len(), domain.length)?;
            return Ok(RoundReward::Table { anchored, acquisition });
        }
        // ρ as a sum over the rounds before: a fit that is k rounds old weighs β^k/(α+β)^k
        let (alpha, beta) = self.prices;
        let share = beta / (alpha + beta);
        let fits = self.fits.iter().chain([fit]);
        let ages = (0..=self.fits.len()).rev();
        let parts = fits.zip(ages).map(|(fit, age)| (share.powf(age as f64), fit.acquired())).collect();
        Ok(RoundReward::Sum(WeightedSum { name, parts }))
    }

    /// Goes on to the next round.
    ///
    /// # Errors
    /// When a surrogate fails.
    pub(in crate::cli) fn advance(&mut self, fit: Option<Fit>) -> Result<()> {
        self.rounds += 1;
        let Some(fit) = fit.filter(|_| self.prices.1 > 0.0) else { return Ok(()) };
        if let Some(anchor) = &mut self.table {
            return anchor.advance(&fit.words()?);
        }
        self.fits.push(fit);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::{Label, Prediction, one_hot};
    use crate::sequence::Alphabet;
    use candle_core::{DType, Device};

    /// A weight for every letter of every position.
    struct Linear(Domain, Tensor);

    impl Surrogate for Linear {
        fn domain(&self) -> &Domain {
            &self.0
        }

        fn predict(&self, sequences: &[Sequence]) -> Result<Vec<Prediction>> {
            Ok(sequences.iter().map(|_| Prediction { mean: 0.0, sd: None }).collect())
        }

        fn acquire(&self, probs: &Tensor, _: Acquisition, _: Seed) -> Result<Tensor> {
            let weights = self.1.to_dtype(probs.dtype())?;
            Ok(probs.broadcast_mul(&weights)?.sum((1, 2))?)
        }
    }

    fn fit(round: u64) -> Fit {
        let mut rng = Seed::root(round).rng();
        let weights: Vec<f64> = (0..12).map(|_| rng.normal()).collect();
        let weights = Tensor::from_vec(weights, (1, 3, 4), &Device::Cpu).unwrap();
        let domain = Domain { alphabet: Alphabet::dna(), length: 3 };
        Fit { surrogate: Box::new(Linear(domain, weights)), acquisition: Acquisition::Mean, draw: Seed::root(0) }
    }

    #[test]
    fn what_is_known_is_worth_the_least() {
        let (table, own) = (Anchored::new(0.2, 0.6, 4, 3).unwrap(), fit(0));
        let plain = table.reward(&own, None).unwrap().words().unwrap().to_vec();
        let best = (0..64).max_by(|a, b| plain[*a].total_cmp(&plain[*b])).unwrap();
        let word = Sequence::all(&Alphabet::dna(), 3).nth(best).unwrap();
        assert_eq!(word.number(4), best);
        let mut known = Measured::new(own.surrogate.domain().clone());
        known.push(Label { sequence: word.clone(), value: None, round: 1 }).unwrap();
        let masked = table.reward(&own, Some(&known)).unwrap();
        let value = |x: &Sequence| {
            let vertex = one_hot(std::slice::from_ref(x), 4, &Device::Cpu).unwrap();
            f64::from(masked.reward().reward(&vertex).unwrap().to_vec1::<f32>().unwrap()[0])
        };
        let others: Vec<f64> = Sequence::all(&Alphabet::dna(), 3).map(|x| value(&x)).collect();
        let least = others.iter().copied().fold(f64::INFINITY, f64::min);
        assert!((value(&word) - least).abs() < 1e-6 && others.iter().any(|other| *other > least + 0.1));
        // what the rounds after it build on is the acquisition as it is
        assert_eq!(masked.words().unwrap(), plain);
    }

    #[test]
    fn the_sum_of_weighted_rounds_is_the_recursion_on_all_words() {
        let dna = Alphabet::dna();
        let mut table = Anchored::new(0.2, 0.6, 4, 3).unwrap();
        let mut sum = Anchored { table: None, ..Anchored::new(0.2, 0.6, 4, 3).unwrap() };
        let words: Vec<Sequence> =
            (0..64_u8).map(|n| Sequence::from_ids([n / 16, n / 4 % 4, n % 4], &dna).unwrap()).collect();
        let vertices = one_hot(&words, 4, &Device::Cpu).unwrap().to_dtype(DType::F64).unwrap();
        for round in 0..4 {
            let own = fit(round);
            let (a, b) = (table.reward(&own, None).unwrap(), sum.reward(&own, None).unwrap());
            assert!(a.words().is_some() && b.words().is_none());
            let values = |r: &RoundReward<'_>| r.reward().reward(&vertices).unwrap().to_vec1::<f64>().unwrap();
            let error = values(&a).iter().zip(values(&b)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            // tables are read in f32
            assert!(error < 1e-5, "round {round}: {error}");
            table.advance(Some(fit(round))).unwrap();
            sum.advance(Some(fit(round))).unwrap();
        }
    }
}
