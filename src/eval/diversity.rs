//! How different the sequences of a set are from one another.

use super::Metric;
use crate::sequence::Sequence;

/// Mean distance over all pairs of a set; `None` below two sequences.
///
/// # Cost
/// O(n L V) for [`Metric::Hamming`] on equal lengths (from letter counts, exactly), otherwise O(n²) distances.
///
/// ```
/// use seqtilt::eval::{Metric, diversity::mean_pairwise};
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let set = ["AA", "AC", "CC"].map(|s| Sequence::parse(s, &dna)).into_iter().collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(mean_pairwise(&set, Metric::Hamming), Some(4.0 / 3.0));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[must_use]
pub fn mean_pairwise(set: &[Sequence], metric: Metric) -> Option<f64> {
    if set.len() < 2 {
        return None;
    }
    let pairs = set.len() as f64 * (set.len() - 1) as f64 / 2.0;
    let length = set[0].len();
    if metric == Metric::Hamming && set.iter().all(|s| s.len() == length) {
        let mut equal = 0_u64;
        for position in 0..length {
            let mut counts = [0_u64; 256];
            for sequence in set {
                counts[usize::from(sequence.ids()[position])] += 1;
            }
            equal += counts.iter().map(|c| c * c.saturating_sub(1) / 2).sum::<u64>();
        }
        return Some((pairs * length as f64 - equal as f64) / pairs);
    }
    let sum: usize =
        set.iter().enumerate().map(|(i, a)| set[..i].iter().map(|b| metric.distance(a, b)).sum::<usize>()).sum();
    Some(sum as f64 / pairs)
}

/// Mean Hamming distance of two independent draws from an enumerated law over `letters`^`length` sequences (numbered in
/// base V, first position most significant).
///
/// ```text
/// E d(X, Y) = Σ_i (1 − Σ_a m_i(a)²),   m_i the letter probabilities at position i
/// ```
///
/// # Panics
/// If the law has not `letters`^`length` entries.
#[must_use]
pub fn mean_pairwise_of_law(law: &[f64], letters: usize, length: usize) -> f64 {
    let cells = u32::try_from(length).ok().and_then(|l| letters.checked_pow(l));
    assert_eq!(cells, Some(law.len()), "one probability per sequence");
    let mut sites = vec![vec![0.0; letters]; length];
    for (cell, p) in law.iter().enumerate() {
        let mut rest = cell;
        for site in sites.iter_mut().rev() {
            site[rest % letters] += p;
            rest /= letters;
        }
    }
    sites.iter().map(|site| 1.0 - site.iter().map(|m| m * m).sum::<f64>()).sum()
}

/// Single-linkage clusters: sequences joined by chains of steps of at most `limit`; a cluster number per sequence,
/// counted from 0 in order of first appearance.
///
/// The number of clusters among the good sequences is the mode coverage of the benchmarks (Hamming ≤ 2 for short DNA, ≤ 3
/// for proteins).
///
/// # Cost
/// O(n²) bounded distances.
///
/// ```
/// use seqtilt::eval::{Metric, diversity::clusters};
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let set = ["AAAA", "CCCC", "AAAC", "AACC"].map(|s| Sequence::parse(s, &dna));
/// let set = set.into_iter().collect::<Result<Vec<_>, _>>()?;
/// assert_eq!(clusters(&set, Metric::Hamming, 1), [0, 1, 0, 0]);
/// assert_eq!(clusters(&set, Metric::Hamming, 2), [0, 0, 0, 0]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[must_use]
pub fn clusters(set: &[Sequence], metric: Metric, limit: usize) -> Vec<usize> {
    let mut parent: Vec<usize> = (0..set.len()).collect();
    for i in 0..set.len() {
        for j in 0..i {
            let (a, b) = (root(&mut parent, i), root(&mut parent, j));
            if a != b && metric.within(&set[i], &set[j], limit).is_some() {
                parent[a.max(b)] = a.min(b);
            }
        }
    }
    let mut number = vec![usize::MAX; set.len()];
    let mut next = 0;
    (0..set.len())
        .map(|i| {
            let root = root(&mut parent, i);
            if number[root] == usize::MAX {
                number[root] = next;
                next += 1;
            }
            number[root]
        })
        .collect()
}

/// The number of [`clusters`].
#[must_use]
pub fn cluster_count(set: &[Sequence], metric: Metric, limit: usize) -> usize {
    clusters(set, metric, limit).into_iter().max().map_or(0, |last| last + 1)
}

/// Per sequence the least distance to any other of the set; `None` when it is alone.
///
/// # Cost
/// O(n²) distances.
#[must_use]
pub fn least_to_others(set: &[Sequence], metric: Metric) -> Vec<Option<usize>> {
    let mut least = vec![None::<usize>; set.len()];
    for i in 0..set.len() {
        for j in 0..i {
            let d = metric.distance(&set[i], &set[j]);
            for k in [i, j] {
                least[k] = Some(least[k].map_or(d, |old| old.min(d)));
            }
        }
    }
    least
}

fn root(parent: &mut [usize], mut node: usize) -> usize {
    while parent[node] != node {
        parent[node] = parent[parent[node]];
        node = parent[node];
    }
    node
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;
    use crate::sequence::Alphabet;

    fn random_set(n: usize, length: usize) -> Vec<Sequence> {
        let mut rng = Seed::root(31).rng();
        let mut draw = || (0..length).map(|_| rng.below(4) as u8).collect::<Vec<u8>>();
        (0..n).map(|_| Sequence::from_ids(draw(), &Alphabet::dna()).unwrap()).collect()
    }

    #[test]
    fn letter_counts_give_the_mean_over_pairs_exactly() {
        let set = random_set(40, 9);
        let mut sum = 0;
        for i in 0..40 {
            for j in 0..i {
                sum += Metric::Hamming.distance(&set[i], &set[j]);
            }
        }
        assert!((mean_pairwise(&set, Metric::Hamming).unwrap() - f64::from(sum as u32) / 780.0).abs() < 1e-12);
        assert!(mean_pairwise(&set, Metric::Edit) < mean_pairwise(&set, Metric::Hamming));
        assert_eq!(mean_pairwise(&set[..1], Metric::Edit), None);
    }

    #[test]
    fn a_law_agrees_with_a_set_that_holds_every_sequence_once() {
        // with replacement: n²-pair mean = (1 − 1/n) of the mean over distinct pairs
        let dna = Alphabet::dna();
        let all: Vec<Sequence> =
            (0..64_u8).map(|i| Sequence::from_ids(vec![i / 16, i / 4 % 4, i % 4], &dna).unwrap()).collect();
        let law = mean_pairwise_of_law(&[1.0 / 64.0; 64], 4, 3);
        assert!((law - 2.25).abs() < 1e-12);
        assert!((mean_pairwise(&all, Metric::Hamming).unwrap() * 63.0 / 64.0 - law).abs() < 1e-12);
        let mut point = [0.0; 64];
        point[17] = 1.0;
        assert_eq!(mean_pairwise_of_law(&point, 4, 3), 0.0);
    }

    #[test]
    fn clusters_are_the_components_of_the_neighbour_graph() {
        let set = random_set(60, 6);
        for limit in 0..4 {
            let label = clusters(&set, Metric::Hamming, limit);
            // any pair within the limit shares a label, and labels join only through such pairs: relabel by flooding
            let mut flood = vec![usize::MAX; set.len()];
            let mut count = 0;
            for start in 0..set.len() {
                if flood[start] != usize::MAX {
                    continue;
                }
                let mut stack = vec![start];
                while let Some(i) = stack.pop() {
                    if flood[i] == usize::MAX {
                        flood[i] = count;
                        stack.extend((0..set.len()).filter(|j| Metric::Hamming.distance(&set[i], &set[*j]) <= limit));
                    }
                }
                count += 1;
            }
            assert_eq!(label, flood);
            assert_eq!(cluster_count(&set, Metric::Hamming, limit), count);
        }
        assert_eq!(cluster_count(&[], Metric::Hamming, 2), 0);
    }

    #[test]
    fn the_least_distance_is_that_of_the_nearest_other() {
        let dna = Alphabet::dna();
        let set = ["AAAA", "AAAC", "GGGG"].map(|s| Sequence::parse(s, &dna).unwrap());
        assert_eq!(least_to_others(&set, Metric::Hamming), [Some(1), Some(1), Some(4)]);
        assert_eq!(least_to_others(&set[..1], Metric::Hamming), [None]);
    }
}
