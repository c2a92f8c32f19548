//! Counting models of sequences: what a neural prior has to beat.

use crate::error::{Error, Result};
use crate::sequence::Sequence;
use ndarray::Array2;
use std::collections::HashMap;

/// A model that can price a sequence, in nats.
pub trait CountModel {
    /// −log probability of token ids, in nats.
    fn nats_of(&self, ids: &[u8]) -> f64;

    /// −log probability of a sequence, in nats.
    fn nats(&self, sequence: &Sequence) -> f64 {
        self.nats_of(sequence.ids())
    }

    /// Mean price per letter over a held-out set; `None` when it is empty.
    fn nats_per_token(&self, held_out: &[Sequence]) -> Option<f64> {
        let letters: usize = held_out.iter().map(Sequence::len).sum();
        (letters > 0).then(|| held_out.iter().map(|s| self.nats(s)).sum::<f64>() / letters as f64)
    }
}

/// Independent positions: letter frequencies per site, with add-k smoothing.
///
/// ```text
/// p(x) = Π_i (n_i(x_i) + k) / (n + k V)
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SiteModel {
    /// −log probability by site and letter, (L, V).
    nats: Array2<f64>,
}

impl SiteModel {
    /// Counts a set of sequences of one length over `letters` letters.
    ///
    /// # Errors
    /// When the set is empty, lengths differ, a letter does not fit, or `smoothing` is not positive.
    pub fn fit(set: &[Sequence], letters: usize, smoothing: f64) -> Result<Self> {
        Self::fit_ids(&set.iter().map(Sequence::ids).collect::<Vec<_>>(), letters, smoothing)
    }

    /// As [`fit`](Self::fit), of token ids: with padding as one of the letters, for instance.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_ids(set: &[&[u8]], letters: usize, smoothing: f64) -> Result<Self> {
        check(set, letters, smoothing)?;
        let length = set[0].len();
        if let Some(other) = set.iter().find(|s| s.len() != length) {
            return Err(Error::data(format!(
                "sequences of length {length} and {}; a site model needs one length",
                other.len()
            )));
        }
        let mut counts = Array2::from_elem((length, letters), smoothing);
        for sequence in set {
            for (site, id) in sequence.iter().enumerate() {
                counts[(site, usize::from(*id))] += 1.0;
            }
        }
        let total = set.len() as f64 + smoothing * letters as f64;
        Ok(Self { nats: counts.mapv(|count| (total / count).ln()) })
    }
}

impl CountModel for SiteModel {
    /// Infinite for a sequence of another length or with a letter outside the alphabet.
    fn nats_of(&self, ids: &[u8]) -> f64 {
        if ids.len() != self.nats.nrows() {
            return f64::INFINITY;
        }
        let price =
            |(site, id): (usize, &u8)| self.nats.get((site, usize::from(*id))).copied().unwrap_or(f64::INFINITY);
        ids.iter().enumerate().map(price).sum()
    }
}

/// A Markov chain of order n − 1: letter counts after every context of up to n − 1 letters, with add-k smoothing. Contexts
/// at the start are shorter, so that the first letters are priced by where they stand; an unseen context prices every
/// letter at log V.
///
/// ```text
/// p(x) = Π_i (n(c_i, x_i) + k) / (n(c_i) + k V),   c_i = the up to n − 1 letters before i
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct NgramModel {
    order: usize,
    letters: usize,
    smoothing: f64,
    /// Counts by context; key 0 of the pair is whether the context is cut off by the start.
    counts: HashMap<(bool, Box<[u8]>), Vec<f64>>,
}

impl NgramModel {
    /// Counts `order`-grams of a set over `letters` letters; order 1 forgets position and context.
    ///
    /// # Errors
    /// When the set is empty, `order` is 0, a letter does not fit, or `smoothing` is not positive.
    pub fn fit(set: &[Sequence], letters: usize, order: usize, smoothing: f64) -> Result<Self> {
        Self::fit_ids(&set.iter().map(Sequence::ids).collect::<Vec<_>>(), letters, order, smoothing)
    }

    /// As [`fit`](Self::fit), of token ids: with a letter that ends sequences, for instance.
    ///
    /// # Errors
    /// As [`fit`](Self::fit).
    pub fn fit_ids(set: &[&[u8]], letters: usize, order: usize, smoothing: f64) -> Result<Self> {
        check(set, letters, smoothing)?;
        if order == 0 {
            return Err(Error::usage("order 0; an n-gram model has order 1 or more"));
        }
        let mut model = Self { order, letters, smoothing, counts: HashMap::new() };
        for sequence in set {
            for i in 0..sequence.len() {
                let key = model.context(sequence, i);
                model.counts.entry(key).or_insert_with(|| vec![0.0; letters])[usize::from(sequence[i])] += 1.0;
            }
        }
        Ok(model)
    }

    fn context(&self, ids: &[u8], i: usize) -> (bool, Box<[u8]>) {
        let start = i.saturating_sub(self.order - 1);
        (i + 1 < self.order, ids[start..i].into())
    }
}

impl CountModel for NgramModel {
    /// Infinite with a letter outside the alphabet.
    fn nats_of(&self, ids: &[u8]) -> f64 {
        (0..ids.len())
            .map(|i| {
                let letter = usize::from(ids[i]);
                if letter >= self.letters {
                    return f64::INFINITY;
                }
                let (seen, total) = self
                    .counts
                    .get(&self.context(ids, i))
                    .map_or((0.0, 0.0), |counts| (counts[letter], counts.iter().sum::<f64>()));
                ((total + self.smoothing * self.letters as f64) / (seen + self.smoothing)).ln()
            })
            .sum()
    }
}

fn check(set: &[&[u8]], letters: usize, smoothing: f64) -> Result<()> {
    if set.is_empty() {
        return Err(Error::data("no sequences to count; at least one is needed"));
    }
    if !(smoothing > 0.0 && smoothing.is_finite()) {
        return Err(Error::usage(format!("smoothing is {smoothing}; a positive number is accepted")));
    }
    match set.iter().copied().flatten().find(|id| usize::from(**id) >= letters) {
        Some(id) => Err(Error::data(format!("token id {id} is not below {letters}"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;
    use crate::sequence::Alphabet;

    fn parse(texts: &[&str]) -> Vec<Sequence> {
        texts.iter().map(|t| Sequence::parse(t, &Alphabet::dna()).unwrap()).collect()
    }

    #[test]
    fn smoothed_counts_give_hand_computed_prices() {
        let site = SiteModel::fit(&parse(&["AC", "AG", "AC"]), 4, 0.5).unwrap();
        let want = -(3.5_f64 / 5.0).ln() - (2.5_f64 / 5.0).ln();
        assert!((site.nats(&parse(&["AC"])[0]) - want).abs() < 1e-12);
        assert_eq!(site.nats(&parse(&["ACC"])[0]), f64::INFINITY);
        let pair = NgramModel::fit(&parse(&["AC", "AG", "AC"]), 4, 2, 0.5).unwrap();
        assert!((pair.nats(&parse(&["AC"])[0]) - want).abs() < 1e-12);
        let single = NgramModel::fit(&parse(&["AC", "AG", "AC"]), 4, 1, 0.5).unwrap();
        let want = -(3.5_f64 / 8.0).ln() - (2.5_f64 / 8.0).ln();
        assert!((single.nats(&parse(&["AC"])[0]) - want).abs() < 1e-12);
        assert!(NgramModel::fit(&[], 4, 2, 0.5).is_err());
        assert!(SiteModel::fit(&parse(&["AC", "A"]), 4, 0.5).is_err());
        assert!(SiteModel::fit(&parse(&["AC"]), 4, 0.0).is_err());
        assert_eq!(site.nats_per_token(&[]), None);
    }

    #[test]
    fn every_model_is_a_probability_over_the_sequences_of_a_length() {
        let dna = Alphabet::dna();
        let set = parse(&["ACGT", "AACC", "GGTA"]);
        let all: Vec<Sequence> = (0..256_usize)
            .map(|i| Sequence::from_ids([64, 16, 4, 1].map(|d| (i / d % 4) as u8).to_vec(), &dna).unwrap())
            .collect();
        let models: [Box<dyn CountModel>; 3] = [
            Box::new(SiteModel::fit(&set, 4, 0.3).unwrap()),
            Box::new(NgramModel::fit(&set, 4, 2, 0.3).unwrap()),
            Box::new(NgramModel::fit(&set, 4, 4, 0.3).unwrap()),
        ];
        for model in models {
            let total: f64 = all.iter().map(|s| (-model.nats(s)).exp()).sum();
            assert!((total - 1.0).abs() < 1e-12, "{total}");
        }
    }

    #[test]
    fn a_markov_chain_is_priced_at_its_entropy_rate_by_order_two_only() {
        // stay with 0.85, otherwise one of the other three letters
        let mut rng = Seed::root(61).rng();
        let dna = Alphabet::dna();
        let mut draw = |n: usize| -> Vec<Sequence> {
            (0..n)
                .map(|_| {
                    let mut ids = vec![rng.below(4) as u8];
                    for i in 0..49 {
                        let step = if rng.uniform() < 0.85 { 0 } else { 1 + rng.below(3) as u8 };
                        ids.push((ids[i] + step) % 4);
                    }
                    Sequence::from_ids(ids, &dna).unwrap()
                })
                .collect()
        };
        let (train, test) = (draw(400), draw(200));
        let price = |order| NgramModel::fit(&train, 4, order, 0.1).unwrap().nats_per_token(&test).unwrap();
        let rate = -0.85 * 0.85_f64.ln() - 0.15 * 0.05_f64.ln();
        let want = (4.0_f64.ln() + 49.0 * rate) / 50.0;
        // sd of one step's price is 1.01 nats, so the standard error over 10,000 letters is 0.010
        assert!((price(2) - want).abs() < 0.03, "{} against {want}", price(2));
        assert!((price(1) - 4.0_f64.ln()).abs() < 0.01);
    }
}
