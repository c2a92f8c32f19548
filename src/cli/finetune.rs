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
use crate::diffusion::{Prior, PriorConfig};
use crate::error::{Error, Result};
use crate::finetune::OBJECTIVES;
use crate::oracle::{OracleInfo, OracleName, OracleOptions};
use crate::reward::{Needs, Reward, Whole};
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
    let opened = reward_name.reward(&options).and_then(|reward| relaxed(reward, &prior));
    let tuning = decided(&args.tuning, prior.config(), args.missing.is_none() && opened.is_ok(), context);
    let plan = tuning.plan_for(prior.config(), opened.as_ref().is_ok_and(|reward| reward.has_soft_value()))?;
    fits("reward", &info, prior.config(), prior.alphabet())?;
    let missing = args.missing;
    if let Some(value) = missing.filter(|value| !value.is_finite()) {
        return Err(Error::usage(format!("`missing` is {value}; a finite number is accepted")));
    }
    // what has no gradient is a reward of whole letters; methods that need more say so
    let score = OracleScore::new(oracle, missing);
    let written = prior.alphabet().clone();
    let whole = Whole::new(&score, &written);
    let needs = (OBJECTIVES.get(&plan.finetune.objective)?.make)(&plan.finetune).needs();
    let gradient = match opened {
        Ok(reward) => Some(reward),
        Err(error) if needs == Needs::Gradient && missing.is_none() => return Err(error),
        Err(_) => None,
    };
    let reward = gradient.as_deref().unwrap_or(&whole);
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

/// The relaxed reward, where it is one of what the prior writes: with the same padding, if there is any.
///
/// # Errors
/// A usage error where one of the two has padding that the other has not.
pub(super) fn relaxed(reward: Box<dyn Reward>, prior: &Prior) -> Result<Box<dyn Reward>> {
    let (letters, length) = (prior.alphabet(), prior.config().length);
    let same = match reward.reads() {
        Some(reads) => (&reads.alphabet, reads.length) == (letters, length),
        None => letters.padding().is_none(),
    };
    if same || letters.padding().is_none() && reward.reads().is_none_or(|reads| reads.alphabet.padding().is_none()) {
        return Ok(reward);
    }
    let name = reward.name();
    Err(Error::usage(format!("reward `{name}` has values of sequences of several lengths, and no gradient at the prior's padding"))
        .hint("train a differentiable one on the prior's table: `seqtilt oracle train`, or use an objective that needs values only"))
}

/// Refuses an oracle that cannot read what a prior writes.
///
/// # Errors
/// A usage error with both alphabets or both lengths.
pub(super) fn fits(what: &str, oracle: &OracleInfo, prior: &PriorConfig, letters: &Alphabet) -> Result<()> {
    const HINT: &str = "train both on the same table, or name another";
    if oracle.alphabet != letters.plain() {
        let (reads, writes) = (oracle.alphabet.name(), letters.name());
        return Err(
            Error::usage(format!("{what} `{}` reads {reads}, the prior writes {writes}", oracle.name)).hint(HINT)
        );
    }
    let (least, most) = oracle.length;
    let (shortest, longest) = prior.lengths();
    if shortest < least || longest > most {
        let message = format!(
            "{what} `{}` takes sequences of {} letters, the prior writes {}",
            oracle.name,
            oracle.lengths(),
            if shortest < longest { format!("{shortest} to {longest}") } else { longest.to_string() }
        );
        return Err(Error::usage(message).hint(HINT));
    }
    Ok(())
}
