//! `seqtilt bench frontier`

mod advice;
mod cell;
mod drawn;
mod fronts;
mod page;
mod pick;
#[cfg(test)]
mod tests;

use super::folder::{BenchFolder, seconds, timed};
use super::results::{Results, Spread};
use super::source::Source;
use crate::cli::certify::{Base, scored_paths};
use crate::cli::check::{positive, required, within};
use crate::cli::context::Context;
use crate::cli::finetune::{Job, Tuning, fits};
use crate::cli::printer::columns;
use crate::cli::tilted::Sampler;
use crate::diffusion::{fingerprint, open_prior};
use crate::error::{Error, Result};
use crate::oracle::{Metered, OracleName};
use crate::random::Seed;
use crate::reward::enumerable;
use crate::store::sha256_file;
use advice::{Advice, Budget, Grouped};
use cell::{Cell, Grid};
use drawn::Scorers;
use fronts::{Enumerated, Front};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

const NAME: &str = "frontier";

/// Samples of each cell behind diversity and the judge.
const SAMPLES: usize = 4000;

const EXAMPLES: &str = "\
Examples:
  seqtilt bench frontier --out fronts                   five prices under KL
  seqtilt bench frontier --alphas 0.2,0.1,0.05 --divergences kl,pearson,order:1.5,jeffreys --out fronts
                                                        what each divergence buys and costs
  seqtilt bench frontier --kl-budget 2 --diversity-budget 5.5 --out fronts
                                                        the best price within a budget, and the command for it
  seqtilt bench frontier --prior prior --reward model:reward --judge table:assay.csv --out fronts
                                                        any prior and reward, with a second opinion

Every cell is a run of `seqtilt finetune` in a folder of its own: finished cells are not run again, interrupted ones go on.
Generators of divergences differ in curvature before they differ in shape, so that a price means the same only when it is
divided by f''(1): that is done unless --equal-alpha is given. Where all sequences can be enumerated, base paths are drawn once
for all cells and the exact fronts are drawn beside the measured ones; elsewhere every cell draws its own, the same for the same
seed. Each budget picks on its own.";

/// Reward against divergence and diversity, over methods, divergences and prices
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[command(mut_arg("alpha", |arg| arg.hide(true)), mut_arg("objective", |arg| arg.hide(true)))]
#[command(mut_arg("divergence", |arg| arg.hide(true)), mut_arg("match_curvature", |arg| arg.hide(true)))]
#[command(mut_arg("base_paths", |arg| arg.help("Paths of the base chain behind log Z [default: 2000000 where sequences can be \
    enumerated, drawn once for all cells, else 100000 a cell]")))]
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
    /// Prices of a nat, in reward units [default: 0.5,0.2,0.1,0.05,0.02]
    #[arg(long, value_name = "ALPHA,…", value_delimiter = ',', allow_negative_numbers = true)]
    alphas: Option<Vec<f64>>,
    /// Divergences: of `seqtilt list divergences` [default: kl]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    divergences: Option<Vec<String>>,
    /// Methods: of `seqtilt list objectives` [default: control]
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    methods: Option<Vec<String>>,
    /// Seeds of the cells; --seed is that of the base paths [default: 0]
    #[arg(long, value_name = "N,…", value_delimiter = ',')]
    seeds: Option<Vec<u64>>,
    /// Take alphas as they are for every divergence, instead of dividing each by the divergence's curvature at the prior, f''(1),
    /// without which prices do not compare
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    equal_alpha: bool,
    /// Second opinion, as KIND:ARGUMENT: an independent model or table that scores every cell's samples
    #[arg(long, value_name = "ORACLE")]
    judge: Option<String>,
    /// Samples of each cell behind diversity and the judge [default: 4000]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Pick the best cell with at most so much path KL, in nats
    #[arg(long, value_name = "NATS", allow_negative_numbers = true)]
    kl_budget: Option<f64>,
    /// Pick the best cell whose samples differ in at least so many letters (mean pairwise Hamming distance)
    #[arg(long, value_name = "LETTERS", allow_negative_numbers = true)]
    diversity_budget: Option<f64>,
    #[command(flatten)]
    tuning: Tuning,
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["bench", NAME], args)?;
    context.emit(&execute(&args, context)?)
}

impl Args {
    /// # Errors
    /// When settings of one fine-tune are given, or a budget is out of range.
    fn budgets(&self) -> Result<Vec<Budget>> {
        let t = &self.tuning;
        if t.alpha.is_some() || t.objective.is_some() || t.divergence.is_some() {
            return Err(Error::usage(
                "`alpha`, `objective` and `divergence` are for one fine-tune; `bench frontier` makes several",
            )
            .hint("pass --alphas, --methods and --divergences"));
        }
        if t.match_curvature && self.equal_alpha {
            return Err(Error::usage("`match-curvature` and `equal-alpha` exclude each other"));
        }
        let kl = self.kl_budget.map(|nats| positive("kl-budget", nats).map(Budget::Kl));
        let letters = self.diversity_budget.map(|letters| positive("diversity-budget", letters).map(Budget::Diversity));
        [kl, letters].into_iter().flatten().collect()
    }
}

/// Runs all cells and writes the results.
fn execute(args: &Args, context: &Context) -> Result<Report> {
    let budgets = args.budgets()?;
    let samples = within("samples", args.samples.unwrap_or(SAMPLES), 2..=1_000_000)?;
    let out = required("bench frontier", "out", args.out.clone())?;
    let prior_name = args.prior.clone().unwrap_or_else(|| "tfbind8-prior-full".to_owned());
    let reward_name: OracleName = args.reward.as_deref().unwrap_or("table:tfbind8").parse()?;
    let judge_name: Option<OracleName> = args.judge.as_deref().map(str::parse).transpose()?;
    let options = context.oracle_options();
    let reward = reward_name.reward(&options)?;
    let mut scorers = Scorers {
        reward: Metered::new(reward_name.open(&options)?),
        judge: judge_name.as_ref().map(|name| name.open(&options).map(Metered::new)).transpose()?,
    };
    let (prior, prior_folder) = open_prior(&prior_name, &context.device()?)?;
    scorers.fit(|what, info| fits(what, info, prior.config(), prior.alphabet()))?;
    let prior = Arc::new(prior);
    let grid = Grid::new(args, prior.config())?;
    let Some(first) = grid.cells.first() else { return Err(Error::usage("there is no cell")) };
    let chain = first.plan.chain.chain(prior.clone())?;
    let folder = BenchFolder::open(&out, NAME)?;
    let (prior_hash, pool) = (fingerprint(&prior_folder)?, context.pool()?);
    let (letters, length) = (prior.alphabet().len(), prior.config().length);
    let source =
        Source { prior: &prior_hash, chain: first.plan.chain, paths: first.plan.base_paths, seed: context.seed_number };
    let base = enumerable(letters, length)
        .then(|| Ok::<_, Error>((source.counts(&chain, &folder, context)?, source.key()?)))
        .transpose()?;
    let [reward_fingerprint, judge_fingerprint] = scorers.fingerprints();
    let (mut rows, mut outcomes, mut timing) = (Vec::new(), Vec::new(), BTreeMap::new());
    for (done, cell) in grid.cells.iter().enumerate() {
        let path = folder.join(&cell.name());
        context.note(format!("cell {} of {}: {}", done + 1, grid.cells.len(), cell.name()));
        let job = Job {
            out: &path,
            prior: prior.clone(),
            prior_name: &prior_name,
            prior_folder: &prior_folder,
            reward: reward.as_ref(),
            reward_name: reward_name.to_string(),
            reward_fingerprint: reward_fingerprint.clone().unwrap_or_default(),
            plan: cell.plan.clone(),
            seed: cell.seed,
            base: base.as_ref().map(|(counts, key)| (counts, key.as_str())),
            from: None,
            weighs_base: true,
        };
        let outcome = timed(&path, || job.run(context))?;
        let sampler = json!({ "sampler": sha256_file(path.join("manifest.json"))?, "n": samples, "seed": cell.seed });
        let drawn = scorers.kept(&folder.join(&format!("drawn/{}.json", cell.name())), &sampler, || {
            let seed = Seed::root(cell.seed).child("bench").child("samples");
            Ok(Sampler::open(&path, &context.device()?)?.draw(samples, seed, &pool)?.ends)
        })?;
        rows.push(cell.row(&outcome, drawn)?);
        outcomes.push(outcome);
        timing.insert(cell.name(), seconds(&path));
    }
    let own = json!({ "chain": first.plan.chain, "prior": prior_hash, "n": samples, "seed": context.seed_number });
    let prior_figures = scorers.kept(&folder.join("drawn/prior.json"), &own, || {
        let seed = context.seed().child("bench").child("samples");
        let paths = scored_paths(&chain, (&chain, None), reward.as_ref(), samples, seed, &pool)?;
        Ok(paths.ends.into_iter().map(|(sequence, _)| sequence).collect())
    })?;
    let enumerated = match &base {
        None => None,
        Some((counts, _)) => Base::counted(&chain, reward.as_ref(), counts.clone(), &pool)?
            .enumerated()
            .map(|(law, reward)| Enumerated::new(law, reward.to_vec(), letters, length))
            .transpose()?,
    };
    let fronts = enumerated.as_ref().map(|e| e.fronts(&grid.divergences, &grid.alphas, grid.matched, &pool));
    let fronts = fronts.transpose()?.unwrap_or_default();
    let mut results = Results::new(NAME, rows).with_version("prior", prior_hash.clone());
    for (what, version) in
        [("reward", reward_fingerprint), ("judge", judge_fingerprint), ("base", base.map(|(_, key)| key))]
    {
        if let Some(version) = version {
            results = results.with_version(what, version);
        }
    }
    let grouped = grouped(&grid.cells, &results);
    let names = (prior_name.as_str(), reward_name.to_string());
    let exact = enumerated.as_ref().map(|e| (e, grid.alphas.as_slice()));
    let mut advice = Vec::new();
    for budget in budgets {
        advice.extend(Advice::new(budget, &grouped, &prior_figures, (names.0, &names.1), exact)?);
    }
    results.write(&folder)?;
    let report = Report { results, prior: prior_figures, fronts, advice, judge: judge_name.is_some(), seconds: timing };
    let page = page::page(&report, &outcomes, enumerated.as_ref());
    folder.write("report.json", page.to_json()?.as_bytes())?;
    folder.write("report.html", page.html().as_bytes())?;
    let beside = json!({ "prior": report.prior, "fronts": report.fronts, "advice": report.advice });
    folder.write("fronts.json", format!("{beside:#}\n").as_bytes())?;
    folder.write("timing.json", json!({ "seconds": report.seconds }).to_string().as_bytes())?;
    context.note(format!("open {} in a browser", folder.join("report.html").display()));
    Ok(report)
}

/// A cell of each group of the results.
fn grouped<'a>(cells: &'a [Cell], results: &'a Results) -> Grouped<'a> {
    let starts = results.summary.iter().scan(0, |next, group| {
        let start = *next;
        *next += group.seeds.len();
        Some(start)
    });
    Grouped { cells: starts.filter_map(|start| cells.get(start)).collect(), groups: &results.summary }
}

/// The results, what they lead to, and how long each cell took, which is not in `results.json`.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    results: Results,
    /// Figures of the prior's own samples.
    prior: BTreeMap<String, f64>,
    /// The exact fronts, where sequences can be enumerated.
    fronts: Vec<Front>,
    advice: Vec<Advice>,
    #[serde(skip)]
    judge: bool,
    seconds: BTreeMap<String, Option<f64>>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = [
            "method",
            "divergence",
            "alpha",
            "E[r]",
            "best",
            "path KL",
            "path D_f",
            "gap",
            "diversity",
            "unique",
            "judge",
            "judge - r",
        ];
        let mut lines = vec![header.map(str::to_owned)];
        let of_prior = |metric: &str, decimals| {
            let known = self.prior.get(metric).and_then(|value| Spread::of(&[*value]));
            known.map_or_else(|| "-".to_owned(), |spread| spread.text(decimals))
        };
        let mut line = ["(prior)", "", "", "", "", "", "", "", "", "", "", ""].map(str::to_owned);
        for (place, metric, decimals) in [
            (3, "sample_reward_mean", 4),
            (8, "diversity", 3),
            (9, "unique_share", 3),
            (10, "judge_mean", 4),
            (11, "judge_minus_reward", 4),
        ] {
            line[place] = of_prior(metric, decimals);
        }
        lines.push(line);
        for group in &self.results.summary {
            let text = |name: &str| group.parameters.get(name).map(ToString::to_string).unwrap_or_default();
            lines.push([
                group.method.clone(),
                text("divergence").trim_matches('"').to_owned(),
                text("alpha"),
                group.text("mean_reward", 4),
                group.text("optimum_reward", 4),
                group.text("path_kl", 3),
                group.text("path_divergence", 3),
                group.text("gap_nats", 3),
                group.text("diversity", 3),
                group.text("unique_share", 3),
                group.text("judge_mean", 4),
                group.text("judge_minus_reward", 4),
            ]);
        }
        f.write_str(&columns(&lines, ""))?;
        let seconds: f64 = self.seconds.values().flatten().sum();
        writeln!(
            f,
            "\nMean ± standard deviation over seeds. best: E[r] of the optimum at that price; path D_f: the divergence that is\n\
             paid for; gap: KL to that optimum in nats, 0 is perfect; diversity: letters in which two samples differ; unique:\n\
             share of samples that are distinct. {seconds:.0} s in all.\n"
        )?;
        self.advice.iter().try_for_each(|advice| write!(f, "{advice}"))
    }
}
