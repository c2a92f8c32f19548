//! `seqtilt bench divergences`

mod case;
mod cell;
mod draws;
mod law;
mod level;
mod matched;
mod page;
#[cfg(test)]
mod tests;
mod text;

use super::folder::{BenchFolder, seconds, timed};
use super::results::Results;
use crate::cli::check::{positive, required, within};
use crate::cli::context::Context;
use crate::error::{Error, Result};
use crate::eval::quantile::quantile;
use crate::finetune::divergence::DivergenceKind;
use crate::observe::{Event, Observer as _};
use crate::oracle::OracleName;
use case::{Case, UNIFORM};
use cell::{Cell, Study};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::path::PathBuf;
use text::Report;

const NAME: &str = "divergences";

const EXAMPLES: &str = "\
Examples:
  seqtilt bench divergences --out fronts                 eleven divergences on TFBind8, in about a minute
  seqtilt bench divergences --divergences kl,pearson,js --alphas 0.2,0.1,0.05 --kl 1,2 --out fronts --json
  seqtilt bench divergences --truth table:all.csv --reward model:reward --good 0.8 --out fronts
                                                         a complete table and a reward of your own

Nothing is trained: all sequences are enumerated, and the optimum of every divergence at every price is exact. It is computed
twice, with the truth as the reward and with a model of it, and judged by the truth both times. Prices are those of KL; every
divergence is given the price that costs the same for small departures. Finished cells are not computed again.";

/// The exact optimum of every divergence, side by side, on a landscape that can be enumerated
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// Folder of the cells and the results
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Oracle of the true values, of all sequences [default: table:tfbind8]
    #[arg(long, value_name = "ORACLE")]
    truth: Option<String>,
    /// Imperfect reward, as KIND:ARGUMENT; that of --truth leaves the second case out [default: model:tfbind8-reward]
    #[arg(long, value_name = "ORACLE")]
    reward: Option<String>,
    /// Prior: uniform, a folder, or a built-in one by name [default: uniform]
    #[arg(long, value_name = "NAME|FOLDER")]
    prior: Option<String>,
    /// Paths of the prior that its law is counted on; not of the uniform one [default: 1000000]
    #[arg(long, value_name = "N")]
    base_paths: Option<usize>,
    /// Divergences, as `seqtilt list divergences` shows them [default: all, of orders 1.5 and 3; at these
    /// prices order -1 is `neyman` and order 0.5 `hellinger`]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    divergences: Option<Vec<String>>,
    /// Prices of a nat, in reward units [default: 5 to 0.0001 in steps of 1, 2, 5]
    #[arg(long, value_name = "ALPHA,…", value_delimiter = ',', allow_negative_numbers = true)]
    alphas: Option<Vec<f64>>,
    /// Levels of KL to compare divergences at, in nats [default: 0.5,1,2,4]
    #[arg(long, value_name = "NATS,…", value_delimiter = ',', allow_negative_numbers = true)]
    kl: Option<Vec<f64>>,
    /// Effective numbers of sequences to compare them at [default: 10000,1000,100]
    #[arg(long, value_name = "N,…", value_delimiter = ',', allow_negative_numbers = true)]
    effective: Option<Vec<f64>>,
    /// Mean distances of two draws to compare them at, in letters [default: 5.8,5.5,5]
    #[arg(long, value_name = "LETTERS,…", value_delimiter = ',', allow_negative_numbers = true)]
    distances: Option<Vec<f64>>,
    /// True value from which a sequence is good [default: 0.9 for table:tfbind8, else the 98.5th percentile]
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    good: Option<f64>,
    /// Sequences on a plate [default: 128]
    #[arg(long, value_name = "N")]
    plate: Option<usize>,
    /// Draws that the best by the reward are picked from [default: 4000]
    #[arg(long, value_name = "N")]
    draws: Option<usize>,
    /// Draws of the prior to find the normalising constant on, to see what it costs [default: 1000,10000,100000]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    samples: Option<Vec<usize>>,
    /// Seeds of the draws; everything else is exact [default: 0,1,2,3,4]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
}

const DIVERGENCES: [&str; 11] = [
    "kl",
    "pearson",
    "js",
    "forward-kl",
    "jeffreys",
    "hellinger",
    "order:1.5",
    "soft-chi",
    "kl-chi2",
    "order:3",
    "neyman",
];

const PRICES: [f64; 15] = [5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001, 5e-4, 2e-4, 1e-4];

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["bench", NAME], args)?;
    context.emit(&execute(&args, context)?)
}

/// Computes all cells and writes the results.
fn execute(args: &Args, context: &Context) -> Result<Report> {
    let out = required("bench divergences", "out", args.out.clone())?;
    let kinds = kinds(args)?;
    let lists = study(args)?;
    let options = context.oracle_options();
    let truth_name: OracleName = args.truth.as_deref().unwrap_or("table:tfbind8").parse()?;
    let reward_name: OracleName = args.reward.as_deref().unwrap_or("model:tfbind8-reward").parse()?;
    let paths = within("base-paths", args.base_paths.unwrap_or(1_000_000), 100..=100_000_000)?;
    let pool = context.pool()?;
    let (shape, truth, truth_hash) = case::values(&truth_name, &options, &pool)?;
    let (reward_shape, reward, reward_hash) = case::values(&reward_name, &options, &pool)?;
    if shape != reward_shape {
        return Err(Error::usage(format!(
            "`{reward_name}` reads {} letters of `{}`, `{truth_name}` {} of `{}`; the same sequences are needed",
            reward_shape.length,
            reward_shape.alphabet.name(),
            shape.length,
            shape.alphabet.name()
        )));
    }
    let good = args.good.or_else(|| (truth_name.to_string() == "table:tfbind8").then_some(0.9));
    let good = good.or_else(|| quantile(&truth, 0.985)).unwrap_or(f64::NAN);
    if !truth.iter().any(|value| *value >= good) {
        return Err(Error::usage(format!("`good` is {good}; no sequence has a true value of that")));
    }
    let folder = BenchFolder::open(&out, NAME)?;
    let prior_name = args.prior.as_deref().unwrap_or(UNIFORM);
    let (prior, prior_hash) = case::prior(prior_name, paths, &shape, &folder.join("prior"), &pool, context)?;
    let mut cases = vec![Case::new("truth", &shape, &prior, &truth, &truth, good)?];
    if reward_name != truth_name {
        cases.push(Case::new("model", &shape, &prior, &reward, &truth, good)?);
    }
    let study = Study { truth: truth_hash, reward: reward_hash, prior: prior_hash, good, ..lists };
    let cells: Vec<Cell<'_>> = cases
        .iter()
        .flat_map(|case| kinds.iter().map(move |kind| (case, *kind)))
        .map(|(case, kind)| Cell { study: &study, case, kind, pool: &pool })
        .collect();
    let (mut rows, mut timing) = (Vec::new(), BTreeMap::new());
    let mut observer = context.observer();
    let mut flow = observer.on_event(&Event::Start { stage: "divergences", total: cells.len() as u64, done: 0 });
    for (done, cell) in cells.iter().enumerate() {
        if flow.is_break() {
            return Err(Error::interrupted(format!("stopped after {done} of {} cells", cells.len()))
                .hint("the same command goes on with the next"));
        }
        let path = folder.join(&cell.name());
        rows.extend(timed(&path, || cell.run(&path))?);
        timing.insert(cell.name(), seconds(&path));
        flow = observer.on_event(&Event::Step { stage: "divergences", done: done as u64 + 1, figures: &[] });
    }
    let _ = observer.on_event(&Event::Finish { stage: "divergences" });
    let results = Results::new(NAME, rows)
        .with_version("truth", study.truth.clone())
        .with_version("reward", study.reward.clone())
        .with_version("prior", study.prior.clone());
    results.write(&folder)?;
    let report = page::report(&results, &study);
    folder.write("report.json", report.to_json()?.as_bytes())?;
    folder.write("report.html", report.html().as_bytes())?;
    folder.write("fronts.svg", page::picture(&results).as_bytes())?;
    folder.write("timing.json", json!({ "seconds": timing }).to_string().as_bytes())?;
    context.note(format!("open {} in a browser", folder.join("report.html").display()));
    Ok(Report { results, seconds: timing, study })
}

/// The divergences that are compared.
fn kinds(args: &Args) -> Result<Vec<DivergenceKind>> {
    let names = args.divergences.clone().unwrap_or_else(|| DIVERGENCES.map(str::to_owned).to_vec());
    let kinds: Vec<DivergenceKind> = names.iter().map(|name| name.parse()).collect::<Result<_>>()?;
    distinct("divergences", &kinds)?;
    Ok(kinds)
}

/// What is computed, but for what the oracles and the prior say.
fn study(args: &Args) -> Result<Study> {
    let list = |key: &str, given: &Option<Vec<f64>>, default: &[f64]| -> Result<Vec<f64>> {
        let mut list: Vec<f64> = given.clone().unwrap_or_else(|| default.to_vec());
        list.iter().try_for_each(|value| positive(key, *value).map(drop))?;
        distinct(key, &list)?;
        list.sort_by(|a, b| b.total_cmp(a));
        Ok(list)
    };
    let prices = list("alphas", &args.alphas, &PRICES)?;
    let mut kl = list("kl", &args.kl, &[0.5, 1.0, 2.0, 4.0])?;
    kl.reverse();
    let samples = args.samples.clone().unwrap_or_else(|| vec![1_000, 10_000, 100_000]);
    samples.iter().try_for_each(|n| within("samples", *n, 2..=10_000_000).map(drop))?;
    distinct("samples", &samples)?;
    let seeds = args.seeds.clone().unwrap_or_else(|| (0..5).collect());
    distinct("seeds", &seeds)?;
    Ok(Study {
        truth: String::new(),
        reward: String::new(),
        prior: String::new(),
        good: 0.0,
        prices,
        kl,
        effective: list("effective", &args.effective, &[10_000.0, 1_000.0, 100.0])?,
        distance: list("distances", &args.distances, &[5.8, 5.5, 5.0])?,
        seeds,
        plate: within("plate", args.plate.unwrap_or(128), 1..=1_000_000)?,
        draws: within("draws", args.draws.unwrap_or(4_000), 1..=10_000_000)?,
        samples,
    })
}

/// Refuses lists that are empty or name something twice.
fn distinct<T: PartialEq + Display>(key: &str, list: &[T]) -> Result<()> {
    if list.is_empty() {
        return Err(Error::usage(format!("`{key}` is empty; at least one is needed")));
    }
    match (0..list.len()).find(|i| list[..*i].contains(&list[*i])) {
        Some(twice) => Err(Error::usage(format!("`{key}` has {} twice", list[twice])).hint("name everything once")),
        None => Ok(()),
    }
}
