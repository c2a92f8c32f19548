//! `seqtilt bench analytic`

mod learned;
mod linear;
mod matched;
mod measured;
mod sampled;

use super::rows::{Row, Rows};
use crate::cli::check::{positive, within};
use crate::cli::context::Context;
use crate::cli::printer::columns;
use crate::error::{Error, Result};
use crate::eval::Estimate;
use crate::finetune::analytic::{AnalyticConfig, Fixture, LinearQuadratic, MixtureProblem, Start};
use crate::finetune::initial::{INITIAL_ROUTES, InitialConfig, Route, ValueConfig};
use crate::nn::Pool;
use crate::random::Seed;
use learned::{Cell, Problem};
use matched::{METHOD, Matched};
use measured::Metrics;
use sampled::Sampled;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

const NAME: &str = "analytic";

const EXAMPLES: &str = "\
Examples:
  seqtilt bench analytic                        a learned and a frozen start, three seeds
  seqtilt bench analytic --fixtures all --methods all --seeds 1
                                                every problem by every way to the initial law
  seqtilt bench analytic --fixtures a,b,c --methods adjoint-matching --steps 50 --updates 800
                                                regression on lean adjoints, memoryless
  seqtilt bench analytic --fixtures c --methods adjoint-sampling --updates 800
                                                the tilted law from its energy alone
  seqtilt bench analytic --steps 200 --seeds 1  a finer chain
  seqtilt bench analytic --out rows.jsonl       run it again to go on where it stopped
  seqtilt bench analytic --json                 every number by its full name";

/// Control with a learned initial law on problems with exact answers
///
/// Of four methods, `joint` learns the law of the initial state and the control behind it at once, and reaches the tilted law;
/// `staged-v1` and `staged-v2` learn them one after the other, from the value of initial states on base paths or on controlled
/// ones; `frozen` leaves the initial law as it is, and stays biased by an amount that is known. A fifth, `adjoint-matching`, is a
/// regression on lean adjoints, on a base with memoryless noise (for `lq`, with the walk to the initial law in front). A sixth,
/// `adjoint-sampling`, knows of the tilted law its unnormalised density alone, and learns it from a wide Gaussian (not for `lq`).
/// Problems: `lq`, linear drift and quadratic reward; `a` and `b`, one Gaussian with a linear and a quadratic reward; `c`, two
/// Gaussians. Every number measured on sampled paths is shown with its standard error beside the exact one of the trained control, of the chain's best control, and
/// of continuous time.
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// Problems: lq, a, b, c, or all [default: lq]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    fixtures: Option<Vec<String>>,
    /// Methods: joint, frozen, staged-v1, staged-v2, adjoint-matching, adjoint-sampling, or all of them but the last [default: joint,frozen]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    methods: Option<Vec<String>>,
    /// Number of seeds, from --seed on [default: 3]
    #[arg(long, value_name = "N")]
    seeds: Option<u64>,
    /// Price of a nat, in reward units [default: 0.5 for lq and a, 1 for b and c]
    #[arg(long, value_name = "PRICE")]
    alpha: Option<f64>,
    /// Euler steps of the base [default: 64]
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Steps that draw a learned initial law [default: 16]
    #[arg(long, value_name = "N")]
    lead: Option<usize>,
    /// Optimiser steps of a control, in each stage [default: 300]
    #[arg(long, value_name = "N")]
    updates: Option<u64>,
    /// Paths an optimiser step [default: 512]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Paths that are measured at the end [default: 20000]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Width of the networks; lq has affine controls [default: 32]
    #[arg(long, value_name = "N")]
    width: Option<usize>,
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
    let width = within("width", args.width.unwrap_or(32), 1..=8192)?;
    let pool = Pool::new(context.threads)?;
    let mut rows = Rows::open(args.out.clone())?;
    let mut shown = Vec::new();
    for problem in problems(&args)? {
        for method in methods(&args)? {
            if method == METHOD {
                let matched = Matched::new(&problem, config, width, samples);
                let measure = |seed| matched.measure(seed, &pool, context);
                add(&mut rows, &mut shown, &method, seeds_of(context, seeds), &matched.parameters(), measure)?;
                continue;
            }
            if method == sampled::METHOD {
                let sampled = Sampled::new(&problem, config, width, samples);
                let measure = |seed| sampled.measure(seed, &pool, context);
                add(&mut rows, &mut shown, &method, seeds_of(context, seeds), &sampled.parameters(), measure)?;
                continue;
            }
            let route = INITIAL_ROUTES.get(&method)?.make;
            let start = if route == Route::Frozen { Start::Frozen } else { Start::Joint };
            let affine = AnalyticConfig { start, ..config };
            let cell = Cell {
                problem: &problem,
                config: learning(&problem, config, route),
                steps: config.steps,
                width,
                samples,
            };
            // the two methods that came first keep the parameters of their rows
            let first = match (&problem, route) {
                (Problem::Linear(problem), Route::Joint | Route::Frozen) => Some(*problem),
                _ => None,
            };
            let parameters = first.map_or_else(
                || cell.parameters(),
                |problem| json!({ "problem": problem, "training": affine, "samples": samples }),
            );
            let measure = |seed| match first {
                Some(problem) => linear::measure(problem, affine, samples, seed, &pool, context),
                None => cell.measure(seed, &pool, context),
            };
            add(&mut rows, &mut shown, &method, seeds_of(context, seeds), &parameters, measure)?;
        }
    }
    context.emit(&Report(shown))
}

/// The numbers of the seeds that were asked for.
fn seeds_of(context: &Context, seeds: u64) -> Range<u64> {
    context.seed_number..context.seed_number.saturating_add(seeds)
}

/// The rows of a method on a problem, measured where they are not known.
fn add(
    rows: &mut Rows,
    shown: &mut Vec<Row>,
    method: &str,
    seeds: Range<u64>,
    parameters: &Value,
    measure: impl Fn(Seed) -> Result<Metrics>,
) -> Result<()> {
    for number in seeds {
        if let Some(known) = rows.find(NAME, method, number, parameters) {
            shown.push(known.clone());
            continue;
        }
        let metrics = measure(Seed::root(number).child("bench").child(NAME))?;
        let (benchmark, method, parameters) = (NAME.to_owned(), method.to_owned(), parameters.clone());
        let row = Row { benchmark, method, seed: number, parameters, metrics };
        rows.push(row.clone())?;
        shown.push(row);
    }
    Ok(())
}

/// The problems by name, at the price that was asked for.
fn problems(args: &Args) -> Result<Vec<Problem>> {
    let alpha = args.alpha.map(|alpha| positive("alpha", alpha)).transpose()?;
    let fixture = |fixture: Fixture| {
        let problem = MixtureProblem::fixture(fixture);
        Problem::Mixture(fixture, MixtureProblem { alpha: alpha.unwrap_or(problem.alpha), ..problem })
    };
    let linear = LinearQuadratic::default();
    let named = |name: &str| {
        Ok(match name {
            "lq" => Problem::Linear(LinearQuadratic { alpha: alpha.unwrap_or(linear.alpha), ..linear }),
            "a" => fixture(Fixture::A),
            "b" => fixture(Fixture::B),
            "c" => fixture(Fixture::C),
            _ => {
                let message = format!("unknown fixture `{name}`; accepted: `lq`, `a`, `b`, `c`, `all`");
                return Err(Error::usage(message));
            }
        })
    };
    let names = args.fixtures.as_ref().map_or_else(|| vec!["lq"], |names| names.iter().map(String::as_str).collect());
    let all = |name| if name == "all" { vec!["lq", "a", "b", "c"] } else { vec![name] };
    names.into_iter().flat_map(all).map(named).collect()
}

/// The methods' names.
fn methods(args: &Args) -> Result<Vec<String>> {
    let names = args.methods.clone().unwrap_or_else(|| vec!["joint".to_owned(), "frozen".to_owned()]);
    let mut methods = Vec::new();
    for name in names {
        if name == "all" {
            methods.extend(INITIAL_ROUTES.entries().iter().map(|entry| entry.name.to_owned()));
            methods.push(METHOD.to_owned());
        } else if name == METHOD || name == sampled::METHOD {
            methods.push(name);
        } else {
            let hint =
                |error: Error| error.hint(format!("`{METHOD}`, `{}` and `all` are methods too", sampled::METHOD));
            methods.push(INITIAL_ROUTES.get(&name).map_err(hint)?.name.to_owned());
        }
    }
    Ok(methods)
}

/// The training of an initial law with the settings of the affine one.
fn learning(problem: &Problem, affine: AnalyticConfig, route: Route) -> InitialConfig {
    let defaults = InitialConfig::default();
    InitialConfig {
        route,
        alpha: match problem {
            Problem::Linear(problem) => problem.alpha,
            Problem::Mixture(_, problem) => problem.alpha,
        },
        lead: affine.lead,
        updates: affine.updates,
        batch: affine.batch,
        learning_rate: affine.learning_rate,
        estimator: affine.estimator,
        value: ValueConfig {
            updates: 2 * affine.updates,
            pairs: defaults.value.pairs.min(128 * affine.batch),
            ..defaults.value
        },
        ..defaults
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Report(Vec<Row>);

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["fixture", "method", "seed", "metric", "measured", "exact", "chain's best", "continuous"]
            .map(str::to_owned);
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
                    row.parameters["fixture"].as_str().unwrap_or("lq").to_owned(),
                    row.method.clone(),
                    row.seed.to_string(),
                    label.to_owned(),
                    Estimate { value: at("measured"), se }.to_string(),
                    format!("{:.4}", at("control")),
                    format!("{:.4}", at("chain_optimum")),
                    format!("{:.4}", at("continuous_optimum")),
                ]);
            }
            if let (Some(exact), Some(got), Some(se)) = (
                row.metrics.get("continuous_optimum_log_z_tuned"),
                row.metrics.get("measured_log_z_tuned"),
                row.metrics.get("measured_log_z_tuned_se"),
            ) {
                table.push([
                    row.parameters["fixture"].as_str().unwrap_or("lq").to_owned(),
                    row.method.clone(),
                    row.seed.to_string(),
                    "log Z".to_owned(),
                    Estimate { value: *got, se: *se }.to_string(),
                    format!("{exact:.4}"),
                    String::new(),
                    format!("{exact:.4}"),
                ]);
            }
            if let Some(distance) = row.metrics.get("control_distance") {
                table.push([
                    row.parameters["fixture"].as_str().unwrap_or("lq").to_owned(),
                    row.method.clone(),
                    row.seed.to_string(),
                    "W1 to the tilt".to_owned(),
                    String::new(),
                    format!("{distance:.4}"),
                    String::new(),
                    "0.0000".to_owned(),
                ]);
            }
            // what the learned initial law is worth beside the best that a frozen one allows
            let (Some(worth), name) = (row.metrics.get("initial_law_nats"), row.method.clone()) else { continue };
            let gap = |whose: &str| row.metrics.get(&format!("{whose}_certificate_gap")).copied().unwrap_or(f64::NAN);
            table.push([
                row.parameters["fixture"].as_str().unwrap_or("lq").to_owned(),
                name,
                row.seed.to_string(),
                "worth of the start".to_owned(),
                String::new(),
                format!("{worth:.4}"),
                format!("{:.4}", gap("frozen_optimum") - gap("chain_optimum")),
                String::new(),
            ]);
        }
        f.write_str(&columns(&table, ""))?;
        f.write_str(
            "\nmeasured: on sampled paths, ± one standard error; exact: of the trained control, without sampling;\n\
             chain's best: of all controls of the same steps; continuous: as the steps go to zero.\n\
             worth of the start: nats that the control is closer to the tilt than the best one from a frozen start.\n",
        )
    }
}
