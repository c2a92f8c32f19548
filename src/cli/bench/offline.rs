//! `seqtilt bench tfbind8-offline`

mod cell;
mod page;
#[cfg(test)]
mod tests;

use super::folder::{BenchFolder, seconds, timed};
use super::results::{Published, Results};
use crate::cli::check::{required, within};
use crate::cli::context::Context;
use crate::cli::finetune::Tuning;
use crate::cli::input::Reading;
use crate::cli::printer::columns;
use crate::diffusion::{fingerprint, open_prior};
use crate::error::{Error, Result};
use crate::oracle::OracleOptions;
use crate::reward::TrainingSet;
use cell::{Setting, Task};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

const NAME: &str = "tfbind8-offline";

/// The greatest value that the protocol shows, on TFBind8: its lower half.
const LIMIT: f64 = 0.439_296_16;

/// Figures of Design-Bench's TFBind8 as published by others; not measured here.
const PUBLISHED: [Published; 5] = [
    Published { method: "BootGen", metric: "percentile_50", mean: 0.833, sd: Some(0.007) },
    Published { method: "BDI", metric: "percentile_50", mean: 0.595, sd: None },
    Published { method: "GFN-AL", metric: "percentile_50", mean: 0.538, sd: None },
    Published { method: "gradient ascent, mean of an ensemble", metric: "percentile_100", mean: 0.986, sd: None },
    Published { method: "BootGen", metric: "percentile_100", mean: 0.979, sd: None },
];

const EXAMPLES: &str = "\
Examples:
  seqtilt bench tfbind8-offline --out offline           eight seeds
  seqtilt bench tfbind8-offline --seeds 0 --alpha 0.02 --out offline
  seqtilt bench tfbind8-offline --data all.csv --value-below 0.5 --prior prior --out offline
                                                        a prior and a complete table of your own

Reward and prior see the lower half of the values only; the truth is looked up when the designs are fixed. Finished seeds
are not run again, interrupted ones go on.";

/// Offline design on TFBind8: learn from the lower half, propose 128 sequences once
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[command(mut_arg("alpha", |arg| arg.help("Price of a nat, in reward units [default: 0.01]")))]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// Folder of the cells and the results
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Seeds [default: 0,1,2,3,4,5,6,7]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Measured sequences: a data set by name, or a file [default: tfbind8]
    #[arg(long, value_name = "NAME|FILE")]
    data: Option<String>,
    /// The greatest value that may be seen [default: 0.43929616 for tfbind8, else the median]
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    value_below: Option<f64>,
    /// Oracle of the true values [default: table:DATA]
    #[arg(long, value_name = "ORACLE")]
    truth: Option<String>,
    /// Prior that has seen the lower half only: a folder, or a built-in one by name [default: tfbind8-prior]
    #[arg(long, value_name = "NAME|FOLDER")]
    prior: Option<String>,
    /// Reward to use instead of training one per seed, as KIND:ARGUMENT
    #[arg(long, value_name = "ORACLE")]
    reward: Option<String>,
    /// Passes over the data for the reward, where it is trained [default: 20]
    #[arg(long, value_name = "N")]
    reward_epochs: Option<u64>,
    /// Sequences drawn from the tuned sampler [default: 20000]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Designs to propose [default: 128]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Standard deviations of the reward's ensemble taken off a design's score [default: 1]
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    caution: Option<f64>,
    /// Least letters between two designs; 1 only makes them different [default: 1]
    #[arg(long, value_name = "N")]
    min_distance: Option<usize>,
    #[command(flatten)]
    tuning: Tuning,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["bench", NAME], args)?;
    context.emit(&execute(&args, context)?)
}

/// Runs all seeds and writes the results.
fn execute(args: &Args, context: &Context) -> Result<Report> {
    let out = required("bench tfbind8-offline", "out", args.out.clone())?;
    let seeds = args.seeds.clone().unwrap_or_else(|| (0..8).collect());
    if let Some(twice) = (0..seeds.len()).find(|i| seeds[..*i].contains(&seeds[*i])) {
        return Err(Error::usage(format!("seed {} is asked for twice", seeds[twice])).hint("name every seed once"));
    }
    let data = args.data.clone().unwrap_or_else(|| "tfbind8".to_owned());
    let tuning = Tuning { alpha: args.tuning.alpha.or(Some(0.01)), ..args.tuning.clone() };
    let prior_name = args.prior.clone().unwrap_or_else(|| "tfbind8-prior".to_owned());
    let (prior, prior_folder) = open_prior(&prior_name, &context.device()?)?;
    let all = TrainingSet::from_records(&args.reading.records(&data, context)?)?;
    let limit = args.value_below.unwrap_or_else(|| if data == "tfbind8" { LIMIT } else { all.quantile(0.5) });
    let seen = all.at_most(limit)?;
    drop(all);
    let setting = Setting {
        prior: prior_name,
        prior_fingerprint: fingerprint(&prior_folder)?,
        truth: args.truth.clone().unwrap_or_else(|| format!("table:{data}")),
        data,
        value_below: limit,
        reward: args.reward.clone(),
        reward_epochs: within("reward-epochs", args.reward_epochs.unwrap_or(20), 1..=100_000)?,
        samples: within("samples", args.samples.unwrap_or(20_000), 2..=10_000_000)?,
        count: within("count", args.count.unwrap_or(128), 2..=100_000)?,
        caution: within("caution", args.caution.unwrap_or(1.0), -100.0..=100.0)?,
        min_distance: within("min-distance", args.min_distance.unwrap_or(1), 0..=10_000)?,
        plan: tuning.plan(prior.config())?,
    };
    let options = OracleOptions { read: args.reading.options()?, ..context.oracle_options() };
    let folder = BenchFolder::open(&out, NAME)?;
    let task =
        Task { setting: &setting, prior: Arc::new(prior), prior_folder: &prior_folder, seen: &seen, options: &options };
    let (mut rows, mut timing) = (Vec::new(), BTreeMap::new());
    for (done, seed) in seeds.iter().enumerate() {
        let name = format!("seed{seed}");
        let path = folder.join(&name);
        context.note(format!("seed {seed}, {} of {}", done + 1, seeds.len()));
        rows.push(timed(&path, || task.run(*seed, &path, context))?);
        timing.insert(name, seconds(&path));
    }
    let mut results = Results::new(NAME, rows).with_version("prior", setting.prior_fingerprint.clone());
    results.published = PUBLISHED.to_vec();
    results.write(&folder)?;
    let report = page::report(&results);
    folder.write("report.json", report.to_json()?.as_bytes())?;
    folder.write("report.html", report.html().as_bytes())?;
    folder.write("timing.json", json!({ "seconds": timing }).to_string().as_bytes())?;
    context.note(format!("open {} in a browser", folder.join("report.html").display()));
    Ok(Report { results, seconds: timing })
}

/// The results, and how long each seed took, which is not in `results.json`.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    results: Results,
    seconds: BTreeMap<String, Option<f64>>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["", "50th percentile", "100th percentile", "mean"].map(str::to_owned);
        let mut lines = vec![header];
        for group in &self.results.summary {
            let title = format!("seqtilt, {} seeds", group.seeds.len());
            for (name, prefix) in
                [(title, ""), ("  one strand of each pair".to_owned(), "strands_"), ("  samples".to_owned(), "raw_")]
            {
                let at = |metric: &str| group.text(&format!("{prefix}{metric}"), 4);
                lines.push([name, at("percentile_50"), at("percentile_100"), at("mean")]);
            }
        }
        for published in &self.results.published {
            let sd = published.sd.map_or_else(String::new, |sd| format!(" ± {sd:.3}"));
            let text = format!("{:.3}{sd}", published.mean);
            let (median, best) =
                if published.metric == "percentile_50" { (text, "-".to_owned()) } else { ("-".to_owned(), text) };
            lines.push([format!("{} (published)", published.method), median, best, "-".to_owned()]);
        }
        writeln!(f, "{}", columns(&lines, ""))?;
        for group in &self.results.summary {
            let alpha = group.parameters.pointer("/plan/finetune/alpha").map_or_else(String::new, Value::to_string);
            let rows = [
                ("alpha", alpha),
                ("reward, held out", format!("Spearman {}", group.text("reward_held_out_spearman", 4))),
                ("predicted - true, designs", group.text("optimism", 4)),
                ("RMSE, designs", group.text("rmse_on_designs", 4)),
                ("diversity, novelty", format!("{}, {}", group.text("diversity", 3), group.text("novelty_mean", 3))),
                ("unique samples", group.text("unique", 0)),
                ("strand pairs, designs", group.text("strand_pairs", 1)),
                ("KL to the optimum", format!("{} nats", group.text("gap_nats", 3))),
            ];
            writeln!(f, "{}", columns(&rows.map(|(a, b)| [a.to_owned(), b]), ""))?;
        }
        let seconds: f64 = self.seconds.values().flatten().sum();
        writeln!(f, "Mean ± standard deviation over seeds; true values of the designs. {seconds:.0} s in all.")
    }
}
