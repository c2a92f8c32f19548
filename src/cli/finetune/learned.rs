//! A reward learned from an oracle's values, for methods that need a gradient.

use super::job::{Job, Outcome as Tuned, Sources};
use super::labelling::Lessons;
use super::settings::Tuning;
use crate::campaign::{Campaign, Evaluation, Foresight, Journal, Pick, Round};
use crate::cli::certify::Scored;
use crate::cli::context::Context;
use crate::cli::optimize::{self, Anchored, Fit, Known, RoundReward};
use crate::cli::oracle_score::OracleScore;
use crate::cli::printer::columns;
use crate::cli::tilted::CONTROL;
use crate::error::{Error, Result};
use crate::finetune::ControlStart;
use crate::oracle::{Oracle, OracleInfo, Outcome};
use crate::reward::{Acquisition, Domain};
use crate::sequence::Sequence;
use crate::store::{ModelFolder, RunFolder, RunInfo};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Folder of the rounds inside that of a run.
const FOLDER: &str = "labels";
/// Tuned and base paths of a round's own certificate, which is about what was learned.
const ROUND_PATHS: (usize, usize) = (500, 5_000);
/// Certificate paths that what was learned is compared on.
const COMPARED: usize = 2_000;

/// An oracle without a gradient that is asked in rounds, and what it is asked by.
pub(super) struct Class<'a> {
    pub(super) job: &'a Job<'a>,
    pub(super) name: String,
    pub(super) tuning: &'a Tuning,
    pub(super) lessons: &'a Lessons,
    /// What a sequence counts as that the oracle has no value for.
    pub(super) missing: Option<f64>,
}

/// What was learned in all rounds.
pub(super) struct Learned {
    fit: Fit,
    anchored: Anchored,
    /// The last round's sampler, where the run goes on from it.
    pub(super) from: Option<ModelFolder>,
    rounds: Vec<Round>,
}

/// How a reward without a gradient was climbed, and how far off what was learned of it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct LearnedReport {
    /// Which way was taken, and why.
    pub(in crate::cli) route: String,
    /// Sequences that were asked for.
    pub(in crate::cli) labels: usize,
    /// Of them with a value.
    pub(in crate::cli) valued: usize,
    /// The last round's batch, which was predicted before it was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) last_batch: Option<Foresight>,
    /// Draws of the tuned sampler, predicted by what had learned from all labels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) tuned: Option<Foresight>,
}

/// Which way is taken, and why.
fn route(objective: &str, oracle: &str, lessons: &Lessons) -> String {
    format!(
        "objective `{objective}` needs a gradient and `{oracle}` has values alone: it climbs surrogate `{}`, learned from {} labels in {} \
         rounds; `--objective log-variance` asks the oracle at every step instead",
        lessons.surrogate.kind,
        lessons.labels(),
        lessons.batches.len()
    )
}

/// An oracle whose missing values count as one that was given.
struct Filled<'a> {
    inner: &'a mut dyn Oracle,
    value: f64,
}

impl Oracle for Filled<'_> {
    fn info(&self) -> &OracleInfo {
        self.inner.info()
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        let fill = |outcome: Outcome| match outcome {
            Outcome::Infeasible { .. } | Outcome::Failed { .. } | Outcome::Censored { .. } => {
                Outcome::exact(self.value)
            }
            Outcome::Value { .. } | Outcome::Skipped => outcome,
        };
        Ok(self.inner.evaluate(batch)?.into_iter().map(fill).collect())
    }

    fn recall(&mut self, evaluated: &[Sequence]) {
        self.inner.recall(evaluated);
    }
}

impl Class<'_> {
    /// Learns a reward in the folder of a run, and runs it by that; `ruled` says that the prior keeps rules which its name does not know.
    ///
    /// # Errors
    /// When a round or the run fails, too few sequences have a value, or Ctrl-C was pressed; the same call then goes on.
    pub(super) fn climb(
        &self,
        begun: RunFolder,
        info: &RunInfo,
        score: &OracleScore,
        ruled: bool,
        context: &Context,
    ) -> Result<Tuned> {
        let route = route(&self.job.plan.finetune.objective, &self.name, self.lessons);
        context.note(&route);
        let mut prior = self.job.prior_name.to_owned();
        if ruled {
            let folder = self.job.out.join(FOLDER).join("prior");
            self.job.prior_folder.save(&folder)?;
            prior = folder.display().to_string();
        }
        let learned = self.teach(&mut *score.lend(), prior, context)?;
        let climbed = learned.reward()?;
        let learned = Some((&learned, route.as_str()));
        let sources = Sources { climbed: Some(climbed.reward()), learned, asked: Some(score) };
        self.job.proceed(begun, info, sources, context)
    }

    /// The plan of the rounds: the run's own method, in shorter stretches.
    fn rounds(&self, prior: String) -> Result<optimize::Plan> {
        let control = self.tuning.control.clone().unwrap_or_else(|| "product-mixture".to_owned());
        let (paths, base) =
            (self.job.plan.certificate_paths.min(ROUND_PATHS.0), self.job.plan.base_paths.min(ROUND_PATHS.1));
        let tuning = Tuning {
            alpha: Some(self.tuning.alpha.unwrap_or(self.job.plan.finetune.alpha)),
            control: Some(control),
            tuning_steps: Some(self.lessons.steps),
            tuning_checkpoint: Some(self.job.plan.checkpoint),
            certificate_paths: Some(paths),
            base_paths: Some(base),
            paths: Some(self.job.plan.finetune.batch),
            ..self.tuning.clone()
        };
        let batches = self.lessons.batches.clone();
        let args = optimize::Args::labelling(self.name.clone(), prior, batches, tuning);
        Ok(args.plan()?.learning(self.lessons.surrogate.clone(), self.lessons.acquisition))
    }

    /// Asks in rounds, or goes on with it, and learns from all answers.
    fn teach(&self, oracle: &mut dyn Oracle, prior: String, context: &Context) -> Result<Learned> {
        let (folder, seed) = (self.job.out.join(FOLDER), context.seed().child("lessons"));
        let plan = self.rounds(prior)?;
        let domain = Domain { alphabet: self.job.prior.alphabet().clone(), length: self.job.prior.config().length };
        let known = Known::of(domain.clone(), Vec::new());
        let done = |_: &Round| Ok(());
        let campaign = match self.missing {
            Some(value) => {
                optimize::explore(&plan, &known, &mut Filled { inner: oracle, value }, &folder, context, done)?
            }
            None => optimize::explore(&plan, &known, oracle, &folder, context, done)?,
        };
        let set = campaign.measured();
        if set.ranked().len() < 2 {
            let (spent, valued) = (campaign.spent(), set.ranked().len());
            return Err(Error::oracle(format!(
                "{valued} of {spent} labels have a value; a reward is learned from 2 or more"
            ))
            .hint("count sequences without a value as what --missing REWARD says"));
        }
        let surrogate = self.lessons.surrogate.fit(&set.training_set()?, seed.child("learned"), &context.pool()?)?;
        let fit = Fit { surrogate, acquisition: Acquisition::Mean, draw: seed.child("thompson") };
        let anchored = Anchored::new(self.job.plan.finetune.alpha, 0.0, domain.alphabet.len(), domain.length)?;
        Ok(Learned { fit, anchored, from: self.last(&campaign, &folder)?, rounds: campaign.rounds().to_vec() })
    }

    /// The last round's sampler, where a control can go on from one.
    fn last(&self, campaign: &Campaign, folder: &Path) -> Result<Option<ModelFolder>> {
        if self.job.plan.finetune.control.start == ControlStart::Tilt || self.job.plan.initial.is_some() {
            return Ok(None);
        }
        let journal = Journal::in_folder(folder);
        let sampler = journal.round(campaign.rounds().len()).map(|round| round.join("finetune"));
        let sampler = sampler.filter(|sampler| sampler.join("done.json").exists());
        sampler.map(|sampler| ModelFolder::load(&sampler, CONTROL)).transpose()
    }
}

impl Learned {
    /// What is climbed: the mean of all that was learned.
    ///
    /// # Errors
    /// When the surrogate fails.
    pub(super) fn reward(&self) -> Result<RoundReward<'_>> {
        self.anchored.reward(&self.fit, None)
    }

    /// How far off it is, at the ends of certified paths too.
    ///
    /// # Errors
    /// When the surrogate fails.
    pub(super) fn report(&self, route: String, ends: &[Scored]) -> Result<LearnedReport> {
        let ends = &ends[..ends.len().min(COMPARED)];
        let sequences: Vec<Sequence> = ends.iter().map(|(sequence, _)| sequence.clone()).collect();
        let expected = self.fit.surrogate.predict(&sequences)?;
        let compared: Vec<Evaluation> = ends
            .iter()
            .zip(expected)
            .map(|((sequence, value), expected)| Evaluation {
                pick: Pick { sequence: sequence.clone(), expected: Some(expected), reason: String::new() },
                round: 0,
                outcome: Outcome::exact(*value),
            })
            .collect();
        Ok(LearnedReport {
            route,
            labels: self.rounds.iter().map(|round| round.asked).sum(),
            valued: self.rounds.iter().map(|round| round.valued).sum(),
            last_batch: self.rounds.iter().rev().find_map(|round| round.foresight.clone()),
            tuned: Foresight::of(&compared),
        })
    }
}

impl LearnedReport {
    /// Name and figures, line by line.
    pub(super) fn rows(&self) -> Vec<[String; 2]> {
        let figures = |f: &Foresight| {
            let rank = f.spearman.map_or_else(|| "none".to_owned(), |rank| format!("{rank:.3}"));
            format!("rank correlation {rank}, RMSE {:.4}, expected less true {:+.4}, of {}", f.rmse, f.optimism, f.n)
        };
        let mut rows =
            vec![["learned from".to_owned(), format!("{} labels, {} with a value", self.labels, self.valued)]];
        rows.extend(self.last_batch.as_ref().map(|f| ["last batch, before".to_owned(), figures(f)]));
        rows.extend(self.tuned.as_ref().map(|f| ["tuned sampler".to_owned(), figures(f)]));
        rows
    }
}

impl fmt::Display for LearnedReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}", self.route, columns(&self.rows(), "").trim_end())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Table;
    use crate::sequence::Alphabet;

    #[test]
    fn a_sequence_without_a_value_counts_as_the_one_that_was_given() {
        let dna = Alphabet::dna();
        let words = ["A", "C"].map(|text| Sequence::parse(text, &dna).unwrap());
        let mut table = Table::new("one", dna, [(words[0].clone(), 0.5)]).unwrap();
        let outcomes = Filled { inner: &mut table, value: -2.0 }.evaluate(&words).unwrap();
        assert_eq!(outcomes, [Outcome::exact(0.5), Outcome::exact(-2.0)]);
    }
}
