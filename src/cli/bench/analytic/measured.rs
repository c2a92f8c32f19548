//! What sampled paths say, and the loop that trains what they are drawn from.

use crate::cli::context::Context;
use crate::diffusion::Chain;
use crate::error::{Error, Result};
use crate::eval::Estimate;
use crate::eval::certificate::{Certificate, PathSample};
use crate::finetune::analytic::Outcome;
use crate::finetune::{Control, roll_out};
use crate::nn::{Pool, Training};
use crate::observe::{Event, Observer as _};
use crate::random::Seed;
use candle_core::Tensor;
use std::collections::BTreeMap;

/// Metrics by their full names.
pub(super) type Metrics = BTreeMap<String, f64>;

/// Takes a training run to its end.
pub(super) fn train(training: &mut dyn Training, stage: &'static str, context: &Context) -> Result<()> {
    let mut observer = context.observer();
    let mut go_on = observer.on_event(&Event::Start { stage, total: training.total(), done: 0 });
    while training.done() < training.total() {
        if go_on.is_break() {
            return Err(Error::interrupted(format!("stopped after {} updates", training.done()))
                .hint("with --out, the same command goes on with the next row"));
        }
        let figures = training.step()?;
        go_on = observer.on_event(&Event::Step { stage, done: training.done(), figures: &figures });
    }
    let _ = observer.on_event(&Event::Finish { stage });
    Ok(())
}

/// A control, what it is of, and how its ends are rewarded.
pub(super) struct Subject<'a> {
    pub(super) chain: &'a dyn Chain,
    pub(super) control: &'a dyn Control,
    pub(super) reward: &'a dyn Fn(f64) -> f64,
    pub(super) alpha: f64,
}

/// The certificate of sampled paths, with law and objective of their ends.
pub(super) fn measured(subject: &Subject<'_>, samples: usize, seed: Seed, pool: &Pool) -> Result<Metrics> {
    let Subject { chain, control, reward, alpha } = *subject;
    let read = |x: &Tensor| Ok(x.flatten_all()?.to_vec1::<f64>()?);
    let walk = |control: Option<&dyn Control>, seed: Seed| roll_out(chain, control, samples, seed, pool, read);
    let tuned = walk(Some(control), seed.child("tuned"))?;
    let base = walk(None, seed.child("base"))?;
    let paths: Vec<PathSample> = (0..samples)
        .map(|i| PathSample { reward: reward(tuned.ends[i]), log_ratio: tuned.log_ratio[i], cost: tuned.cost[i] })
        .collect();
    let base: Vec<f64> = base.ends.iter().map(|x| reward(*x)).collect();
    let certificate = Certificate::new(alpha, &paths, &base)?;
    let mean = Estimate::mean(&tuned.ends);
    let spread = Estimate::of(tuned.ends.iter().map(|x| (x - mean.value).powi(2)));
    let objective = Estimate::of(paths.iter().map(|path| path.reward - alpha * path.log_ratio));
    let mut metrics = Metrics::new();
    for (name, estimate) in [
        ("terminal_mean", mean),
        ("terminal_variance", spread),
        ("reward_mean", certificate.mean_reward),
        ("path_kl", certificate.path_kl),
        ("path_cost", certificate.path_cost),
        ("objective", objective),
        ("log_z", certificate.log_z),
        ("log_z_tuned", certificate.log_z_tuned),
        ("certificate_gap", certificate.gap),
    ] {
        metrics.insert(format!("measured_{name}"), estimate.value);
        metrics.insert(format!("measured_{name}_se"), estimate.se);
    }
    Ok(metrics)
}

/// Adds an exact outcome under its owner's name.
pub(super) fn insert(metrics: &mut Metrics, whose: &str, of: Outcome) {
    for (name, value) in [
        ("terminal_mean", of.law.mean),
        ("terminal_variance", of.law.variance),
        ("reward_mean", of.reward),
        ("path_kl", of.path_kl),
        ("objective", of.value),
        ("certificate_gap", of.gap),
    ] {
        metrics.insert(format!("{whose}_{name}"), value);
    }
}

/// Adds what is reached as the steps go to zero.
pub(super) fn insert_continuous(metrics: &mut Metrics, mean: f64, variance: f64, objective: f64, gap: f64) {
    for (name, value) in
        [("terminal_mean", mean), ("terminal_variance", variance), ("objective", objective), ("certificate_gap", gap)]
    {
        metrics.insert(format!("continuous_optimum_{name}"), value);
    }
}
