//! `seqtilt bench variance`

mod cell;
mod claims;
mod page;
#[cfg(test)]
mod tests;
mod text;

use super::folder::{BenchFolder, seconds, timed};
use super::results::Results;
use super::source::Source;
use crate::cli::certify::Base;
use crate::cli::check::{positive, required, within};
use crate::cli::context::Context;
use crate::cli::tilted::ChainConfig;
use crate::diffusion::{fingerprint, open_prior};
use crate::error::{Error, Result};
use crate::eval::exact::Tilt;
use crate::finetune::word_score::WordLaw;
use crate::oracle::OracleName;
use crate::random::Seed;
use crate::reward::enumerable;
use candle_core::DType;
use cell::{Cell, Study};
use ndarray::Array2;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use text::Report;

const NAME: &str = "variance";

const EXAMPLES: &str = "\
Examples:
  seqtilt bench variance --out variance                 three prices, four last states, in about ten minutes
  seqtilt bench variance --alphas 0.1 --beyond=-2,0,2 --variance-paths 500 --out variance --json
  seqtilt bench variance --prior prior --reward table:all.csv --out variance
                                                        a prior and a complete table of your own

The base is the law of words that the prior's chain draws, counted; the tilt is exact. All words are enumerated, so the score of the noised
tilt is known at every state, and a regression target scatters about a known mean. Finished cells are not measured again.";

/// How much regression targets for the score of a tilt scatter, and where that has no limit
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// Folder of the cells and the results
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Prior: a folder, or a built-in one by name [default: tfbind8-prior]
    #[arg(long, value_name = "NAME|FOLDER")]
    prior: Option<String>,
    /// Reward, as KIND:ARGUMENT [default: table:tfbind8]
    #[arg(long, value_name = "ORACLE")]
    reward: Option<String>,
    /// Prices of a nat, in reward units [default: 0.2,0.1,0.05]
    #[arg(long, value_name = "ALPHA,…", value_delimiter = ',', allow_negative_numbers = true)]
    alphas: Option<Vec<f64>>,
    /// By how much log SNR the last state of a path lies beyond the prior's decode, 0 among them [default: -4,-2,0,2]
    #[arg(long, value_name = "LOG-SNR,…", value_delimiter = ',', allow_negative_numbers = true)]
    beyond: Option<Vec<f64>>,
    /// Paths, each a state at every level [default: 2000]
    #[arg(long, value_name = "N")]
    variance_paths: Option<usize>,
    /// Paths of the base chain that its law of words is counted on [default: 1000000]
    #[arg(long, value_name = "N")]
    base_paths: Option<usize>,
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["bench", NAME], args)?;
    context.emit(&execute(&args, context)?)
}

/// Measures all cells and writes the results.
fn execute(args: &Args, context: &Context) -> Result<Report> {
    let out = required("bench variance", "out", args.out.clone())?;
    let mut alphas = args.alphas.clone().unwrap_or_else(|| vec![0.2, 0.1, 0.05]);
    alphas.iter().try_for_each(|alpha| positive("alphas", *alpha).map(drop))?;
    distinct("alphas", &alphas)?;
    alphas.sort_by(|a, b| b.total_cmp(a));
    let mut beyond = args.beyond.clone().unwrap_or_else(|| vec![-4.0, -2.0, 0.0, 2.0]);
    beyond.iter().try_for_each(|step| within("beyond", *step, -6.0..=8.0).map(drop))?;
    distinct("beyond", &beyond)?;
    beyond.sort_by(f64::total_cmp);
    if !beyond.contains(&0.0) {
        return Err(Error::usage("`beyond` leaves out 0, the decode itself").hint("put 0 among the numbers"));
    }
    let paths = within("variance-paths", args.variance_paths.unwrap_or(2_000), 2..=10_000_000)?;
    let base_paths = within("base-paths", args.base_paths.unwrap_or(1_000_000), 100..=100_000_000)?;
    let prior_name = args.prior.as_deref().unwrap_or("tfbind8-prior");
    let reward_name: OracleName = args.reward.as_deref().unwrap_or("table:tfbind8").parse()?;
    let options = context.oracle_options();
    let reward = reward_name.reward(&options)?;
    let reward_hash = reward_name.open(&options)?.info().fingerprint.clone();
    let (prior, model) = open_prior(prior_name, &context.device()?)?;
    let config = prior.config().clone();
    let letters = prior.alphabet().len();
    if !enumerable(letters, config.length) {
        return Err(Error::usage(format!("{letters}^{} sequences are too many to enumerate", config.length))
            .hint("exact scores need a prior of few words, such as tfbind8-prior"));
    }
    let table = prior.codec().table().to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let points = Array2::from_shape_fn((letters, config.embedding_dim), |(v, d)| table[v][d]);
    let plan =
        ChainConfig { steps: config.steps, hold: config.hold, grid: config.grid, solver: config.solver, eta: 1.0 };
    let chain = plan.chain(Arc::new(prior))?;
    let folder = BenchFolder::open(&out, NAME)?;
    let prior_hash = fingerprint(&model)?;
    let source = Source { prior: &prior_hash, chain: plan, paths: base_paths, seed: context.seed_number };
    let (counts, key) = (source.counts(&chain, &folder, context)?, source.key()?);
    let pool = context.pool()?;
    let base = Base::counted(&chain, reward.as_ref(), counts, &pool)?;
    let (law, values) =
        base.enumerated().ok_or_else(|| Error::usage("the words of this prior cannot be enumerated"))?;
    let words = WordLaw::new(points.clone(), config.length, &law)?;
    let study = Study { reward: reward_hash.clone(), base: key.clone(), paths };
    let mut tilts = Vec::new();
    for alpha in &alphas {
        let tilt = Tilt::kl(&law, values, *alpha)?;
        tilts.push((*alpha, tilt.kl, WordLaw::new(points.clone(), config.length, &tilt.probabilities)?));
    }
    let seed = Seed::root(context.seed_number).child("bench").child(NAME);
    let (mut measured, mut timing) = (Vec::new(), BTreeMap::new());
    for (alpha, kl, tilted) in &tilts {
        for step in &beyond {
            let cell = Cell {
                study: &study,
                chain: &chain,
                words: &words,
                tilted,
                alpha: *alpha,
                kl: *kl,
                beyond: *step,
                seed: seed.child(&format!("{alpha} {step}")),
                seed_number: context.seed_number,
                pool: &pool,
            };
            context.note(format!("cell {} of {}: {}", measured.len() + 1, tilts.len() * beyond.len(), cell.name()));
            let path = folder.join(&cell.name());
            measured.push(timed(&path, || cell.run(&path))?);
            timing.insert(cell.name(), seconds(&path));
        }
    }
    let rows = measured.iter().flat_map(|cell| cell.rows(context.seed_number)).collect();
    let results = Results::new(NAME, rows)
        .with_version("prior", prior_hash.clone())
        .with_version("reward", reward_hash)
        .with_version("base", key);
    results.write(&folder)?;
    let claims = claims::all(&measured);
    let report = page::report(&results, &measured, &claims);
    folder.write("report.json", report.to_json()?.as_bytes())?;
    folder.write("report.html", report.html().as_bytes())?;
    folder.write("variance.svg", page::picture(&measured).as_bytes())?;
    folder.write("timing.json", json!({ "seconds": timing }).to_string().as_bytes())?;
    context.note(format!("open {} in a browser", folder.join("report.html").display()));
    Ok(Report { results, claims, seconds: timing, measured })
}

/// Refuses lists that are empty or name a number twice.
fn distinct(key: &str, list: &[f64]) -> Result<()> {
    if list.is_empty() {
        return Err(Error::usage(format!("`{key}` is empty; at least one is needed")));
    }
    match (0..list.len()).find(|i| list[..*i].contains(&list[*i])) {
        Some(twice) => Err(Error::usage(format!("`{key}` has {} twice", list[twice])).hint("name everything once")),
        None => Ok(()),
    }
}
