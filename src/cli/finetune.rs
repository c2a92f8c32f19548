//! `seqtilt finetune`

mod adjoint;
mod auto;
mod balance;
mod escort;
mod initial;
mod job;
mod page;
mod settings;
mod soft_q;
mod start;
mod training;

pub(super) use auto::decided;
pub(super) use job::{Job, Outcome, Point};
pub(super) use page::{frontier_plot, progress_plots, provenance};
pub(super) use settings::{Args, Plan, Tuning};

use super::check::required;
use super::constraining::open_constrained;
use super::context::Context;
use super::oracle_score::OracleScore;
use crate::diffusion::PriorConfig;
use crate::error::{Error, Result};
use crate::finetune::OBJECTIVES;
use crate::oracle::{OracleInfo, OracleName, OracleOptions};
use crate::reward::{Needs, Whole};
use crate::sequence::Alphabet;
use std::sync::Arc;

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["finetune"], args)?;
    let out = required("finetune", "out", args.out.clone())?;
    let prior_name = required("finetune", "prior", args.prior.clone())?;
    let reward_name: OracleName = required("finetune", "reward", args.reward.clone())?.parse()?;
    let rules = args.origin.rules(&args.constraining)?;
    let (prior, folder) = open_constrained(&prior_name, &rules, &context.device()?)?;
    let options = OracleOptions { data_dir: context.data_dir().ok().map(Into::into), ..OracleOptions::default() };
    let oracle = reward_name.open(&options)?;
    let info = oracle.info().clone();
    let opened = reward_name.reward(&options);
    let tuning = decided(&args.tuning, prior.config(), args.missing.is_none() && opened.is_ok(), context);
    let plan = tuning.plan_for(prior.config(), opened.as_ref().is_ok_and(|reward| reward.has_soft_value()))?;
    fits("reward", &info, prior.config(), prior.alphabet())?;
    let missing = args.missing;
    if let Some(value) = missing.filter(|value| !value.is_finite()) {
        return Err(Error::usage(format!("`missing` is {value}; a finite number is accepted")));
    }
    // what has no gradient is a reward of whole letters; methods that need more say so
    let score = OracleScore::new(oracle, missing);
    let whole = Whole::new(&score, &info.alphabet);
    let needs = (OBJECTIVES.get(&plan.finetune.objective)?.make)(&plan.finetune).needs();
    let relaxed = match opened {
        Ok(reward) => Some(reward),
        Err(error) if needs == Needs::Gradient && missing.is_none() => return Err(error),
        Err(_) => None,
    };
    let reward = relaxed.as_deref().unwrap_or(&whole);
    let job = Job {
        out: &out,
        prior: Arc::new(prior),
        prior_name: &prior_name,
        prior_folder: &folder,
        reward,
        reward_name: missing.map_or_else(|| reward_name.to_string(), |value| format!("{reward_name}, missing {value}")),
        reward_fingerprint: info.fingerprint.clone(),
        plan,
        seed: context.seed_number,
        base: None,
        from: None,
        weighs_base: true,
    };
    let outcome = job.run(context)?;
    context.emit(&outcome)
}

/// Refuses an oracle that cannot read what a prior writes.
///
/// # Errors
/// A usage error with both alphabets or both lengths.
pub(super) fn fits(what: &str, oracle: &OracleInfo, prior: &PriorConfig, letters: &Alphabet) -> Result<()> {
    const HINT: &str = "train both on the same table, or name another";
    if oracle.alphabet != *letters {
        let (reads, writes) = (oracle.alphabet.name(), letters.name());
        return Err(
            Error::usage(format!("{what} `{}` reads {reads}, the prior writes {writes}", oracle.name)).hint(HINT)
        );
    }
    let (least, most) = oracle.length;
    if !(least..=most).contains(&prior.length) {
        let message = format!(
            "{what} `{}` takes sequences of {} letters, the prior writes {}",
            oracle.name,
            oracle.lengths(),
            prior.length
        );
        return Err(Error::usage(message).hint(HINT));
    }
    Ok(())
}
