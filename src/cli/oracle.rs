//! `seqtilt oracle`

mod bench;
mod check;
mod list;
mod template;
mod train;

pub(super) use train::{Args as TrainArgs, page as training_report, recompute};

use super::context::Context;
use super::input::Reading;
use crate::error::Result;
use crate::sequence::Alphabet;
use std::path::Path;

const EXAMPLES: &str = "\
Examples:
  seqtilt oracle list                            kinds of oracle and how they are named
  seqtilt oracle train variants.csv --out reward
  seqtilt oracle check model:reward
  seqtilt oracle template python --out score.py  a program of your own as an oracle
  seqtilt oracle check \"cmd:python3 score.py\"
  seqtilt score designs.fasta --oracle model:reward
  seqtilt score designs.fasta --oracle 'expr:a - 0.1*b; a=model:reward; b=pwm:motif.txt'
  seqtilt score designs.fasta --oracle rules:rules.toml";

/// Train, check and list oracles: what says how good a sequence is
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    Train(Box<train::Args>),
    Check(Box<check::Args>),
    Bench(bench::Args),
    Template(template::Args),
    List(list::Args),
}

impl Args {
    /// The settings of `oracle train`, if that is what was asked for.
    pub(super) fn training(self) -> Option<TrainArgs> {
        match self.action {
            Action::Train(args) => Some(*args),
            Action::Check(_) | Action::Bench(_) | Action::Template(_) | Action::List(_) => None,
        }
    }
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    match args.action {
        Action::Train(args) => train::run(*args, context),
        Action::Check(args) => check::run(*args, context),
        Action::Bench(args) => bench::run(&args, context),
        Action::Template(args) => template::run(&args, context),
        Action::List(args) => list::run(&args, context),
    }
}

/// How a file is read for an oracle: with its letters, unless an alphabet was asked for.
pub(super) fn reading_for(alphabet: &Alphabet, mut reading: Reading, source: &str) -> Reading {
    if reading.alphabet.is_none() && Path::new(source).exists() {
        reading.alphabet = Some(String::from_utf8_lossy(alphabet.letters()).into_owned());
    }
    reading
}
