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
use crate::oracle::Oracle;
use crate::sequence::Sequence;
use std::collections::BTreeMap;
use std::path::Path;

/// Noise levels behind a design's naturalness.
const DRAWS: usize = 64;
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
    pub(super) scored: usize,
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
        let candidates: Vec<Sequence> = fresh.map(|x| (*x).clone()).collect();
        let predicted = parts.scorer.evaluate(&candidates)?;
        let judged = values(parts.judge.as_mut(), &candidates)?;
        let rated: Vec<Rated> = candidates
            .iter()
            .zip(&predicted)
            .zip(judged)
            .filter_map(|((x, p), judge)| Some(Rated { sequence: x.clone(), mean: p.value()?, sd: p.sd(), judge }))
            .collect();
        let score: Vec<f64> = rated.iter().map(|r| r.mean - plan.caution * r.sd.unwrap_or(0.0)).collect();
        let sequences: Vec<Sequence> = rated.iter().map(|r| r.sequence.clone()).collect();
        let count = plan.count.min(sequences.len());
        let selection = diverse(&sequences, &score, count, plan.min_distance, Metric::Hamming)?;
        let chosen: Vec<Sequence> = selection.chosen.iter().map(|i| sequences[*i].clone()).collect();
        verify(&parts.prior.config().constraint, &chosen, parts.prior.alphabet())?;
        let truth = match parts.truth.as_mut() {
            Some(truth) => values(truth.as_mut(), &chosen)?,
            None => vec![None; chosen.len()],
        };
        let naturalness = elbo(&parts.prior, &chosen, DRAWS, seed.child("naturalness"), &pool)?.per_sequence;
        let apart = least_to_others(&chosen, Metric::Hamming);
        let cluster = clusters(&chosen, Metric::Hamming, CLUSTER);
        let known: Vec<Sequence> = parts.known.keys().cloned().collect();
        let certificate = &outcome.verdict.certificate;
        let rows = (0..chosen.len())
            .map(|i| {
                let rated = &rated[selection.chosen[i]];
                let (times_drawn, log_ratio) = drawn.get(&rated.sequence).copied().unwrap_or((1, 0.0));
                let near = nearest(&rated.sequence, &known, Metric::Hamming).and_then(|near| {
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
            new: candidates.len(),
            scored: rated.len(),
            asked_distance: selection.asked,
            kept_distance: selection.kept,
            samples: paths.ends,
            prior_samples,
        })
    }
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
