//! The figures of all that was measured so far.

use crate::cli::bench::results::finite;
use crate::error::Result;
use crate::eval::Metric;
use crate::eval::diversity::{cluster_count, mean_pairwise};
use crate::eval::novelty::Novelty;
use crate::eval::quantile::Summary;
use crate::oracle::Oracle;
use crate::reward::{Measured, enumerable};
use crate::sequence::Sequence;
use std::collections::BTreeMap;

/// The sets that figures are of.
const TOP: [usize; 2] = [100, 128];

/// What figures are compared with.
#[derive(Clone, Debug)]
pub(super) struct Yardstick {
    /// The distinct sequences of the start set.
    pub(super) start: Vec<Sequence>,
    /// Values above it count as found.
    pub(super) threshold: f64,
    /// How many sequences there are above it, where all can be enumerated.
    pub(super) exist: Option<usize>,
    /// Letters between members of one mode.
    pub(super) linkage: usize,
    /// What distances of variants are counted from, where it is known.
    pub(super) wild_type: Option<Sequence>,
}

/// The number of sequences above a threshold, where the oracle is a table of them all or a model that can be asked for each.
///
/// # Errors
/// When the oracle fails.
pub(super) fn above(oracle: &mut dyn Oracle, length: usize, threshold: f64) -> Result<Option<usize>> {
    let info = oracle.info().clone();
    let letters = info.alphabet.len();
    if !(info.deterministic && info.has_gradient && info.length == (length, length) && enumerable(letters, length)) {
        return Ok(None);
    }
    let all: Vec<Sequence> = Sequence::all(&info.alphabet, length).collect();
    let found = oracle.evaluate(&all)?.iter().filter(|o| o.value().is_some_and(|value| value > threshold)).count();
    Ok(Some(found))
}

/// Every figure, by its name; `new_` leaves the start set out.
pub(super) fn figures(measured: &Measured, yard: &Yardstick) -> BTreeMap<String, f64> {
    let ranked = measured.ranked();
    let new = measured.ranked_since(1);
    let failed = measured.labels().iter().filter(|label| label.round > 0 && label.value.is_none()).count();
    let mut all = finite([("labels", measured.spent_since(1) as f64), ("failed", failed as f64)]);
    for (prefix, set) in [("", &ranked), ("new_", &new)] {
        for k in TOP {
            let values: Vec<f64> = set.iter().take(k).map(|(_, value)| *value).collect();
            let Some(summary) = Summary::of(&values) else { continue };
            all.insert(format!("{prefix}top_{k}_mean"), summary.mean.value);
            all.insert(format!("{prefix}top_{k}_median"), summary.median);
            all.insert(format!("{prefix}max"), summary.max);
        }
    }
    let top = best(&ranked);
    if let Some(diversity) = mean_pairwise(&top, Metric::Hamming) {
        all.insert("diversity".to_owned(), diversity);
    }
    if let Some(novelty) = Novelty::new(&top, &yard.start, Metric::Hamming) {
        all.extend([("novelty_mean".to_owned(), novelty.mean), ("novelty_median".to_owned(), novelty.median)]);
    }
    let origin = yard.wild_type.as_ref().map(std::slice::from_ref);
    if let Some(distance) = origin.and_then(|origin| Novelty::new(&top, origin, Metric::Hamming)) {
        all.insert("wild_type_distance_mean".to_owned(), distance.mean);
    }
    let found: Vec<Sequence> =
        ranked.into_iter().take_while(|(_, value)| *value > yard.threshold).map(|(sequence, _)| sequence).collect();
    all.insert("found".to_owned(), found.len() as f64);
    all.insert("modes".to_owned(), cluster_count(&found, Metric::Hamming, yard.linkage) as f64);
    if let Some(exist) = yard.exist.filter(|exist| *exist > 0) {
        all.insert("recall".to_owned(), found.len() as f64 / exist as f64);
    }
    all
}

/// The best 128 of a ranking.
pub(super) fn best(ranked: &[(Sequence, f64)]) -> Vec<Sequence> {
    ranked.iter().take(TOP[1]).map(|(sequence, _)| sequence.clone()).collect()
}

/// The mean height of a curve of labels and values, by trapezoids:
///
/// ```text
/// Σ (n_{i+1} − n_i)(y_i + y_{i+1})/2 / (n_last − n_first)
/// ```
/// `None` below two different abscissae.
pub(in crate::cli::bench) fn area(curve: &[(f64, f64)]) -> Option<f64> {
    let (first, last) = (curve.first()?.0, curve.last()?.0);
    let sum: f64 = curve.windows(2).map(|pair| (pair[1].0 - pair[0].0) * f64::midpoint(pair[0].1, pair[1].1)).sum();
    (last > first).then(|| sum / (last - first))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Table;
    use crate::reward::{Domain, Label};
    use crate::sequence::Alphabet;

    #[test]
    fn figures_are_as_by_hand_with_and_without_the_start() {
        let dna = Alphabet::dna();
        let word = |text: &str| Sequence::parse(text, &dna).unwrap();
        let mut measured = Measured::new(Domain { alphabet: dna.clone(), length: 4 });
        for (text, value, round) in [
            ("AAAA", Some(0.5), 0),
            ("AAAA", Some(0.5), 0),
            ("AAAC", Some(1.0), 1),
            ("CCCC", Some(0.95), 1),
            ("GGGG", None, 1),
            ("AACC", Some(0.25), 2),
        ] {
            measured.push(Label { sequence: word(text), value, round }).unwrap();
        }
        let wild_type = Some(word("AAAA"));
        let yard = Yardstick { start: vec![word("AAAA")], threshold: 0.9, exist: Some(8), linkage: 2, wild_type };
        let all = figures(&measured, &yard);
        let at = |name: &str| all[name];
        assert_eq!((at("labels"), at("failed"), at("max")), (4.0, 1.0, 1.0));
        assert!((at("top_128_mean") - 2.7 / 4.0).abs() < 1e-12 && (at("new_top_128_mean") - 2.2 / 3.0).abs() < 1e-12);
        assert_eq!((at("top_100_median"), at("new_top_100_median")), (0.725, 0.95));
        // AAAC-CCCC 3, AAAC-AAAA 1, AAAC-AACC 1, CCCC-AAAA 4, CCCC-AACC 2, AAAA-AACC 2
        assert!((at("diversity") - 13.0 / 6.0).abs() < 1e-12);
        // 0, 1, 4 and 2
        assert_eq!(at("wild_type_distance_mean"), 1.75);
        assert_eq!((at("novelty_mean"), at("novelty_median")), (1.75, 1.5));
        assert_eq!((at("found"), at("recall"), at("modes")), (2.0, 0.25, 2.0));
        let joined = figures(&measured, &Yardstick { linkage: 3, exist: None, ..yard });
        assert_eq!((joined["modes"], joined.get("recall")), (1.0, None));
    }

    #[test]
    fn the_area_is_the_mean_height() {
        assert_eq!(area(&[(0.0, 0.0), (10.0, 1.0), (40.0, 1.0)]), Some(35.0 / 40.0));
        assert_eq!(area(&[(0.0, 0.0), (0.0, 1.0)]), None);
    }

    #[test]
    fn only_a_complete_table_says_how_many_there_are() {
        let dna = Alphabet::dna();
        let values = ["A", "C", "G", "T"]
            .map(|text| Sequence::parse(text, &dna).unwrap())
            .into_iter()
            .zip([0.9, 0.95, 1.0, 0.0]);
        let mut whole = Table::new("whole", dna.clone(), values.clone()).unwrap();
        assert_eq!(above(&mut whole, 1, 0.9).unwrap(), Some(2));
        let mut part = Table::new("part", dna, values.take(3)).unwrap();
        assert_eq!(above(&mut part, 1, 0.9).unwrap(), None);
    }
}
