//! `seqtilt oracle template`

use crate::cli::context::Context;
use crate::cli::printer;
use crate::error::Result;
use crate::registry::registry;
use crate::store::write_atomic;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  seqtilt oracle template python --out score.py
  seqtilt oracle check \"cmd:python3 score.py\"
  seqtilt oracle template bash > score.sh";

/// A program to begin with, and how it is run.
#[derive(Clone, Copy)]
struct Template {
    text: &'static str,
    /// The command for a file; `FILE` stands for its path.
    command: &'static str,
}

registry! {
    /// Programs that answer the protocol of `cmd:` oracles.
    TEMPLATES: Template, "language", "languages";
    "python" => Template { text: include_str!("../../../examples/oracle/oracle.py"), command: "cmd:python3 FILE" },
        "Python 3.10 or newer, standard library only";
    "r" => Template { text: include_str!("../../../examples/oracle/oracle.R"), command: "cmd:Rscript FILE" },
        "R without packages";
    "bash" => Template { text: include_str!("../../../examples/oracle/oracle.sh"), command: "cmd:bash FILE" },
        "bash without other programs";
    "rust" => Template { text: include_str!("../../../examples/oracle/oracle.rs"), command: "cmd:./oracle" },
        "Rust, one file without dependencies";
}

/// Write a program that is an oracle, to put your own score in
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// python, r, bash or rust
    language: String,
    /// Write to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    let template = TEMPLATES.get(&args.language)?.make;
    let Some(path) = &args.out else { return printer::bytes(template.text.as_bytes()) };
    write_atomic(path, template.text.as_bytes())?;
    let shown = path.display().to_string();
    if args.language == "rust" {
        context.note(format!("compile it: rustc -O {shown} -o oracle"));
    }
    context.note(format!("try it: seqtilt oracle check \"{}\"", template.command.replace("FILE", &shown)));
    Ok(())
}
