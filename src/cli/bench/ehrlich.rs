//! `seqtilt bench ehrlich`

mod cell;
mod page;
mod shown;
#[cfg(test)]
mod tests;

use super::folder::{BenchFolder, seconds, timed};
use super::results::Results;
use crate::baseline::{PROPOSERS, ProposerConfig};
use crate::campaign;
use crate::cli::check::{required, within};
use crate::cli::context::Context;
use crate::cli::finetune::Tuning;
use crate::cli::memory;
use crate::cli::optimize::{Learner, SEARCHES};
use crate::cli::printer::columns;
use crate::error::{Error, Result};
use crate::nn::Pool;
use crate::oracle::EhrlichShape;
use crate::registry::unknown;
use cell::{Cell, Recipe, Set};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

const NAME: &str = "ehrlich";

const SETS: [&str; 5] = ["32-4-4-4", "128-4-4-4", "256-4-4-4", "256-8-4-4", "256-4-8-4"];

const METHODS: [&str; 3] = ["random", "genetic", "adalead"];

const EXAMPLES: &str = "\
Examples:
  seqtilt bench ehrlich --out ehrlich                   five functions, the floors, five seeds: 10 rounds of 128 labels
  seqtilt bench ehrlich --sets 32-4-4-4 --methods random,genetic,adalead,gp-ucb --seeds 0,1,2 --out short
  seqtilt bench ehrlich --sets 32-4-4-4 --methods gp-ucb,guided --out prior
                                    a prior that writes feasible sequences, guided by a surrogate of all labels
  seqtilt bench ehrlich --sets 128-4-4-4 --rounds 40 --epistasis 1 --out long --json

A set is LENGTH-MOTIFS-LETTERS-QUANTISATION: letters of a sequence, motifs, letters of a motif, levels of a motif, over 32 states. A \
sequence with a banned transition is infeasible: its label is spent, and says nothing about its value. The greatest value is 1. \
Finished cells are not run again, interrupted ones go on where they stopped.";

/// Closed-form functions with infeasible sequences and a known optimum: best value against labels spent
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// Folder of the cells and the results
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Functions: length, motifs, letters of a motif, quantisation [default: 32-4-4-4, 128-4-4-4, 256-4-4-4, 256-8-4-4,
    /// 256-4-8-4]
    #[arg(long, value_name = "L-C-K-Q,…", value_delimiter = ',')]
    sets: Option<Vec<String>>,
    /// Methods, of `seqtilt list proposers`, or guided, tilted, non-adaptive and prior: searches of uniform letters without the pairs
    /// that no feasible sequence of the start has shown [default: random,genetic,adalead]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    methods: Option<Vec<String>>,
    /// Seeds of the searches [default: 0,1,2,3,4]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Rounds [default: 10]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Labels a round [default: 128]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Feasible sequences whose values are known before the first round [default: 128]
    #[arg(long, value_name = "N")]
    start: Option<usize>,
    /// How much less than its share a motif that is partly present is worth, 0 to 4 [default: 0]
    #[arg(long, value_name = "E", allow_negative_numbers = true)]
    epistasis: Option<f64>,
    /// Seed of the functions and of what is known at the start [default: 0]
    #[arg(long, value_name = "N")]
    problem: Option<u64>,
    /// What searches of a prior climb: mean, ucb:K, thompson or bootstrap-max [default: mean]
    #[arg(long, value_name = "NAME", allow_negative_numbers = true)]
    acquisition: Option<String>,
    /// Sequences that searches of a prior draw every round [default: 512]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Least letters between two sequences of a batch of theirs [default: 4]
    #[arg(long, value_name = "N")]
    min_distance: Option<usize>,
    #[command(flatten)]
    learner: Learner,
    #[command(flatten)]
    tuning: Tuning,
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["bench", NAME], args)?;
    context.emit(&execute(&args, context)?)
}

/// The folder of a cell.
fn cell_name(set: &str, method: &str, seed: u64) -> String {
    format!("{set}-{method}-seed{seed}")
}

/// The shape of a set such as `32-4-4-4`.
fn shape(set: &str, epistasis: f64) -> Result<EhrlichShape> {
    let numbers: Option<Vec<usize>> = set.split('-').map(|number| number.parse().ok()).collect();
    let Some([length, motifs, motif_length, quantisation]) = numbers.as_deref() else {
        return Err(Error::usage(format!(
            "set `{set}`; LENGTH-MOTIFS-LETTERS-QUANTISATION is accepted, such as 32-4-4-4"
        )));
    };
    let (length, motifs, motif_length, quantisation) = (*length, *motifs, *motif_length, *quantisation);
    Ok(EhrlichShape { length, motifs, motif_length, quantisation, epistasis, ..EhrlichShape::default() })
}

/// Refuses a list that names something twice.
fn once<T: PartialEq + fmt::Display>(what: &str, list: &[T]) -> Result<()> {
    match (0..list.len()).find(|i| list[..*i].contains(&list[*i])) {
        Some(twice) => {
            let message = format!("{what} `{}` is asked for twice", list[twice]);
            Err(Error::usage(message).hint(format!("name every {what} once")))
        }
        None => Ok(()),
    }
}

/// Runs all cells and writes the results.
fn execute(args: &Args, context: &Context) -> Result<Report> {
    let out = required("bench ehrlich", "out", args.out.clone())?;
    let names = |given: &Option<Vec<String>>, all: &[&str]| {
        given.clone().unwrap_or_else(|| all.iter().map(|name| (*name).to_owned()).collect())
    };
    let (sets, methods) = (names(&args.sets, &SETS), names(&args.methods, &METHODS));
    let seeds = args.seeds.clone().unwrap_or_else(|| (0..5).collect());
    once("set", &sets)?;
    once("method", &methods)?;
    once("seed", &seeds)?;
    for method in methods.iter().filter(|method| SEARCHES.get(method).is_err()) {
        if PROPOSERS.get(method).is_err() {
            let names = SEARCHES.entries().iter().map(|entry| entry.name);
            return Err(unknown("proposer", method, names.chain(PROPOSERS.entries().iter().map(|e| e.name))));
        }
        (PROPOSERS.get(method)?.make)(&ProposerConfig::default())?;
    }
    let rounds = within("rounds", args.rounds.unwrap_or(10), 1..=10_000)?;
    let plan = campaign::Plan::even(rounds, within("batch", args.batch.unwrap_or(128), 1..=1_000_000)?);
    let start = within("start", args.start.unwrap_or(128), 1..=1_000_000)?;
    let (epistasis, problem) = (args.epistasis.unwrap_or(0.0), args.problem.unwrap_or(0));
    let sets = sets.iter().map(|set| Set::new(set, &shape(set, epistasis)?, problem, start));
    let sets = sets.collect::<Result<Vec<_>>>()?;
    let recipe = Recipe {
        acquisition: args.acquisition.clone().unwrap_or_else(|| "mean".to_owned()),
        samples: within("samples", args.samples.unwrap_or(512), 1..=10_000_000)?,
        distance: within("min-distance", args.min_distance.unwrap_or(4), 0..=10_000)?,
        learner: args.learner.clone(),
        tuning: args.tuning.clone(),
    };
    let folder = BenchFolder::open(&out, NAME)?;
    let mut cells = Vec::new();
    for set in &sets {
        folder.write(&format!("{}.json", set.name), set.function.to_json()?.as_bytes())?;
        for method in &methods {
            cells.extend(seeds.iter().map(|seed| Cell { set, method, seed: *seed, plan: &plan, recipe: &recipe }));
        }
    }
    // cells side by side; where there are fewer than threads, each uses what is left over
    let side = Pool::new(context.threads.min(cells.len()).max(1))?;
    let own = context.beside(0, context.threads / cells.len().max(1));
    let rows = side.map(cells.len(), |index| {
        let path = folder.join(&cells[index].name());
        timed(&path, || cells[index].run(&path, context, own.threads))
    })?;
    let timing: BTreeMap<String, Option<f64>> =
        cells.iter().map(|cell| (cell.name(), seconds(&folder.join(&cell.name())))).collect();
    let mut results = Results::new(NAME, rows);
    for set in &sets {
        results = results.with_version(&set.name, set.fingerprint());
    }
    results.write(&folder)?;
    let page = page::report(&results, &folder)?;
    folder.write("report.json", page.to_json()?.as_bytes())?;
    folder.write("report.html", page.html().as_bytes())?;
    let beside = json!({ "seconds": timing, "threads": context.threads, "process_peak_bytes": memory::peak() });
    folder.write("timing.json", beside.to_string().as_bytes())?;
    context.note(format!("open {} in a browser", folder.join("report.html").display()));
    Ok(Report { results, seconds: timing })
}

/// The results, and how long each cell took, which is not in `results.json`.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    results: Results,
    seconds: BTreeMap<String, Option<f64>>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["set", "method", "start", "best", "area", "feasible", "feasible last", "labels"];
        let mut lines = vec![header.map(str::to_owned)];
        for group in &self.results.summary {
            lines.push([
                group.parameters["set"].as_str().unwrap_or_default().to_owned(),
                group.method.clone(),
                group.text("start_best", 4),
                group.text("best", 4),
                group.text("area_best", 4),
                group.text("feasible_share", 3),
                group.text("feasible_share_last", 3),
                group.text("labels", 0),
            ]);
        }
        write!(f, "{}", columns(&lines, ""))?;
        let seconds: f64 = self.seconds.values().flatten().sum();
        writeln!(
            f,
            "\nMean ± standard deviation over seeds. start: best value known before the first label; best: greatest value measured, the \
             start counted (at most 1);\narea: mean height of its curve over labels; feasible: share of the labels spent that had a value, \
             and of those of the last round. {seconds:.0} s in all."
        )
    }
}
