//! `seqtilt bench tfbind8-online` and `online-finetune`

mod cell;
mod figures;
mod kind;
mod method;
mod page;
#[cfg(test)]
mod tests;

pub(super) use kind::{FINETUNE, GFP, Kind, TFBIND8};
pub(in crate::cli) use method::METHODS;

use super::folder::{BenchFolder, seconds, timed};
use super::results::{Published, Results};
use crate::cli::check::{required, within};
use crate::cli::context::Context;
use crate::cli::input::Reading;
use crate::cli::memory;
use crate::cli::optimize::{self, Protocol};
use crate::cli::printer::columns;
use crate::data::Difficulty;
use crate::diffusion::{fingerprint, open_prior};
use crate::error::{Error, Result};
use crate::nn::Pool;
use crate::oracle::{OracleName, OracleOptions, Table};
use crate::reward::{Domain, Label, Measured};
use crate::sequence::{Records, Sequence, write_table};
use cell::Task;
pub(super) use figures::area;
use figures::{Yardstick, above};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

/// Floors of the hard start as others ran them, 10 rounds of 128; not measured here.
const PUBLISHED: [Published; 5] = [
    Published { method: "random", metric: "top_128_mean", mean: 0.816, sd: Some(0.010) },
    Published { method: "genetic", metric: "top_128_mean", mean: 0.945, sd: Some(0.007) },
    Published { method: "gp-ucb", metric: "top_128_mean", mean: 0.971, sd: Some(0.0) },
    Published { method: "gp-ucb", metric: "diversity", mean: 4.94, sd: None },
    Published { method: "gp-ucb", metric: "novelty_mean", mean: 2.82, sd: None },
];

const EXAMPLES: &str = "\
Examples:
  seqtilt bench tfbind8-online --out online             10 rounds of 128 labels, five seeds, beside the floors
  seqtilt bench tfbind8-online --methods random,genetic,adalead,gp-ucb,cma-es --out online
                                                        every method without a generator
  seqtilt bench tfbind8-online --batches 86,171,341,682 --out growing
                                                        four rounds that grow
  seqtilt bench online-finetune --batches 86,171,341,682 --out finetuned
                                                        ways of fine-tuning one prior, at five prices each
  seqtilt bench gfp-online --difficulty hard --out gfp  15 rounds of 256 labels of a model of GFP, from variants that are dark
  seqtilt bench tfbind8-online --start known.csv --oracle model:reward --threshold 2.5 --out mine
                                                        a start and an oracle of your own

Every method sees the same start set and spends the same labels; `--methods` takes what `seqtilt list methods` and `seqtilt list
proposers` list. A method is settings of `seqtilt optimize`: one of your own stands in the file passed with --config, under
`[bench.tfbind8-online.own.NAME]`. Finished cells are not run again, interrupted ones go on where they stopped.";

/// Online design on TFBind8: from a poor start, rounds of proposals that are measured
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// Folder of the cells and the results
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Methods: of `seqtilt list methods`, `seqtilt list proposers`, or your own [default: tilted and the
    /// floors; for online-finetune the ways of fine-tuning]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    methods: Option<Vec<String>>,
    /// Seeds [default: 0,1,2,3,4]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Rounds [default: 10; 15 for gfp-online]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Labels a round [default: 128; 256 for gfp-online]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Labels of each round, instead of --rounds and --batch
    #[arg(long, value_name = "N,…", value_delimiter = ',', conflicts_with_all = ["rounds", "batch"])]
    batches: Option<Vec<usize>>,
    /// What measures, as KIND:ARGUMENT [default: table:tfbind8; model:gfp-reward for gfp-online]
    #[arg(long, value_name = "ORACLE")]
    oracle: Option<String>,
    /// What the figures are read from, where what measures is noisy; searches never see it [default: what measures]
    #[arg(long, value_name = "ORACLE")]
    truth: Option<String>,
    /// Oracle that judges the best 128 at the end, which searches never see [default: none; model:gfp-judge for gfp-online]
    #[arg(long, value_name = "ORACLE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    judge: Option<String>,
    /// What is known before the first round: a data set by name, or a file [default: tfbind8-hard-start; gfp for gfp-online]
    #[arg(long, value_name = "NAME|FILE")]
    start: Option<String>,
    /// The part of the start that is known, of poor values and far from the best: medium, hard, or percentiles and least mutations
    /// from the top 1 % as FROM:TO:GAP [default: all of it; medium for gfp-online]
    #[arg(long, value_name = "NAME")]
    #[serde(skip_serializing_if = "Option::is_none")]
    difficulty: Option<String>,
    /// Values above it count as found, for recall and modes [default: 0.9; 3 for gfp-online]
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    threshold: Option<f64>,
    /// Prior of the methods that draw from one, whose evidence lower bound measures the naturalness of the best 128
    /// [default: tfbind8-prior-hard for tfbind8-hard-start]
    #[arg(long, value_name = "NAME|FOLDER")]
    prior: Option<String>,
    /// Prices of a nat of departure from the prior: every method that pays one is run at each [default: each method's
    /// own; for online-finetune 0.08 to 0.005]
    #[arg(long, value_name = "ALPHA,…", value_delimiter = ',')]
    alphas: Option<Vec<f64>>,
    /// Methods of your own: settings of `[optimize]` by name.
    #[arg(skip)]
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    own: BTreeMap<String, optimize::Args>,
    #[command(flatten)]
    reading: Reading,
}

pub(super) fn run(kind: &'static Kind, args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["bench", kind.name], args)?;
    context.emit(&execute(kind, &args, context)?)
}

/// The folder of a cell.
fn cell_name(method: &str, seed: u64) -> String {
    format!("{method}-seed{seed}")
}

impl Args {
    /// Labels of each round.
    fn batches(&self, kind: &Kind) -> Result<Vec<usize>> {
        let batches = match &self.batches {
            Some(_) if self.rounds.is_some() || self.batch.is_some() => {
                return Err(Error::usage("`batches` and `rounds` or `batch` exclude each other"));
            }
            Some(batches) => batches.clone(),
            None => {
                let rounds = within("rounds", self.rounds.unwrap_or(kind.rounds), 1..=10_000)?;
                vec![within("batch", self.batch.unwrap_or(kind.batch), 1..=1_000_000)?; rounds]
            }
        };
        for batch in &batches {
            within("batches", *batch, 1..=1_000_000)?;
        }
        if batches.is_empty() {
            return Err(Error::usage("`batches` is empty; at least one round is needed"));
        }
        Ok(batches)
    }

    /// What the protocol decides for every method.
    fn protocol(&self, kind: &Kind, start: String) -> Result<Protocol> {
        let prior = (start == "tfbind8-hard-start").then(|| "tfbind8-prior-hard".to_owned());
        Ok(Protocol {
            oracle: self.oracle.clone().unwrap_or_else(|| kind.oracle.to_owned()),
            start,
            prior: self.prior.clone().or(prior),
            batches: self.batches(kind)?,
            reading: self.reading.clone(),
        })
    }

    /// Methods at their prices.
    fn methods(&self, kind: &Kind, protocol: &Protocol) -> Result<Vec<Method>> {
        let compared = || kind.methods.iter().map(|name| (*name).to_owned()).collect();
        let names: Vec<String> = self.methods.clone().unwrap_or_else(compared);
        let alphas = self.alphas.clone().or(kind.alphas.map(<[f64]>::to_vec));
        let mut methods: Vec<Method> = Vec::new();
        for name in names {
            let settings = method::settings(&name, &self.own)?;
            let plan = |alpha| settings.clone().under(protocol, alpha).plan();
            let one = plan(None)?;
            let plans = match &alphas {
                Some(alphas) if one.pays() => alphas.iter().map(|alpha| plan(Some(*alpha))).collect::<Result<_>>()?,
                _ => vec![one],
            };
            let many = plans.len() > 1;
            for plan in plans {
                let label = if many { format!("{name}-alpha{}", plan.alpha()) } else { name.clone() };
                if methods.iter().any(|method| method.label == label) {
                    return Err(Error::usage(format!("method `{label}` is asked for twice"))
                        .hint("name every method and price once"));
                }
                methods.push(Method { name: name.clone(), label, plan });
            }
        }
        Ok(methods)
    }
}

/// A method as it is run.
struct Method {
    name: String,
    /// Its name with its price, where it is run at several.
    label: String,
    plan: optimize::Plan,
}

/// What was known before the first round.
fn known(records: &Records) -> Result<Measured> {
    let Some(first) = records.rows.first() else { return Err(Error::data("the start set is empty")) };
    let mut known = Measured::new(Domain { alphabet: records.alphabet.clone(), length: first.sequence.len() });
    for row in &records.rows {
        known.push(Label { sequence: row.sequence.clone(), value: row.value, round: 0 })?;
    }
    Ok(known)
}

impl Args {
    /// Where the start set is read from, and the wild type of the table that it is a part of: the part is written into the folder.
    fn start(&self, kind: &Kind, folder: &BenchFolder, context: &Context) -> Result<(String, Option<Sequence>)> {
        let start = self.start.clone().unwrap_or_else(|| kind.start.to_owned());
        let own = kind.difficulty.filter(|_| start == kind.start).map(str::to_owned);
        let Some(name) = self.difficulty.clone().or(own) else { return Ok((start, None)) };
        let all = self.reading.records(&start, context)?;
        let wild_type =
            all.report.wild_type.clone().or_else(|| crate::sequence::consensus(&all.sequences(), &all.alphabet));
        let part = Difficulty::named(&name)?.start(&all)?;
        let mut bytes = Vec::new();
        write_table(&mut bytes, &all.subset(&part))?;
        let file = format!("start-{}.csv", name.replace(':', "-"));
        folder.write(&file, &bytes)?;
        Ok((folder.join(&file).display().to_string(), wild_type))
    }
}

/// Runs all cells and writes the results.
fn execute(kind: &'static Kind, args: &Args, context: &Context) -> Result<Report> {
    let out = required(&format!("bench {}", kind.name), "out", args.out.clone())?;
    let folder = BenchFolder::open(&out, kind.name)?;
    let (start, wild_type) = args.start(kind, &folder, context)?;
    let protocol = args.protocol(kind, start)?;
    let methods = args.methods(kind, &protocol)?;
    let seeds = args.seeds.clone().unwrap_or_else(|| (0..5).collect());
    if let Some(twice) = (0..seeds.len()).find(|i| seeds[..*i].contains(&seeds[*i])) {
        return Err(Error::usage(format!("seed {} is asked for twice", seeds[twice])).hint("name every seed once"));
    }
    let threshold = args.threshold.unwrap_or(kind.threshold);
    let options = OracleOptions { read: args.reading.options()?, ..context.oracle_options() };
    let records = args.reading.records(&protocol.start, context)?;
    let start = known(&records)?;
    let truth = args.truth.as_ref().unwrap_or(&protocol.oracle).parse::<OracleName>()?;
    let mut oracle = truth.open(&options)?;
    let info = oracle.info().clone();
    if info.alphabet != start.domain().alphabet {
        let (reads, got) = (info.alphabet.name(), start.domain().alphabet.name());
        return Err(Error::data(format!("oracle `{}` reads {reads}; the start set is {got}", protocol.oracle))
            .hint("name the alphabet of the start set with --alphabet"));
    }
    let mut versions = BTreeMap::from([
        ("truth".to_owned(), info.fingerprint.clone()),
        ("start".to_owned(), crate::oracle::Oracle::info(&Table::from_records("start", &records)?).fingerprint.clone()),
    ]);
    let prior = protocol.prior.as_ref().map(|name| open_prior(name, &context.device()?)).transpose()?;
    if let Some((prior, folder)) = &prior {
        if (prior.alphabet(), prior.config().length) != (&info.alphabet, start.domain().length) {
            return Err(Error::data("the prior has another alphabet or length than the start set")
                .hint("name a prior of the same sequences with --prior, or leave it out"));
        }
        versions.insert("prior".to_owned(), fingerprint(folder)?);
    }
    let distinct: BTreeSet<&Sequence> = start.labels().iter().map(|label| &label.sequence).collect();
    let yard = Yardstick {
        start: distinct.into_iter().cloned().collect(),
        threshold,
        exist: above(oracle.as_mut(), start.domain().length, threshold)?,
        linkage: if start.domain().length <= 14 { 2 } else { 3 },
        wild_type,
    };
    drop(oracle);
    let judge = args.judge.as_deref().or(kind.judge.filter(|_| args.oracle.is_none()));
    let judge = judge.map(str::parse::<OracleName>).transpose()?;
    if let Some(judge) = &judge {
        versions.insert("judge".to_owned(), judge.open(&options)?.info().fingerprint.clone());
    }
    let task = Task {
        kind,
        start: &start,
        yard: &yard,
        prior: prior.as_ref().map(|(prior, _)| prior),
        truth: args.truth.as_ref().map(|_| (&truth, &options)),
        judge: judge.as_ref().map(|judge| (judge, &options)),
        versions: &versions,
    };
    let cells: Vec<(&Method, u64)> =
        methods.iter().flat_map(|method| seeds.iter().map(move |seed| (method, *seed))).collect();
    // cells side by side; where there are fewer than threads, each uses what is left over
    let side = Pool::new(context.threads.min(cells.len()).max(1))?;
    let own = context.beside(0, context.threads / cells.len().max(1));
    let rows = side.map(cells.len(), |index| {
        let (method, seed) = cells[index];
        let path = folder.join(&cell_name(&method.label, seed));
        timed(&path, || task.run(method, seed, &path, context, own.threads))
    })?;
    let cells: Vec<String> = cells.iter().map(|(method, seed)| cell_name(&method.label, *seed)).collect();
    let timing: BTreeMap<String, Option<f64>> =
        cells.iter().map(|name| (name.clone(), seconds(&folder.join(name)))).collect();
    let mut results = Results::new(kind.name, rows);
    for (what, version) in versions.clone() {
        results = results.with_version(&what, version);
    }
    let hard = protocol.start == "tfbind8-hard-start" && protocol.oracle == "table:tfbind8";
    if hard && protocol.batches == [128; 10] {
        results.published = PUBLISHED.to_vec();
    }
    results.write(&folder)?;
    let page = page::report(kind.question, &results, &folder)?;
    folder.write("report.json", page.to_json()?.as_bytes())?;
    folder.write("report.html", page.html().as_bytes())?;
    let peak = memory::peak();
    let beside = json!({ "seconds": timing, "threads": context.threads, "process_peak_bytes": peak });
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
        let judged = self.results.summary.iter().any(|group| group.metrics.contains_key("judge_mean"));
        let (recall, modes) = if judged {
            (("judge", "judge_mean", 4), ("to wild type", "wild_type_distance_mean", 1))
        } else {
            (("recall", "recall", 3), ("modes", "modes", 1))
        };
        let shown = [
            ("top 128", "top_128_mean", 4),
            ("median", "top_128_median", 4),
            ("max", "max", 4),
            ("area", "area_top_128_mean", 4),
            ("diversity", "diversity", 3),
            ("novelty", "novelty_mean", 3),
            recall,
            modes,
            ("naturalness", "naturalness", 3),
        ];
        let line = |first: &str, of: &dyn Fn(&(&str, &str, usize)) -> String| {
            std::array::from_fn::<String, 10, _>(|i| i.checked_sub(1).map_or(first.to_owned(), |i| of(&shown[i])))
        };
        let mut lines = vec![line("", &|(title, ..)| (*title).to_owned())];
        for group in &self.results.summary {
            lines.push(line(&group.method, &|(_, metric, decimals)| group.text(metric, *decimals)));
        }
        for published in self.results.published.iter().filter(|p| p.metric == "top_128_mean") {
            let sd = published.sd.map_or_else(String::new, |sd| format!(" ± {sd:.3}"));
            let beside = |metric: &str| {
                let known = self.results.published.iter().find(|p| p.method == published.method && p.metric == metric);
                known.map_or_else(|| "-".to_owned(), |p| format!("{:.2}", p.mean))
            };
            let mut line = [(); 10].map(|()| "-".to_owned());
            line[0] = format!("{} (elsewhere)", published.method);
            line[1] = format!("{:.3}{sd}", published.mean);
            (line[5], line[6]) = (beside("diversity"), beside("novelty_mean"));
            lines.push(line);
        }
        write!(f, "{}", columns(&lines, ""))?;
        let seconds: f64 = self.seconds.values().flatten().sum();
        let labels = self.results.summary.first().map_or_else(|| "-".to_owned(), |group| group.text("labels", 0));
        writeln!(
            f,
            "\nMean ± standard deviation over seeds, after {labels} labels. top 128: mean of the best 128 measured, the start\n\
             set counted; area: mean height of its curve over labels; recall: share of all sequences above the threshold that were\n\
             measured; modes: clusters among them. {seconds:.0} s in all."
        )?;
        if judged {
            writeln!(
                f,
                "judge: mean of the best 128 by an oracle that no search asked, in the units of its own; to wild type: their mean \
                 distance.\nA score that the judge does not share, far from the wild type, is an exploited oracle, not a success."
            )?;
        }
        Ok(())
    }
}
