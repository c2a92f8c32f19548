//! `seqtilt oracle list`

use crate::cli::context::Context;
use crate::cli::printer::columns;
use crate::error::Result;
use crate::oracle::ORACLES;
use serde::Serialize;
use std::fmt;

const EXAMPLES: &str = "\
Examples:
  seqtilt oracle list
  seqtilt oracle list --json";

/// List the kinds of oracle and how each is named
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {}

#[derive(Serialize)]
struct Kind {
    kind: &'static str,
    form: String,
    about: &'static str,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Kinds(Vec<Kind>);

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rows: Vec<_> = self.0.iter().map(|kind| [kind.form.clone(), kind.about.to_owned()]).collect();
        f.write_str(&columns(&rows, ""))
    }
}

pub(super) fn run(_: &Args, context: &Context) -> Result<()> {
    let kinds = ORACLES.entries().iter().map(|entry| Kind {
        kind: entry.name,
        form: format!("{}:{}", entry.name, entry.make.argument),
        about: entry.doc,
    });
    context.emit(&Kinds(kinds.collect()))
}
