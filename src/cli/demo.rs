//! `seqtilt demo`

use super::context::Context;
use super::design::{self, Plan};
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  seqtilt demo                      the first minute: designs for a real transcription factor, into ./seqtilt-demo
  seqtilt demo --out first --seed 7";

const NEXT: &str = "\
Next, on your own data (a CSV with a sequence and a value column):
  seqtilt data describe variants.csv
  seqtilt design variants.csv --out designs
  seqtilt score designs/designs.csv --oracle model:designs/judge";

/// Design DNA for the transcription factor SIX6 from the models inside this program
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// Folder of the results [default: seqtilt-demo]
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["demo"], args)?;
    let out = args.out.unwrap_or_else(|| PathBuf::from("seqtilt-demo"));
    context.note(
        "TFBind8: 8-mers bound by human SIX6. The prior and the reward have only seen the lower half of the measurements;\n\
         the judge is a network fitted to all of them.",
    );
    let measured = context.data_dir().is_ok_and(|dir| crate::data::locate("tfbind8", dir).is_ok());
    let truth = if measured { Some("table:tfbind8") } else { None };
    if !measured {
        context
            .note("the measured table is not in the data folder: `seqtilt data fetch tfbind8` would add true values");
    }
    design::execute(Plan::demo(truth), &out, context)?;
    context.note(NEXT);
    Ok(())
}
