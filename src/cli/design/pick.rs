//! From samples to designs: unique, scored, filtered, diverse.

use super::prepare::Parts;
use super::settings::Plan;
use crate::cli::constraining::verify;
use crate::cli::context::Context;
use crate::cli::finetune::Outcome;
use crate::cli::tilted::Sampler;
use crate::diffusion::{SampleConfig, elbo, sample};
use crate::error::Result;
use crate::eval::Metric;
use crate::eval::diversity::{clusters, least_to_others};
use crate::eval::novelty::nearest;
use crate::eval::select::diverse;
use crate::nn::Pool;
use crate::oracle::Oracle;
use crate::sequence::{Alphabet, Sequence};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Noise levels behind a design's naturalness.
const DRAWS: usize = 64;
/// Sequences whose other strand is looked at.
const STRANDS: usize = 32;
/// Letters within which designs share a cluster.
const CLUSTER: usize = 2;

/// One design with everything said about it.
#[derive(Clone, Debug)]
pub(super) struct Row {
    pub(super) sequence: Sequence,
    pub(super) rank: usize,
    pub(super) times_drawn: usize,
    pub(super) mean: f64,
    pub(super) sd: Option<f64>,
    pub(super) judge: Option<f64>,
    pub(super) log_weight: f64,
    pub(super) naturalness: f64,
    pub(super) nearest: Option<(String, usize, Option<f64>)>,
    pub(super) batch_distance: Option<usize>,
    pub(super) cluster: usize,
    pub(super) truth: Option<f64>,
    pub(super) reason: String,
}

/// The designs, and what they were picked from.
pub(super) struct Picked {
    pub(super) rows: Vec<Row>,
    /// Samples of the tuned sampler, with repeats.
    pub(super) samples: Vec<Sequence>,
    /// Samples of the prior, as many at most.
    pub(super) prior_samples: Vec<Sequence>,
    pub(super) unique: usize,
    pub(super) new: usize,
    /// Of those, near enough to a measured sequence.
    pub(super) trusted: usize,
    pub(super) scored: usize,
    /// Of those, one strand of each molecule, where the reward cannot tell them apart.
    pub(super) molecules: Option<usize>,
    pub(super) asked_distance: usize,
    pub(super) kept_distance: usize,
}

impl Picked {
    /// Draws and picks.
    ///
    /// # Errors
    /// When a sampler or an oracle fails.
    pub(super) fn draw(
        plan: &Plan,
        parts: &mut Parts,
        outcome: &Outcome,
        tuned: &Path,
        context: &Context,
    ) -> Result<Self> {
        let pool = context.pool()?;
        let metric = parts.metric();
        let seed = context.seed().child("design");
        let sampler = Sampler::open(tuned, &context.device()?)?;
        context.note(format!("drawing {} sequences from the tuned sampler", plan.samples));
        let paths = sampler.draw(plan.samples, seed.child("sample"), &pool)?;
        let mut drawn = BTreeMap::<&Sequence, (usize, f64)>::new();
        for (sequence, log_ratio) in paths.ends.iter().zip(&paths.log_ratio) {
            let entry = drawn.entry(sequence).or_insert((0, 0.0));
            entry.0 += 1;
            entry.1 += log_ratio;
        }
        let fresh = drawn.keys().filter(|x| plan.allow_known || !parts.known.contains_key(**x));
        let fresh: Vec<Sequence> = fresh.map(|x| (*x).clone()).collect();
        let known: Vec<Sequence> = parts.known.keys().cloned().collect();
        let new = fresh.len();
        let candidates = match plan.trust {
            Some(limit) => near(fresh, &known, (limit, metric), &pool)?,
            None => fresh,
        };
        let predicted = parts.scorer.evaluate(&candidates)?;
        let judged = values(parts.judge.as_mut(), &candidates)?;
        let rated: Vec<Rated> = candidates
            .iter()
            .zip(&predicted)
            .zip(judged)
            .filter_map(|((x, p), judge)| Some(Rated { sequence: x.clone(), mean: p.value()?, sd: p.sd(), judge }))
            .collect();
        let scored = rated.len();
        let merged = same_on_both_strands(&rated, parts)?;
        let rated = if merged { one_strand(rated, parts.prior.alphabet()) } else { rated };
        let score: Vec<f64> = rated.iter().map(|r| r.mean - plan.caution * r.sd.unwrap_or(0.0)).collect();
        let sequences: Vec<Sequence> = rated.iter().map(|r| r.sequence.clone()).collect();
        let count = plan.count.min(sequences.len());
        let selection = diverse(&sequences, &score, count, plan.min_distance, metric)?;
        let chosen: Vec<Sequence> = selection.chosen.iter().map(|i| sequences[*i].clone()).collect();
        verify(&parts.prior.config().constraint, &chosen, parts.prior.alphabet())?;
        let truth = match parts.truth.as_mut() {
            Some(truth) => values(truth.as_mut(), &chosen)?,
            None => vec![None; chosen.len()],
        };
        let naturalness = elbo(&parts.prior, &chosen, DRAWS, seed.child("naturalness"), &pool)?.per_sequence;
        let apart = least_to_others(&chosen, metric);
        let cluster = clusters(&chosen, metric, CLUSTER);
        let certificate = &outcome.verdict.certificate;
        let rows = (0..chosen.len())
            .map(|i| {
                let rated = &rated[selection.chosen[i]];
                let (times_drawn, log_ratio) = drawn.get(&rated.sequence).copied().unwrap_or((1, 0.0));
                let near = nearest(&rated.sequence, &known, metric).and_then(|near| {
                    let (id, value) = parts.known.get(&known[near.index])?;
                    Some((id.clone(), near.distance, *value))
                });
                Row {
                    sequence: rated.sequence.clone(),
                    rank: i + 1,
                    times_drawn,
                    mean: rated.mean,
                    sd: rated.sd,
                    judge: rated.judge,
                    log_weight: rated.mean / certificate.alpha
                        - log_ratio / times_drawn as f64
                        - certificate.log_z_tuned.value,
                    naturalness: naturalness[i],
                    nearest: near,
                    batch_distance: apart[i],
                    cluster: cluster[i],
                    truth: truth[i],
                    reason: reason(i, &selection.taken, plan),
                }
            })
            .collect();
        let prior_samples =
            sample(&parts.prior, &SampleConfig::default(), plan.samples.min(2000), seed.child("prior"), &pool)?;
        Ok(Self {
            rows,
            unique: drawn.len(),
            new,
            trusted: candidates.len(),
            scored,
            molecules: merged.then_some(rated.len()),
            asked_distance: selection.asked,
            kept_distance: selection.kept,
            samples: paths.ends,
            prior_samples,
        })
    }
}

/// Those that are at most `limit` letters from one of `known`.
fn near(
    sequences: Vec<Sequence>,
    known: &[Sequence],
    (limit, metric): (usize, Metric),
    pool: &Pool,
) -> Result<Vec<Sequence>> {
    let is_near = pool.map(sequences.len(), |index| {
        Ok(known.iter().any(|other| metric.within(&sequences[index], other, limit).is_some()))
    })?;
    Ok(sequences.into_iter().zip(is_near).filter(|(_, near)| *near).map(|(sequence, _)| sequence).collect())
}

/// Whether the reward gives both strands of sequences the same value, by some of them.
fn same_on_both_strands(rated: &[Rated], parts: &mut Parts) -> Result<bool> {
    let alphabet = parts.prior.alphabet().clone();
    let probed = &rated[..rated.len().min(STRANDS)];
    let others: Option<Vec<Sequence>> = probed.iter().map(|x| x.sequence.reverse_complement(&alphabet)).collect();
    let Some(others) = others.filter(|others| !others.is_empty()) else { return Ok(false) };
    let values = values(parts.scorer.as_mut(), &others)?;
    Ok(probed
        .iter()
        .zip(values)
        .all(|(x, other)| other.is_some_and(|other| (other - x.mean).abs() <= 1e-6 * x.mean.abs())))
}

/// Of two strands the first in the alphabet's order.
fn one_strand(rated: Vec<Rated>, alphabet: &Alphabet) -> Vec<Rated> {
    let here: BTreeSet<Sequence> = rated.iter().map(|x| x.sequence.clone()).collect();
    let is_second =
        |x: &Sequence| x.reverse_complement(alphabet).is_some_and(|other| other < *x && here.contains(&other));
    rated.into_iter().filter(|x| !is_second(&x.sequence)).collect()
}

struct Rated {
    sequence: Sequence,
    mean: f64,
    sd: Option<f64>,
    judge: Option<f64>,
}

/// An oracle's values, where it has one.
fn values(oracle: &mut dyn Oracle, sequences: &[Sequence]) -> Result<Vec<Option<f64>>> {
    Ok(oracle.evaluate(sequences)?.iter().map(crate::oracle::Outcome::value).collect())
}

/// Why a design was kept.
fn reason(place: usize, taken: &[(usize, usize)], plan: &Plan) -> String {
    let mut seen = 0;
    let distance = taken.iter().find_map(|(distance, count)| {
        seen += count;
        (place < seen).then_some(*distance)
    });
    let distance = distance.unwrap_or(plan.min_distance);
    format!("best mean - {} sd among those at least {distance} letters from every design above", plan.caution)
}
