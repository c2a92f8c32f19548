//! `seqtilt oracle check`

use crate::cli::asking::Asking;
use crate::cli::context::Context;
use crate::cli::input::Reading;
use crate::error::{Error, Result};
use crate::oracle::{
    Check, Command, CommandConfig, Oracle as _, OracleInfo, OracleName, OracleOptions, command_conformance, conformance,
};
use crate::sequence::Sequence;
use serde::Serialize;
use std::fmt;

const EXAMPLES: &str = "\
Examples:
  seqtilt oracle check model:reward
  seqtilt oracle check table:assay.csv --probes designs.fasta
  seqtilt oracle check table:tfbind8 --json
  seqtilt oracle check \"cmd:python3 score.py\"";

/// Random probes when none are given.
const PROBES: usize = 64;

/// Put an oracle through the list of what every oracle must do; exit code 5 when it fails
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// Its name, such as table:FILE or model:DIR; `seqtilt oracle list` shows the kinds
    #[arg(value_name = "KIND:ARGUMENT")]
    oracle: String,
    /// Sequences to ask for: a file or a data set, of which the first 512 are used [default: 64 random ones]
    #[arg(long, value_name = "FILE")]
    probes: Option<String>,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    reading: Reading,
}

#[derive(Serialize)]
struct Report {
    oracle: String,
    fingerprint: String,
    alphabet: String,
    length: (usize, usize),
    deterministic: bool,
    has_gradient: bool,
    passed: bool,
    checks: Vec<Check>,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (least, most) = self.length;
        writeln!(f, "{}: {} of {least} to {most} letters, {}", self.oracle, self.alphabet, self.fingerprint)?;
        for check in &self.checks {
            writeln!(f, "  {}  {} ({})", if check.passed { "pass" } else { "FAIL" }, check.name, check.detail)?;
        }
        Ok(())
    }
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let name: OracleName = args.oracle.parse()?;
    if name.kind == "cmd" {
        let (info, checks) = on_the_wire(&name, args, context)?;
        return told(&name, info, checks, context);
    }
    let options = OracleOptions { read: args.reading.options()?, ..args.asking.options(context)? };
    let mut oracle = name.open(&options)?;
    let info = oracle.info().clone();
    let probes = match &args.probes {
        Some(source) => given(source, args.reading, &info, context)?,
        None => random(&info, context)?,
    };
    let reward = if info.has_gradient { Some(name.reward(&options)?) } else { None };
    let checks = conformance(oracle.as_mut(), reward.as_deref(), &probes)?;
    told(&name, info, checks, context)
}

/// A command is tried on the wire, where more can go wrong than an open oracle shows.
fn on_the_wire(name: &OracleName, args: Args, context: &Context) -> Result<(OracleInfo, Vec<Check>)> {
    let config = CommandConfig::read(&name.argument, &args.asking.options(context)?)?;
    let probes = match &args.probes {
        Some(source) => {
            let info = Command::open(config.clone())?.info().clone();
            Some(given(source, args.reading, &info, context)?)
        }
        None => None,
    };
    command_conformance(&config, probes.as_deref(), context.seed().child("probes"))
}

fn given(source: &str, reading: Reading, info: &OracleInfo, context: &Context) -> Result<Vec<Sequence>> {
    let reading = super::reading_for(&info.alphabet, reading, source);
    let mut probes = reading.records(source, context)?.sequences();
    probes.truncate(512);
    Ok(probes)
}

/// Prints the list; a failed check is an error.
fn told(name: &OracleName, info: OracleInfo, checks: Vec<Check>, context: &Context) -> Result<()> {
    let failed = checks.iter().filter(|check| !check.passed).count();
    let report = Report {
        oracle: name.to_string(),
        fingerprint: info.fingerprint,
        alphabet: info.alphabet.name().to_owned(),
        length: info.length,
        deterministic: info.deterministic,
        has_gradient: info.has_gradient,
        passed: failed == 0,
        checks,
    };
    context.emit(&report)?;
    if failed == 0 {
        return Ok(());
    }
    Err(Error::oracle(format!("oracle `{name}` failed {failed} of {} checks", report.checks.len())))
}

/// Uniform sequences of the lengths that the oracle takes.
fn random(info: &OracleInfo, context: &Context) -> Result<Vec<Sequence>> {
    let mut rng = context.seed().child("probes").rng();
    let (least, most) = info.length;
    let probe = |_| {
        let length = least + rng.below(most - least + 1);
        let ids: Vec<u8> = (0..length).map(|_| rng.below(info.alphabet.len()) as u8).collect();
        Sequence::from_ids(ids, &info.alphabet)
    };
    (0..PROBES).map(probe).collect()
}
