//! `seqtilt oracle train`

mod card;
mod page;
mod recompute;
mod report;
mod settings;

pub(in crate::cli) use page::page;
pub(in crate::cli) use recompute::recompute;
pub(in crate::cli) use settings::Args;

use crate::cli::check::required;
use crate::cli::context::Context;
use crate::error::{Error, Result};
use crate::nn::Pool;
use crate::oracle::{Oracle, Table};
use crate::reward::{Ensemble, HeldOut, Trainer, TrainingSet, at_distances, held_out};
use crate::sequence::{hamming, nearest, variants_of};
use crate::store::{RunFolder, RunInfo};
use report::{Report, Trained};
use serde::Serialize;
use settings::Plan;
use std::path::Path;

const REPORT: &str = "report.json";

/// Comparisons of letters that finding the distances of the held-out sequences may take.
const CHEAP: usize = 2_000_000_000;

/// What decides the result, as `run.json` keeps it.
#[derive(Serialize)]
struct Recorded<'a> {
    input: &'a str,
    plan: &'a Plan,
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let input = args.input.clone();
    let args = context.settings(&["oracle", "train"], args)?;
    let plan = args.plan()?;
    let out = required("oracle train", "out", args.out.clone())?;
    let records = args.reading.records(&input, context)?;
    let all = TrainingSet::from_records(&records)?;
    let kept = plan.filter(&all)?;
    let data = fingerprint(&kept)?;
    let info = RunInfo::new("oracle train", context.seed_number, &Recorded { input: &input, plan: &plan })?
        .with_version("training data", data.clone());
    let mut run = RunFolder::open(&out, &info)?;
    if run.is_finished() {
        context.note(format!("`{}` is complete: this is its report", out.display()));
        return context.emit(&read_report(&out)?);
    }
    let seed = context.seed();
    let (held, rest) = plan.hold_out(&kept, seed)?;
    let name = out.file_name().map_or_else(|| "reward".into(), |name| name.to_string_lossy().into_owned());
    let pool = Pool::new(context.threads.min(plan.ensemble.members.max(1)))?;
    let trainer =
        Trainer { seed: seed.child("reward"), pool: &pool, run: Some(&mut run), observer: &mut context.observer() };
    let ensemble = trainer.train(&name, &rest, &plan.ensemble, &plan.training)?;
    let report = Report {
        oracle: format!("model:{}", out.display()),
        fingerprint: ensemble.fingerprint().to_owned(),
        data,
        seed: context.seed_number,
        rows: records.len(),
        trained: Trained::on(&rest),
        left_out: all.len() - kept.len(),
        held_out: held.as_ref().map(|held| figures(&ensemble, held, &rest)).transpose()?,
        fitted: if held.is_none() { Some(fit(&ensemble, &rest)?) } else { None },
    };
    let text = serde_json::to_vec_pretty(&report)
        .map_err(|error| Error::data("the report cannot be written as JSON").because(error))?;
    let card = card::text(&input, &args, &plan, &report, &ensemble);
    let manifest = ensemble.to_folder()?.with_card(card).save(&out)?;
    run.write(REPORT, &text)?;
    let files: Vec<&str> = manifest.files.keys().map(String::as_str).chain(["manifest.json", REPORT]).collect();
    run.finish(&files)?;
    context.emit(&report)
}

/// What identifies the data after filtering.
fn fingerprint(kept: &TrainingSet) -> Result<String> {
    let pairs = kept.sequences().iter().cloned().zip(kept.values().iter().copied());
    Ok(Table::new("training data", kept.domain().alphabet.plain(), pairs)?.info().fingerprint.clone())
}

/// What the ensemble says about sequences that it has not seen.
fn figures(ensemble: &Ensemble, held: &TrainingSet, rest: &TrainingSet) -> Result<HeldOut> {
    let cheap = held.len().saturating_mul(rest.len()).saturating_mul(held.domain().length) <= CHEAP;
    let (predictions, values) = (ensemble.predict(held.sequences())?, held.values());
    let distances: Vec<usize> = if cheap {
        let found = held.sequences().iter().filter_map(|sequence| nearest(sequence, rest.sequences()));
        found.map(|near| near.distance).collect()
    } else {
        Vec::new()
    };
    let by_distance = at_distances(&predictions, values, &distances);
    let by_changes = at_distances(&predictions, values, &changes(held, rest));
    Ok(HeldOut { by_distance, by_changes, ..held_out(&predictions, values)? })
}

/// Letters in which held-out variants differ from the consensus of the others; nothing where they are no variants of one molecule.
fn changes(held: &TrainingSet, rest: &TrainingSet) -> Vec<usize> {
    let origin = variants_of(rest.sequences(), &rest.domain().alphabet);
    origin.map_or_else(Vec::new, |origin| held.sequences().iter().filter_map(|x| hamming(x, &origin)).collect())
}

/// What the ensemble says about the very sequences that it was trained on.
fn fit(ensemble: &Ensemble, set: &TrainingSet) -> Result<HeldOut> {
    held_out(&ensemble.predict(set.sequences())?, set.values())
}

fn read_report(out: &Path) -> Result<Report> {
    let path = out.join(REPORT);
    let bytes = std::fs::read(&path).map_err(|error| Error::io("read", &path, error))?;
    serde_json::from_slice(&bytes).map_err(|error| Error::integrity("not a report").at(path).because(error))
}
