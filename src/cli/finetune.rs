//! `seqtilt finetune`

mod adjoint;
mod auto;
mod balance;
mod escort;
mod initial;
mod job;
mod labelling;
mod learned;
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
use crate::oracle::{Oracle, OracleInfo, OracleName, Recorded};
use crate::reward::{Needs, Reward, Whole, enumerable};
use crate::sequence::Alphabet;
use job::Sources;
use learned::Class;
use std::sync::Arc;

/// Every answer of an oracle that is asked, one a line.
const EVALUATIONS: &str = "evaluations.jsonl";

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["finetune"], args)?;
    let out = required("finetune", "out", args.out.clone())?;
    let prior_name = required("finetune", "prior", args.prior.clone())?;
    let reward_name: OracleName = required("finetune", "reward", args.reward.clone())?.parse()?;
    let rules = args.origin.rules(&args.constraining)?;
    let (prior, folder) = open_constrained(&prior_name, &rules, &context.device()?)?;
    let options = args.asking.options(context)?;
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
    // what has no gradient is a reward of whole letters; methods that need more climb what was learned of it
    let needs = (OBJECTIVES.get(&plan.finetune.objective)?.make)(&plan.finetune).needs();
    let enumerated = missing.is_some() && enumerable(prior.alphabet().len(), prior.config().length);
    let learns = opened.is_err() && needs == Needs::Gradient && !enumerated;
    let relaxed = match opened {
        Ok(reward) => Some(reward),
        // a table knows what it holds, and no surrogate's draws
        Err(error) if learns && missing.is_none() && reward_name.kind == "table" => return Err(error),
        Err(_) => None,
    };
    let limited = relaxed.is_none().then_some(args.max_evals).flatten();
    if args.max_evals.is_some() && limited.is_none() {
        let message =
            format!("`--max-evals` counts what an oracle is asked; `{reward_name}` is read with its gradient");
        return Err(Error::usage(message).hint("leave it out"));
    }
    let lessons = if learns {
        Some(args.labelling.lessons(plan.finetune.steps, limited)?)
    } else {
        let why = if relaxed.is_some() { "the reward has a gradient" } else { "the method reads values" };
        args.labelling.refuse(why)?;
        None
    };
    let plan = match &lessons {
        Some(lessons) => plan.affording(limited, lessons.labels(), &tuning)?,
        None => plan,
    };
    // the order in which a noisy oracle is asked decides its answers
    let alone = (!info.deterministic && relaxed.is_none()).then(|| context.alone());
    let context = alone.as_ref().unwrap_or(context);
    let score = match &relaxed {
        Some(_) => OracleScore::new(oracle, missing),
        None => OracleScore::recorded(oracle, missing, &out.join(EVALUATIONS), limited)?,
    };
    let written = prior.alphabet().clone();
    let whole = Whole::new(&score, &written);
    let job = Job {
        out: &out,
        prior: Arc::new(prior),
        prior_name: &prior_name,
        prior_folder: &folder,
        reward: relaxed.as_deref().unwrap_or(&whole),
        reward_name: missing.map_or_else(|| reward_name.to_string(), |value| format!("{reward_name}, missing {value}")),
        reward_fingerprint: info.fingerprint.clone(),
        plan,
        seed: context.seed_number,
        base: None,
        from: None,
        weighs_base: limited.is_none(),
    };
    let run = job.info()?;
    // what is counted is certified by samples of the base chain, however few words there are
    let run = if limited.is_some() { run.with_version("evaluations", "counted") } else { run };
    let run = match &lessons {
        Some(lessons) => run.with_version("labelling", lessons.text()?),
        None => run,
    };
    let Some(begun) = job.begin(&run, context)? else {
        return context.emit(&Outcome::read(&out)?);
    };
    let asked = relaxed.is_none().then_some(&score);
    let outcome = match &lessons {
        Some(lessons) => {
            let class = Class { job: &job, name: reward_name.to_string(), tuning: &tuning, lessons, missing };
            class.climb(begun, &run, &score, !rules.is_empty(), context)?
        }
        None => job.proceed(begun, &run, Sources { asked, ..Sources::default() }, context)?,
    };
    if asked.is_some() {
        Recorded::<Box<dyn Oracle>>::sort(&out.join(EVALUATIONS))?;
    }
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
