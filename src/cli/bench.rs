//! `seqtilt bench`

mod analytic;
mod rows;

use super::context::Context;
use crate::error::Result;

const EXAMPLES: &str = "\
Examples:
  seqtilt bench analytic                methods against a closed form, in under a minute
  seqtilt bench analytic --json         one row per method and seed";

/// Measure methods on problems whose answer is known
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, clap::Subcommand)]
enum Bench {
    Analytic(analytic::Args),
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    match args.bench {
        Bench::Analytic(args) => analytic::run(args, context),
    }
}
