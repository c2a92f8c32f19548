//! `seqtilt models`

mod recompute;
mod verify;

use super::context::Context;
use super::printer::columns;
use crate::error::Result;
use crate::store::{Manifest, embedded, inspect_model};
use serde::Serialize;
use std::fmt;

const EXAMPLES: &str = "\
Examples:
  seqtilt models list                   the models inside this program
  seqtilt models info runs/prior        what a model folder is, and its card
  seqtilt models verify                 recompute hashes and figures of all built-in models
  seqtilt models verify runs/prior      of a folder";

const LIST_EXAMPLES: &str = "\
Examples:
  seqtilt models list
  seqtilt models list --json";

const INFO_EXAMPLES: &str = "\
Examples:
  seqtilt models info runs/prior        a folder
  seqtilt models info NAME              a built-in model, by a name that `seqtilt models list` shows";

const VERIFY_EXAMPLES: &str = "\
Examples:
  seqtilt models verify                 all built-in models
  seqtilt models verify tfbind8-fit     one of them
  seqtilt models verify runs/prior      a folder; exit code 7 when a file was changed

Figures are those on the model's card: the held-out bound of a prior, rank correlation and error of
a reward, how far a consistency model is from multi-step sampling of its prior. They are computed on
the data, split and draws that the card's command names, and must lie within 0.0002 of the card
(exit code 7). Where the data set is not in the data folder, it says that
they were not recomputed; `seqtilt data fetch NAME` gets it.";

/// Show and check trained models: those inside this program and those in folders
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List the models inside this program
    #[command(after_long_help = LIST_EXAMPLES)]
    List,
    /// Show what a model is and its card
    #[command(after_long_help = INFO_EXAMPLES)]
    Info {
        /// Name of a built-in model, or a folder
        model: String,
    },
    /// Recompute the hashes of a model's files, and the figures on its card where its data are present
    #[command(after_long_help = VERIFY_EXAMPLES)]
    Verify {
        /// Names of built-in models, or folders [default: every built-in model]
        models: Vec<String>,
    },
}

pub(super) fn run(args: &Args, context: &Context) -> Result<()> {
    match &args.action {
        Action::List => context.emit(&list()?),
        Action::Info { model } => {
            let (manifest, card) = inspect_model(model)?;
            context.emit(&Info { summary: Summary::new(model, &manifest), manifest, card })
        }
        Action::Verify { models } => verify::verify(models, context),
    }
}

/// A model in one line.
#[derive(Serialize)]
struct Summary {
    name: String,
    kind: String,
    bytes: u64,
}

impl Summary {
    fn new(name: &str, manifest: &Manifest) -> Self {
        let bytes = manifest.files.values().map(|file| file.bytes).sum();
        Self { name: name.to_owned(), kind: manifest.kind.clone(), bytes }
    }

    fn row(&self) -> [String; 3] {
        [self.name.clone(), self.kind.clone(), format!("{:.1} MB", self.bytes as f64 / 1e6)]
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct Summaries(Vec<Summary>);

impl fmt::Display for Summaries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return writeln!(f, "no model is built into this program");
        }
        f.write_str(&columns(&self.0.iter().map(Summary::row).collect::<Vec<_>>(), ""))
    }
}

fn list() -> Result<Summaries> {
    let models = embedded::MODELS.iter().map(|model| Ok(Summary::new(model.name, &model.verify()?)));
    models.collect::<Result<_>>().map(Summaries)
}

#[derive(Serialize)]
struct Info {
    #[serde(flatten)]
    summary: Summary,
    manifest: Manifest,
    card: String,
}

impl fmt::Display for Info {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.summary.row().join("  "))?;
        for (name, file) in &self.manifest.files {
            writeln!(f, "  {}  {name}", file.sha256)?;
        }
        if self.card.is_empty() { Ok(()) } else { write!(f, "\n{}", self.card) }
    }
}
