//! k-mer frequencies of a set and distances between them.

use crate::sequence::{Alphabet, Sequence};
use std::collections::BTreeMap;

/// Frequencies of all words of length k in a set of sequences, every window counted.
///
/// ```
/// use seqtilt::eval::spectrum::Spectrum;
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let spectrum = Spectrum::new(&[Sequence::parse("AACA", &dna)?], 2);
/// assert_eq!(spectrum.frequency(&Sequence::parse("AC", &dna)?), 1.0 / 3.0);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spectrum {
    k: usize,
    counts: BTreeMap<Box<[u8]>, u64>,
    total: u64,
}

impl Spectrum {
    /// The spectrum of a set; sequences shorter than k add nothing.
    ///
    /// # Panics
    /// If `k` is 0.
    #[must_use]
    pub fn new(set: &[Sequence], k: usize) -> Self {
        let mut counts: BTreeMap<Box<[u8]>, u64> = BTreeMap::new();
        let mut total = 0;
        for word in set.iter().flat_map(|s| s.ids().windows(k)) {
            total += 1;
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None => drop(counts.insert(word.into(), 1)),
            }
        }
        Self { k, counts, total }
    }

    /// The word length.
    #[must_use]
    pub fn k(&self) -> usize {
        self.k
    }

    /// The number of windows counted.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The frequency of a word.
    #[must_use]
    pub fn frequency(&self, word: &Sequence) -> f64 {
        self.share(word.ids())
    }

    /// The words seen with their frequencies, most frequent first, ties in alphabetical order.
    #[must_use]
    pub fn top(&self, n: usize, alphabet: &Alphabet) -> Vec<(String, f64)> {
        let mut words: Vec<_> = self.counts.iter().collect();
        words.sort_by_key(|(word, count)| (u64::MAX - **count, *word));
        let text = |word: &[u8]| word.iter().map(|id| char::from(alphabet.letter(*id))).collect();
        words.into_iter().take(n).map(|(word, c)| (text(word), *c as f64 / self.total as f64)).collect()
    }

    /// Total variation ½ Σ |p − q|, in 0..=1; NaN when either is empty.
    ///
    /// # Panics
    /// If the word lengths differ.
    #[must_use]
    pub fn total_variation(&self, other: &Self) -> f64 {
        self.pairs(other).map(|(p, q)| 0.5 * (p - q).abs()).sum()
    }

    /// Jensen–Shannon divergence in nats, in 0..=log 2; NaN when either is empty.
    ///
    /// ```text
    /// JS(p, q) = ½ KL(p‖m) + ½ KL(q‖m),   m = (p + q)/2
    /// ```
    ///
    /// # Panics
    /// If the word lengths differ.
    #[must_use]
    pub fn jensen_shannon(&self, other: &Self) -> f64 {
        let term = |p: f64, m: f64| if p == 0.0 { 0.0 } else { p * (p / m).ln() };
        let sum: f64 = self
            .pairs(other)
            .map(|(p, q)| {
                let m = f64::midpoint(p, q);
                0.5 * (term(p, m) + term(q, m))
            })
            .sum();
        if sum < 0.0 { 0.0 } else { sum }
    }

    fn pairs<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (f64, f64)> {
        assert_eq!(self.k, other.k, "spectra of different word lengths");
        let empty = (self.total == 0 || other.total == 0).then_some((f64::NAN, f64::NAN));
        let here = self.counts.keys().map(|word| (self.share(word), other.share(word)));
        let there = other.counts.keys().filter(|word| !self.counts.contains_key(*word));
        empty.into_iter().chain(here.chain(there.map(|word| (0.0, other.share(word)))))
    }

    fn share(&self, word: &[u8]) -> f64 {
        self.counts.get(word).map_or(0.0, |count| *count as f64 / self.total as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spectrum(texts: &[&str], k: usize) -> Spectrum {
        let set: Vec<Sequence> = texts.iter().map(|t| Sequence::parse(t, &Alphabet::dna()).unwrap()).collect();
        Spectrum::new(&set, k)
    }

    #[test]
    fn distances_reach_their_bounds_and_a_hand_computed_middle() {
        let (a, b, c) = (spectrum(&["AAAC"], 2), spectrum(&["AACC", "A"], 2), spectrum(&["GGGG"], 2));
        assert_eq!(a.total_variation(&a), 0.0);
        assert_eq!(a.jensen_shannon(&a), 0.0);
        assert!((a.total_variation(&c) - 1.0).abs() < 1e-15);
        assert!((a.jensen_shannon(&c) - 2.0_f64.ln()).abs() < 1e-15);
        // AA, AA, AC against AA, AC, CC
        assert!((a.total_variation(&b) - 1.0 / 3.0).abs() < 1e-15);
        let kl = |p: f64, m: f64| p * (p / m).ln();
        let want = 0.5 * (kl(2.0 / 3.0, 0.5) + kl(1.0 / 3.0, 0.5) + kl(1.0 / 3.0, 1.0 / 6.0));
        assert!((a.jensen_shannon(&b) - want).abs() < 1e-15);
        assert_eq!(a.jensen_shannon(&b), b.jensen_shannon(&a));
        assert!(a.total_variation(&spectrum(&["A"], 2)).is_nan());
        assert!(a.jensen_shannon(&spectrum(&["A"], 2)).is_nan());
        assert_eq!(a.top(1, &Alphabet::dna()), [("AA".to_owned(), 2.0 / 3.0)]);
    }
}
