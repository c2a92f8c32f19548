//! Distances between sequences and within sets of them.

use super::Sequence;
use crate::random::Seed;

/// Sets above this size are subsampled where all pairs would have to be aligned.
const EXACT: usize = 2_000;

/// The number of positions that differ; `None` when the lengths do.
///
/// ```
/// use seqtilt::sequence::{hamming, Alphabet, Sequence};
/// let read = |text| Sequence::parse(text, &Alphabet::dna());
/// assert_eq!(hamming(&read("ACGT")?, &read("AGGA")?), Some(2));
/// assert_eq!(hamming(&read("ACGT")?, &read("ACG")?), None);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[must_use]
pub fn hamming(a: &Sequence, b: &Sequence) -> Option<usize> {
    (a.len() == b.len()).then(|| a.ids().iter().zip(b.ids()).filter(|(x, y)| x != y).count())
}

/// The least number of substitutions, insertions and deletions that turn one into the other (Levenshtein 1966).
///
/// # Cost
/// At most proportional to the product of the lengths, vectorised by `bio`.
#[must_use]
pub fn levenshtein(a: &Sequence, b: &Sequence) -> usize {
    bio::alignment::distance::simd::levenshtein(a.ids(), b.ids()) as usize
}

/// [`hamming`] for equal lengths, else [`levenshtein`].
#[must_use]
pub fn distance(a: &Sequence, b: &Sequence) -> usize {
    hamming(a, b).unwrap_or_else(|| levenshtein(a, b))
}

/// The nearest of a set by [`distance`], the first of equals; `None` for an empty set.
#[must_use]
pub fn nearest(query: &Sequence, set: &[Sequence]) -> Option<Nearest> {
    let mut best: Option<Nearest> = None;
    for (index, other) in set.iter().enumerate() {
        let found = Nearest { index, distance: distance(query, other) };
        if best.is_none_or(|best| found.distance < best.distance) {
            best = Some(found);
        }
        if found.distance == 0 {
            break;
        }
    }
    best
}

/// The answer of [`nearest`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nearest {
    /// Which of the set.
    pub index: usize,
    /// How far.
    pub distance: usize,
}

/// The mean distance over pairs of a set.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MeanPairwise {
    /// The mean; 0 for fewer than two sequences.
    pub mean: f64,
    /// How many sequences it is over.
    pub sequences: usize,
    /// Whether that is all of them, rather than a seeded subsample.
    pub exact: bool,
}

/// The mean of [`distance`] over all unordered pairs.
///
/// Equal lengths are always exact, by letter counts n_c at each position:
///
/// ```text
/// mean = Σ_positions (n² − Σ_c n_c²) / (n (n − 1))
/// ```
/// Mixed lengths are exact up to 2,000 sequences; beyond, 2,000 are drawn without replacement from `seed`.
///
/// # Cost
/// n·L for equal lengths; up to two million alignments for mixed ones.
#[must_use]
pub fn mean_pairwise(set: &[Sequence], seed: Seed) -> MeanPairwise {
    let n = set.len();
    if n < 2 {
        return MeanPairwise { mean: 0.0, sequences: n, exact: true };
    }
    if set.iter().all(|sequence| sequence.len() == set[0].len()) {
        return MeanPairwise { mean: mean_by_counts(set), sequences: n, exact: true };
    }
    let mut order: Vec<usize> = (0..n).collect();
    if n > EXACT {
        seed.child("mean-pairwise").rng().shuffle(&mut order);
        order.truncate(EXACT);
    }
    let mut sum = 0;
    for (at, i) in order.iter().enumerate() {
        sum += order[..at].iter().map(|j| distance(&set[*i], &set[*j])).sum::<usize>();
    }
    let m = order.len();
    MeanPairwise { mean: sum as f64 / (m * (m - 1) / 2) as f64, sequences: m, exact: n <= EXACT }
}

fn mean_by_counts(set: &[Sequence]) -> f64 {
    let n = set.len() as u64;
    let differing: u64 = (0..set[0].len())
        .map(|position| {
            let mut counts = [0_u64; 256];
            for sequence in set {
                counts[usize::from(sequence.ids()[position])] += 1;
            }
            n * n - counts.iter().map(|count| count * count).sum::<u64>()
        })
        .sum();
    differing as f64 / (n * (n - 1)) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::Alphabet;
    use proptest::prelude::*;

    fn read(text: &str) -> Sequence {
        Sequence::parse(text, &Alphabet::dna()).unwrap()
    }

    #[test]
    fn known_distances() {
        assert_eq!(levenshtein(&read("ACGT"), &read("CGTA")), 2);
        assert_eq!(distance(&read("ACGT"), &read("CGTA")), 4);
        assert_eq!(distance(&read("ACGT"), &read("ACT")), 1);
        let set = [read("AAAA"), read("ACGA"), read("ACGG")];
        assert_eq!(nearest(&read("ACGT"), &set), Some(Nearest { index: 1, distance: 1 }));
        assert_eq!(nearest(&read("ACGT"), &[]), None);
    }

    #[test]
    fn large_mixed_sets_are_subsampled_and_say_so() {
        let set: Vec<_> = (0..2_500).map(|i| read(if i % 2 == 0 { "A" } else { "AC" })).collect();
        let found = mean_pairwise(&set, Seed::root(1));
        assert!(!found.exact && found.sequences == 2_000);
        // pairs of unlike length are at 1: share 2·(n/2)²/(n(n−1)) = 0.5002, less than 1e-3 off for a random subsample
        assert!((found.mean - 0.5).abs() < 2e-3, "{}", found.mean);
        assert_eq!(found, mean_pairwise(&set, Seed::root(1)));
    }

    proptest! {
        #[test]
        fn counting_letters_equals_comparing_pairs(texts in prop::collection::vec("[ACGT]{5}", 2..20)) {
            let set: Vec<_> = texts.iter().map(|text| read(text)).collect();
            let mut sum = 0;
            for i in 0..set.len() {
                sum += set[..i].iter().map(|other| hamming(&set[i], other).unwrap()).sum::<usize>();
            }
            let pairs = set.len() * (set.len() - 1) / 2;
            let found = mean_pairwise(&set, Seed::root(0));
            prop_assert!((found.mean - sum as f64 / pairs as f64).abs() < 1e-12);
        }
    }
}
