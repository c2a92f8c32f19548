//! `seqtilt bench analytic`

use super::rows::{Row, Rows};
use crate::cli::check::{positive, within};
use crate::cli::context::Context;
use crate::cli::printer::columns;
use crate::error::{Error, Result};
use crate::eval::Estimate;
use crate::eval::certificate::{Certificate, PathSample};
use crate::finetune::analytic::{AnalyticConfig, AnalyticTraining, LinearQuadratic, Start, best, outcome};
use crate::finetune::{Control, roll_out};
use crate::nn::{Pool, Training as _};
use crate::observe::{Event, Observer as _};
use crate::random::Seed;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

const NAME: &str = "analytic";

const EXAMPLES: &str = "\
Examples:
  seqtilt bench analytic                        both methods, three seeds
  seqtilt bench analytic --steps 200 --seeds 1  a finer chain
  seqtilt bench analytic --out rows.jsonl       run it again to go on where it stopped
  seqtilt bench analytic --json                 every number by its full name";

/// Back-propagation through the sampler on a linear-quadratic problem with a closed form
///
/// Two methods: `joint` learns the law of the initial state too and reaches the tilted law; `frozen` leaves it as it is, and
/// stays biased by an amount that is known. Every number measured on sampled paths is shown with its standard error beside
/// the exact one of the trained control, of the chain's best control, and of continuous time.
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// Number of seeds, from --seed on [default: 3]
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// Price of a nat, in reward units [default: 0.5]
    #[arg(long, value_name = "PRICE")]
    alpha: Option<f64>,
    /// Euler steps of the base [default: 64]
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Steps that draw the initial law in `joint` [default: 16]
    #[arg(long, value_name = "N")]
    lead: Option<usize>,
    /// Optimiser steps [default: 300]
    #[arg(long, value_name = "N")]
    updates: Option<u64>,
    /// Paths an optimiser step [default: 512]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Paths that are measured at the end [default: 20000]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// File of rows, one JSON document a line; rows that it has are not measured again
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["bench", NAME], args)?;
    let seeds = within("seeds", args.seeds.unwrap_or(3), 1..=1000)?;
    let samples = within("samples", args.samples.unwrap_or(20_000), 2..=10_000_000)?;
    let defaults = AnalyticConfig::default();
    let config = AnalyticConfig {
        steps: within("steps", args.steps.unwrap_or(defaults.steps), 1..=10_000)?,
        lead: within("lead", args.lead.unwrap_or(defaults.lead), 1..=10_000)?,
        updates: within("updates", args.updates.unwrap_or(defaults.updates), 1..=1_000_000)?,
        batch: within("batch", args.batch.unwrap_or(defaults.batch), 1..=1 << 20)?,
        ..defaults
    };
    let problem = LinearQuadratic::default();
    let problem = LinearQuadratic { alpha: positive("alpha", args.alpha.unwrap_or(problem.alpha))?, ..problem };
    let pool = Pool::new(context.threads)?;
    let mut rows = Rows::open(args.out)?;
    let mut shown = Vec::new();
    for (method, start) in [("joint", Start::Joint), ("frozen", Start::Frozen)] {
        let config = AnalyticConfig { start, ..config };
        let parameters = json!({ "problem": problem, "training": config, "samples": samples });
        for seed in context.seed_number..context.seed_number.saturating_add(seeds) {
            if let Some(known) = rows.find(NAME, method, seed, &parameters) {
                shown.push(known.clone());
                continue;
            }
            let metrics = measure(problem, config, samples, seed, &pool, context)?;
            let row = Row {
                benchmark: NAME.to_owned(),
                method: method.to_owned(),
                seed,
                parameters: parameters.clone(),
                metrics,
            };
            rows.push(row.clone())?;
            shown.push(row);
        }
    }
    context.emit(&Report(shown))
}

/// Trains one control and measures it.
fn measure(
    problem: LinearQuadratic,
    config: AnalyticConfig,
    samples: usize,
    seed: u64,
    pool: &Pool,
    context: &Context,
) -> Result<BTreeMap<String, f64>> {
    let seed = Seed::root(seed).child("bench").child(NAME);
    let mut training = AnalyticTraining::new(problem, config, seed.child("train"), pool)?;
    let mut observer = context.observer();
    let stage = if config.start == Start::Joint { "joint" } else { "frozen" };
    let mut go_on = observer.on_event(&Event::Start { stage, total: training.total(), done: 0 });
    while training.done() < training.total() {
        if go_on.is_break() {
            return Err(Error::interrupted(format!("stopped after {} updates", training.done()))
                .hint("with --out, the same command goes on with the next row"));
        }
        let figures = training.step()?;
        go_on = observer.on_event(&Event::Step { stage, done: training.done(), figures: &figures });
    }
    let _ = observer.on_event(&Event::Finish { stage });

    let (chain, control) = (training.chain(), training.control()?);
    let read = |x: &Tensor| Ok(x.flatten_all()?.to_vec1::<f64>()?);
    let walk = |control: Option<&dyn Control>, seed: Seed| roll_out(chain, control, samples, seed, pool, read);
    let tuned = walk(Some(&control), seed.child("tuned"))?;
    let base = walk(None, seed.child("base"))?;
    let paths: Vec<PathSample> = (0..samples)
        .map(|i| PathSample {
            reward: problem.reward(tuned.ends[i]),
            log_ratio: tuned.log_ratio[i],
            cost: tuned.cost[i],
        })
        .collect();
    let base: Vec<f64> = base.ends.iter().map(|x| problem.reward(*x)).collect();
    let certificate = Certificate::new(problem.alpha, &paths, &base)?;
    let mean = Estimate::mean(&tuned.ends);
    let spread = Estimate::of(tuned.ends.iter().map(|x| (x - mean.value).powi(2)));
    let objective = Estimate::of(paths.iter().map(|path| path.reward - problem.alpha * path.log_ratio));

    let mut metrics = BTreeMap::new();
    for (name, estimate) in [
        ("terminal_mean", mean),
        ("terminal_variance", spread),
        ("reward_mean", certificate.mean_reward),
        ("path_kl", certificate.path_kl),
        ("path_cost", certificate.path_cost),
        ("objective", objective),
        ("log_z", certificate.log_z),
        ("log_z_tuned", certificate.log_z_tuned),
        ("certificate_gap", certificate.gap),
    ] {
        metrics.insert(format!("measured_{name}"), estimate.value);
        metrics.insert(format!("measured_{name}_se"), estimate.se);
    }
    for (whose, of) in [
        ("control", outcome(&problem, chain, &control.gains()?)),
        ("chain_optimum", outcome(&problem, chain, &best(&problem, chain))),
    ] {
        for (name, value) in [
            ("terminal_mean", of.law.mean),
            ("terminal_variance", of.law.variance),
            ("reward_mean", of.reward),
            ("path_kl", of.path_kl),
            ("objective", of.value),
            ("certificate_gap", of.gap),
        ] {
            metrics.insert(format!("{whose}_{name}"), value);
        }
    }
    let exact = problem.optimum(config.start);
    let bound = problem.optimum(Start::Joint).value;
    for (name, value) in [
        ("terminal_mean", exact.law.mean),
        ("terminal_variance", exact.law.variance),
        ("objective", exact.value),
        ("certificate_gap", (bound - exact.value) / problem.alpha),
    ] {
        metrics.insert(format!("continuous_optimum_{name}"), value);
    }
    Ok(metrics)
}

#[derive(Serialize)]
#[serde(transparent)]
struct Report(Vec<Row>);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["method", "seed", "metric", "measured", "exact", "chain's best", "continuous"].map(str::to_owned);
        let mut table = vec![header];
        for row in &self.0 {
            for (metric, label) in [
                ("terminal_mean", "mean of x"),
                ("terminal_variance", "variance of x"),
                ("objective", "objective J"),
                ("certificate_gap", "gap in nats"),
            ] {
                let at = |whose: &str| row.metrics.get(&format!("{whose}_{metric}")).copied().unwrap_or(f64::NAN);
                let se = row.metrics.get(&format!("measured_{metric}_se")).copied().unwrap_or(f64::NAN);
                table.push([
                    row.method.clone(),
                    row.seed.to_string(),
                    label.to_owned(),
                    Estimate { value: at("measured"), se }.to_string(),
                    format!("{:.4}", at("control")),
                    format!("{:.4}", at("chain_optimum")),
                    format!("{:.4}", at("continuous_optimum")),
                ]);
            }
        }
        f.write_str(&columns(&table, ""))?;
        f.write_str(
            "\nmeasured: on sampled paths, ± one standard error; exact: of the trained control, without sampling;\n\
             chain's best: of all controls of the same steps; continuous: as the steps go to zero.\n",
        )
    }
}
