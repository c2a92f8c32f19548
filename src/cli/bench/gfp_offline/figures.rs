//! The figures of a set of proposals, by oracles that no method saw.

use super::method::changes;
use super::start::Start;
use crate::cli::bench::results::finite;
use crate::diffusion::{Prior, elbo};
use crate::error::{Error, Result};
use crate::eval::Metric;
use crate::eval::diversity::mean_pairwise;
use crate::eval::novelty::Novelty;
use crate::eval::quantile::Summary;
use crate::nn::Pool;
use crate::oracle::{OracleName, OracleOptions, Outcome};
use crate::random::Seed;
use crate::sequence::{Normalisation, Records, Sequence, consensus};
use std::collections::{BTreeMap, BTreeSet};

/// Noise levels behind a naturalness.
const DRAWS: usize = 16;

/// Who judges, and what is known of the whole landscape.
pub(in crate::cli::bench) struct Referee {
    judge: OracleName,
    beside: Option<OracleName>,
    natural: Option<Prior>,
    options: OracleOptions,
    scale: Normalisation,
    table: BTreeMap<Sequence, f64>,
    wild_type: Sequence,
    /// Substitutions of the wild type that occur anywhere in the table.
    letters: BTreeSet<(usize, u8)>,
}

impl Referee {
    /// On all records; the wild type is the table's, or else its consensus.
    ///
    /// # Errors
    /// When a value is missing or sequences have several lengths.
    pub(in crate::cli::bench) fn new(
        all: &Records,
        judge: OracleName,
        beside: Option<OracleName>,
        natural: Option<Prior>,
        options: OracleOptions,
        scale: Normalisation,
    ) -> Result<Self> {
        let sequences = all.sequences();
        let known = all.report.wild_type.clone().or_else(|| consensus(&sequences, &all.alphabet));
        let wild_type = known.ok_or_else(|| Error::data("sequences have several lengths; one is needed"))?;
        let letters = sequences.iter().flat_map(|x| changes(x, &wild_type)).collect();
        let table = sequences.iter().cloned().zip(all.values()?).collect();
        Ok(Self { judge, beside, natural, options, scale, table, wild_type, letters })
    }

    /// The values that an oracle gives, normalised.
    ///
    /// # Errors
    /// When the oracle fails, or has no value for a sequence.
    fn values(&self, oracle: &OracleName, set: &[Sequence]) -> Result<Vec<f64>> {
        let outcomes = oracle.open(&self.options)?.evaluate(set)?;
        let values: Vec<f64> = outcomes.iter().filter_map(Outcome::value).map(|v| self.scale.apply(v)).collect();
        if values.len() < set.len() {
            let (got, wanted) = (values.len(), set.len());
            return Err(Error::oracle(format!("the oracle has values for {got} of {wanted} sequences"))
                .hint("name one that knows all sequences"));
        }
        Ok(values)
    }

    /// Every figure of a set, by its name. Values are normalised; distances count substitutions.
    ///
    /// # Errors
    /// When the set is empty or an oracle fails.
    pub(in crate::cli::bench) fn figures(
        &self,
        set: &[Sequence],
        start: &Start,
        seed: Seed,
        pool: &Pool,
    ) -> Result<BTreeMap<String, f64>> {
        let none = || Error::constraint("nothing was proposed").hint("raise --samples or --max-mutations");
        let mut all = BTreeMap::from([("designs".to_owned(), set.len() as f64)]);
        for (prefix, oracle) in [("judge_", Some(&self.judge)), ("beside_", self.beside.as_ref())] {
            let Some(oracle) = oracle else { continue };
            let summary = Summary::of(&self.values(oracle, set)?).ok_or_else(none)?;
            all.extend([
                (format!("{prefix}percentile_50"), summary.median),
                (format!("{prefix}percentile_100"), summary.max),
                (format!("{prefix}mean"), summary.mean.value),
            ]);
        }
        let measured: Vec<Sequence> = set.iter().filter(|x| self.table.contains_key(*x)).cloned().collect();
        all.insert("measured".to_owned(), measured.len() as f64);
        let truth: Vec<f64> = measured.iter().filter_map(|x| self.table.get(x)).map(|v| self.scale.apply(*v)).collect();
        if let Some(summary) = Summary::of(&truth) {
            let judged = self.values(&self.judge, &measured)?;
            all.extend(finite([
                ("measured_percentile_50", summary.median),
                ("measured_percentile_100", summary.max),
                ("measured_mean", summary.mean.value),
                ("judge_mean_on_measured", judged.iter().sum::<f64>() / judged.len() as f64),
            ]));
        }
        for (name, reference) in
            [("wild_type", std::slice::from_ref(&self.wild_type)), ("start", start.set.sequences())]
        {
            let distance = Novelty::new(set, reference, Metric::Hamming).ok_or_else(none)?;
            all.extend([
                (format!("{name}_distance_mean"), distance.mean),
                (format!("{name}_distance_median"), distance.median),
            ]);
        }
        if let Some(diversity) = mean_pairwise(set, Metric::Hamming) {
            all.insert("diversity".to_owned(), diversity);
        }
        let own: Vec<(usize, u8)> = set.iter().flat_map(|x| changes(x, &self.wild_type)).collect();
        let seen = own.iter().filter(|change| self.letters.contains(change)).count();
        all.extend(finite([("known_substitutions", seen as f64 / own.len() as f64)]));
        if let Some(prior) = &self.natural {
            let bound = elbo(prior, set, DRAWS, seed, pool)?;
            // higher is more natural
            all.extend(finite([("naturalness", -bound.nats_per_token)]));
        }
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::{ReadOptions, read_str};

    #[test]
    fn figures_are_as_by_hand() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("t.csv");
        let table = "seq,value\nAAAA,5\nAAAA,5\nAAAC,3\nCCCA,1\nCCAC,2\nGAAA,4\n";
        std::fs::write(&file, table).unwrap();
        let all = read_str(table, None, &ReadOptions::default()).unwrap();
        let judge: OracleName = format!("table:{}", file.display()).parse().unwrap();
        let scale = Normalisation { min: 1.0, max: 5.0 };
        let referee = Referee::new(&all, judge, None, None, OracleOptions::default(), scale).unwrap();
        // of six values 1 to 5 the lowest fifth is 2 at most; both are 2 letters or more from AAAA
        let easy = crate::data::Difficulty { from: 0.0, to: 0.2, gap: 2 };
        let start = Start::cut("low", &all, easy).unwrap();
        assert_eq!(start.set.len(), 2);
        let set = ["AAAC", "GAAA", "CCAC"].map(|text| Sequence::parse(text, &all.alphabet).unwrap());
        let figures = referee.figures(&set, &start, Seed::root(0), Pool::inline()).unwrap();
        let at = |name: &str| figures[name];
        assert_eq!((at("judge_percentile_50"), at("judge_percentile_100"), at("judge_mean")), (0.5, 0.75, 0.5));
        assert_eq!((at("measured"), at("measured_mean"), at("known_substitutions")), (3.0, 0.5, 1.0));
        // to AAAA 1, 1, 3; to CCCA and CCAC 2, 3, 0; in pairs 2, 2, 3
        assert_eq!((at("wild_type_distance_mean"), at("wild_type_distance_median")), (5.0 / 3.0, 1.0));
        assert_eq!((at("start_distance_mean"), at("start_distance_median")), (5.0 / 3.0, 2.0));
        assert_eq!((at("diversity"), figures.get("naturalness")), (7.0 / 3.0, None));
        let unknown = [Sequence::parse("TTTT", &all.alphabet).unwrap()];
        let error = referee.figures(&unknown, &start, Seed::root(0), Pool::inline()).unwrap_err();
        assert!(error.message().contains("0 of 1"), "{error}");
        assert!(referee.figures(&[], &start, Seed::root(0), Pool::inline()).is_err());
    }
}
