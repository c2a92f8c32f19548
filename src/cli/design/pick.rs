//! From samples to designs: unique, scored, filtered, diverse.

use super::goal::Figure;
use super::prepare::Parts;
use super::rate::{Candidates, Rated, values};
use super::settings::Plan;
use crate::cli::constraining::verify;
use crate::cli::context::Context;
use crate::cli::finetune::Outcome;
use crate::cli::tilted::Sampler;
use crate::diffusion::{SampleConfig, elbo, sample};
use crate::error::Result;
use crate::eval::diversity::{clusters, least_to_others};
use crate::eval::novelty::nearest;
use crate::eval::select::diverse;
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
    /// The values of further goals.
    pub(super) goals: Vec<Figure>,
    /// Layer of trade-offs with them, 0 for the front.
    pub(super) layer: Option<usize>,
}

/// The designs, and what they were picked from.
pub(super) struct Picked {
    pub(super) rows: Vec<Row>,
    /// Samples of the tuned sampler, with repeats.
    pub(super) samples: Vec<Sequence>,
    /// Samples of the prior, as many at most.
    pub(super) prior_samples: Vec<Sequence>,
    /// How many passed each rule, in order.
    pub(super) funnel: Vec<(String, usize)>,
    /// Some of the candidates: predicted mean, the means of further goals, and whether nothing beats them in one without losing in
    /// another; nothing without such goals.
    pub(super) points: Vec<(f64, Vec<Option<f64>>, bool)>,
    pub(super) asked_distance: usize,
    pub(super) kept_distance: usize,
}

impl Picked {
    /// How many passed a rule of the funnel.
    pub(super) fn passed(&self, rule: usize) -> usize {
        self.funnel.get(rule).map_or(0, |(_, passed)| *passed)
    }

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
        let unique = drawn.keys().map(|x| (*x).clone()).collect();
        let Candidates { rated, score, layers, funnel } = Candidates::of(unique, plan, parts, &pool)?;
        let known: Vec<Sequence> = parts.known.keys().cloned().collect();
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
                    log_weight: (rated.mean - parts.caution * rated.sd.unwrap_or(0.0)) / certificate.alpha
                        - log_ratio / times_drawn as f64
                        - certificate.log_z_tuned.value,
                    naturalness: naturalness[i],
                    nearest: near,
                    batch_distance: apart[i],
                    cluster: cluster[i],
                    truth: truth[i],
                    reason: reason(i, &selection.taken, plan, layers.is_some()),
                    goals: rated.goals.clone(),
                    layer: layers.as_ref().map(|layers| layers[selection.chosen[i]]),
                }
            })
            .collect();
        let prior_samples =
            sample(&parts.prior, &SampleConfig::default(), plan.samples.min(2000), seed.child("prior"), &pool)?;
        Ok(Self {
            rows,
            funnel,
            points: points(&rated, layers.as_deref()),
            asked_distance: selection.asked,
            kept_distance: selection.kept,
            samples: paths.ends,
            prior_samples,
        })
    }
}

/// Dots of a picture, at most.
const DOTS: usize = 1500;

/// What is drawn of trade-offs between goals: the front, and some of the others.
fn points(rated: &[Rated], layers: Option<&[usize]>) -> Vec<(f64, Vec<Option<f64>>, bool)> {
    let Some(layers) = layers else { return Vec::new() };
    let step = rated.len().div_ceil(DOTS).max(1);
    let shown = rated.iter().zip(layers).enumerate().filter(|(index, (_, layer))| **layer == 0 || index % step == 0);
    shown.map(|(_, (x, layer))| (x.mean, x.goals.iter().map(|goal| goal.0).collect(), *layer == 0)).collect()
}

/// Why a design was kept.
fn reason(place: usize, taken: &[(usize, usize)], plan: &Plan, traded: bool) -> String {
    let mut seen = 0;
    let distance = taken.iter().find_map(|(distance, count)| {
        seen += count;
        (place < seen).then_some(*distance)
    });
    let distance = distance.unwrap_or(plan.min_distance);
    let by = if traded { "first layers of trade-offs, in them best" } else { "best" };
    format!("{by} mean - {} sd among those at least {distance} letters from every design above", plan.caution)
}
