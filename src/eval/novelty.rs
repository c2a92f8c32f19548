//! How far sequences are from a reference set, such as the training data or the wild type.

use super::{Metric, quantile};
use crate::sequence::Sequence;

/// The reference nearest to one sequence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nearest {
    /// Its index in the reference set; the first among equals.
    pub index: usize,
    /// Its distance.
    pub distance: usize,
}

/// Distances of a set to a reference set.
#[derive(Clone, Debug, PartialEq)]
pub struct Novelty {
    /// Per sequence, the nearest reference.
    pub nearest: Vec<Nearest>,
    /// Mean distance to the nearest reference.
    pub mean: f64,
    /// Median distance to the nearest reference.
    pub median: f64,
}

impl Novelty {
    /// The novelty of `set` with respect to `reference`; `None` when either is empty.
    ///
    /// # Cost
    /// One distance per pair, bounded by the least found so far.
    ///
    /// ```
    /// use seqtilt::eval::{Metric, novelty::Novelty};
    /// use seqtilt::sequence::{Alphabet, Sequence};
    /// let dna = Alphabet::dna();
    /// let read = |s| Sequence::parse(s, &dna);
    /// let novelty = Novelty::new(&[read("ACGT")?, read("CCCC")?], &[read("AAAA")?, read("ACGA")?], Metric::Hamming);
    /// assert_eq!(novelty.map(|n| (n.mean, n.nearest[0].index)), Some((2.0, 1)));
    /// # Ok::<(), seqtilt::Error>(())
    /// ```
    #[must_use]
    pub fn new(set: &[Sequence], reference: &[Sequence], metric: Metric) -> Option<Self> {
        let nearest = set.iter().map(|s| nearest(s, reference, metric)).collect::<Option<Vec<_>>>()?;
        let distances: Vec<f64> = nearest.iter().map(|n| n.distance as f64).collect();
        let median = quantile::quantile(&distances, 0.5)?;
        Some(Self { mean: distances.iter().sum::<f64>() / distances.len() as f64, median, nearest })
    }
}

/// The reference nearest to a sequence; `None` without references.
#[must_use]
pub fn nearest(sequence: &Sequence, reference: &[Sequence], metric: Metric) -> Option<Nearest> {
    let mut best: Option<Nearest> = None;
    for (index, other) in reference.iter().enumerate() {
        best = match best {
            None => Some(Nearest { index, distance: metric.distance(sequence, other) }),
            Some(Nearest { distance: 0, .. }) => break,
            Some(old) => metric
                .within(sequence, other, old.distance - 1)
                .map_or(best, |distance| Some(Nearest { index, distance })),
        };
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;
    use crate::sequence::Alphabet;

    #[test]
    fn the_bounded_search_finds_the_first_of_the_nearest() {
        let dna = Alphabet::dna();
        let mut rng = Seed::root(41).rng();
        let mut draw = |n: usize| -> Vec<Sequence> {
            (0..n)
                .map(|_| {
                    let length = 5 + rng.below(4);
                    let ids: Vec<u8> = (0..length).map(|_| rng.below(4) as u8).collect();
                    Sequence::from_ids(ids, &dna).unwrap()
                })
                .collect()
        };
        let (set, reference) = (draw(30), draw(50));
        for metric in [Metric::Hamming, Metric::Edit] {
            let novelty = Novelty::new(&set, &reference, metric).unwrap();
            for (sequence, found) in set.iter().zip(&novelty.nearest) {
                let all: Vec<usize> = reference.iter().map(|r| metric.distance(sequence, r)).collect();
                let least = *all.iter().min().unwrap();
                assert_eq!((found.distance, found.index), (least, all.iter().position(|d| *d == least).unwrap()));
            }
            assert!(novelty.mean > 0.5 && novelty.median > 0.0);
        }
        assert_eq!(Novelty::new(&set, &[], Metric::Hamming), None);
        assert_eq!(Novelty::new(&[], &reference, Metric::Hamming), None);
    }
}
