//! `seqtilt finetune`

mod job;
mod page;
mod settings;

pub(super) use job::{Job, Outcome};
pub(super) use page::{frontier_plot, progress_plot, provenance};
pub(super) use settings::{Args, Plan, Tuning};

use super::check::required;
use super::context::Context;
use crate::error::Result;
use crate::oracle::{OracleName, OracleOptions};
use crate::store::open_prior;
use std::sync::Arc;

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["finetune"], args)?;
    let out = required("finetune", "out", args.out.clone())?;
    let prior_name = required("finetune", "prior", args.prior.clone())?;
    let reward_name: OracleName = required("finetune", "reward", args.reward.clone())?.parse()?;
    let (prior, folder) = open_prior(&prior_name, &context.device()?)?;
    let plan = args.tuning.plan(prior.config())?;
    let options = OracleOptions { data_dir: context.data_dir().ok().map(Into::into), ..OracleOptions::default() };
    let reward = reward_name.reward(&options)?;
    let job = Job {
        out: &out,
        prior: Arc::new(prior),
        prior_name: &prior_name,
        prior_folder: &folder,
        reward: reward.as_ref(),
        reward_name: reward_name.to_string(),
        plan,
        seed: context.seed_number,
        base: None,
    };
    let outcome = job.run(context)?;
    context.emit(&outcome)
}
