//! `seqtilt distil`

mod figures;
mod page;
mod recompute;

pub(super) use page::report;
pub(super) use recompute::recompute;

use super::check::{required, within};
use super::context::Context;
use super::drive::{CHECKPOINT_EVERY, drive};
use super::memory;
use crate::diffusion::{
    ConsistencyConfig, DistilConfig, Distilling, PriorRef, consistency_folder, fingerprint, open_prior, shard_rows,
};
use crate::error::{Error, Result};
use crate::nn::Training as _;
use crate::store::{RunFolder, RunInfo};
use figures::Figures;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;

const EXAMPLES: &str = "\
Examples:
  seqtilt distil tfbind8-prior-full --out fast         a consistency model of a built-in prior
  seqtilt distil runs/prior --out fast --steps 8000
  seqtilt sample --consistency fast --steps 2 --count 1000
                                                       draw in two calls instead of 64

It needs no data: training starts from sequences of the prior's own. The same command again after an
interruption goes on from the last checkpoint and ends in the same bytes.";

/// Distil a prior's sampling ODE into a consistency model that answers in one call
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// Prior: a folder, or a built-in one by name
    #[arg(value_name = "PRIOR")]
    #[serde(skip)]
    prior: String,
    /// Folder of the run and the consistency model
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Optimiser steps [default: 4000]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// States a step [default: 256]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Peak learning rate [default: 0.002]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Decay of the averaged weights that are the target and are kept [default: 0.99]
    #[arg(long, value_name = "DECAY")]
    ema: Option<f64>,
    /// Equal steps in log signal-to-noise ratio that the whole ODE takes [default: 64]
    #[arg(long, value_name = "N")]
    ode_steps: Option<usize>,
    /// Of these, steps between a state and its target [default: 8]
    #[arg(long, value_name = "N")]
    skip: Option<usize>,
    /// Sequences of the prior that states are made of [default: 8192]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Share of the states with letters drawn anew, for where tuned chains go [default: 0.25]
    #[arg(long, value_name = "SHARE")]
    astray: Option<f64>,
    /// States per noise level behind the figures [default: 1024]
    #[arg(long, value_name = "N")]
    states: Option<usize>,
    /// Steps between two checkpoints [default: 100]
    #[arg(long, value_name = "N")]
    checkpoint_every: Option<u64>,
}

/// What decides the result, as `run.json` and the card keep it.
#[derive(Serialize)]
struct Recorded<'a> {
    prior: &'a str,
    states: usize,
    training: &'a DistilConfig,
}

impl Args {
    pub(super) fn prior(&self) -> &str {
        &self.prior
    }

    /// States per noise level behind the figures.
    fn states(&self) -> Result<usize> {
        within("states", self.states.unwrap_or(1024), 2..=1 << 20)
    }

    fn training(&self, length: usize) -> Result<DistilConfig> {
        let base = DistilConfig::default();
        let config = DistilConfig {
            steps: self.steps.unwrap_or(base.steps),
            batch: self.batch.unwrap_or(base.batch),
            learning_rate: self.learning_rate.unwrap_or(base.learning_rate),
            ema: self.ema.unwrap_or(base.ema),
            ode_steps: self.ode_steps.unwrap_or(base.ode_steps),
            skip: self.skip.unwrap_or(base.skip),
            samples: self.samples.unwrap_or(base.samples),
            astray: self.astray.unwrap_or(base.astray),
            shard: base.shard.min(shard_rows(length)),
            ..base
        };
        config.check()?;
        Ok(config)
    }
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let name = args.prior.clone();
    let args = context.settings(&["distil"], args)?;
    let out = required("distil", "out", args.out.clone())?;
    let every = within("checkpoint-every", args.checkpoint_every.unwrap_or(CHECKPOINT_EVERY), 1..=u64::MAX)?;
    let (prior, source) = open_prior(&name, &context.device()?)?;
    if prior.config().denoiser.layers == 0 {
        return Err(Error::usage(format!("prior `{name}` has no network to distil"))
            .hint("letters are independent there: its denoised estimate needs no walk"));
    }
    let training = args.training(prior.config().length)?;
    if context.device()?.is_cpu() {
        let need = training.footprint(prior.config(), context.threads);
        memory::check("distil", need, "use fewer --threads or a smaller --batch")?;
    }
    let print = fingerprint(&source)?;
    let states = args.states()?;
    let recorded = Recorded { prior: &name, states, training: &training };
    let info = RunInfo::new("distil", context.seed_number, &recorded)?.with_version("prior", print.clone());
    let mut folder = RunFolder::open(&out, &info)?;
    if folder.is_finished() {
        context.note(format!("`{}` is complete: these are its figures", out.display()));
        return context.emit(&Figures::read(&out)?);
    }
    let (prior, pool, seed) = (Arc::new(prior), context.pool()?, context.seed());
    let config =
        ConsistencyConfig { prior: PriorRef { name: name.clone(), fingerprint: print }, shape: prior.config().clone() };
    let mut job = Distilling::new(prior, &source.weights, training.clone(), seed.child("distil"), &pool)?;
    drive("distil", &mut job, &mut folder, every, context)?;
    let figures = Figures::measure(&job.consistency()?, states, seed.child("quality"), &pool)?;
    let card = figures.card(&name, &info, &config.shape, &training);
    let manifest = consistency_folder(&config, job.weights())?.with_card(card).save(&out)?;
    folder.write(figures::FILE, &figures.json()?)?;
    let files: Vec<&str> = manifest.files.keys().map(String::as_str).chain(["manifest.json", figures::FILE]).collect();
    folder.finish(&files)?;
    context.emit(&figures)
}
