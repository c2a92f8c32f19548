//! `seqtilt bench`

mod analytic;
mod certified;
mod divergences;
mod ehrlich;
mod exact;
mod folder;
mod frontier;
mod gfp_offline;
mod offline;
mod online;
mod results;
mod rows;
mod source;
#[cfg(test)]
mod toy;
mod variance;

pub(super) use folder::is_benchmark;
pub(super) use gfp_offline::METHODS as OFFLINE_METHODS;
pub(super) use online::METHODS;

use super::context::Context;
use crate::error::Result;

const EXAMPLES: &str = "\
Examples:
  seqtilt bench analytic                methods against a closed form, in under a minute
  seqtilt bench analytic --json         one row per method and seed
  seqtilt bench divergences --out fronts
                                        which divergence buys what: exact optima side by side
  seqtilt bench ehrlich --out ehrlich   closed-form functions with infeasible sequences and a known optimum
  seqtilt bench exact --out exact       fine-tuned samplers against the exact reward-divergence frontier
  seqtilt bench frontier --out fronts   reward against divergence and diversity, over prices and divergences
  seqtilt bench gfp-offline --out gfp
                                        128 designs from poor variants of GFP, judged by an oracle that no method saw
  seqtilt bench gfp-online --out gfp-rounds
                                        15 rounds of 256 labels of a model of GFP, and what an independent judge says
  seqtilt bench tfbind8-offline --out offline
                                        128 designs from the lower half of the values, beside published ones
  seqtilt bench tfbind8-online --out online
                                        rounds of 128 labels from a poor start, method beside method
  seqtilt bench online-finetune --out finetuned
                                        ways of fine-tuning one prior in rounds, over prices
  seqtilt bench variance --out variance
                                        what the noise of regression targets costs, by exact scores";

/// Measure methods on problems whose answer is known
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    bench: Bench,
}

#[derive(Debug, clap::Subcommand)]
#[allow(clippy::large_enum_variant, reason = "one is made in the life of the process")]
enum Bench {
    Analytic(analytic::Args),
    Divergences(Box<divergences::Args>),
    Ehrlich(ehrlich::Args),
    Exact(Box<exact::Args>),
    Frontier(Box<frontier::Args>),
    #[command(name = "gfp-offline")]
    GfpOffline(Box<gfp_offline::Args>),
    /// Online design on GFP: from variants that are dark, rounds of proposals that a model of its measurements scores
    #[command(name = "gfp-online")]
    GfpOnline(Box<online::Args>),
    #[command(name = "tfbind8-offline")]
    Offline(Box<offline::Args>),
    #[command(name = "tfbind8-online")]
    Online(Box<online::Args>),
    /// Online fine-tuning of one prior: methods and prices side by side
    #[command(name = "online-finetune")]
    OnlineFinetune(Box<online::Args>),
    Variance(Box<variance::Args>),
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    match args.bench {
        Bench::Analytic(args) => analytic::run(args, context),
        Bench::Divergences(args) => divergences::run(*args, context),
        Bench::Ehrlich(args) => ehrlich::run(args, context),
        Bench::Exact(args) => exact::run(*args, context),
        Bench::Frontier(args) => frontier::run(*args, context),
        Bench::GfpOffline(args) => gfp_offline::run(*args, context),
        Bench::GfpOnline(args) => online::run(&online::GFP, *args, context),
        Bench::Offline(args) => offline::run(*args, context),
        Bench::Online(args) => online::run(&online::TFBIND8, *args, context),
        Bench::OnlineFinetune(args) => online::run(&online::FINETUNE, *args, context),
        Bench::Variance(args) => variance::run(*args, context),
    }
}
