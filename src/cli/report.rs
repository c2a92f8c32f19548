//! `seqtilt report`

mod loss;
mod source;

pub(super) use loss::loss_plot;

use super::context::Context;
use crate::error::{Error, Result};
use crate::store::{FileHash, write_atomic};
use serde::{Deserialize, Serialize};
use source::Source;
use std::fmt;
use std::path::{Path, PathBuf};

const EXAMPLES: &str = "\
Examples:
  seqtilt report designs                    designs/report.html, from what the folder of a run holds
  seqtilt report designs/finetune           of a part of that run
  seqtilt report reward --out reward.html   another file
  seqtilt report exact                      of a benchmark

demo, design, finetune and bench write the page themselves; this makes it again, in the same bytes.
For pretrain, distil and oracle train it is made here.";

/// The page of a run's folder.
const PAGE: &str = "report.html";

/// Make the self-contained HTML report of a run's folder
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// Folder that demo, design, finetune, pretrain, distil, oracle train or bench wrote
    #[arg(value_name = "RUN_FOLDER")]
    #[serde(skip)]
    run: PathBuf,
    /// File to write [default: RUN_FOLDER/report.html]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What was written.
#[derive(Serialize)]
struct Written {
    run: String,
    title: String,
    file: String,
    #[serde(flatten)]
    hash: FileHash,
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}  {}  {:.1} kB", self.file, self.title, self.hash.bytes as f64 / 1e3)
    }
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let folder = args.run.clone();
    let args = context.settings(&["report"], args)?;
    let source = Source::open(&folder)?;
    let report = source.report()?;
    let page = report.html();
    let out = args.out.unwrap_or_else(|| folder.join(PAGE));
    let hash = FileHash::of(page.as_bytes());
    refuse_other_bytes(&source, &out, &hash)?;
    write_atomic(&out, page.as_bytes())?;
    let (run, file) = (folder.display().to_string(), out.display().to_string());
    context.emit(&Written { run, title: report.title, file, hash })?;
    context.note(format!("open {} in a browser", out.display()));
    Ok(())
}

/// A complete run vouches for its files: one of them is replaced by the same bytes or not at all.
fn refuse_other_bytes(source: &Source, out: &Path, hash: &FileHash) -> Result<()> {
    match source.recorded(out) {
        Some(recorded) if recorded != hash => Err(Error::usage(format!(
            "this seqtilt draws the page in other bytes (SHA-256 `{}`) than the complete run recorded (`{}`)",
            hash.sha256, recorded.sha256
        ))
        .at(out)
        .hint("pass --out FILE to write it elsewhere")),
        _ => Ok(()),
    }
}
