//! Arguments of a reward that is learned from an oracle's values, and what they amount to.

use crate::cli::check::within;
use crate::cli::optimize::Learner;
use crate::error::{Error, Result};
use crate::reward::{Acquisition, SurrogateConfig};
use serde::{Deserialize, Serialize};

/// How an oracle without a gradient is learned, for methods that need one.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Learned reward")]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Labelling {
    /// Sequences that an oracle without a gradient is asked for, to learn a reward with one from [default: 1280, or half of
    /// --max-evals]
    #[arg(long, value_name = "N")]
    labels: Option<usize>,
    /// Rounds of labels: draw, ask, learn, tune; the first draws from the prior [default: 10]
    #[arg(long, value_name = "N")]
    label_rounds: Option<usize>,
    /// Optimiser steps between two rounds [default: an eighth of --tuning-steps]
    #[arg(long, value_name = "N")]
    label_steps: Option<u64>,
    /// What the rounds tilt towards: mean, ucb:K, thompson or bootstrap-max; the tuned sampler tilts towards the mean [default: mean]
    #[arg(long, value_name = "NAME", allow_negative_numbers = true)]
    label_acquisition: Option<String>,
    /// What learns: one of `seqtilt list surrogates` [default: gp]
    #[arg(long, value_name = "NAME")]
    surrogate: Option<String>,
    #[command(flatten)]
    learner: Learner,
}

/// Labels unless told otherwise, and rounds.
const LABELS: usize = 1280;
const ROUNDS: usize = 10;
/// Share of the optimiser steps between two rounds.
const STRETCH: u64 = 8;

/// Labels in rounds, and what learns from them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Lessons {
    pub(super) batches: Vec<usize>,
    pub(super) steps: u64,
    pub(super) acquisition: Acquisition,
    pub(super) surrogate: SurrogateConfig,
}

impl Lessons {
    /// What decides them, as text.
    ///
    /// # Errors
    /// When a setting cannot be written.
    pub(super) fn text(&self) -> Result<String> {
        serde_json::to_string(self)
            .map_err(|error| Error::usage("the labelling's settings are not JSON").because(error))
    }

    /// Labels in all.
    pub(super) fn labels(&self) -> usize {
        self.batches.iter().sum()
    }
}

impl Labelling {
    /// Refuses settings where nothing is learned.
    ///
    /// # Errors
    /// When one was given.
    pub(super) fn refuse(&self, why: &str) -> Result<()> {
        if *self == Self::default() {
            return Ok(());
        }
        Err(Error::usage(format!("no reward is learned from labels: {why}"))
            .hint("leave out --labels, --surrogate and what belongs to them"))
    }

    /// Defaults filled in and checked, for a run of so many optimiser steps.
    ///
    /// # Errors
    /// When a value is out of range or a name unknown.
    pub(super) fn lessons(&self, steps: u64, max_evals: Option<u64>) -> Result<Lessons> {
        let most = max_evals.map_or(usize::MAX, |most| usize::try_from(most / 2).unwrap_or(usize::MAX));
        let labels = within("labels", self.labels.unwrap_or(LABELS.min(most)), 2..=1_000_000)?;
        let rounds = within("label-rounds", self.label_rounds.unwrap_or(ROUNDS.min(labels)), 1..=labels)?;
        Ok(Lessons {
            batches: (0..rounds).map(|round| labels / rounds + usize::from(round < labels % rounds)).collect(),
            steps: within("label-steps", self.label_steps.unwrap_or((steps / STRETCH).max(1)), 1..=10_000_000)?,
            acquisition: self.label_acquisition.as_deref().map_or(Ok(Acquisition::Mean), str::parse)?,
            surrogate: self.learner.config(self.surrogate.as_deref())?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_shared_among_rounds_and_a_budget_keeps_half_for_the_certificate() {
        let lessons = Labelling::default().lessons(260, None).unwrap();
        assert_eq!((lessons.labels(), lessons.batches[0], lessons.batches.len(), lessons.steps), (1280, 128, 10, 32));
        let lessons = Labelling::default().lessons(4, Some(101)).unwrap();
        assert_eq!((lessons.labels(), lessons.steps), (50, 1));
        let uneven = Labelling { labels: Some(7), label_rounds: Some(3), ..Labelling::default() };
        assert_eq!(uneven.lessons(8, Some(9)).unwrap().batches, [3, 2, 2]);
        let message = |labelling: Labelling| labelling.lessons(8, None).unwrap_err().message().to_owned();
        let of = Labelling::default;
        assert!(message(Labelling { labels: Some(1), ..of() }).contains("`labels` is 1"));
        assert!(message(Labelling { label_rounds: Some(0), ..of() }).contains("`label-rounds` is 0"));
        assert!(message(Labelling { surrogate: Some("pg".to_owned()), ..of() }).contains("unknown surrogate"));
        assert!(of().refuse("why").is_ok() && uneven.refuse("it has a gradient").is_err());
    }
}
