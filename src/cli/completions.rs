//! `seqtilt completions`

use super::context::Context;
use super::printer;
use crate::error::Result;
use clap_complete::Shell;

const EXAMPLES: &str = "\
Examples:
  seqtilt completions bash > ~/.local/share/bash-completion/completions/seqtilt
  seqtilt completions zsh > ~/.zfunc/_seqtilt
  seqtilt completions fish > ~/.config/fish/completions/seqtilt.fish";

/// Print the script that completes commands in a shell
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &Args, _: &Context) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut super::command(), "seqtilt", &mut script);
    printer::bytes(&script)
}
