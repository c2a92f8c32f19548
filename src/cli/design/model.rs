//! Reward and judge of a table of measured sequences.

use super::prepare::{Lesson, digest, learn};
use super::settings::Plan;
use crate::cli::context::Context;
use crate::cli::data::advice::{model_line, tried as families_tried};
use crate::error::{Error, Result};
use crate::oracle::{FAMILIES, Fitted, Model, Oracle, Trial, best, is_significant, trials};
use crate::registry::unknown;
use crate::reward::{Architecture, Ensemble, HeldOut, ResidualConfig, Reward, TrainingSet};
use crate::sequence::Records;
use std::path::Path;

/// Measured sequences up to which families of models are cross-validated; more are left to networks.
const MANY: usize = 2000;

/// Parts that a table is cut into.
const FOLDS: usize = 5;

/// Multiply-adds that a fit may take: some seconds.
const BUDGET: f64 = 2e10;

/// The same for a judge that is fitted once, and not cross-validated: a minute or two.
const ONCE: f64 = 2e11;

/// The family that is trained with checkpoints, as `oracle train` does it.
const NETWORKS: &str = "networks";

/// The choice by cross-validation.
const AUTO: &str = "auto";

/// The name of a model.
///
/// # Errors
/// When there is no such family.
pub(super) fn check_name(model: &str, epochs: bool) -> Result<()> {
    if model != AUTO && FAMILIES.get(model).is_err() {
        return Err(unknown("model", model, FAMILIES.names().chain([AUTO])));
    }
    if epochs && ![AUTO, NETWORKS].contains(&model) {
        let message = format!("`--reward-epochs` is for `--model {NETWORKS}`, not for `{model}`");
        return Err(Error::usage(message));
    }
    Ok(())
}

/// Something that scores sequences, as a reward and as an oracle.
pub(super) struct Scorer {
    pub(super) name: String,
    pub(super) reward: Box<dyn Reward>,
    pub(super) oracle: Box<dyn Oracle>,
    /// Standard deviations that the reward takes off the oracle's mean.
    pub(super) caution: f64,
}

/// What a table has taught.
pub(super) struct Taught {
    pub(super) reward: Option<Scorer>,
    pub(super) judge: Option<Scorer>,
    /// Figures of the reward on sequences that it did not see, and their predicted and measured values.
    pub(super) held_out: Option<HeldOut>,
    pub(super) points: Vec<(f64, f64)>,
    /// Families that were tried.
    pub(super) trials: Vec<Trial>,
}

/// Which models a table gets.
pub(super) enum Choice {
    /// Convolutional networks, judged by perceptrons.
    Networks,
    /// Families that were cross-validated.
    Tried {
        /// All of them.
        trials: Vec<Trial>,
        /// The place of the reward's.
        reward: usize,
        /// That of the judge's: the best of the others.
        judge: usize,
    },
}

impl Choice {
    /// Chooses by cross-validation up to two thousand measured sequences: the family with the highest rank correlation is the reward,
    /// the best of the others the judge. Beyond, or where epochs are given, networks.
    ///
    /// # Errors
    /// A data error where nothing ranks held-out sequences better than chance, and when a fit fails.
    pub(super) fn of(plan: &Plan, records: &Records, context: &Context) -> Result<Self> {
        let set = measured(records)?;
        let model = plan.model.as_deref().unwrap_or(AUTO);
        if model == NETWORKS || (model == AUTO && (plan.reward_epochs.is_some() || set.len() > MANY)) {
            return Ok(Self::Networks);
        }
        if set.len() > MANY {
            let message =
                format!("`--model {model}` is for {MANY} measured sequences at most; there are {}", set.len());
            return Err(Error::usage(message).hint(format!("--model {NETWORKS} takes any number")));
        }
        if set.range().0 == set.range().1 {
            return Err(Error::data(format!("all {} measured sequences have the value {}", set.len(), set.range().0))
                .hint("name another column with --value-column"));
        }
        context.note(format!("cross-validating models on {} measured sequences", set.len()));
        let trials = trials(&set, FOLDS, BUDGET, context.seed().child("trials"), &context.pool()?)?;
        for [name, line] in trials.iter().map(model_line) {
            context.note(format!("{name}: {line}"));
        }
        let place = |family: &str| trials.iter().position(|trial| trial.family == family);
        let reward =
            place(if model == AUTO { best(&trials).map_or(AUTO, |trial| trial.family.as_str()) } else { model });
        let found = reward.and_then(|reward| Some((reward, trials[reward].support.as_ref()?)));
        let Some((reward, support)) = found else {
            return Err(Error::data(format!("`{model}` cannot be cross-validated on {} sequences", set.len()))
                .hint(format!("--model {NETWORKS} takes any number")));
        };
        let many = if model == AUTO { families_tried(&trials) } else { 1 };
        if plan.reward.is_some() {
            return Ok(Self::Tried { judge: reward, trials, reward });
        }
        if !is_significant(support.z, many) && !plan.unsupported {
            return Err(unsupported(&trials[reward], many, set.len()));
        }
        let others: Vec<Trial> = trials.iter().filter(|trial| trial.family != trials[reward].family).cloned().collect();
        let affordable = |trial: &&Trial| {
            let cost = FAMILIES.get(&trial.family).ok().and_then(|family| (family.make.cost)(&set));
            cost.is_some_and(|cost| cost <= ONCE)
        };
        let judge = best(&others).or_else(|| others.iter().find(affordable)).and_then(|judge| place(&judge.family));
        let Some(judge) = judge.or(plan.judge.as_ref().map(|_| reward)) else {
            return Err(Error::data(format!(
                "no model but `{}` can be fitted to judge its designs",
                trials[reward].family
            ))
            .hint("name a judge of your own: --judge KIND:ARGUMENT"));
        };
        Ok(Self::Tried { trials, reward, judge })
    }
}

/// Fits reward and judge to the measured sequences of a table.
///
/// The reward is climbed at mean − caution · sd, its deviations widened to hold what held-out values do.
///
/// # Errors
/// When a fit fails, networks rank held-out sequences no better than chance, or Ctrl-C was pressed.
pub(super) fn teach(choice: &Choice, plan: &Plan, records: &Records, out: &Path, context: &Context) -> Result<Taught> {
    let set = measured(records)?;
    let Choice::Tried { trials, reward, judge } = choice else { return networks(plan, &set, records, out, context) };
    let made = |trial: &Trial, caution: f64| -> Result<Scorer> {
        let inflation = trial.support.as_ref().map_or(1.0, |support| support.inflation);
        let fit = FAMILIES.get(&trial.family)?.make.fit;
        let fitted: Fitted = fit(&set, context.seed().child(&trial.family), &context.pool()?)?;
        let fitted = fitted.calibrated(inflation).cautious(caution);
        let name = match caution {
            0.0 => format!("{} fitted to the table{}", trial.family, standing(trial)),
            _ => format!("{} fitted to the table, mean - {caution} sd (sd x {inflation:.2})", trial.family),
        };
        Ok(Scorer { name, reward: Box::new(fitted.clone()), oracle: Box::new(fitted), caution })
    };
    let (held_out, points) =
        trials[*reward].support.as_ref().map(|found| (found.held_out.clone(), found.points.clone())).unzip();
    Ok(Taught {
        reward: plan.reward.is_none().then(|| made(&trials[*reward], plan.caution)).transpose()?,
        judge: plan.judge.is_none().then(|| made(&trials[*judge], 0.0)).transpose()?,
        held_out,
        points: points.unwrap_or_default(),
        trials: trials.clone(),
    })
}

/// The rows that have a value.
///
/// # Errors
/// When none has, and as [`TrainingSet::from_records`].
pub(super) fn measured(records: &Records) -> Result<TrainingSet> {
    TrainingSet::from_records(records.measured().as_ref().unwrap_or(records))
}

/// What is to be known of a judge.
fn standing(trial: &Trial) -> &'static str {
    match &trial.support {
        None => " (not cross-validated)",
        Some(found) if is_significant(found.z, 1) => "",
        Some(_) => " (no better than chance)",
    }
}

/// Why a table is refused.
fn unsupported(trial: &Trial, tried: usize, n: usize) -> Error {
    let found = trial.support.as_ref().map_or_else(String::new, |support| {
        let rho = support.held_out.spearman.unwrap_or(0.0);
        format!(
            ": the best of {tried} models, `{}`, has a cross-validated rank correlation of {rho:.2} (z {:.1}), which noise has too",
            trial.family, support.z
        )
    });
    Error::data(format!("{n} measured sequences support no prediction{found}"))
        .hint("measure more sequences, or the same ones again; --unsupported goes on all the same, with designs that are guesses")
}

fn networks(plan: &Plan, set: &TrainingSet, records: &Records, out: &Path, context: &Context) -> Result<Taught> {
    let lesson = |architecture, part: &str| Lesson {
        set,
        origin: serde_json::json!(digest(records)),
        architecture,
        epochs: plan.reward_epochs.unwrap_or(20),
        seed: (context.seed_number, context.seed().child(part)),
        verb: "design",
    };
    let scorer = |name: &str, ensemble: Ensemble| Scorer {
        name: name.to_owned(),
        reward: Box::new(ensemble.clone()),
        oracle: Box::new(Model::new(ensemble)),
        caution: 0.0,
    };
    let mut taught = Taught { reward: None, judge: None, held_out: None, points: Vec::new(), trials: Vec::new() };
    if plan.reward.is_none() {
        let (reward, held_out, points) =
            learn(lesson(Architecture::default(), "reward"), &out.join("reward"), context)?;
        let rho = held_out.spearman.unwrap_or(0.0);
        let z = rho * (held_out.n as f64 - 1.0).sqrt();
        if !is_significant(z, 1) && plan.reward_epochs.is_none() && !plan.unsupported {
            let message = format!(
                "{} measured sequences support no prediction: networks have a rank correlation of {rho:.2} on {} held-out ones",
                set.len(),
                held_out.n
            );
            return Err(Error::data(message).hint("--unsupported goes on all the same, with designs that are guesses"));
        }
        taught.reward = Some(scorer("ensemble trained on the table", reward));
        (taught.held_out, taught.points) = (Some(held_out), points);
    }
    if plan.judge.is_none() {
        let other = Architecture::Mlp(ResidualConfig::default());
        let (judge, ..) = learn(lesson(other, "judge"), &out.join("judge"), context)?;
        taught.judge = Some(scorer("ensemble of another architecture on the same table", judge));
    }
    Ok(taught)
}
