//! One seed of the offline protocol: learn, tilt, draw, choose; then look up the truth.

use super::NAME;
use crate::cli::bench::results::finite;
use crate::cli::bench::rows::Row;
use crate::cli::context::Context;
use crate::cli::design::{Lesson, learn};
use crate::cli::finetune::{Job, Outcome, Plan};
use crate::cli::tilted::Sampler;
use crate::diffusion::Prior;
use crate::error::{Error, Result};
use crate::eval::Metric;
use crate::eval::diversity::mean_pairwise;
use crate::eval::novelty::Novelty;
use crate::eval::quantile::Summary;
use crate::eval::rank::{rmse, spearman};
use crate::eval::select::diverse;
use crate::nn::Pool;
use crate::oracle::{Model, Oracle, OracleName, OracleOptions};
use crate::random::Seed;
use crate::reward::{Architecture, HeldOut, Reward, TrainingSet};
use crate::sequence::{Alphabet, Sequence};
use crate::store::{ModelFolder, RunFolder, RunInfo};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;

const ROW: &str = "row.json";
const DESIGNS: &str = "designs.csv";

/// Everything but the seed that decides a row.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Setting {
    pub(super) data: String,
    pub(super) value_below: f64,
    pub(super) truth: String,
    pub(super) prior: String,
    pub(super) prior_fingerprint: String,
    pub(super) reward: Option<String>,
    pub(super) reward_epochs: u64,
    pub(super) samples: usize,
    pub(super) count: usize,
    pub(super) caution: f64,
    pub(super) min_distance: usize,
    pub(super) plan: Plan,
}

/// What all seeds share.
pub(super) struct Task<'a> {
    pub(super) setting: &'a Setting,
    pub(super) prior: Arc<Prior>,
    pub(super) prior_folder: &'a ModelFolder,
    /// All that may be seen of the data.
    pub(super) seen: &'a TrainingSet,
    pub(super) options: &'a OracleOptions,
}

/// A reward as what is climbed, what scores, and its figures on held-out rows.
type Learned = (String, Box<dyn Reward>, Box<dyn Oracle>, Option<HeldOut>);

/// A sequence with its predicted mean, its spread, and what it is ranked by.
#[derive(Clone, Debug, PartialEq)]
struct Candidate {
    sequence: Sequence,
    mean: f64,
    sd: Option<f64>,
    score: f64,
}

impl Task<'_> {
    /// Runs a seed in its folder, or reads its row where it is complete.
    ///
    /// # Errors
    /// When a part fails or Ctrl-C was pressed; the same command then goes on.
    pub(super) fn run(&self, number: u64, path: &Path, context: &Context) -> Result<Row> {
        let info = RunInfo::new(NAME, number, self.setting)?;
        let folder = RunFolder::open(path, &info)?;
        if folder.is_finished() {
            let file = path.join(ROW);
            let bytes = std::fs::read(&file).map_err(|error| Error::io("read", &file, error))?;
            return serde_json::from_slice(&bytes)
                .map_err(|error| Error::integrity("not a row of a benchmark").at(file).because(error));
        }
        let seed = Seed::root(number);
        let (reward_name, reward, mut scorer, held) = self.reward(number, path, context)?;
        let tuned = path.join("finetune");
        let job = Job {
            out: &tuned,
            prior: self.prior.clone(),
            prior_name: &self.setting.prior,
            prior_folder: self.prior_folder,
            reward: reward.as_ref(),
            reward_name,
            reward_fingerprint: scorer.info().fingerprint.clone(),
            plan: self.setting.plan.clone(),
            seed: number,
            base: None,
            from: None,
            weighs_base: true,
        };
        let outcome = job.run(context)?;
        let sampler = Sampler::open(&tuned, &context.device()?)?;
        let pool = Pool::new(context.threads)?;
        let drawn = sampler.draw(self.setting.samples, seed.child("design").child("sample"), &pool)?.ends;
        let unique: Vec<Sequence> = drawn.iter().cloned().collect::<BTreeSet<_>>().into_iter().collect();
        let candidates = self.candidates(&unique, scorer.as_mut())?;
        let designs = self.choose(&candidates)?;
        let one_strand = self.choose(&one_strand(&candidates, self.prior.alphabet()))?;
        // the designs are fixed: only now is the truth looked up
        let mut truth = self.setting.truth.parse::<OracleName>()?.open(self.options)?;
        let raw = &drawn[..drawn.len().min(self.setting.count)];
        let known = [sequences(&designs), sequences(&one_strand), raw.to_vec()];
        let [of_designs, of_strands, of_raw] = known.map(|set| values(truth.as_mut(), &set));
        let (of_designs, of_strands, of_raw) = (of_designs?, of_strands?, of_raw?);
        let mut metrics = self.about(&designs, &of_designs, &outcome, held.as_ref())?;
        metrics.insert("unique".to_owned(), unique.len() as f64);
        for (prefix, values) in [("", &of_designs), ("strands_", &of_strands), ("raw_", &of_raw)] {
            let summary = Summary::of(values).ok_or_else(|| Error::constraint("there is no design"))?;
            metrics.extend([
                (format!("{prefix}percentile_50"), summary.median),
                (format!("{prefix}percentile_100"), summary.max),
                (format!("{prefix}mean"), summary.mean.value),
            ]);
        }
        let parameters = serde_json::to_value(self.setting)
            .map_err(|error| Error::usage("the configuration cannot be written as JSON").because(error))?;
        let row = Row { benchmark: NAME.to_owned(), method: "control".to_owned(), seed: number, parameters, metrics };
        let json = serde_json::to_vec_pretty(&row)
            .map_err(|error| Error::data("the row cannot be written as JSON").because(error))?;
        folder.write(ROW, &json)?;
        folder.write(DESIGNS, table(&designs, &of_designs, self.prior.alphabet()).as_bytes())?;
        folder.finish(&[ROW, DESIGNS])?;
        Ok(row)
    }

    /// The reward that was named, or one that learns from what may be seen.
    fn reward(&self, number: u64, path: &Path, context: &Context) -> Result<Learned> {
        if let Some(name) = &self.setting.reward {
            let parsed: OracleName = name.parse()?;
            return Ok((name.clone(), parsed.reward(self.options)?, parsed.open(self.options)?, None));
        }
        let lesson = Lesson {
            set: self.seen,
            origin: serde_json::json!({ "data": self.setting.data, "value_below": self.setting.value_below }),
            architecture: Architecture::default(),
            epochs: self.setting.reward_epochs,
            seed: (number, Seed::root(number).child("reward")),
            verb: "bench tfbind8-offline",
        };
        let (ensemble, held, _) = learn(lesson, &path.join("reward"), context)?;
        let name = format!("ensemble trained on values up to {}, seed {number}", self.setting.value_below);
        Ok((name, Box::new(ensemble.clone()), Box::new(Model::new(ensemble)), Some(held)))
    }

    fn candidates(&self, unique: &[Sequence], scorer: &mut dyn Oracle) -> Result<Vec<Candidate>> {
        let outcomes = scorer.evaluate(unique)?;
        let rated = unique.iter().zip(outcomes).filter_map(|(sequence, outcome)| {
            let (mean, sd) = (outcome.value()?, outcome.sd());
            let score = mean - self.setting.caution * sd.unwrap_or(0.0);
            Some(Candidate { sequence: sequence.clone(), mean, sd, score })
        });
        Ok(rated.collect())
    }

    /// The best by score, as far apart as asked.
    fn choose(&self, candidates: &[Candidate]) -> Result<Vec<Candidate>> {
        let score: Vec<f64> = candidates.iter().map(|c| c.score).collect();
        let count = self.setting.count.min(candidates.len());
        let chosen = diverse(&sequences(candidates), &score, count, self.setting.min_distance, Metric::Hamming)?.chosen;
        Ok(chosen.into_iter().map(|index| candidates[index].clone()).collect())
    }

    /// Figures of the designs other than the percentiles.
    fn about(
        &self,
        designs: &[Candidate],
        truth: &[f64],
        outcome: &Outcome,
        held: Option<&HeldOut>,
    ) -> Result<BTreeMap<String, f64>> {
        let set = sequences(designs);
        let predicted: Vec<f64> = designs.iter().map(|c| c.mean).collect();
        let novelty = Novelty::new(&set, self.seen.sequences(), Metric::Hamming)
            .ok_or_else(|| Error::constraint("there is no design").hint("raise --samples"))?;
        let predicted_mean = predicted.iter().sum::<f64>() / predicted.len() as f64;
        let strands: BTreeSet<Sequence> = set.iter().map(|x| canonical(x, self.prior.alphabet())).collect();
        let c = &outcome.verdict.certificate;
        let missing = f64::NAN;
        Ok(finite([
            ("designs", designs.len() as f64),
            ("predicted_mean", predicted_mean),
            ("optimism", predicted_mean - truth.iter().sum::<f64>() / truth.len() as f64),
            ("rmse_on_designs", rmse(&predicted, truth).unwrap_or(missing)),
            ("spearman_on_designs", spearman(&predicted, truth).unwrap_or(missing)),
            ("reward_held_out_spearman", held.and_then(|h| h.spearman).unwrap_or(missing)),
            ("reward_held_out_rmse", held.map_or(missing, |h| h.rmse)),
            ("diversity", mean_pairwise(&set, Metric::Hamming).unwrap_or(missing)),
            ("novelty_mean", novelty.mean),
            ("novelty_median", novelty.median),
            ("strand_pairs", strands.len() as f64),
            ("gap_nats", c.gap.value),
            ("gap_se", c.gap.se),
            ("path_kl", c.path_kl.value),
            ("sampler_predicted_mean", outcome.verdict.mean_reward().value),
        ]))
    }
}

fn sequences(set: &[Candidate]) -> Vec<Sequence> {
    set.iter().map(|c| c.sequence.clone()).collect()
}

/// True values.
///
/// # Errors
/// When one is not known.
fn values(truth: &mut dyn Oracle, set: &[Sequence]) -> Result<Vec<f64>> {
    let outcomes = truth.evaluate(set)?;
    let unknown = outcomes.iter().find_map(|outcome| outcome.value().is_none().then(|| outcome.reason()));
    if let Some(reason) = unknown {
        let message = format!("the truth of a sequence is not known: {}", reason.unwrap_or("no reason given"));
        return Err(Error::oracle(message).hint("name an oracle that knows all sequences with --truth"));
    }
    Ok(outcomes.iter().filter_map(crate::oracle::Outcome::value).collect())
}

/// Of two strands the one first in the alphabet's order.
fn canonical(sequence: &Sequence, alphabet: &Alphabet) -> Sequence {
    match sequence.reverse_complement(alphabet) {
        Some(other) if other < *sequence => other,
        _ => sequence.clone(),
    }
}

/// The better scored of both strands of every molecule.
fn one_strand(candidates: &[Candidate], alphabet: &Alphabet) -> Vec<Candidate> {
    let mut best: BTreeMap<Sequence, &Candidate> = BTreeMap::new();
    for candidate in candidates {
        let place = best.entry(canonical(&candidate.sequence, alphabet)).or_insert(candidate);
        if candidate.score > place.score {
            *place = candidate;
        }
    }
    best.into_values().cloned().collect()
}

fn table(designs: &[Candidate], truth: &[f64], alphabet: &Alphabet) -> String {
    let mut text = "sequence,predicted_mean,predicted_sd,true_value\n".to_owned();
    for (design, truth) in designs.iter().zip(truth) {
        let sd = design.sd.map_or_else(String::new, |sd| format!("{sd:.6}"));
        let _ = writeln!(text, "{},{:.6},{sd},{truth:.6}", design.sequence.text(alphabet), design.mean);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_two_strands_the_better_scored_stays() {
        let dna = Alphabet::dna();
        let make = |text: &str, score: f64| Candidate {
            sequence: Sequence::parse(text, &dna).unwrap(),
            mean: score,
            sd: None,
            score,
        };
        let kept = one_strand(&[make("AAAC", 0.1), make("GTTT", 0.4), make("ACGT", 0.2)], &dna);
        assert_eq!(kept, [make("GTTT", 0.4), make("ACGT", 0.2)]);
    }
}
