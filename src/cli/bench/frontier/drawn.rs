//! What a sample of sequences says: how different they are, and what a second opinion thinks of them.

use crate::cli::bench::results::finite;
use crate::error::{Error, Result};
use crate::eval::Metric;
use crate::eval::diversity::mean_pairwise;
use crate::eval::quantile::Summary;
use crate::oracle::{Metered, Oracle, OracleInfo, Outcome};
use crate::sequence::Sequence;
use crate::store::{sha256, write_atomic};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Who scores samples: the reward, and a judge where one is named.
pub(super) struct Scorers {
    pub(super) reward: Metered<Box<dyn Oracle>>,
    pub(super) judge: Option<Metered<Box<dyn Oracle>>>,
}

/// The figures of a sample, kept between runs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    key: String,
    metrics: BTreeMap<String, f64>,
}

impl Scorers {
    /// What identifies both.
    pub(super) fn fingerprints(&self) -> [Option<String>; 2] {
        [Some(&self.reward), self.judge.as_ref()].map(|oracle| oracle.map(|oracle| oracle.info().fingerprint.clone()))
    }

    /// Asks `fits` about each, with what it is.
    ///
    /// # Errors
    /// Those of `fits`.
    pub(super) fn fit(&self, fits: impl Fn(&str, &OracleInfo) -> Result<()>) -> Result<()> {
        fits("reward", self.reward.info())?;
        self.judge.as_ref().map_or(Ok(()), |judge| fits("judge", judge.info()))
    }

    /// Diversity, share of distinct sequences, rewards, and what the judge says beside them.
    ///
    /// Figures of the judge are over the sequences that it has a value for; `judge_known_share` says how many those are.
    ///
    /// # Errors
    /// When an oracle cannot answer, or the reward has no value for a sequence.
    pub(super) fn figures(&mut self, sequences: &[Sequence]) -> Result<BTreeMap<String, f64>> {
        let distinct: BTreeSet<&[u8]> = sequences.iter().map(Sequence::ids).collect();
        let unknown = || Error::oracle("the reward has no value for a sequence of the samples");
        let values = self.reward.evaluate(sequences)?;
        let values: Vec<f64> = values.iter().map(|o| o.value().ok_or_else(unknown)).collect::<Result<_>>()?;
        let summary = Summary::of(&values).ok_or_else(|| Error::data("a reward of the samples is not a number"))?;
        let mut metrics = finite([
            ("sample_count", sequences.len() as f64),
            ("diversity", mean_pairwise(sequences, Metric::Hamming).unwrap_or(f64::NAN)),
            ("unique_share", distinct.len() as f64 / sequences.len() as f64),
            ("sample_reward_mean", summary.mean.value),
            ("sample_reward_median", summary.median),
            ("sample_reward_best", summary.max),
        ]);
        if let Some(judge) = &mut self.judge {
            let opinions = judge.evaluate(sequences)?;
            let known = opinions.iter().zip(&values).filter_map(|(o, reward)| Some((Outcome::value(o)?, reward)));
            let (says, apart): (Vec<f64>, Vec<f64>) = known.map(|(value, reward)| (value, value - reward)).unzip();
            metrics.insert("judge_known_share".to_owned(), says.len() as f64 / sequences.len() as f64);
            if let (Some(says), Some(apart)) = (Summary::of(&says), Summary::of(&apart)) {
                metrics.extend(finite([
                    ("judge_mean", says.mean.value),
                    ("judge_mean_se", says.mean.se),
                    ("judge_median", says.median),
                    ("judge_minus_reward", apart.mean.value),
                    ("judge_minus_reward_se", apart.mean.se),
                ]));
            }
        }
        Ok(metrics)
    }

    /// The figures in a file, where it holds those of the same sample; else those of the sequences that `draw` gives, written there.
    ///
    /// # Errors
    /// When drawing, scoring or writing fails.
    pub(super) fn kept(
        &mut self,
        file: &Path,
        source: &impl Serialize,
        draw: impl FnOnce() -> Result<Vec<Sequence>>,
    ) -> Result<BTreeMap<String, f64>> {
        let key = format!("sha256:{}", sha256(&json(&(source, self.fingerprints()))?));
        if let Ok(bytes) = std::fs::read(file)
            && let Ok(stored) = serde_json::from_slice::<Stored>(&bytes)
            && stored.key == key
        {
            return Ok(stored.metrics);
        }
        let stored = Stored { key, metrics: self.figures(&draw()?)? };
        write_atomic(file, &json(&stored)?)?;
        Ok(stored.metrics)
    }
}

fn json(value: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(value)
        .map_err(|error| Error::data("the figures of a sample cannot be written as JSON").because(error))
}
