//! One cell of the benchmark: one method and one seed, round after round.

use super::figures::{Yardstick, area, best, figures};
use super::{NAME, method};
use crate::baseline::{ProposerConfig, Request};
use crate::cli::bench::rows::Row;
use crate::cli::context::Context;
use crate::diffusion::{Prior, elbo};
use crate::error::{Error, Result};
use crate::nn::{Pool, Tensors};
use crate::observe::{Event, Observer as _};
use crate::oracle::{Metered, Oracle as _, OracleName, OracleOptions};
use crate::random::Seed;
use crate::reward::{Label, Measured};
use crate::sequence::Sequence;
use crate::store::{Checkpoint, RunFolder, RunInfo};
use serde::{Deserialize, Serialize};
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

/// Everything besides method and seed that decides a cell.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Setting {
    pub(super) oracle: String,
    pub(super) start: String,
    /// Labels of each round.
    pub(super) batches: Vec<usize>,
    pub(super) threshold: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) prior: Option<String>,
    pub(super) proposer: ProposerConfig,
}

/// What all cells share.
pub(super) struct Task<'a> {
    pub(super) setting: &'a Setting,
    /// The start set, as labels of round 0.
    pub(super) start: &'a Measured,
    pub(super) yard: &'a Yardstick,
    pub(super) prior: Option<&'a Prior>,
    pub(super) versions: &'a BTreeMap<String, String>,
    pub(super) options: &'a OracleOptions,
}

/// A round as the curve has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Turn {
    round: usize,
    surrogate_calls: Option<u64>,
    figures: BTreeMap<String, f64>,
}

/// A label as checkpoint and table have it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Spent {
    round: usize,
    sequence: String,
    value: Option<f64>,
    status: String,
    expected: Option<f64>,
    expected_sd: Option<f64>,
    reason: String,
}

/// Where a cell stands.
#[derive(Debug, Default, Serialize, Deserialize)]
struct State {
    spent: Vec<Spent>,
    curve: Vec<Turn>,
}

impl Task<'_> {
    /// Runs the cell, goes on with it, or reads what it wrote.
    ///
    /// # Errors
    /// When the folder is of another setting, a round fails, or Ctrl-C was pressed.
    pub(super) fn run(&self, name: &str, number: u64, path: &Path, pool: &Pool, context: &Context) -> Result<Row> {
        let mut info = RunInfo::new(NAME, number, &json!({ "method": name, "setting": self.setting }))?;
        for (what, version) in self.versions {
            info = info.with_version(what, version);
        }
        let mut folder = RunFolder::open(path, &info)?;
        if folder.is_finished() {
            let file = path.join(ROW);
            let bytes = std::fs::read(&file).map_err(|error| Error::io("read", &file, error))?;
            return serde_json::from_slice(&bytes)
                .map_err(|error| Error::integrity("not a row of a benchmark").at(file).because(error));
        }
        let started = Instant::now();
        let state = self.rounds(name, number, &mut folder, pool, context)?;
        let row = self.row(name, number, &state, pool)?;
        let bytes = serde_json::to_vec_pretty(&row)
            .map_err(|error| Error::data("the row cannot be written as JSON").because(error))?;
        folder.write(ROW, &bytes)?;
        folder.write(CURVE, table(&state.curve).as_bytes())?;
        folder.write(LABELS, labels(&state.spent).as_bytes())?;
        folder.finish(&[ROW, CURVE, LABELS])?;
        let score = row.metrics.get("top_128_mean").copied().unwrap_or(f64::NAN);
        context.note(format!("{name}, seed {number}: top 128 {score:.4} ({:.0} s)", started.elapsed().as_secs_f64()));
        Ok(row)
    }

    /// Proposes and measures until the budget or the space is used up.
    fn rounds(&self, name: &str, number: u64, folder: &mut RunFolder, pool: &Pool, context: &Context) -> Result<State> {
        let alphabet = &self.start.domain().alphabet;
        let mut measured = self.start.clone();
        let mut state: State = folder.checkpoint().map_or_else(|| Ok(State::default()), Checkpoint::state)?;
        for spent in &state.spent {
            let sequence = Sequence::parse(&spent.sequence, alphabet)?;
            measured.push(Label { sequence, value: spent.value, round: spent.round })?;
        }
        if state.curve.is_empty() {
            state.curve.push(Turn { round: 0, surrogate_calls: None, figures: figures(&measured, self.yard) });
        }
        let mut method = method::proposer(name, &self.setting.proposer)?;
        let mut oracle = Metered::new(self.setting.oracle.parse::<OracleName>()?.open(self.options)?);
        let calls_before = state.curve.last().and_then(|turn| turn.surrogate_calls).unwrap_or(0);
        let mut observer = context.observer();
        for (index, count) in self.setting.batches.iter().enumerate().skip(state.curve.len() - 1) {
            let round = index + 1;
            let seed = Seed::root(number).child("online").index(round as u64);
            let request = Request { measured: &measured, count: *count, round, seed, pool };
            let proposals = method.propose(&request)?;
            if proposals.is_empty() {
                break;
            }
            let sequences: Vec<Sequence> = proposals.iter().map(|p| p.sequence.clone()).collect();
            for (proposal, outcome) in proposals.into_iter().zip(oracle.evaluate(&sequences)?) {
                state.spent.push(Spent {
                    round,
                    sequence: proposal.sequence.text(alphabet),
                    value: outcome.value(),
                    status: outcome.status().to_owned(),
                    expected: proposal.expected.map(|e| e.mean),
                    expected_sd: proposal.expected.and_then(|e| e.sd),
                    reason: proposal.reason.to_owned(),
                });
                measured.push(Label { sequence: proposal.sequence, value: outcome.value(), round })?;
            }
            let surrogate_calls = method.surrogate_calls().map(|calls| calls_before + calls);
            let turn = Turn { round, surrogate_calls, figures: figures(&measured, self.yard) };
            folder.metric(&turn)?;
            state.curve.push(turn);
            folder.save_checkpoint(round as u64, &state, Tensors::default())?;
            if observer.on_event(&Event::Checkpoint { done: round as u64 }).is_break() {
                return Err(folder.interrupted(round as u64));
            }
        }
        Ok(state)
    }

    fn row(&self, name: &str, number: u64, state: &State, pool: &Pool) -> Result<Row> {
        let last = state.curve.last().ok_or_else(|| Error::data("there is no round"))?;
        let mut metrics = last.figures.clone();
        if let Some(calls) = last.surrogate_calls {
            metrics.insert("surrogate_calls".to_owned(), calls as f64);
        }
        for metric in ["top_128_mean", "top_100_mean"] {
            let curve: Vec<(f64, f64)> = state
                .curve
                .iter()
                .filter_map(|turn| Some((turn.figures["labels"], *turn.figures.get(metric)?)))
                .collect();
            if let Some(area) = area(&curve) {
                metrics.insert(format!("area_{metric}"), area);
            }
        }
        if let Some(prior) = self.prior {
            let mut measured = self.start.clone();
            for spent in &state.spent {
                let sequence = Sequence::parse(&spent.sequence, &self.start.domain().alphabet)?;
                measured.push(Label { sequence, value: spent.value, round: spent.round })?;
            }
            let seed = Seed::root(number).child("naturalness");
            let bound = elbo(prior, &best(&measured.ranked()), DRAWS, seed, pool)?;
            // higher is more natural
            metrics.insert("naturalness".to_owned(), -bound.nats_per_token);
            metrics.insert("naturalness_se".to_owned(), bound.standard_error);
        }
        let parameters = serde_json::to_value(self.setting)
            .map_err(|error| Error::usage("the configuration cannot be written as JSON").because(error))?;
        Ok(Row { benchmark: NAME.to_owned(), method: name.to_owned(), seed: number, parameters, metrics })
    }
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
    let mut text = format!("round,surrogate_calls,{}\n", header.join(","));
    for turn in curve {
        let calls = turn.surrogate_calls.map_or_else(String::new, |calls| calls.to_string());
        let _ = write!(text, "{},{calls}", turn.round);
        for name in &names {
            let value = turn.figures.get(*name).map_or_else(String::new, ToString::to_string);
            let _ = write!(text, ",{value}");
        }
        text.push('\n');
    }
    text
}

fn labels(spent: &[Spent]) -> String {
    let mut text = "round,sequence,value,status,expected,expected_sd,reason\n".to_owned();
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    for s in spent {
        let numbers = [s.value, s.expected, s.expected_sd].map(number);
        let [value, expected, sd] = numbers;
        let _ = writeln!(text, "{},{},{value},{},{expected},{sd},{}", s.round, s.sequence, s.status, s.reason);
    }
    text
}
