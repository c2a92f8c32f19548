//! `seqtilt score`

use super::asking::Asking;
use super::context::Context;
use super::input::Reading;
use super::printer;
use crate::error::{Error, Result};
use crate::observe::{Event, Observer};
use crate::oracle::{Metered, Oracle, OracleName, Outcome, Usage};
use crate::sequence::{Alphabet, Record};
use crate::store::write_atomic;
use serde::Serialize;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  seqtilt score designs.fasta --oracle model:reward > scores.csv
  seqtilt score designs.csv --oracle table:tfbind8 --out scores.csv
  seqtilt score designs.csv --oracle table:assay.csv --column variant_seq
  seqtilt score designs.csv --oracle model:reward --json

The columns are id, sequence, mean, sd, status and reason. Only rows of status `ok` have a mean; sd is empty where the
oracle does not know it. The other states are `infeasible` (can never work), `failed` (unknown, with the reason),
`censored` (beyond the bound in reason) and `skipped` (the budget was spent).";

const STAGE: &str = "score";

/// Sequences sent to the oracle at a time.
const BATCH: usize = 512;

/// Score sequences with an oracle: a table, a trained reward
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// FASTA, CSV or TSV file, plain or gzip, or the name of a data set
    #[arg(value_name = "INPUT")]
    input: String,
    /// Oracle, such as table:FILE or model:DIR; `seqtilt oracle list` shows the kinds
    #[arg(long, value_name = "KIND:ARGUMENT")]
    oracle: String,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Column of the sequences; short for --sequence-column
    #[arg(long, value_name = "NAME", conflicts_with = "sequence_column")]
    column: Option<String>,
    /// Evaluate at most so many sequences; the others are skipped [default: all]
    #[arg(long, value_name = "N")]
    max_evals: Option<u64>,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    reading: Reading,
}

/// One scored sequence.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    sequence: String,
    mean: Option<f64>,
    sd: Option<f64>,
    status: &'static str,
    reason: Option<String>,
}

#[derive(Debug, Serialize)]
struct Scores {
    oracle: String,
    fingerprint: String,
    evaluations: Evaluations,
    rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct Evaluations {
    unique: u64,
    replicate: u64,
    cached: u64,
    skipped: u64,
}

impl From<Usage> for Evaluations {
    fn from(usage: Usage) -> Self {
        let Usage { unique, replicate, cached, skipped } = usage;
        Self { unique, replicate, cached, skipped }
    }
}

pub(super) fn run(mut args: Args, context: &Context) -> Result<()> {
    let name: OracleName = args.oracle.parse()?;
    let oracle = name.open(&args.asking.options(context)?)?;
    let info = oracle.info().clone();
    if args.column.is_some() {
        args.reading.sequence_column = args.column.take();
    }
    let reading = super::oracle::reading_for(&info.alphabet, args.reading, &args.input);
    let records = reading.records(&args.input, context)?;
    if records.alphabet.letters() != info.alphabet.letters() {
        return Err(Error::data(format!(
            "`{}` is read as `{}`; oracle `{name}` reads `{}`",
            args.input,
            records.alphabet.name(),
            info.alphabet.name()
        )));
    }
    let mut oracle = Metered::new(oracle);
    if let Some(budget) = args.max_evals {
        oracle = oracle.with_budget(budget);
    }
    let mut observer = context.observer();
    let total = records.len() as u64;
    let _ = observer.on_event(&Event::Start { stage: STAGE, total, done: 0 });
    let mut rows = Vec::with_capacity(records.len());
    for batch in records.rows.chunks(BATCH) {
        let sequences: Vec<_> = batch.iter().map(|record| record.sequence.clone()).collect();
        let outcomes = oracle.evaluate(&sequences)?;
        rows.extend(batch.iter().zip(outcomes).map(|(record, outcome)| row(record, &outcome, &info.alphabet)));
        let step = Event::Step { stage: STAGE, done: rows.len() as u64, figures: &[] };
        if observer.on_event(&step).is_break() {
            return Err(Error::interrupted(format!("stopped after {} of {total} sequences", rows.len())));
        }
    }
    let _ = observer.on_event(&Event::Finish { stage: STAGE });
    let usage = oracle.usage();
    tell(&rows, usage, context);
    let bytes = if context.json {
        let scores =
            Scores { oracle: name.to_string(), fingerprint: info.fingerprint, evaluations: usage.into(), rows };
        let mut text = serde_json::to_vec_pretty(&scores)
            .map_err(|error| Error::data("the scores cannot be written as JSON").because(error))?;
        text.push(b'\n');
        text
    } else {
        table(&rows)?
    };
    match &args.out {
        Some(path) => write_atomic(path, &bytes),
        None => printer::bytes(&bytes),
    }
}

fn row(record: &Record, outcome: &Outcome, alphabet: &Alphabet) -> Row {
    let reason = match outcome {
        Outcome::Censored { bound } => Some(bound.to_string()),
        _ => outcome.reason().map(str::to_owned),
    };
    Row {
        id: record.id.clone(),
        sequence: record.sequence.text(alphabet),
        mean: outcome.value(),
        sd: outcome.sd(),
        status: outcome.status(),
        reason,
    }
}

/// What was not scored, and why, for people.
fn tell(rows: &[Row], usage: Usage, context: &Context) {
    let scored = rows.iter().filter(|row| row.status == "ok").count();
    if scored < rows.len() {
        let reason = rows.iter().find_map(|row| row.reason.as_ref());
        let first = reason.map_or_else(String::new, |reason| format!("; the first reason: {reason}"));
        context.note(format!("{} of {} sequences have no value{first}", rows.len() - scored, rows.len()));
    }
    if usage.skipped > 0 {
        context.note(format!("{} were skipped: the budget of --max-evals is spent", usage.skipped));
    }
}

fn table(rows: &[Row]) -> Result<Vec<u8>> {
    let failed = |error: csv::Error| Error::device("the scores cannot be written as CSV").because(error);
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(["id", "sequence", "mean", "sd", "status", "reason"]).map_err(failed)?;
    for row in rows {
        let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
        let (mean, sd) = (number(row.mean), number(row.sd));
        let reason = row.reason.as_deref().unwrap_or("");
        writer.write_record([&row.id, &row.sequence, &mean, &sd, row.status, reason]).map_err(failed)?;
    }
    writer
        .into_inner()
        .map_err(|error| Error::device("the scores cannot be written as CSV").because(error.into_error()))
}
