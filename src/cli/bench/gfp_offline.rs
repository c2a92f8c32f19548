//! `seqtilt bench gfp-offline`

mod cell;
mod figures;
mod method;
mod page;
mod start;
#[cfg(test)]
mod tests;

use super::folder::{BenchFolder, seconds, timed};
use super::results::Results;
use crate::cli::check::{required, within};
use crate::cli::context::Context;
use crate::cli::finetune::Tuning;
use crate::cli::input::Reading;
use crate::cli::memory;
use crate::cli::printer::columns;
use crate::diffusion::{fingerprint, open_prior};
use crate::error::{Error, Result};
use crate::nn::Pool;
use crate::oracle::{OracleName, OracleOptions};
use crate::reward::{Architecture, CnnConfig, Pooling, SurrogateConfig};
use crate::sequence::{Normalisation, Records};
use cell::{Cell, Learned, Setting, Task};
use figures::Referee;
pub(in crate::cli) use method::METHODS;
use serde::{Deserialize, Serialize};
use serde_json::json;
use start::Start;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

const NAME: &str = "gfp-offline";

/// The least and the greatest value of GFP, as published protocols write them.
const SCALE: Normalisation = Normalisation { min: 1.283_419_251, max: 4.123_108_864 };

const EXAMPLES: &str = "\
Examples:
  seqtilt bench gfp-offline --out offline               two difficulties, every method, five seeds
  seqtilt bench gfp-offline --difficulty hard --methods tilted,consensus --max-mutations 1,3,5 --out regions
  seqtilt bench gfp-offline --data mine.csv --judge model:judge --beside model:reward --out mine
                                                        a table of variants and referees of your own

Methods see the sequences and values of the start set and nothing else, and propose once. They are judged by an oracle that was \
trained on the whole table; one of another family stands beside it. Both are models: far from the measured sequences a high \
score is an exploited oracle, not a success, so look at the distances. Finished cells are not run again, interrupted ones go on.";

/// Offline design on GFP: from poor variants far from the best, propose 128 sequences once
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[command(mut_arg("alpha", |arg| arg.help("Price of a nat, in reward units [default: 0.0005, a third of the spread of the cautious surrogate over draws of the prior]")))]
#[command(mut_arg("objective", |arg| arg.help("Method: one of `seqtilt list objectives` [default: log-variance, which learns from letters as decoded within the region]")))]
#[command(mut_arg("tuning_steps", |arg| arg.help("Optimiser steps [default: 30]")))]
#[command(mut_arg("paths", |arg| arg.help("Paths a step [default: 32]")))]
#[command(mut_arg("chain_steps", |arg| arg.help("Steps of the chain, K [default: 16]")))]
#[command(mut_arg("certificate_paths", |arg| arg.help("Paths of the tuned chain behind the certificate [default: 100]")))]
#[command(mut_arg("base_paths", |arg| arg.help("Paths of the base chain behind log Z [default: 100]")))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// Folder of the cells and the results
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Start sets: medium, hard, or percentiles and least mutations from the top 1 % as FROM:TO:GAP [default: medium,hard]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    difficulty: Option<Vec<String>>,
    /// Methods: tilted, picked, guidance, prior, consensus, start, random, genetic, adalead [default: all]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    methods: Option<Vec<String>>,
    /// Seeds [default: 0,1,2,3,4]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Most mutations from the consensus of the start set, for the methods that stay near it, which run at each [default: 3]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    max_mutations: Option<Vec<usize>>,
    /// Measured variants: a data set by name, or a file [default: gfp]
    #[arg(long, value_name = "NAME|FILE")]
    data: Option<String>,
    /// Oracle of the scores, which no method sees [default: model:gfp-judge for gfp]
    #[arg(long, value_name = "ORACLE")]
    judge: Option<String>,
    /// Oracle of another family that stands beside it [default: model:gfp-reward for gfp]
    #[arg(long, value_name = "ORACLE")]
    beside: Option<String>,
    /// Prior whose evidence lower bound measures naturalness, which no method sees [default: gfp-prior for gfp]
    #[arg(long, value_name = "NAME|FOLDER")]
    natural: Option<String>,
    /// Designs to propose [default: 128]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Sequences drawn from each sampler [default: 500]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Standard deviations of the surrogate taken off its mean, where it is climbed and where designs are chosen [default: 1]
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    caution: Option<f64>,
    /// Optimiser steps of the prior of a start set [default: 100]
    #[arg(long, value_name = "N")]
    prior_steps: Option<u64>,
    /// Optimiser steps of each of the surrogate's five networks [default: 300]
    #[arg(long, value_name = "N")]
    network_steps: Option<u64>,
    #[command(flatten)]
    tuning: Tuning,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["bench", NAME], args)?;
    context.emit(&execute(&args, context)?)
}

/// Refuses a list that is empty or names something twice.
fn once<T: Ord + fmt::Display>(what: &str, list: &[T]) -> Result<()> {
    let mut seen = BTreeSet::new();
    if list.is_empty() {
        return Err(Error::usage(format!("no {what} is named; at least one is needed")));
    }
    match list.iter().find(|one| !seen.insert(*one)) {
        Some(twice) => {
            let message = format!("{what} `{twice}` is asked for twice");
            Err(Error::usage(message).hint(format!("name every {what} once")))
        }
        None => Ok(()),
    }
}

impl Args {
    /// Prices and sizes that keep a cell within minutes.
    fn tuning(&self) -> Tuning {
        let given = &self.tuning;
        Tuning {
            alpha: given.alpha.or(Some(5e-4)),
            objective: given.objective.clone().or_else(|| Some("log-variance".to_owned())),
            tuning_steps: given.tuning_steps.or(Some(30)),
            paths: given.paths.or(Some(32)),
            chain_steps: given.chain_steps.or(Some(16)),
            certificate_paths: given.certificate_paths.or(Some(100)),
            base_paths: given.base_paths.or(Some(100)),
            ..given.clone()
        }
    }

    /// A named oracle or prior, or the shipped one where the data are those of GFP.
    fn shipped(&self, given: Option<&String>, own: &str) -> Option<String> {
        given.cloned().or_else(|| (self.data() == "gfp").then(|| own.to_owned()))
    }

    fn data(&self) -> &str {
        self.data.as_deref().unwrap_or("gfp")
    }

    fn setting(&self, shape: &crate::diffusion::PriorConfig) -> Result<Setting> {
        let network = CnnConfig { channels: 32, kernel: 3, margin: 0, blocks: 1, hidden: 16, pooling: Pooling::Flat };
        let steps = within("network-steps", self.network_steps.unwrap_or(300), 1..=10_000_000)?;
        let judge = self.shipped(self.judge.as_ref(), "model:gfp-judge").ok_or_else(|| {
            Error::usage("`bench gfp-offline` needs `--judge` for data of your own")
                .hint("train one with `seqtilt oracle train`, on data that no method sees")
        })?;
        Ok(Setting {
            data: self.data().to_owned(),
            judge,
            beside: self.shipped(self.beside.as_ref(), "model:gfp-reward"),
            natural: self.shipped(self.natural.as_ref(), "gfp-prior"),
            count: within("count", self.count.unwrap_or(128), 2..=100_000)?,
            samples: within("samples", self.samples.unwrap_or(500), 2..=10_000_000)?,
            caution: within("caution", self.caution.unwrap_or(1.0), -100.0..=100.0)?,
            prior_steps: within("prior-steps", self.prior_steps.unwrap_or(100), 1..=100_000_000)?,
            surrogate: SurrogateConfig {
                kind: "bootstrap".to_owned(),
                architecture: Architecture::Cnn(network),
                learning_rate: 2e-3,
                steps,
                ..SurrogateConfig::default()
            },
            plan: self.tuning().plan(shape)?,
        })
    }

    /// What runs, seed by seed, so that an early end leaves whole seeds.
    fn cells<'a>(&self, starts: &'a [(Start, Option<crate::store::ModelFolder>)]) -> Result<Vec<Cell<'a>>> {
        let methods: Vec<String> = match &self.methods {
            Some(names) => names.clone(),
            None => METHODS.names().map(str::to_owned).collect(),
        };
        let seeds = self.seeds.clone().unwrap_or_else(|| (0..5).collect());
        let regions = self.max_mutations.clone().unwrap_or_else(|| vec![3]);
        once("method", &methods)?;
        once("seed", &seeds)?;
        once("number of mutations", &regions)?;
        let mut cells = Vec::new();
        for seed in &seeds {
            for (start, prior) in starts {
                for name in &methods {
                    let entry = METHODS.get(name)?;
                    let cell = |region| Cell { start, prior: prior.as_ref(), method: entry.name, region, seed: *seed };
                    if entry.make.has_region() {
                        cells.extend(regions.iter().map(|most| cell(Some(*most))));
                    } else {
                        cells.push(cell(None));
                    }
                }
            }
        }
        Ok(cells)
    }

    /// Whether a method draws from a prior.
    fn draws(&self) -> Result<bool> {
        let Some(names) = &self.methods else { return Ok(true) };
        names.iter().try_fold(false, |draws, name| Ok(draws | METHODS.get(name)?.make.draws()))
    }
}

/// The normalisation of values: the published one of GFP, else from the least to the greatest.
fn scale(data: &str, all: &Records) -> Result<Normalisation> {
    if data == "gfp" {
        return Ok(SCALE);
    }
    let values = all.values()?;
    let (min, max) = values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(*v), b.max(*v)));
    if min < max { Ok(Normalisation { min, max }) } else { Err(Error::data("all values are the same")) }
}

/// The surrogates of the cells that are not complete.
fn learned(
    cells: &[Cell<'_>],
    setting: &Setting,
    folder: &BenchFolder,
    side: &Pool,
    own: &Context,
) -> Result<BTreeMap<(String, u64), Learned>> {
    let waits = |cell: &&Cell<'_>| !folder.join(&cell.name()).join("done.json").exists();
    let mut wanted: Vec<(&Start, u64)> = Vec::new();
    for cell in cells.iter().filter(waits) {
        let known = wanted.iter().any(|(start, seed)| (&start.name, *seed) == (&cell.start.name, cell.seed));
        if !known && METHODS.get(cell.method)?.make.learns() {
            wanted.push((cell.start, cell.seed));
        }
    }
    let learned = side.map(wanted.len(), |index| {
        let (start, seed) = wanted[index];
        Ok(((start.name.clone(), seed), cell::learn(start, &setting.surrogate, seed, own)?))
    })?;
    Ok(learned.into_iter().collect())
}

/// Runs all cells and writes the results.
fn execute(args: &Args, context: &Context) -> Result<Report> {
    let out = required("bench gfp-offline", "out", args.out.clone())?;
    let difficulties = args.difficulty.clone().unwrap_or_else(|| vec!["medium".to_owned(), "hard".to_owned()]);
    once("difficulty", &difficulties)?;
    let draws = args.draws()?;
    let all = args.reading.records(args.data(), context)?;
    let mut starts = difficulties.iter().map(|name| Ok((Start::of(name, &all)?, None))).collect::<Result<Vec<_>>>()?;
    let setting = args.setting(&start::shape(starts[0].0.set.domain()))?;
    let options = OracleOptions { read: args.reading.options()?, ..context.oracle_options() };
    let mut versions = BTreeMap::new();
    let natural = setting.natural.as_ref().map(|name| open_prior(name, &context.device()?)).transpose()?;
    let parse = |name: &String| name.parse::<OracleName>();
    let (judge, beside) = (parse(&setting.judge)?, setting.beside.as_ref().map(parse).transpose()?);
    for (what, oracle) in [("judge", Some(&judge)), ("beside", beside.as_ref())] {
        let Some(oracle) = oracle else { continue };
        versions.insert(what.to_owned(), oracle.open(&options)?.info().fingerprint.clone());
    }
    if let Some((_, folder)) = &natural {
        versions.insert("natural".to_owned(), fingerprint(folder)?);
    }
    let scale = scale(args.data(), &all)?;
    let referee = Referee::new(&all, judge, beside, natural.map(|(prior, _)| prior), options, scale)?;
    drop(all);
    let folder = BenchFolder::open(&out, NAME)?;
    for (start, prior) in &mut starts {
        context.note(format!("{}: {} sequences may be seen", start.name, start.set.len()));
        if draws {
            *prior =
                Some(start.prior(setting.prior_steps, &folder.join(&format!("prior-{}", start.folder())), context)?);
        }
    }
    let cells = args.cells(&starts)?;
    // cells side by side; where there are fewer than threads, each uses what is left over
    let side = Pool::new(context.threads.min(cells.len()).max(1))?;
    let own = context.beside(0, context.threads / cells.len().max(1));
    let learned = learned(&cells, &setting, &folder, &side, &own)?;
    let task = Task { setting: &setting, referee: &referee, versions: &versions, learned: &learned };
    let rows = side.map(cells.len(), |index| {
        let path = folder.join(&cells[index].name());
        timed(&path, || cells[index].run(&task, &path, context, own.threads))
    })?;
    let timing: BTreeMap<String, Option<f64>> =
        cells.iter().map(|cell| (cell.name(), seconds(&folder.join(&cell.name())))).collect();
    let mut results = Results::new(NAME, rows);
    for (start, _) in &starts {
        results = results.with_version(&format!("start {}", start.name), start.fingerprint.clone());
    }
    for (what, version) in versions {
        results = results.with_version(&what, version);
    }
    results.write(&folder)?;
    let page = page::report(&results);
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
        let header = [
            "start",
            "method",
            "within",
            "judge 50",
            "judge 100",
            "beside 50",
            "measured",
            "true mean",
            "to wild type",
            "to start",
            "diversity",
            "known",
            "naturalness",
        ];
        let mut lines = vec![header.map(str::to_owned)];
        for group in &self.results.summary {
            let region = group.parameters.get("max_mutations").map_or_else(|| "-".to_owned(), ToString::to_string);
            lines.push([
                group.parameters["difficulty"].as_str().unwrap_or_default().to_owned(),
                group.method.clone(),
                region,
                group.text("judge_percentile_50", 3),
                group.text("judge_percentile_100", 3),
                group.text("beside_percentile_50", 3),
                group.text("measured", 0),
                group.text("measured_mean", 3),
                group.text("wild_type_distance_mean", 1),
                group.text("start_distance_mean", 1),
                group.text("diversity", 1),
                group.text("known_substitutions", 2),
                group.text("naturalness", 3),
            ]);
        }
        write!(f, "{}", columns(&lines, ""))?;
        let seconds: f64 = self.seconds.values().flatten().sum();
        writeln!(
            f,
            "\nMean ± standard deviation over seeds. within: most mutations from the start set's consensus; judge 50, 100: percentiles \
             of the normalised\nvalue by an oracle that no method saw, beside: by one of another family; measured: designs that the table \
             holds, true mean: their\nmeasured value; to wild type, to start: substitutions; known: share of the substitutions that occur in \
             the table at all: of others the\noracles know nothing; naturalness: - nats per letter. {seconds:.0} s in all."
        )
    }
}
