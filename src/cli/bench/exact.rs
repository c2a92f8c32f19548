//! `seqtilt bench exact`

mod page;
#[cfg(test)]
mod tests;

use super::certified;
use super::folder::{BenchFolder, seconds, timed};
use super::results::Results;
use super::rows::Row;
use super::source::Source;
use crate::cli::check::{positive, required};
use crate::cli::context::Context;
use crate::cli::finetune::{Job, Outcome, Plan, Tuning};
use crate::cli::printer::columns;
use crate::diffusion::{fingerprint, open_prior};
use crate::error::{Error, Result};
use crate::oracle::{OracleName, OracleOptions};
use crate::reward::enumerable;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

const NAME: &str = "exact";

const EXAMPLES: &str = "\
Examples:
  seqtilt bench exact --out exact                       three prices, three seeds
  seqtilt bench exact --methods control,no-kl --out exact
                                                        beside the ablation without the divergence
  seqtilt bench exact --alphas 0.1 --seeds 0 --base-paths 10000000 --out exact --json
  seqtilt bench exact --prior prior --reward table:all.csv --out exact
                                                        a prior and a complete table of your own

Every cell is a run of `seqtilt finetune` in a folder of its own: finished cells are not run again, interrupted ones go on.
All sequences are enumerated, so every sampler is scored against the exact tilt of the prior's own law.";

/// Fine-tuned samplers against the exact reward-divergence frontier of an enumerated landscape
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[command(mut_arg("alpha", |arg| arg.hide(true)), mut_arg("objective", |arg| arg.hide(true)))]
#[command(mut_arg("control_dim", |arg| arg.help("Width of the control network [default: 512]")))]
#[command(mut_arg("chain_steps", |arg| arg.help("Steps of the chain, K [default: 192]")))]
#[command(mut_arg("hold", |arg| arg.help("Steps between two calls of the prior's network [default: 8]")))]
#[command(mut_arg("tuning_steps", |arg| arg.help("Optimiser steps [default: 300]")))]
#[command(mut_arg("tuning_rate", |arg| arg.help("Peak learning rate of the control [default: 0.2]")))]
#[command(mut_arg("certificate_paths", |arg| arg.help("Paths of the tuned chain behind a certificate [default: 200000]")))]
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
    /// Prices of a nat, in reward units [default: 0.2,0.1,0.05]
    #[arg(long, value_name = "ALPHA,…", value_delimiter = ',', allow_negative_numbers = true)]
    alphas: Option<Vec<f64>>,
    /// Seeds of the cells; --seed is that of the base paths [default: 0,1,2]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Methods: control, no-kl [default: control]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    methods: Option<Vec<String>>,
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
    let options = OracleOptions { data_dir: context.data_dir().ok().map(Into::into), ..OracleOptions::default() };
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
    for (done, cell) in cells.iter().enumerate() {
        let path = folder.join(&cell.name());
        context.note(format!("cell {} of {}: {}", done + 1, cells.len(), cell.name()));
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
        };
        let outcome = timed(&path, || job.run(context))?;
        rows.push(cell.row(&outcome, &prior_name, &reward_name)?);
        outcomes.push(outcome);
        timing.insert(cell.name(), seconds(&path));
    }
    let results = Results::new(NAME, rows).with_version("prior", prior_hash.clone()).with_version("base", key.clone());
    results.write(&folder)?;
    let report = page::report(&results, &outcomes);
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
}

/// Methods by prices by seeds.
fn cells(args: &Args, prior: &crate::diffusion::Prior) -> Result<Vec<Cell>> {
    let methods = args.methods.clone().unwrap_or_else(|| vec!["control".to_owned()]);
    let alphas = args.alphas.clone().unwrap_or_else(|| vec![0.2, 0.1, 0.05]);
    let seeds = args.seeds.clone().unwrap_or_else(|| vec![0, 1, 2]);
    let mut cells: Vec<Cell> = Vec::new();
    for method in &methods {
        for alpha in &alphas {
            let tuning = Tuning {
                control_dim: args.tuning.control_dim.or(Some(512)),
                chain_steps: args.tuning.chain_steps.or(Some(192)),
                hold: args.tuning.hold.or(args.tuning.chain_steps.is_none().then_some(8)),
                tuning_steps: args.tuning.tuning_steps.or(Some(300)),
                tuning_rate: args.tuning.tuning_rate.or(args.tuning.control.is_none().then_some(0.2)),
                alpha: Some(positive("alphas", *alpha)?),
                objective: Some(method.clone()),
                certificate_paths: args.tuning.certificate_paths.or(Some(200_000)),
                base_paths: args.tuning.base_paths.or(Some(2_000_000)),
                ..args.tuning.clone()
            };
            let plan = tuning.plan(prior.config())?;
            for seed in &seeds {
                cells.push(Cell { method: method.clone(), alpha: *alpha, seed: *seed, plan: plan.clone() });
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
        let metrics = certified::metrics(&outcome.verdict);
        let plan = serde_json::to_value(&self.plan)
            .map_err(|error| Error::usage("the configuration cannot be written as JSON").because(error))?;
        let parameters = json!({ "alpha": self.alpha, "prior": prior, "reward": reward.to_string(), "plan": plan });
        Ok(Row { benchmark: NAME.to_owned(), method: self.method.clone(), seed: self.seed, parameters, metrics })
    }
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
        let header =
            ["method", "alpha", "seeds", "gap", "E[r]", "best", "path KL", "sequence KL", "below", "TV", "ESS"];
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
                group.text("total_variation_corrected", 4),
                group.text("ess_tuned_share", 3),
            ]);
        }
        f.write_str(&columns(&lines, ""))?;
        let seconds: f64 = self.seconds.values().flatten().sum();
        write!(
            f,
            "\nMean ± standard deviation over seeds. gap: KL to the optimum in nats, 0 is perfect; best: E[r] of the exact tilt;\n\
             below: distance under the exact frontier at the sampler's sequence KL; TV: total variation to the exact tilt,\n\
             bias-corrected; ESS: share of the tuned samples that carries the weight. {seconds:.0} s in all.\n"
        )
    }
}
