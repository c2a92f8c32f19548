//! `seqtilt steer`

#[cfg(test)]
mod floor;
mod outcome;
mod rows;
mod settings;

pub(super) use settings::Args;

use super::certify::Base;
use super::constraining::{open_constrained, verify};
use super::context::Context;
use super::finetune::{fits, relaxed};
use super::oracle_score::OracleScore;
use crate::diffusion::DiffusionChain;
use crate::error::{Error, Result};
use crate::finetune::Paths;
use crate::inference::{Steered, Steering, Target, steer, units};
use crate::nn::Pool;
use crate::observe::{Event, Observer as _};
use crate::random::Seed;
use crate::reward::{Domain, Multilinear, Needs, Reward, Score, Vertices, enumerable};
use outcome::Outcome;
use settings::Plan;
use std::sync::Arc;

const STAGE: &str = "steer";

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let args = context.settings(&["steer"], args)?;
    let device = context.device()?;
    let (prior, _) = open_constrained(args.prior()?, &args.rules()?, &device)?;
    let plan = args.plan(prior.config())?;
    let options = plan.asking.options(context)?;
    let oracle = plan.reward.open(&options)?;
    let info = oracle.info().clone();
    fits("reward", &info, prior.config(), prior.alphabet())?;
    let domain = Domain { alphabet: prior.alphabet().clone(), length: prior.config().length };
    let (letters, length, padded) = (domain.alphabet.len(), domain.length, domain.alphabet.padding().is_some());
    // the order in which a noisy oracle is asked decides its answers
    let pool = if info.deterministic { context.pool()? } else { Pool::new(1)? };
    let reward = match plan.reward.reward(&options).and_then(|reward| relaxed(reward, &prior)) {
        Ok(reward) => Some(reward),
        Err(error) if plan.wants_gradient() => return Err(error),
        Err(_) => None,
    };
    let table = match &reward {
        Some(reward) if plan.wants_soft() && !reward.has_soft_value() && enumerable(letters, length) && !padded => {
            context.note(format!("reading the reward of all {} sequences", letters.pow(length as u32)));
            Some(Multilinear::tabulate(reward.as_ref(), letters, length, &pool)?)
        }
        _ => None,
    };
    let reward = table.as_ref().map(|table| table as &dyn Reward).or(reward.as_deref());
    if reward.is_some() && plan.max_evals.is_some() {
        let message =
            format!("`--max-evals` counts what an oracle is asked; `{}` is read with its gradient", plan.reward);
        return Err(Error::usage(message).hint("leave it out"));
    }
    let asked = OracleScore::new(oracle, plan.missing).within(plan.max_evals);
    let vertices = reward.map(|reward| Vertices::within(reward, &domain, &device));
    let score = vertices.as_ref().map_or(&asked as &dyn Score, |vertices| vertices);
    let chain = plan.chain.chain(Arc::new(prior))?;
    let target = Target { chain: &chain, score, reward, alpha: plan.alpha, outlook: plan.outlook };
    let method = plan.method();
    let seed = context.seed().child("steer");
    let drawn = draw(method.as_ref(), &target, plan.count, seed.child("draw"), &pool, Some(&asked), context)?;
    verify(&chain.prior().config().constraint, &drawn.sequences, chain.prior().alphabet())?;
    let outcome = Outcome {
        verdict: certify(&plan, &chain, reward, &drawn, seed.child("base"), &pool, context)?,
        unique: (reward.is_none()).then(|| asked.unique()),
        tabulated: table.as_ref().map(|_| letters.pow(length as u32) as u64),
        ..Outcome::new(&plan, args.prior()?, &target, method.as_ref(), &drawn)
    };
    rows::write(args.out(), &drawn, &outcome, chain.prior().alphabet(), context)
}

/// Draws unit by unit, so that Ctrl-C is heard; a budget that is spent ends with the units before.
///
/// # Errors
/// When the method does not fit the target, a tensor operation or the reward fails, or Ctrl-C was pressed.
pub(super) fn draw(
    method: &dyn Steering,
    target: &Target<'_>,
    count: usize,
    seed: Seed,
    pool: &Pool,
    asked: Option<&OracleScore>,
    context: &Context,
) -> Result<Steered> {
    // what a budget pays for must not depend on threads
    let at_once = if asked.is_some_and(OracleScore::is_limited) { 1 } else { 4 * pool.threads() };
    let units = units(method, target.chain, count);
    let mut observer = context.observer();
    let mut flow = observer.on_event(&Event::Start { stage: STAGE, total: count as u64, done: 0 });
    let mut all = Steered::default();
    for first in (0..units).step_by(at_once) {
        if flow.is_break() {
            let message = format!("stopped after {} of {count} sequences", all.sequences.len());
            return Err(Error::interrupted(message).hint("the same command draws them from the start"));
        }
        match steer(method, target, first..(first + at_once).min(units), count, seed, pool) {
            Ok(drawn) => all.append(drawn),
            Err(error) => match asked.filter(|asked| asked.is_spent() && !all.sequences.is_empty()) {
                Some(asked) => {
                    let (drawn, spent) = (all.sequences.len(), asked.spent());
                    context
                        .note(format!("{drawn} of {count} sequences: {spent} evaluations, and --max-evals is spent"));
                    break;
                }
                None => return Err(error),
            },
        }
        flow = observer.on_event(&Event::Step { stage: STAGE, done: all.sequences.len() as u64, figures: &[] });
    }
    let _ = observer.on_event(&Event::Finish { stage: STAGE });
    Ok(all)
}

/// The certificate of a control, against samples of the base chain.
fn certify(
    plan: &Plan,
    chain: &DiffusionChain,
    reward: Option<&dyn Reward>,
    drawn: &Steered,
    seed: Seed,
    pool: &Pool,
    context: &Context,
) -> Result<Option<super::certify::Certified>> {
    let (Some(reward), Needs::Gradient) = (reward, plan.kind.needs()) else { return Ok(None) };
    if plan.base_paths == 0 || drawn.sequences.len() < 2 {
        return Ok(None);
    }
    let base = Base::draw(chain, reward, plan.base_paths, seed, pool, context)?;
    let paths = Paths {
        ends: drawn.sequences.iter().cloned().zip(drawn.rewards.iter().copied()).collect(),
        log_ratio: drawn.log_ratio.clone(),
        cost: drawn.cost.clone(),
    };
    base.certify(plan.alpha, &paths, None).map(Some)
}
