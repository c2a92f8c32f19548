//! The parts of a design job: prior, reward, judge, known sequences.

use super::goal::{Goal, Requirement};
use super::model::{self, Choice, Scorer};
use super::settings::Plan;
use crate::cli::constraining::open_constrained;
use crate::cli::context::Context;
use crate::cli::finetune::{Job, Outcome, fits, relaxed};
use crate::cli::pretrain;
use crate::diffusion::{Prior, PriorConfig};
use crate::error::{Error, Result};
use crate::eval::Metric;
use crate::nn::Pool;
use crate::oracle::{Oracle, OracleName, OracleOptions, Trial};
use crate::random::Seed;
use crate::reward::{
    Architecture, Ensemble, EnsembleConfig, HeldOut, Reward, TrainConfig, Trainer, TrainingSet, held_out,
};
use crate::sequence::{Imposed, Mutation, Numbering, Records, Sequence, mutations_between};
use crate::store::{ModelFolder, RunFolder, RunInfo, Sha256};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Sequences of the table held out to report on the reward.
const HELD_OUT: f64 = 0.1;

/// Measured sequences that a reward is trained and checked on, at least.
const LEAST: usize = 20;

/// Everything that designs are made from.
pub(super) struct Parts {
    pub(super) prior: Arc<Prior>,
    pub(super) prior_name: String,
    prior_folder: ModelFolder,
    pub(super) reward: Box<dyn Reward>,
    pub(super) reward_name: String,
    pub(super) scorer: Box<dyn Oracle>,
    /// Standard deviations that the reward takes off the scorer's mean.
    pub(super) caution: f64,
    pub(super) judge: Box<dyn Oracle>,
    pub(super) judge_name: String,
    pub(super) truth: Option<Box<dyn Oracle>>,
    /// Further values that are to be high.
    pub(super) goals: Vec<Goal>,
    pub(super) known: BTreeMap<Sequence, (String, Option<f64>)>,
    /// The reward's figures on rows of the table that it did not see.
    pub(super) held_out: Option<HeldOut>,
    /// Predicted and measured values of those rows.
    pub(super) held_points: Vec<(f64, f64)>,
    /// The families of models that were tried on the table.
    pub(super) trials: Vec<Trial>,
    /// What mutations are counted from.
    pub(super) origin: Option<(String, Numbering)>,
    seed: u64,
}

impl Parts {
    /// Opens what was named, and trains the rest on the table.
    ///
    /// # Errors
    /// When a part cannot be opened or trained, or they do not fit together.
    pub(super) fn gather(
        plan: &Plan,
        records: Option<&Records>,
        choice: Option<&Choice>,
        out: &Path,
        options: &OracleOptions,
        context: &Context,
    ) -> Result<Self> {
        let device = context.device()?;
        let rules = plan.rules(records)?;
        let (prior_name, (prior, prior_folder)) = match (&plan.prior, records) {
            (Some(name), _) => (name.clone(), open_constrained(name, &rules, &device)?),
            (None, Some(records)) => {
                let folder = out.join("prior");
                pretrain::train(records, &folder, plan.prior_steps, context)?;
                let opened = open_constrained(&folder.display().to_string(), &rules, &device)?;
                let counted = opened.0.config().denoiser.layers == 0;
                let name = if counted { "letters of the table at their sites" } else { "prior trained on the table" };
                (name.to_owned(), opened)
            }
            (None, None) => return Err(Error::usage("`design` needs a table or `--prior`")),
        };
        let mut taught = match (records, choice) {
            (Some(records), Some(choice)) => Some(model::teach(choice, plan, records, out, context)?),
            _ => None,
        };
        let held = match &mut taught {
            Some(taught) if plan.reward.is_none() => {
                (taught.held_out.clone(), std::mem::take(&mut taught.points), std::mem::take(&mut taught.trials))
            }
            _ => (None, Vec::new(), Vec::new()),
        };
        let (learned_reward, learned_judge) = taught.map_or((None, None), |taught| (taught.reward, taught.judge));
        let Scorer { name: reward_name, reward, oracle: scorer, caution } = match &plan.reward {
            Some(name) => {
                let parsed: OracleName = name.parse()?;
                Scorer {
                    name: name.clone(),
                    reward: relaxed(parsed.reward(options)?, &prior)?,
                    oracle: parsed.open(options)?,
                    caution: 0.0,
                }
            }
            None => learned_reward.ok_or_else(|| Error::usage("`design` needs a table or `--reward`"))?,
        };
        let (judge_name, judge) = match &plan.judge {
            Some(name) => (name.clone(), name.parse::<OracleName>()?.open(options)?),
            None => learned_judge
                .map(|judge| (judge.name, judge.oracle))
                .ok_or_else(|| Error::usage("`design` needs a table or `--judge`"))?,
        };
        let truth = plan.truth.as_ref().map(|name| name.parse::<OracleName>()?.open(options)).transpose()?;
        let known = records.map_or_else(BTreeMap::new, |records| {
            records.rows.iter().map(|row| (row.sequence.clone(), (row.id.clone(), row.value))).collect()
        });
        Ok(Self {
            prior: Arc::new(prior),
            prior_name,
            prior_folder,
            reward,
            reward_name,
            scorer,
            caution,
            judge,
            judge_name,
            truth,
            goals: goals(plan, options)?,
            known,
            held_out: held.0,
            held_points: held.1,
            trials: held.2,
            origin: plan.origin(records)?,
            seed: context.seed_number,
        })
    }

    /// What distances are counted in: letters that differ, or edits where sequences differ in length.
    pub(super) fn metric(&self) -> Metric {
        if self.prior.config().is_padded() { Metric::Edit } else { Metric::Hamming }
    }

    /// What differs from the wild type; nothing without one, and for sequences of another length.
    pub(super) fn mutations(&self, sequence: &Sequence) -> Option<Vec<Mutation>> {
        let (from, first) = self.origin.as_ref()?;
        mutations_between(from, &sequence.text(self.prior.alphabet()), *first).ok()
    }

    /// Tilts the prior in `out`.
    ///
    /// # Errors
    /// When a step fails or Ctrl-C was pressed.
    pub(super) fn finetune(&self, plan: &Plan, out: &Path, context: &Context) -> Result<Outcome> {
        let job = Job {
            out,
            prior: self.prior.clone(),
            prior_name: &self.prior_name,
            prior_folder: &self.prior_folder,
            reward: self.reward.as_ref(),
            reward_name: self.reward_name.clone(),
            reward_fingerprint: self.scorer.info().fingerprint.clone(),
            plan: plan.tuning.plan(self.prior.config())?,
            seed: self.seed,
            base: None,
            from: None,
            weighs_base: true,
        };
        job.run(context)
    }
}

/// Refuses what cannot work before anything is written or trained; what identifies the oracles that were named.
///
/// # Errors
/// When a setting is out of range, a named part cannot be opened, the parts do not fit together, or the table is too
/// small or has no values.
pub(super) fn check(
    plan: &Plan,
    records: Option<&Records>,
    options: &OracleOptions,
    context: &Context,
) -> Result<Vec<(String, String)>> {
    let table = match records {
        Some(records) => Some(PriorConfig::of_sequences(&records.alphabet, &records.sequences(), None)?),
        None => None,
    };
    let rules = plan.rules(records)?;
    let prior = match (&plan.prior, &table) {
        (Some(name), _) => open_constrained(name, &rules, &context.device()?)?.0.config().clone(),
        (None, Some(shape)) => {
            let shape = PriorConfig { constraint: rules.clone(), ..shape.clone() };
            shape.check()?;
            Imposed::new(&shape.rules(), &shape.alphabet()?, shape.length)?;
            shape
        }
        (None, None) => return Err(Error::usage("`design` needs a table or `--prior`")),
    };
    plan.tuning.plan(&prior)?;
    let letters = prior.alphabet()?;
    let mut named = Vec::new();
    for (what, name) in [("reward", &plan.reward), ("judge", &plan.judge), ("truth", &plan.truth)] {
        if let Some(name) = name {
            let opened = name.parse::<OracleName>()?.open(options)?;
            fits(what, opened.info(), &prior, &letters)?;
            named.push((what.to_owned(), opened.info().fingerprint.clone()));
        }
    }
    if let (Some(name), true) = (&plan.reward, prior.is_padded()) {
        let reads =
            name.parse::<OracleName>()?.reward(options)?.reads().map(|reads| (reads.alphabet.clone(), reads.length));
        if reads != Some((letters.clone(), prior.length)) {
            return Err(Error::usage(format!(
                "reward `{name}` has no gradient at the padding of sequences of several lengths"
            ))
            .hint("train one on the table: leave out --reward, or `seqtilt oracle train`"));
        }
    }
    let goals = goals(plan, options)?;
    for goal in &goals {
        fits(&goal.name, goal.info(), &prior, &letters)?;
        named.push((format!("goal {}", goal.name), goal.info().fingerprint.clone()));
    }
    for text in &plan.require {
        Requirement::parse(text)?.of(&goals)?;
    }
    let (Some(records), Some(table)) = (records, table) else {
        if plan.trust.is_some() {
            return Err(Error::usage("`--trust` counts letters from measured sequences, and there is no table")
                .hint("leave it out"));
        }
        return Ok(named);
    };
    if table.alphabet()? != letters || table.length != prior.length {
        return Err(Error::usage(format!(
            "the table has {} letters of {}, the prior writes {} of {}",
            table.length,
            records.alphabet.name(),
            prior.length,
            letters.name()
        ))
        .hint("leave out --prior to train one on the table"));
    }
    if plan.reward.is_none() || plan.judge.is_none() {
        let usable = model::measured(records)?.len();
        if usable < LEAST {
            return Err(Error::data(format!(
                "the table has {usable} measured sequences; at least {LEAST} are needed to train and check a reward"
            ))
            .hint("add measurements, or pass --reward and --judge"));
        }
    }
    Ok(named)
}

/// The further goals, opened.
fn goals(plan: &Plan, options: &OracleOptions) -> Result<Vec<Goal>> {
    let names: Vec<&str> = plan.goal.iter().filter_map(|text| Some(text.split_once('=')?.0)).collect();
    if let Some(twice) = (0..names.len()).find(|place| names[..*place].contains(&names[*place])) {
        return Err(
            Error::usage(format!("goal `{}` is named twice", names[twice])).hint("give every goal a name of its own")
        );
    }
    plan.goal.iter().map(|text| Goal::open(text, options)).collect()
}

/// A hash of the sequences and values of a table.
pub(super) fn digest(records: &Records) -> String {
    let mut hash = Sha256::default();
    for row in &records.rows {
        hash.update(&(row.sequence.len() as u64).to_le_bytes());
        hash.update(row.sequence.ids());
        hash.update(&row.value.unwrap_or(f64::NAN).to_bits().to_le_bytes());
    }
    format!("sha256:{}", hash.hex())
}

/// An ensemble, its figures on held-out rows, and their predicted and measured values.
pub(in crate::cli) type Learnt = (Ensemble, HeldOut, Vec<(f64, f64)>);

/// What an ensemble is to learn.
pub(in crate::cli) struct Lesson<'a> {
    /// All that may be seen.
    pub(in crate::cli) set: &'a TrainingSet,
    /// What the run records of where it came from.
    pub(in crate::cli) origin: serde_json::Value,
    pub(in crate::cli) architecture: Architecture,
    pub(in crate::cli) epochs: u64,
    /// The number of the run's seed, and the node that everything is drawn from.
    pub(in crate::cli) seed: (u64, Seed),
    /// The verb on the card.
    pub(in crate::cli) verb: &'a str,
}

/// Trains an ensemble in `out`, with figures on held-out rows; or opens it where it is complete.
///
/// # Errors
/// When there is too little data, a step fails, or Ctrl-C was pressed.
pub(in crate::cli) fn learn(lesson: Lesson<'_>, out: &Path, context: &Context) -> Result<Learnt> {
    let (number, seed) = lesson.seed;
    let (held, rest) = lesson.set.hold_out(HELD_OUT, seed.child("hold-out"))?;
    let ensemble = EnsembleConfig { architecture: lesson.architecture, ..EnsembleConfig::default() };
    let training = TrainConfig { epochs: lesson.epochs, ..TrainConfig::default() };
    let info = RunInfo::new("oracle train", number, &serde_json::json!([&ensemble, &training, &lesson.origin]))?;
    let mut run = RunFolder::open(out, &info)?;
    let trained = if run.is_finished() {
        Ensemble::from_folder("reward", &ModelFolder::load(out, crate::reward::KIND)?)?
    } else {
        let pool = Pool::new(context.threads.min(ensemble.members))?;
        let trainer = Trainer { seed, pool: &pool, run: Some(&mut run), observer: &mut context.observer() };
        let trained = trainer.train("reward", &rest, &ensemble, &training)?;
        let card = format!("# An ensemble trained by `seqtilt {}`\n", lesson.verb);
        let manifest = trained.to_folder()?.with_card(card).save(out)?;
        let files: Vec<&str> = manifest.files.keys().map(String::as_str).chain(["manifest.json"]).collect();
        run.finish(&files)?;
        trained
    };
    let predictions = trained.predict(held.sequences())?;
    let points = predictions.iter().map(|p| p.mean).zip(held.values().iter().copied()).collect();
    let figures = held_out(&predictions, held.values())?;
    Ok((trained, figures, points))
}
