//! The command line: arguments, settings, progress, errors for people. The only part that sees clap, the environment
//! and the clock.
//!
//! A verb is one file with an `Args` struct and `run(args, &Context) -> Result<()>`, and one line in `Verb` and in
//! its dispatch.

mod asking;
mod bench;
mod card;
mod certify;
mod check;
mod completions;
mod constraining;
mod context;
mod cuda;
mod data;
mod demo;
mod design;
mod device;
mod distil;
mod doctor;
mod drive;
mod evaluate;
mod families;
mod finetune;
mod input;
mod interrupt;
mod list;
mod memory;
mod models;
mod optimize;
mod oracle;
mod oracle_score;
mod pretrain;
mod printer;
mod progress;
mod render;
mod report;
mod sample;
mod score;
mod settings;
mod steer;
mod tilted;

use crate::error::Result;
use clap::{CommandFactory, Parser, Subcommand};
use context::{Context, Global};
use std::process::ExitCode;

const EXAMPLES: &str = "\
Examples:
  seqtilt doctor                        what this machine can do
  seqtilt list                          what can be named: alphabets, data sets, models
  seqtilt bench analytic                check the methods on this machine against a closed form
  seqtilt completions bash              tab completion for your shell
  seqtilt VERB --help                   everything about one verb

Every setting of a verb can also be written in a TOML file, under a table with the verb's name, and passed with \
--config; flags win over the file. Standard output is data, standard error is for people.

Exit codes: 0 done, 2 usage, 3 bad data, 4 constraints cannot be met, 5 oracle failed, 6 device or memory, \
7 integrity (hash, corrupted or foreign files), 130 interrupted.";

/// Design DNA and protein sequences by tilting a diffusion prior towards high fitness.
#[derive(Debug, Parser)]
#[command(name = "seqtilt", version, after_long_help = EXAMPLES, after_help = "`seqtilt --help` shows examples.")]
#[command(max_term_width = 100, subcommand_value_name = "VERB", subcommand_help_heading = "Verbs")]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "one is made in the life of the process")]
enum Verb {
    Demo(demo::Args),
    Design(Box<design::Args>),
    Pretrain(Box<pretrain::Args>),
    Distil(distil::Args),
    Finetune(Box<finetune::Args>),
    Optimize(Box<optimize::Args>),
    Sample(sample::Args),
    Steer(Box<steer::Args>),
    Evaluate(Box<evaluate::Args>),
    Oracle(oracle::Args),
    Score(score::Args),
    Data(data::Args),
    Doctor(doctor::Args),
    List(list::Args),
    Models(models::Args),
    Bench(bench::Args),
    Report(report::Args),
    Completions(completions::Args),
}

impl Verb {
    fn run(self, context: &Context) -> Result<()> {
        match self {
            Self::Demo(args) => demo::run(args, context),
            Self::Design(args) => design::run(*args, context),
            Self::Pretrain(args) => pretrain::run(*args, context),
            Self::Distil(args) => distil::run(args, context),
            Self::Finetune(args) => finetune::run(*args, context),
            Self::Optimize(args) => optimize::run(*args, context),
            Self::Sample(args) => sample::run(args, context),
            Self::Steer(args) => steer::run(*args, context),
            Self::Evaluate(args) => evaluate::run(*args, context),
            Self::Oracle(args) => oracle::run(args, context),
            Self::Score(args) => score::run(args, context),
            Self::Data(args) => data::run(args, context),
            Self::Doctor(args) => doctor::run(&args, context),
            Self::List(args) => list::run(&args, context),
            Self::Models(args) => models::run(&args, context),
            Self::Bench(args) => bench::run(args, context),
            Self::Report(args) => report::run(args, context),
            Self::Completions(args) => completions::run(&args, context),
        }
    }
}

/// Parses the arguments of this process, runs the verb, and renders what went wrong.
#[must_use]
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    let verbose = cli.global.verbose;
    match Context::resolve(cli.global).and_then(|context| cli.verb.run(&context)) {
        Err(error) if !printer::is_closed(&error) => {
            render::to_stderr(&error, verbose);
            ExitCode::from(error.kind().exit_code())
        }
        _ => ExitCode::SUCCESS,
    }
}

/// The whole command line, for completion and for the names of verbs.
fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_well_formed() {
        super::command().debug_assert();
    }

    #[test]
    fn every_verb_shows_examples() {
        fn walk(command: &clap::Command, path: &str) {
            for verb in command.get_subcommands() {
                let path = format!("{path} {}", verb.get_name());
                let help = verb.get_after_long_help().map(ToString::to_string).unwrap_or_default();
                assert!(help.starts_with("Examples:\n"), "`{path} --help` has no examples");
                walk(verb, &path);
            }
        }
        walk(&super::command(), "seqtilt");
    }
}
