//! `seqtilt list`

use super::context::Context;
use super::families::{self, Listing};
use super::printer::columns;
use crate::error::Result;
use crate::registry::unknown;
use serde::Serialize;
use std::fmt;

const EXAMPLES: &str = "\
Examples:
  seqtilt list                          every family
  seqtilt list data-sets                one of them
  seqtilt list --json                   for programs";

/// Show what can be named in a command: alphabets, data sets, models and so on
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// Show this family only
    family: Option<String>,
}

struct Families(Vec<(String, Vec<Kind>)>);

impl Serialize for Families {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(plural, kinds)| (plural, kinds)))
    }
}

#[derive(Serialize)]
struct Kind {
    name: String,
    about: String,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let mut all = families::all()?;
    if let Some(name) = &args.family {
        if !all.iter().any(|listing| listing.plural == *name) {
            return Err(unknown("family", name, all.iter().map(|listing| listing.plural.as_str())));
        }
        all.retain(|listing| listing.plural == *name);
    }
    context.emit(&Families(all.into_iter().map(of).collect()))
}

fn of(listing: Listing) -> (String, Vec<Kind>) {
    (listing.plural, listing.kinds.into_iter().map(|(name, about)| Kind { name, about }).collect())
}

impl fmt::Display for Families {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (plural, kinds)) in self.0.iter().enumerate() {
            let gap = if index > 0 { "\n" } else { "" };
            writeln!(f, "{gap}{plural}")?;
            if kinds.is_empty() {
                writeln!(f, "  (none in this build)")?;
            }
            let rows: Vec<_> = kinds.iter().map(|kind| [kind.name.clone(), kind.about.clone()]).collect();
            f.write_str(&columns(&rows, "  "))?;
        }
        Ok(())
    }
}
