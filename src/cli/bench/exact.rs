//! `seqtilt bench exact`

mod page;
mod steered;
#[cfg(test)]
mod tests;

use super::certified;
use super::folder::{BenchFolder, seconds, timed};
use super::results::{Results, finite};
use super::rows::Row;
use super::source::Source;
use crate::cli::certify::Base;
use crate::cli::check::{positive, required};
use crate::cli::context::Context;
use crate::cli::finetune::{Job, Outcome, Plan, Point, Tuning};
use crate::cli::printer::columns;
use crate::diffusion::{fingerprint, open_prior};
use crate::error::{Error, Result};
use crate::eval::exact::FrontierPoint;
use crate::finetune::{CONTROL, OBJECTIVES};
use crate::oracle::OracleName;
use crate::registry::unknown;
use crate::reward::{Multilinear, Reward, enumerable};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use steered::{Bench, STEERED};

const NAME: &str = "exact";

const EXAMPLES: &str = "\
Examples:
  seqtilt bench exact --out exact                       five prices, three seeds
  seqtilt bench exact --methods control,ppo,no-kl,smc --alphas 0.1 --seeds 0 --out exact
                                                        beside other methods on the same chain
  seqtilt bench exact --control product-mixture --control-dim 512 --out mixtures
                                                        controls that start at zero
  seqtilt bench exact --alphas 0.1 --seeds 0 --base-paths 10000000 --out exact --json
  seqtilt bench exact --prior prior --reward table:all.csv --out exact
                                                        a prior and a complete table of your own

Every cell is a run of `seqtilt finetune` in a folder of its own: finished cells are not run again, interrupted ones go on.
All sequences are enumerated, so every sampler is scored against the exact tilt of the prior's own law.";

/// Fine-tuned samplers against the exact reward-divergence frontier of an enumerated landscape
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[command(mut_arg("alpha", |arg| arg.hide(true)), mut_arg("objective", |arg| arg.hide(true)))]
#[command(mut_arg("control", |arg| arg.help("Control network [default: word-table for control, else product-mixture]")))]
#[command(mut_arg("chain_steps", |arg| arg.help("Steps of the chain, K [default: 256]")))]
#[command(mut_arg("hold", |arg| arg.help("Steps between two calls of the prior's network [default: 8]")))]
#[command(mut_arg("tuning_steps", |arg| arg.help("Optimiser steps [default: 20 for a word-table, else 300]")))]
#[command(mut_arg("tuning_rate", |arg| arg.help("Peak learning rate of the control [default: 0.003 for a word-table, else 0.1]")))]
#[command(mut_arg("certificate_paths", |arg| arg.help("Paths of the tuned chain behind a certificate [default: 40000]")))]
#[command(mut_arg("base_paths", |arg| arg.help("Paths of the base chain, drawn once for all cells [default: 2000000]")))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// Folder of the cells and the results
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Prior: a folder, or a built-in one by name [default: tfbind8-prior-full]
    #[arg(long, value_name = "NAME|FOLDER")]
    prior: Option<String>,
    /// Reward with a gradient, as KIND:ARGUMENT [default: table:tfbind8]
    #[arg(long, value_name = "ORACLE")]
    reward: Option<String>,
    /// Prices of a nat, in reward units [default: 0.2,0.1,0.05,0.02,0.01]
    #[arg(long, value_name = "ALPHA,…", value_delimiter = ',', allow_negative_numbers = true)]
    alphas: Option<Vec<f64>>,
    /// Seeds of the cells; --seed is that of the base paths [default: 0,1,2]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Methods: any of `seqtilt list objectives`, and best-of-n, svdd, smc, guidance, classifier, guidance-mean [default: control]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    methods: Option<Vec<String>>,
    /// Samples of each method that steers instead of training [default: 50000]
    #[arg(long, value_name = "N")]
    steered_samples: Option<usize>,
    #[command(flatten)]
    tuning: Tuning,
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["bench", NAME], args)?;
    context.emit(&execute(&args, context)?)
}

/// Runs all cells and writes the results.
fn execute(args: &Args, context: &Context) -> Result<Report> {
    if args.tuning.alpha.is_some() || args.tuning.objective.is_some() {
        return Err(Error::usage("`alpha` and `objective` are for one fine-tune; `bench exact` makes several")
            .hint("pass --alphas and --methods"));
    }
    let out = required("bench exact", "out", args.out.clone())?;
    let prior_name = args.prior.clone().unwrap_or_else(|| "tfbind8-prior-full".to_owned());
    let reward_name: OracleName = args.reward.as_deref().unwrap_or("table:tfbind8").parse()?;
    let options = context.oracle_options();
    let reward = reward_name.reward(&options)?;
    let reward_fingerprint = reward_name.open(&options)?.info().fingerprint.clone();
    let (prior, prior_folder) = open_prior(&prior_name, &context.device()?)?;
    let prior = Arc::new(prior);
    let cells = cells(args, &prior)?;
    let Some(first) = cells.first() else {
        return Err(Error::usage("there is no cell: one method, price and seed at least are needed"));
    };
    let chain = first.plan.chain.chain(prior.clone())?;
    if !enumerable(prior.alphabet().len(), prior.config().length) {
        let config = prior.config();
        return Err(Error::usage(format!(
            "{}^{} sequences are too many to enumerate",
            prior.alphabet().len(),
            config.length
        ))
        .hint("use `seqtilt finetune`, whose certificate needs no enumeration"));
    }
    let folder = BenchFolder::open(&out, NAME)?;
    let prior_hash = fingerprint(&prior_folder)?;
    let source =
        Source { prior: &prior_hash, chain: first.plan.chain, paths: first.plan.base_paths, seed: context.seed_number };
    let (counts, key) = (source.counts(&chain, &folder, context)?, source.key()?);
    let (mut rows, mut outcomes, mut timing) = (Vec::new(), Vec::new(), BTreeMap::new());
    let pool = context.pool()?;
    let (letters, length) = (prior.alphabet().len(), prior.config().length);
    let tabulated = (!reward.has_soft_value()).then(|| Multilinear::tabulate(reward.as_ref(), letters, length, &pool));
    let tabulated = tabulated.transpose()?;
    let soft = tabulated.as_ref().map_or(reward.as_ref(), |table| table as &dyn Reward);
    let base = Base::counted(&chain, soft, counts.clone(), &pool)?;
    let count = args.steered_samples.unwrap_or(STEERED_SAMPLES);
    let steering = Bench { chain: &chain, reward: soft, base: &base, count, pool: &pool };
    for (done, cell) in cells.iter().enumerate() {
        let path = folder.join(&cell.name());
        context.note(format!("cell {} of {}: {}", done + 1, cells.len(), cell.name()));
        if cell.steers {
            let parameters = json!({
                "alpha": cell.alpha, "prior": prior_name, "reward": reward_name.to_string(),
                "chain": cell.plan.chain, "samples": count, "base": key,
            });
            let metrics = timed(&path, || steering.cell(&cell.method, cell.alpha, cell.seed, &path, &parameters))?;
            let (benchmark, method) = (NAME.to_owned(), cell.method.clone());
            rows.push(Row { benchmark, method, seed: cell.seed, parameters, metrics });
            timing.insert(cell.name(), seconds(&path));
            continue;
        }
        let job = Job {
            out: &path,
            prior: prior.clone(),
            prior_name: &prior_name,
            prior_folder: &prior_folder,
            reward: reward.as_ref(),
            reward_name: reward_name.to_string(),
            reward_fingerprint: reward_fingerprint.clone(),
            plan: cell.plan.clone(),
            seed: cell.seed,
            base: Some((&counts, &key)),
            from: None,
            weighs_base: true,
        };
        let outcome = timed(&path, || job.run(context))?;
        rows.push(cell.row(&outcome, &prior_name, &reward_name)?);
        outcomes.push(outcome);
        timing.insert(cell.name(), seconds(&path));
    }
    let results = Results::new(NAME, rows).with_version("prior", prior_hash.clone()).with_version("base", key.clone());
    results.write(&folder)?;
    let curve = base.frontier()?.map_or_else(Vec::new, |frontier| frontier.curve(80));
    let report = page::report(&results, &outcomes, &curve);
    folder.write("report.json", report.to_json()?.as_bytes())?;
    folder.write("report.html", report.html().as_bytes())?;
    folder.write("timing.json", json!({ "seconds": timing }).to_string().as_bytes())?;
    context.note(format!("open {} in a browser", folder.join("report.html").display()));
    Ok(Report { results, seconds: timing })
}

/// One fine-tune of the grid.
struct Cell {
    method: String,
    alpha: f64,
    seed: u64,
    plan: Plan,
    /// Whether nothing is trained.
    steers: bool,
}

/// Samples of a method that steers.
const STEERED_SAMPLES: usize = 50_000;

/// What the benchmark changes of the defaults of a fine-tune: more steps, and for control the table of words.
fn tuning(given: &Tuning, method: &str, alpha: f64) -> Tuning {
    let words = method == CONTROL && given.control.is_none();
    Tuning {
        control: given.control.clone().or(words.then(|| "word-table".to_owned())),
        chain_steps: given.chain_steps.or(Some(256)),
        hold: given.hold.or(given.chain_steps.is_none().then_some(8)),
        tuning_steps: given.tuning_steps.or(Some(if words { 20 } else { 300 })),
        tuning_rate: given.tuning_rate.or(words.then_some(3e-3)),
        alpha: Some(alpha),
        objective: Some(method.to_owned()),
        certificate_paths: given.certificate_paths.or(Some(40_000)),
        base_paths: given.base_paths.or(Some(2_000_000)),
        ..given.clone()
    }
}

/// Methods by prices by seeds.
fn cells(args: &Args, prior: &crate::diffusion::Prior) -> Result<Vec<Cell>> {
    let methods = args.methods.clone().unwrap_or_else(|| vec!["control".to_owned()]);
    let alphas = args.alphas.clone().unwrap_or_else(|| vec![0.2, 0.1, 0.05, 0.02, 0.01]);
    let seeds = args.seeds.clone().unwrap_or_else(|| vec![0, 1, 2]);
    let mut cells: Vec<Cell> = Vec::new();
    for method in &methods {
        let steers = STEERED.get(method).is_ok();
        if !steers && OBJECTIVES.get(method).is_err() {
            return Err(unknown("method", method, OBJECTIVES.names().chain(STEERED.names())));
        }
        for alpha in &alphas {
            let alpha = positive("alphas", *alpha)?;
            let plan = tuning(&args.tuning, if steers { CONTROL } else { method }, alpha).plan(prior.config())?;
            for seed in &seeds {
                cells.push(Cell { method: method.clone(), alpha, seed: *seed, plan: plan.clone(), steers });
            }
        }
    }
    for (index, cell) in cells.iter().enumerate() {
        if cells[..index].iter().any(|other| other.name() == cell.name()) {
            return Err(Error::usage(format!("cell `{}` is asked for twice", cell.name()))
                .hint("name every method, price and seed once"));
        }
    }
    Ok(cells)
}

impl Cell {
    fn name(&self) -> String {
        format!("{}-alpha{}-seed{}", self.method, self.alpha, self.seed)
    }

    fn row(&self, outcome: &Outcome, prior: &str, reward: &OracleName) -> Result<Row> {
        let mut metrics = certified::metrics(&outcome.verdict);
        if let Some(point) = on_the_way(&outcome.path, outcome.verdict.exact.as_ref().map_or(f64::NAN, |e| e.kl)) {
            let best = frontier_at(&outcome.frontier, point.kl);
            metrics
                .extend(finite([("reward_at_optimum_kl", point.reward), ("below_at_optimum_kl", best - point.reward)]));
        }
        let plan = serde_json::to_value(&self.plan)
            .map_err(|error| Error::usage("the configuration cannot be written as JSON").because(error))?;
        let parameters = json!({ "alpha": self.alpha, "prior": prior, "reward": reward.to_string(), "plan": plan });
        Ok(Row { benchmark: NAME.to_owned(), method: self.method.clone(), seed: self.seed, parameters, metrics })
    }
}

/// Where a run was when it had first spent `kl` nats, between the two watched points around it; `None` when it never did.
fn on_the_way(path: &[Point], kl: f64) -> Option<Point> {
    let (before, after) =
        path.iter().zip(path.iter().skip(1)).find(|(before, after)| before.kl <= kl && kl < after.kl)?;
    let share = (kl - before.kl) / (after.kl - before.kl);
    let reward = before.reward + share * (after.reward - before.reward);
    Some(Point { step: after.step, reward, kl })
}

/// The exact frontier between its points.
fn frontier_at(curve: &[FrontierPoint], kl: f64) -> f64 {
    let pair = curve.windows(2).find(|pair| pair[0].kl <= kl && kl <= pair[1].kl);
    pair.map_or(f64::NAN, |pair| {
        let share = (kl - pair[0].kl) / (pair[1].kl - pair[0].kl).max(f64::MIN_POSITIVE);
        pair[0].reward + share * (pair[1].reward - pair[0].reward)
    })
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
            "method",
            "alpha",
            "seeds",
            "gap",
            "E[r]",
            "best",
            "path KL",
            "sequence KL",
            "below",
            "at its KL",
            "TV",
            "diversity",
        ];
        let mut lines = vec![header.map(str::to_owned)];
        for group in &self.results.summary {
            lines.push([
                group.method.clone(),
                group.parameters.get("alpha").map_or_else(String::new, Value::to_string),
                group.seeds.len().to_string(),
                group.text("gap_nats", 4),
                group.text("mean_reward", 4),
                group.text("optimum_reward", 4),
                group.text("path_kl", 3),
                group.text("sequence_kl", 3),
                group.text("frontier_distance", 4),
                group.text("below_at_optimum_kl", 4),
                group.text("total_variation_corrected", 4),
                group.text("diversity", 2),
            ]);
        }
        f.write_str(&columns(&lines, ""))?;
        let seconds: f64 = self.seconds.values().flatten().sum();
        write!(
            f,
            "\nMean ± standard deviation over seeds. gap: KL to the optimum in nats, 0 is perfect; best: E[r] of the exact tilt;\n\
             below: distance under the exact frontier at the sampler's sequence KL; at its KL: the same where the run first spent\n\
             the KL of the exact tilt; TV: total variation to the exact tilt, bias-corrected; diversity: letters in which two samples\n\
             differ. {seconds:.0} s in all.\n"
        )
    }
}
