//! `seqtilt design`

mod goal;
mod model;
mod page;
mod pick;
mod prepare;
mod rate;
mod settings;
mod summary;
mod table;

pub(super) use prepare::{Lesson, learn};
pub(super) use settings::{Args, Plan};

use super::context::Context;
use crate::error::{Error, Result};
use crate::store::{RunFolder, RunInfo, RunRecord};
use model::Choice;
use std::path::Path;
use summary::Summary;

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let input = args.input.clone();
    let args = context.settings(&["design"], args)?;
    let out = args.out()?;
    let plan = args.plan(input)?;
    if let (Some(set), Some(prior)) = (&plan.input, plan.named_set()) {
        context.note(format!(
            "data set `{set}` has models inside the program: `{prior}`, its reward and its judge are used"
        ));
    }
    execute(plan, &out, context)
}

/// Runs a design job in a folder, or reads its summary where it is complete.
///
/// # Errors
/// When a part fails or Ctrl-C was pressed; the same command then goes on.
pub(super) fn execute(mut plan: Plan, out: &Path, context: &Context) -> Result<()> {
    let started = std::time::Instant::now();
    let records = match &plan.input {
        Some(input) => Some(plan.reading.records(input, context)?),
        None => None,
    };
    let options = plan.asking.options(context)?;
    let named = prepare::check(&plan, records.as_ref(), &options, context)?;
    if let Some(records) = &records {
        plan.settle(records)?;
        if records.report.wild_type.is_none() && plan.origin(Some(records))?.is_some() {
            context.note(
                "no wild type is named: mutations are counted from the consensus of the table; --wild-type names one",
            );
        }
    }
    let plan = &plan;
    let mut info = RunInfo::new("design", context.seed_number, plan)?;
    if let Some(records) = &records {
        info = info.with_version("table", prepare::digest(records));
    }
    for (what, fingerprint) in named {
        info = info.with_version(&what, fingerprint);
    }
    let rules = plan.rules(records.as_ref())?;
    if !rules.is_empty() {
        info = info.with_version("constraints", rules.text());
    }
    // a table that supports nothing is refused before there is a folder
    let complete = RunRecord::open(out)?.is_some_and(|record| record.is_complete());
    let choice = match &records {
        Some(records) if !complete && (plan.reward.is_none() || plan.judge.is_none()) => {
            Some(Choice::of(plan, records, context)?)
        }
        _ => None,
    };
    let folder = RunFolder::open(out, &info)?;
    if folder.is_finished() {
        context.note(format!("`{}` is complete: this is its summary", out.display()));
        let summary = Summary::read(out)?;
        context.emit(&summary)?;
        return if summary.designs == 0 { Err(none("see the filters in the report".to_owned())) } else { Ok(()) };
    }
    let mut parts = prepare::Parts::gather(plan, records.as_ref(), choice.as_ref(), out, &options, context)?;
    let outcome = parts.finetune(plan, &out.join("finetune"), context)?;
    let picked = pick::Picked::draw(plan, &mut parts, &outcome, &out.join("finetune"), context)?;
    let summary = Summary::new(plan, &parts, &outcome, &picked);
    folder.write("designs.csv", table::csv(&picked, &parts)?.as_bytes())?;
    folder.write("designs.fasta", table::fasta(&picked, &parts).as_bytes())?;
    folder.write(summary::FILE, &summary.json()?)?;
    let report = page::report(plan, &parts, &outcome, &picked, &summary, &info)?;
    folder.write("report.json", report.to_json()?.as_bytes())?;
    folder.write("report.html", report.html().as_bytes())?;
    folder.write_timing(&serde_json::json!({ "seconds": started.elapsed().as_secs_f64() }))?;
    folder.finish(&["designs.csv", "designs.fasta", summary::FILE, "report.json", "report.html"])?;
    context.emit(&summary)?;
    context.note(format!("open {} in a browser", out.join("report.html").display()));
    if picked.rows.is_empty() {
        let hint = match picked.funnel.iter().find(|(_, passed)| *passed == 0) {
            Some((rule, _)) => format!("nothing passed `{rule}`; see the filters in the report"),
            None => "raise --samples or lower --min-distance".to_owned(),
        };
        return Err(none(hint));
    }
    Ok(())
}

/// There are no designs.
fn none(hint: String) -> Error {
    Error::constraint("no design passed the filters").hint(hint)
}
