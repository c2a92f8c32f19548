//! The linear-quadratic problem under affine controls.

use super::measured::{Metrics, Subject, insert, insert_continuous, measured, train};
use crate::cli::context::Context;
use crate::error::Result;
use crate::finetune::analytic::{AnalyticConfig, AnalyticTraining, LinearQuadratic, Start, best, outcome};
use crate::nn::Pool;
use crate::random::Seed;

/// Trains one control and measures it.
pub(super) fn measure(
    problem: LinearQuadratic,
    config: AnalyticConfig,
    samples: usize,
    seed: Seed,
    pool: &Pool,
    context: &Context,
) -> Result<Metrics> {
    let mut training = AnalyticTraining::new(problem, config, seed.child("train"), pool)?;
    train(&mut training, if config.start == Start::Joint { "joint" } else { "frozen" }, context)?;
    let (chain, control, alpha) = (training.chain(), training.control()?, problem.alpha);
    let subject = Subject { chain, control: &control, reward: &|x| problem.reward(x), alpha };
    let mut metrics = measured(&subject, samples, seed, pool)?;
    insert(&mut metrics, "control", outcome(&problem, chain, &control.gains()?));
    insert(&mut metrics, "chain_optimum", outcome(&problem, chain, &best(&problem, chain)));
    let exact = problem.optimum(config.start);
    let short = (problem.optimum(Start::Joint).value - exact.value) / problem.alpha;
    insert_continuous(&mut metrics, exact.law.mean, exact.law.variance, exact.value, short);
    Ok(metrics)
}
