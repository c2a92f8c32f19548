//! The tables of a search.

use super::ranking::Ranked;
use super::settings::Plan;
use super::start::Known;
use super::summary::Tilt;
use crate::campaign::{Campaign, Round};
use crate::error::{Error, Result};
use crate::eval::Metric;
use crate::eval::diversity::{clusters, least_to_others};
use crate::eval::novelty::nearest;
use crate::oracle::{Bound, Outcome};
use crate::reward::Prediction;
use crate::sequence::Sequence;
use std::fmt::Write as _;

/// Letters within which designs share a cluster.
const CLUSTER: usize = 2;

/// One of the best that were measured.
pub(super) struct Design {
    pub(super) id: String,
    pub(super) sequence: Sequence,
    pub(super) measured: f64,
    /// What a surrogate that has seen all labels expects, where that ranks.
    pub(super) posterior: Option<Prediction>,
    pub(super) replicates: usize,
    pub(super) round: usize,
    pub(super) expected: Option<Prediction>,
    pub(super) reason: String,
    /// Letters to the nearest sequence of the start table.
    pub(super) from_start: Option<usize>,
    /// Letters to the nearest other design.
    pub(super) apart: Option<usize>,
    pub(super) cluster: usize,
}

/// The best that were measured in the search, distinct, best first.
pub(super) fn designs(plan: &Plan, known: &Known, campaign: &Campaign, mut ranked: Vec<Ranked>) -> Vec<Design> {
    ranked.truncate(plan.designs);
    let sequences: Vec<Sequence> = ranked.iter().map(|one| one.sequence.clone()).collect();
    let start = known.sequences();
    let apart = least_to_others(&sequences, Metric::Hamming);
    let cluster = clusters(&sequences, Metric::Hamming, CLUSTER);
    let design = |(index, Ranked { sequence, measured, posterior }): (usize, Ranked)| {
        let of = campaign.evaluations().iter().filter(|e| e.round > 0 && e.pick.sequence == sequence);
        let valued: Vec<_> = of.filter(|e| e.outcome.value().is_some()).collect();
        let first = valued.first();
        Design {
            id: format!("d{:04}", index + 1),
            measured,
            posterior,
            replicates: valued.len(),
            round: first.map_or(0, |e| e.round),
            expected: first.and_then(|e| e.pick.expected),
            reason: first.map_or_else(String::new, |e| e.pick.reason.clone()),
            from_start: nearest(&sequence, &start, Metric::Hamming).map(|near| near.distance),
            apart: apart[index],
            cluster: cluster[index] + 1,
            sequence,
        }
    };
    ranked.into_iter().enumerate().map(design).collect()
}

fn maybe<T: std::fmt::Display>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.6}"))
}

fn csv<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>) -> Result<String> {
    let failed = |error: csv::Error| Error::device("cannot write a table").because(error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(header).map_err(failed)?;
    for row in rows {
        writer.write_record(row).map_err(failed)?;
    }
    let bytes =
        writer.into_inner().map_err(|error| Error::device("cannot write a table").because(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Error::device("cannot write a table").because(error))
}

/// All labels in order, start data first. Missing is empty, never 0.
///
/// # Errors
/// When a field cannot be written.
pub(super) fn measured_csv(campaign: &Campaign) -> Result<String> {
    let alphabet = &campaign.measured().domain().alphabet;
    let header = ["n", "round", "sequence", "value", "sd", "status", "note", "expected_mean", "expected_sd", "reason"];
    let row = |(index, e): (usize, &crate::campaign::Evaluation)| {
        let note = match &e.outcome {
            Outcome::Censored { bound: Bound::Below(bound) } => format!("below {bound}"),
            Outcome::Censored { bound: Bound::Above(bound) } => format!("above {bound}"),
            other => other.reason().unwrap_or_default().to_owned(),
        };
        [
            (index + 1).to_string(),
            e.round.to_string(),
            e.pick.sequence.text(alphabet),
            maybe(e.outcome.value()),
            maybe(e.outcome.sd()),
            e.outcome.status().to_owned(),
            note,
            number(e.pick.expected.map(|p| p.mean)),
            number(e.pick.expected.and_then(|p| p.sd)),
            e.pick.reason.clone(),
        ]
    };
    csv(header, campaign.evaluations().iter().enumerate().map(row))
}

/// One line a round.
///
/// # Errors
/// When a field cannot be written.
pub(super) fn rounds_csv(campaign: &Campaign, tilts: &[Tilt]) -> Result<String> {
    let header = [
        "round",
        "asked",
        "valued",
        "failed",
        "infeasible",
        "censored",
        "retried",
        "labels_spent",
        "best",
        "batch_best",
        "batch_mean",
        "top_128_mean",
        "top_100_mean",
        "expected_spearman",
        "expected_rmse",
        "expected_optimism",
        "expected_within_2_sd",
        "surrogate_calls",
        "sampler_path_kl",
        "sampler_gap",
        "sampler_mean_acquisition",
    ];
    let row = |round: &Round| {
        let seen = round.foresight.as_ref();
        let tilt = tilts.iter().find(|tilt| tilt.round == round.round);
        [
            round.round.to_string(),
            round.asked.to_string(),
            round.valued.to_string(),
            round.failed.to_string(),
            round.infeasible.to_string(),
            round.censored.to_string(),
            round.retried.to_string(),
            round.standing.spent.to_string(),
            number(round.standing.best),
            number(round.batch_best),
            number(round.batch_mean),
            number(round.standing.top_mean),
            number(round.standing.top_100_mean),
            number(seen.and_then(|seen| seen.spearman)),
            number(seen.map(|seen| seen.rmse)),
            number(seen.map(|seen| seen.optimism)),
            number(seen.and_then(|seen| seen.covered)),
            maybe(round.surrogate_calls),
            number(tilt.map(|tilt| tilt.path_kl.value)),
            number(tilt.and_then(|tilt| tilt.gap).map(|gap| gap.value)),
            number(tilt.map(|tilt| tilt.mean_reward.value)),
        ]
    };
    csv(header, campaign.rounds().iter().map(row))
}

/// The designs.
///
/// # Errors
/// When a field cannot be written.
pub(super) fn designs_csv(designs: &[Design], campaign: &Campaign) -> Result<String> {
    let alphabet = &campaign.measured().domain().alphabet;
    let header = [
        "id",
        "sequence",
        "rank",
        "role",
        "reason",
        "round",
        "predicted_mean",
        "predicted_sd",
        "nearest_train_dist",
        "min_batch_dist",
        "cluster",
        "measured_mean",
        "posterior_mean",
        "posterior_sd",
        "n_rep",
        "status",
    ];
    let row = |(index, design): (usize, &Design)| {
        [
            design.id.clone(),
            design.sequence.text(alphabet),
            (index + 1).to_string(),
            "design".to_owned(),
            design.reason.clone(),
            design.round.to_string(),
            number(design.expected.map(|p| p.mean)),
            number(design.expected.and_then(|p| p.sd)),
            maybe(design.from_start),
            maybe(design.apart),
            design.cluster.to_string(),
            maybe(Some(design.measured)),
            number(design.posterior.map(|p| p.mean)),
            number(design.posterior.and_then(|p| p.sd)),
            design.replicates.to_string(),
            "ok".to_owned(),
        ]
    };
    csv(header, designs.iter().enumerate().map(row))
}

/// The designs as FASTA.
pub(super) fn fasta(designs: &[Design], campaign: &Campaign) -> String {
    let alphabet = &campaign.measured().domain().alphabet;
    let mut text = String::new();
    for design in designs {
        let letters = design.sequence.text(alphabet);
        let _ = writeln!(text, ">{} measured={} round={}\n{letters}", design.id, design.measured, design.round);
    }
    text
}
