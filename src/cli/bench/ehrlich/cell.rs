//! One cell: one function, one method and one seed, round after round.

use super::shown;
use crate::baseline::{PROPOSERS, ProposerConfig};
use crate::campaign::{self, Campaign, Journal, Means};
use crate::cli::bench::online::area;
use crate::cli::bench::results::finite;
use crate::cli::bench::rows::Row;
use crate::cli::context::Context;
use crate::cli::finetune::Tuning;
use crate::cli::optimize::{self, Known, Learner, SEARCHES};
use crate::error::{Error, Result};
use crate::oracle::{Ehrlich, EhrlichShape, Oracle, Outcome};
use crate::random::Seed;
use crate::reward::Domain;
use crate::sequence::Sequence;
use crate::store::{ModelFolder, RunFolder, RunInfo};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Instant;

const ROW: &str = "row.json";
const CURVE: &str = "curve.csv";
const LABELS: &str = "labels.csv";
const PRIOR: &str = "prior";

/// A function, and what is known of it before the first round.
pub(super) struct Set {
    pub(super) name: String,
    pub(super) function: Ehrlich,
    known: Vec<(Sequence, f64)>,
    /// Uniform letters without the pairs that nothing known has shown, and what identifies them.
    prior: (ModelFolder, String),
    parameters: Value,
}

impl Set {
    /// The function of a shape and a seed; known are its initial solution and walks over allowed transitions.
    ///
    /// # Errors
    /// When the shape is out of range.
    pub(super) fn new(name: &str, shape: &EhrlichShape, problem: u64, start: usize) -> Result<Self> {
        let seed = Seed::root(problem);
        let mut function = Ehrlich::generate(shape, seed)?;
        let mut words = vec![function.initial().clone()];
        for index in 1..start {
            words.push(function.walk(&mut seed.child("start").index(index as u64).rng())?);
        }
        let values = function.evaluate(&words)?;
        let known = words.into_iter().zip(values).filter_map(|(word, outcome)| Some((word, outcome.value()?)));
        let parameters = json!({
            "set": name,
            "states": shape.states,
            "length": shape.length,
            "motifs": shape.motifs,
            "motif_length": shape.motif_length,
            "quantisation": shape.quantisation,
            "epistasis": shape.epistasis,
            "problem": problem,
            "start": start,
        });
        let known: Vec<(Sequence, f64)> = known.collect();
        let prior = shown::prior(&known, &function.info().alphabet, shape.length)?;
        Ok(Self { name: name.to_owned(), known, prior, function, parameters })
    }

    /// Puts the prior into the folder of a cell.
    fn save_prior(&self, path: &Path) -> Result<()> {
        let folder = path.join(PRIOR);
        if folder.exists() { Ok(()) } else { self.prior.0.save(&folder).map(drop) }
    }

    /// What identifies the function.
    pub(super) fn fingerprint(&self) -> &str {
        &self.function.info().fingerprint
    }
}

/// What is run.
pub(super) struct Cell<'a> {
    pub(super) set: &'a Set,
    pub(super) method: &'a str,
    pub(super) seed: u64,
    pub(super) plan: &'a campaign::Plan,
    /// Of searches that draw from a prior.
    pub(super) recipe: &'a Recipe,
}

/// How searches that draw from a prior do so.
pub(super) struct Recipe {
    pub(super) acquisition: String,
    pub(super) samples: usize,
    pub(super) distance: usize,
    pub(super) learner: Learner,
    pub(super) tuning: Tuning,
}

/// Price of a nat of theirs: some hundred nats lie between a sequence of the prior and one of the best, and the values of the start are
/// hundredths.
const ALPHA: f64 = 2e-5;
/// Share of a sequence within which sequences are alike to their Gaussian process: further than to other searches, which stay near what they
/// have measured.
const ALIKE: f64 = 0.5;

/// Where a search stood after a round.
struct Turn {
    labels: usize,
    best: f64,
    feasible: usize,
    /// Labels of the round, and of them feasible.
    batch: (usize, usize),
}

impl Cell<'_> {
    /// Its folder.
    pub(super) fn name(&self) -> String {
        super::cell_name(&self.set.name, self.method, self.seed)
    }

    /// The plan of a search that draws from a prior.
    fn search(&self, path: &Path) -> Result<Option<optimize::Plan>> {
        if SEARCHES.get(self.method).is_err() {
            return Ok(None);
        }
        let prior = path.join(PRIOR).display().to_string();
        let oracle = format!("ehrlich {}", self.set.name);
        let Recipe { acquisition, samples, distance, learner, tuning } = self.recipe;
        let tuning = Tuning { alpha: tuning.alpha.or(Some(ALPHA)), ..tuning.clone() };
        let learner = learner.clone().within(ALIKE * self.set.function.info().length.0 as f64);
        let args = optimize::Args::drawing(self.method, oracle, prior, self.plan.batches.clone(), tuning);
        args.choosing(learner, acquisition, *samples, *distance).plan().map(Some)
    }

    fn parameters(&self) -> Value {
        let mut parameters = self.set.parameters.clone();
        parameters["batches"] = json!(self.plan.batches);
        parameters
    }

    /// Runs the cell, goes on with it, or reads what it wrote.
    ///
    /// # Errors
    /// When the folder is of another setting, a round fails, or Ctrl-C was pressed.
    pub(super) fn run(&self, path: &Path, context: &Context, threads: usize) -> Result<Row> {
        let config = ProposerConfig::default();
        let written = json!({ "method": self.method, "parameters": self.parameters(), "proposer": config });
        let mut info = RunInfo::new(super::NAME, self.seed, &written)?.with_version("function", self.set.fingerprint());
        let search = self.search(path)?;
        if let Some(plan) = &search {
            let text =
                serde_json::to_string(&plan.method()).map_err(|error| Error::usage("not JSON").because(error))?;
            info = info.with_version("search", text).with_version("prior", self.set.prior.1.clone());
        }
        let folder = RunFolder::open(path, &info)?;
        if folder.is_finished() {
            let file = path.join(ROW);
            let bytes = std::fs::read(&file).map_err(|error| Error::io("read", &file, error))?;
            return serde_json::from_slice(&bytes)
                .map_err(|error| Error::integrity("not a row of a benchmark").at(file).because(error));
        }
        let started = Instant::now();
        let own = context.beside(self.seed, threads);
        let mut function = self.set.function.clone();
        let of = function.info().clone();
        let domain = Domain { alphabet: of.alphabet, length: of.length.0 };
        let campaign = if let Some(plan) = &search {
            self.set.save_prior(path)?;
            let known = Known::of(domain, self.set.known.clone());
            optimize::explore(plan, &known, &mut function, path, &own, |_| Ok(()))?
        } else {
            let mut campaign =
                Campaign::new(self.plan.clone(), domain, self.set.known.iter().cloned(), Journal::in_folder(path))?;
            let mut proposer = (PROPOSERS.get(self.method)?.make)(&config)?;
            campaign.run(&mut Means {
                proposer: proposer.as_mut(),
                oracle: &mut function,
                seed: own.seed(),
                pool: &own.pool()?,
                observer: &mut own.observer(),
            })?;
            campaign
        };
        let turns = turns(&campaign);
        let row = self.row(&campaign, &turns);
        let bytes = serde_json::to_vec_pretty(&row)
            .map_err(|error| Error::data("the row cannot be written as JSON").because(error))?;
        folder.write(ROW, &bytes)?;
        folder.write(CURVE, curve_csv(&turns).as_bytes())?;
        folder.write(LABELS, self.labels_csv(&campaign).as_bytes())?;
        folder.finish(&[ROW, CURVE, LABELS])?;
        let (best, seconds) = (row.metrics["best"], started.elapsed().as_secs_f64());
        context.note(format!("{}: best {best:.4} ({seconds:.0} s)", self.name()));
        Ok(row)
    }

    fn row(&self, campaign: &Campaign, turns: &[Turn]) -> Row {
        let curve: Vec<(f64, f64)> = turns.iter().map(|turn| (turn.labels as f64, turn.best)).collect();
        let share = |(labels, feasible): (usize, usize)| feasible as f64 / labels as f64;
        let start_best = turns.first().map_or(f64::NAN, |turn| turn.best);
        let new = campaign.measured().ranked_since(1);
        // a share of no label and an optimum that was not found are left out
        let metrics = turns.last().map_or_else(BTreeMap::new, |last| {
            let optimum = turns.iter().find(|turn| turn.best >= 1.0).map_or(f64::NAN, |turn| turn.labels as f64);
            finite([
                ("labels", last.labels as f64),
                ("start_best", start_best),
                ("best", last.best),
                ("new_best", new.first().map_or(f64::NAN, |(_, value)| *value)),
                ("area_best", area(&curve).unwrap_or(f64::NAN)),
                ("feasible", last.feasible as f64),
                ("feasible_share", share((last.labels, last.feasible))),
                ("feasible_share_last", share(last.batch)),
                ("labels_to_optimum", optimum),
            ])
        });
        Row {
            benchmark: super::NAME.to_owned(),
            method: self.method.to_owned(),
            seed: self.seed,
            parameters: self.parameters(),
            metrics,
        }
    }

    fn labels_csv(&self, campaign: &Campaign) -> String {
        let alphabet = &self.set.function.info().alphabet;
        let mut text = "round,sequence,value,status,reason\n".to_owned();
        for one in campaign.evaluations().iter().filter(|one| one.round > 0) {
            let value = one.outcome.value().map_or_else(String::new, |value| value.to_string());
            let (sequence, status) = (one.pick.sequence.text(alphabet), one.outcome.status());
            let reason = one.outcome.reason().unwrap_or_default();
            let _ = writeln!(text, "{},{sequence},{value},{status},{reason}", one.round);
        }
        text
    }
}

/// Where the search stood after every round, before the first too.
fn turns(campaign: &Campaign) -> Vec<Turn> {
    let rounds = campaign.rounds().len();
    let mut now = Turn { labels: 0, best: f64::NEG_INFINITY, feasible: 0, batch: (0, 0) };
    let mut turns = Vec::with_capacity(rounds + 1);
    for round in 0..=rounds {
        let batch = campaign.evaluations().iter().filter(|one| one.round == round);
        let values: Vec<Option<f64>> = batch.map(|one| &one.outcome).map(Outcome::value).collect();
        let feasible = values.iter().flatten().count();
        let best = values.iter().flatten().copied().fold(now.best, f64::max);
        now = if round == 0 {
            Turn { best, ..now }
        } else {
            let (labels, batch) = (now.labels + values.len(), (values.len(), feasible));
            Turn { labels, best, feasible: now.feasible + feasible, batch }
        };
        turns.push(Turn { ..now });
    }
    turns
}

fn curve_csv(turns: &[Turn]) -> String {
    let mut text = "round,labels,best,feasible,feasible_of_round\n".to_owned();
    for (round, turn) in turns.iter().enumerate() {
        let _ = writeln!(text, "{round},{},{},{},{}", turn.labels, turn.best, turn.feasible, turn.batch.1);
    }
    text
}

/// The curve of a finished cell: labels spent, best value, feasible labels, round by round.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn curve(path: &Path) -> Result<Vec<[f64; 3]>> {
    let file = path.join(CURVE);
    let text = std::fs::read_to_string(&file).map_err(|error| Error::io("read", &file, error))?;
    let numbers = |line: &str| {
        let fields: Vec<f64> = line.split(',').filter_map(|field| field.parse().ok()).collect();
        Some([*fields.get(1)?, *fields.get(2)?, *fields.get(3)?])
    };
    Ok(text.lines().skip(1).filter_map(numbers).collect())
}
