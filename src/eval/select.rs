//! Choosing a few good and different sequences from many.

use super::Metric;
use crate::error::{Error, Result};
use crate::sequence::Sequence;

/// A diverse choice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// Indices of the chosen, in the order they were taken (best score first within a distance).
    pub chosen: Vec<usize>,
    /// The least distance that was asked for.
    pub asked: usize,
    /// The least distance that was kept by all; below `asked` when it had to be relaxed.
    pub kept: usize,
    /// How many were taken at each distance, from `asked` downwards.
    pub taken: Vec<(usize, usize)>,
}

impl Selection {
    /// Whether the distance asked for had to be relaxed.
    #[must_use]
    pub fn is_relaxed(&self) -> bool {
        self.kept < self.asked
    }
}

/// The best `n` by score of which no two are closer than `distance`, greedily; when that leaves wells empty the distance
/// is relaxed one step at a time, down to 1 (distinct sequences), keeping what was taken.
///
/// Ties go to the earlier sequence; a NaN score is never taken. Fewer than `n` come back only when fewer distinct sequences
/// exist.
///
/// # Errors
/// When the numbers of sequences and scores differ.
///
/// # Cost
/// O(candidates · n) distances per relaxation.
///
/// ```
/// use seqtilt::eval::{Metric, select::diverse};
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let set = ["AAAA", "AAAC", "GGGG"].map(|s| Sequence::parse(s, &dna)).into_iter().collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(diverse(&set, &[3.0, 2.0, 1.0], 2, 2, Metric::Hamming)?.chosen, [0, 2]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
pub fn diverse(set: &[Sequence], scores: &[f64], n: usize, distance: usize, metric: Metric) -> Result<Selection> {
    if set.len() != scores.len() {
        let (s, v) = (set.len(), scores.len());
        return Err(Error::data(format!("{s} sequences but {v} scores; equal numbers are needed")));
    }
    let mut order: Vec<usize> = (0..set.len()).filter(|i| !scores[*i].is_nan()).collect();
    order.sort_by(|i, j| scores[*j].total_cmp(&scores[*i]).then(i.cmp(j)));
    let asked = distance.max(1);
    let mut selection = Selection { chosen: Vec::new(), asked, kept: asked, taken: Vec::new() };
    for limit in (1..=asked).rev() {
        let before = selection.chosen.len();
        order.retain(|candidate| {
            if selection.chosen.len() >= n {
                return true;
            }
            let apart = |other: &usize| metric.within(&set[*candidate], &set[*other], limit - 1).is_none();
            let free = selection.chosen.iter().all(apart);
            if free {
                selection.chosen.push(*candidate);
            }
            !free
        });
        let taken = selection.chosen.len() - before;
        selection.taken.push((limit, taken));
        if taken > 0 {
            selection.kept = limit;
        }
        if selection.chosen.len() >= n {
            break;
        }
    }
    Ok(selection)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;
    use crate::sequence::Alphabet;

    #[test]
    fn the_distance_is_kept_until_it_must_give_and_says_so() {
        let dna = Alphabet::dna();
        let mut rng = Seed::root(71).rng();
        let set: Vec<Sequence> = (0..300)
            .map(|_| Sequence::from_ids((0..6).map(|_| rng.below(4) as u8).collect::<Vec<_>>(), &dna).unwrap())
            .collect();
        let scores: Vec<f64> = (0..300).map(|_| rng.normal()).collect();
        let least = |chosen: &[usize]| {
            let pairs = chosen.iter().enumerate().flat_map(|(k, i)| chosen[..k].iter().map(move |j| (*i, *j)));
            pairs.map(|(i, j)| Metric::Hamming.distance(&set[i], &set[j])).min()
        };
        let loose = diverse(&set, &scores, 8, 3, Metric::Hamming).unwrap();
        assert_eq!((loose.chosen.len(), loose.kept, loose.is_relaxed()), (8, 3, false));
        assert!(least(&loose.chosen) >= Some(3));
        let best = (0..300).max_by(|i, j| scores[*i].total_cmp(&scores[*j])).unwrap();
        assert_eq!(loose.chosen[0], best);
        let tight = diverse(&set, &scores, 60, 5, Metric::Hamming).unwrap();
        assert_eq!(tight.chosen.len(), 60);
        assert!(tight.is_relaxed());
        assert!(least(&tight.chosen) >= Some(tight.kept));
        assert_eq!(tight.taken.iter().map(|(_, n)| n).sum::<usize>(), 60);
        assert_eq!(tight.taken[0].0, 5);
    }

    #[test]
    fn copies_and_nan_scores_are_never_taken() {
        let dna = Alphabet::dna();
        let set = ["AA", "AA", "CC", "GG"].map(|s| Sequence::parse(s, &dna).unwrap());
        let selection = diverse(&set, &[1.0, 2.0, f64::NAN, 0.0], 4, 2, Metric::Hamming).unwrap();
        assert_eq!(selection.chosen, [1, 3]);
        assert!(diverse(&set, &[1.0], 1, 1, Metric::Hamming).is_err());
    }
}
