//! How many letters variants of one molecule have changed.

use crate::sequence::Sequence;
use serde::{Deserialize, Serialize};

/// How the numbers of changed letters of two sets compare.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Changes {
    /// Mean number of letters in which the first set differs from the origin.
    pub mean: f64,
    /// The same of the second.
    pub other_mean: f64,
    /// Total variation between the two distributions of that number, 0 to 1.
    pub total_variation: f64,
}

impl Changes {
    /// Changes of two sets from one origin; nothing when either is empty.
    ///
    /// ```text
    /// TV = ½ Σ_n |p(n) − q(n)|,   n the Hamming distance to the origin
    /// ```
    #[must_use]
    pub fn between(set: &[Sequence], other: &[Sequence], origin: &Sequence) -> Option<Self> {
        let (p, q) = (shares(set, origin)?, shares(other, origin)?);
        let mean = |shares: &[f64]| shares.iter().enumerate().map(|(n, share)| n as f64 * share).sum();
        let total_variation = 0.5 * p.iter().zip(&q).map(|(p, q)| (p - q).abs()).sum::<f64>();
        Some(Self { mean: mean(&p), other_mean: mean(&q), total_variation })
    }
}

/// The share of a set with n changes, n from 0 to the length.
fn shares(set: &[Sequence], origin: &Sequence) -> Option<Vec<f64>> {
    let mut shares = vec![0.0; origin.len() + 1];
    for sequence in set {
        let changed = sequence.ids().iter().zip(origin.ids()).filter(|(a, b)| a != b).count();
        shares[changed] += 1.0 / set.len() as f64;
    }
    (!set.is_empty()).then_some(shares)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::Alphabet;
    #[test]
    fn two_sets_are_compared_by_their_numbers_of_changes() {
        let dna = Alphabet::dna();
        let words = |texts: &[&str]| texts.iter().map(|text| Sequence::parse(text, &dna).unwrap()).collect::<Vec<_>>();
        let origin = &words(&["AAAA"])[0];
        let (few, many) = (words(&["AAAA", "CAAA", "ACAA", "GGAA"]), words(&["AAAT", "CAAT", "GTAA", "AATT"]));
        let changes = Changes::between(&few, &many, origin).unwrap();
        // shares ¼, ½, ¼ of 0, 1, 2 against ¼, ¾ of 1, 2
        assert_eq!(changes, Changes { mean: 1.0, other_mean: 1.75, total_variation: 0.5 });
        assert_eq!(Changes::between(&few, &[], origin), None);
    }
}
