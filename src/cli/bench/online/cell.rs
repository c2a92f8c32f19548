//! One cell of the benchmark: one method and one seed, round after round.

use super::figures::{Yardstick, area, best, figures};
use super::{Kind, Method};
use crate::campaign::{Campaign, Evaluation, TOP};
use crate::cli::bench::results::finite;
use crate::cli::bench::rows::Row;
use crate::cli::context::Context;
use crate::cli::memory;
use crate::cli::optimize::{self, Ranked};
use crate::diffusion::{Prior, elbo};
use crate::error::{Error, Result};
use crate::eval::quantile::Summary;
use crate::oracle::{Oracle as _, OracleName, OracleOptions, Outcome};
use crate::random::Seed;
use crate::reward::{Label, Measured};
use crate::sequence::{Alphabet, Sequence};
use crate::store::{RunFolder, RunInfo};
use serde::Serialize;
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

const ROW: &str = "row.json";
const CURVE: &str = "curve.csv";
const LABELS: &str = "labels.csv";

/// Noise levels behind a naturalness.
const DRAWS: usize = 32;

/// What all cells share.
pub(super) struct Task<'a> {
    pub(super) kind: &'static Kind,
    /// The start set, as labels of round 0.
    pub(super) start: &'a Measured,
    pub(super) yard: &'a Yardstick,
    pub(super) prior: Option<&'a Prior>,
    /// What figures are read from, where what measures is noisy.
    pub(super) truth: Option<(&'a OracleName, &'a OracleOptions)>,
    /// Who judges the best, and is asked by nobody else.
    pub(super) judge: Option<(&'a OracleName, &'a OracleOptions)>,
    pub(super) versions: &'a BTreeMap<String, String>,
}

/// A round as the curve has it.
#[derive(Clone, Debug, Serialize)]
struct Turn {
    round: usize,
    figures: BTreeMap<String, f64>,
}

impl Task<'_> {
    /// Runs the cell, goes on with it, or reads what it wrote.
    ///
    /// # Errors
    /// When the folder is of another setting, a round fails, or Ctrl-C was pressed.
    pub(super) fn run(
        &self,
        method: &Method,
        number: u64,
        path: &Path,
        context: &Context,
        threads: usize,
    ) -> Result<Row> {
        let mut info = RunInfo::new(self.kind.name, number, &self.parameters(method)?)?;
        for (what, version) in self.versions {
            info = info.with_version(what, version);
        }
        let folder = RunFolder::open(path, &info)?;
        if folder.is_finished() {
            let file = path.join(ROW);
            let bytes = std::fs::read(&file).map_err(|error| Error::io("read", &file, error))?;
            return serde_json::from_slice(&bytes)
                .map_err(|error| Error::integrity("not a row of a benchmark").at(file).because(error));
        }
        let started = Instant::now();
        let own = context.beside(number, threads);
        let campaign = optimize::search(&method.plan, path, &own, |_| Ok(()))?;
        let measured = self.measured(&campaign)?;
        let curve = self.curve(&measured);
        let mut row = self.row(method, number, &curve, &measured, &own)?;
        let calls: Option<u64> = campaign.rounds().iter().map(|round| round.surrogate_calls).sum();
        row.metrics.extend(calls.map(|calls| ("surrogate_calls".to_owned(), calls as f64)));
        if self.truth.is_some() {
            let ranked = optimize::ranked(&method.plan, &campaign, &own)?;
            row.metrics.extend(picked(&campaign, &ranked, &measured));
        }
        let bytes = serde_json::to_vec_pretty(&row)
            .map_err(|error| Error::data("the row cannot be written as JSON").because(error))?;
        folder.write(ROW, &bytes)?;
        folder.write(CURVE, table(&curve).as_bytes())?;
        let spent: Vec<&Evaluation> = campaign.evaluations().iter().filter(|e| e.round > 0).collect();
        folder.write(LABELS, labels(&spent, &self.start.domain().alphabet).as_bytes())?;
        let peak = memory::peak();
        folder.write("memory.json", json!({ "process_peak_bytes": peak }).to_string().as_bytes())?;
        folder.finish(&[ROW, CURVE, LABELS])?;
        let score = row.metrics.get("top_128_mean").copied().unwrap_or(f64::NAN);
        let (name, seconds) = (&method.label, started.elapsed().as_secs_f64());
        context.note(format!("{name}, seed {number}: top 128 {score:.4} ({seconds:.0} s)"));
        Ok(row)
    }

    /// Everything but the seed that decides a cell.
    fn parameters(&self, method: &Method) -> Result<serde_json::Value> {
        let plan = serde_json::to_value(&method.plan)
            .map_err(|error| Error::usage("the configuration cannot be written as JSON").because(error))?;
        let mut parameters = json!({ "name": method.name, "threshold": self.yard.threshold, "plan": plan });
        if method.plan.pays() {
            parameters["alpha"] = json!(method.plan.alpha());
        }
        Ok(parameters)
    }

    /// All labels of a search, with the true values in the place of noisy ones.
    fn measured(&self, campaign: &Campaign) -> Result<Measured> {
        let spent: Vec<&Evaluation> = campaign.evaluations().iter().filter(|e| e.round > 0 && e.is_spent()).collect();
        let mut measured = self.start.clone();
        let mut values: Vec<Option<f64>> = spent.iter().map(|e| e.outcome.value()).collect();
        if let Some((truth, options)) = self.truth {
            let sequences: Vec<Sequence> = spent.iter().map(|e| e.pick.sequence.clone()).collect();
            let known = truth.open(options)?.evaluate(&sequences)?;
            for (value, truth) in values.iter_mut().zip(known) {
                *value = value.and(truth.value());
            }
        }
        for (evaluation, value) in spent.into_iter().zip(values) {
            measured.push(Label { value, ..evaluation.label() })?;
        }
        Ok(measured)
    }

    /// The figures after every round, the start first.
    fn curve(&self, measured: &Measured) -> Vec<Turn> {
        let last = measured.labels().last().map_or(0, |label| label.round);
        let until = |round: usize| {
            let mut known = Measured::new(measured.domain().clone());
            let labels = measured.labels().iter().filter(|label| label.round <= round);
            // they were taken in before
            labels.for_each(|label| drop(known.push(label.clone())));
            Turn { round, figures: figures(&known, self.yard) }
        };
        (0..=last).map(until).collect()
    }

    fn row(&self, method: &Method, number: u64, curve: &[Turn], measured: &Measured, context: &Context) -> Result<Row> {
        let last = curve.last().ok_or_else(|| Error::data("there is no round"))?;
        let mut metrics = last.figures.clone();
        for metric in ["top_128_mean", "top_100_mean"] {
            let points = curve.iter().filter_map(|turn| Some((turn.figures["labels"], *turn.figures.get(metric)?)));
            if let Some(area) = area(&points.collect::<Vec<_>>()) {
                metrics.insert(format!("area_{metric}"), area);
            }
        }
        if let Some(steps) = method.plan.gradient_steps(self.start.domain())? {
            metrics.insert("gradient_steps".to_owned(), steps as f64);
        }
        if let Some(prior) = self.prior {
            let seed = Seed::root(number).child("naturalness");
            let bound = elbo(prior, &best(&measured.ranked()), DRAWS, seed, &context.pool()?)?;
            // higher is more natural
            let natural = [("naturalness", -bound.nats_per_token), ("naturalness_se", bound.standard_error)];
            metrics.extend(finite(natural));
        }
        if let Some((judge, options)) = self.judge {
            let known = judge.open(options)?.evaluate(&best(&measured.ranked()))?;
            let values: Vec<f64> = known.iter().filter_map(Outcome::value).collect();
            if let Some(summary) = Summary::of(&values) {
                metrics.extend(finite([("judge_mean", summary.mean.value), ("judge_median", summary.median)]));
            }
        }
        let parameters = self.parameters(method)?;
        Ok(Row {
            benchmark: self.kind.name.to_owned(),
            method: method.label.clone(),
            seed: number,
            parameters,
            metrics,
        })
    }
}

/// The true values of those that noisy ones rank best, and of those that the search's own list does.
fn picked(campaign: &Campaign, ranked: &[Ranked], truth: &Measured) -> BTreeMap<String, f64> {
    let known: BTreeMap<Sequence, f64> = truth.ranked().into_iter().collect();
    let mean = |picked: Vec<Sequence>| {
        let values: Vec<f64> = picked.iter().filter_map(|x| known.get(x).copied()).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let listed = ranked.iter().take(TOP).map(|one| one.sequence.clone()).collect();
    finite([("picked_128_mean", mean(best(&campaign.measured().ranked()))), ("listed_128_mean", mean(listed))])
}

/// The curve of a finished cell: labels and one figure, round by round.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn curve(path: &Path, figure: &str) -> Result<Vec<(f64, f64)>> {
    let file = path.join(CURVE);
    let text = std::fs::read_to_string(&file).map_err(|error| Error::io("read", &file, error))?;
    let mut lines = text.lines().map(|line| line.split(',').collect::<Vec<_>>());
    let header = lines.next().unwrap_or_default();
    let place = |name: &str| header.iter().position(|column| *column == name);
    let (Some(x), Some(y)) = (place("labels"), place(figure)) else { return Ok(Vec::new()) };
    let number = |line: &[&str], at: usize| line.get(at).and_then(|text| text.parse::<f64>().ok());
    Ok(lines.filter_map(|line| Some((number(&line, x)?, number(&line, y)?))).collect())
}

fn table(curve: &[Turn]) -> String {
    let names: std::collections::BTreeSet<&String> = curve.iter().flat_map(|turn| turn.figures.keys()).collect();
    let header: Vec<&str> = names.iter().map(|name| name.as_str()).collect();
    let mut text = format!("round,{}\n", header.join(","));
    for turn in curve {
        let _ = write!(text, "{}", turn.round);
        for name in &names {
            let value = turn.figures.get(*name).map_or_else(String::new, ToString::to_string);
            let _ = write!(text, ",{value}");
        }
        text.push('\n');
    }
    text
}

fn labels(spent: &[&Evaluation], alphabet: &Alphabet) -> String {
    let mut text = "round,sequence,value,status,expected,expected_sd,reason\n".to_owned();
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for e in spent {
        let numbers = [e.outcome.value(), e.pick.expected.map(|p| p.mean), e.pick.expected.and_then(|p| p.sd)];
        let [value, expected, sd] = numbers.map(number);
        let (sequence, status) = (e.pick.sequence.text(alphabet), e.outcome.status());
        let _ = writeln!(text, "{},{sequence},{value},{status},{expected},{sd},\"{}\"", e.round, e.pick.reason);
    }
    text
}
