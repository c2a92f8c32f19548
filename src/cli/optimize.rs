//! `seqtilt optimize`

mod anchored;
mod learner;
mod page;
mod ranking;
mod rows;
mod searcher;
mod settings;
mod start;
mod summary;
mod tilted;

pub(super) use anchored::{Anchored, Fit, RoundReward};
pub(super) use learner::Learner;
pub(super) use ranking::{RANKINGS, Ranked, ranked};
pub(super) use searcher::SEARCHES;
pub(super) use settings::{Args, Plan, Protocol};

use super::constraining::verify;
use super::context::Context;
use crate::campaign::{Campaign, Journal, Means, Round};
use crate::error::Result;
use crate::oracle::{Oracle, OracleName};
use crate::sequence::Sequence;
use crate::store::{RunFolder, RunInfo};
use searcher::Searcher;
pub(super) use start::Known;
use std::path::Path;
use summary::Summary;

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["optimize"], args)?;
    let out = args.out()?;
    let plan = args.plan()?;
    execute(&plan, &out, context)
}

/// Runs a campaign whose rounds lie in `out`, or goes on with it, without pages and tables of its own; `done` hears of every round
/// that was run.
///
/// # Errors
/// When a part fails or Ctrl-C was pressed; the same call then goes on.
pub(super) fn search(
    plan: &Plan,
    out: &Path,
    context: &Context,
    done: impl FnMut(&Round) -> Result<()>,
) -> Result<Campaign> {
    let options = plan.asking.options(context)?;
    let mut oracle = plan.oracle.parse::<OracleName>()?.open(&options)?;
    let known = Known::read(plan, oracle.info(), context)?;
    explore(plan, &known, oracle.as_mut(), out, context, done)
}

/// The same by an oracle that is open, from what is known.
///
/// # Errors
/// As [`search`].
pub(super) fn explore(
    plan: &Plan,
    known: &Known,
    oracle: &mut dyn Oracle,
    out: &Path,
    context: &Context,
    mut done: impl FnMut(&Round) -> Result<()>,
) -> Result<Campaign> {
    Searcher::check(plan, known, context)?;
    let journal = Journal::in_folder(out);
    let mut searcher = Searcher::new(plan, known, &journal, out, context)?;
    let mut campaign = Campaign::new(plan.rounds.clone(), known.domain.clone(), known.pairs(), journal.clone())?;
    let pool = context.pool()?;
    let mut means = Means {
        proposer: searcher.proposer(),
        oracle,
        seed: context.seed(),
        pool: &pool,
        observer: &mut context.observer(),
    };
    while let Some(round) = campaign.advance(&mut means)? {
        done(round)?;
    }
    Ok(campaign)
}

/// Runs a campaign in a folder, goes on with it, or reads its summary where it is complete.
///
/// # Errors
/// When a part fails or Ctrl-C was pressed; the same command then goes on.
fn execute(plan: &Plan, out: &Path, context: &Context) -> Result<()> {
    let started = std::time::Instant::now();
    let options = plan.asking.options(context)?;
    // the oracle of the search is opened by itself: a program that loads a model need not do so twice at a time
    let oracle = plan.oracle.parse::<OracleName>()?.open(&options)?.info().clone();
    let known = Known::read(plan, &oracle, context)?;
    let mut info = RunInfo::new("optimize", context.seed_number, plan)?
        .with_version("oracle", oracle.fingerprint.clone())
        .with_version("start", known.digest());
    if let Some(fingerprint) = Searcher::check(plan, &known, context)? {
        info = info.with_version("prior", fingerprint);
    }
    let mut folder = RunFolder::open(out, &info)?;
    if folder.is_finished() {
        context.note(format!("`{}` is complete: this is its summary", out.display()));
        return context.emit(&Summary::read(out)?);
    }
    let best = known.rows.iter().map(|(_, value)| *value).reduce(f64::max);
    context.note(format!(
        "{} labels in {} rounds; start: {} known, best {}",
        plan.rounds.total(),
        plan.rounds.rounds(),
        known.rows.len(),
        best.map_or_else(|| "-".to_owned(), |best| format!("{best:.4}"))
    ));
    let (mut seconds, mut before) = (Vec::new(), started.elapsed().as_secs_f64());
    let campaign = search(plan, out, context, |round| {
        let now = started.elapsed().as_secs_f64();
        seconds.push(now - before);
        before = now;
        folder.metric(round)
    })?;
    let journal = Journal::in_folder(out);
    let tilts = summary::tilts(&campaign, &journal)?;
    let ranked = ranked(plan, &campaign, context)?;
    let designs = rows::designs(plan, &known, &campaign, ranked);
    let proposed: Vec<Sequence> =
        designs.iter().filter(|design| design.round > 0).map(|d| d.sequence.clone()).collect();
    verify(&plan.constraint, &proposed, &known.domain.alphabet)?;
    let summary = Summary::new(plan, &known, &campaign, &tilts, &designs);
    folder.write("measured.csv", rows::measured_csv(&campaign)?.as_bytes())?;
    folder.write("rounds.csv", rows::rounds_csv(&campaign, &tilts)?.as_bytes())?;
    folder.write("designs.csv", rows::designs_csv(&designs, &campaign)?.as_bytes())?;
    folder.write("designs.fasta", rows::fasta(&designs, &campaign).as_bytes())?;
    folder.write(summary::FILE, &summary.json()?)?;
    let report = page::report(plan, &known, &campaign, &tilts, &designs, &summary, &info)?;
    folder.write("report.json", report.to_json()?.as_bytes())?;
    folder.write("report.html", report.html().as_bytes())?;
    folder.write_timing(&serde_json::json!({ "seconds": started.elapsed().as_secs_f64(), "rounds": seconds }))?;
    let files =
        ["measured.csv", "rounds.csv", "designs.csv", "designs.fasta", summary::FILE, "report.json", "report.html"];
    folder.finish(&files)?;
    context.emit(&summary)?;
    context.note(format!("open {} in a browser", out.join("report.html").display()));
    Ok(())
}
