//! Distances between sequences.

use crate::sequence::Sequence;
use bio::alignment::distance::simd;
use serde::{Deserialize, Serialize};

/// How far two sequences are apart, as a whole number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Metric {
    /// Positions that differ; the letters by which one is longer count as differing.
    #[default]
    Hamming,
    /// Fewest substitutions, insertions and deletions (Levenshtein).
    Edit,
}

impl Metric {
    /// The distance between two sequences.
    ///
    /// ```
    /// use seqtilt::eval::Metric;
    /// use seqtilt::sequence::{Alphabet, Sequence};
    /// let dna = Alphabet::dna();
    /// let (a, b) = (Sequence::parse("ACGTACGT", &dna)?, Sequence::parse("CGTACGTA", &dna)?);
    /// assert_eq!(Metric::Hamming.distance(&a, &b), 8);
    /// assert_eq!(Metric::Edit.distance(&a, &b), 2);
    /// # Ok::<(), seqtilt::Error>(())
    /// ```
    #[must_use]
    pub fn distance(self, a: &Sequence, b: &Sequence) -> usize {
        let (a, b) = (a.ids(), b.ids());
        match self {
            Self::Hamming => {
                let shared = a.len().min(b.len());
                simd::hamming(&a[..shared], &b[..shared]) as usize + a.len().abs_diff(b.len())
            }
            Self::Edit => simd::levenshtein(a, b) as usize,
        }
    }

    /// The distance when it is at most `limit`.
    ///
    /// # Cost
    /// For [`Metric::Edit`] O(L · limit) instead of O(L²).
    #[must_use]
    pub fn within(self, a: &Sequence, b: &Sequence, limit: usize) -> Option<usize> {
        match self {
            Self::Edit if a.len().abs_diff(b.len()) > limit => None,
            Self::Edit => {
                let limit = u32::try_from(limit).unwrap_or(u32::MAX).min(a.len().max(b.len()) as u32);
                simd::bounded_levenshtein(a.ids(), b.ids(), limit).map(|d| d as usize)
            }
            Self::Hamming => Some(self.distance(a, b)).filter(|d| *d <= limit),
        }
    }
}
