//! Arguments of soft-Q fine-tuning and of the replay buffer, and what they amount to.

use crate::cli::check::within;
use crate::error::{Error, Result};
use crate::finetune::{FinetuneConfig, GlimpseKind, objectives_that};
use serde::{Deserialize, Serialize};

/// The method that guesses.
const SQDF: &str = "sqdf";

/// How values on the way are guessed, and paths kept.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct SoftQArgs {
    /// Discount of the reward per step of a chain of 50, above 0 to 1: how much less `sqdf` trusts a guess the more steps are
    /// left; rescaled to the chain's steps [default: 1]
    #[arg(long, value_name = "GAMMA")]
    pub(in crate::cli) discount: Option<f64>,
    /// How `sqdf` guesses the end of a path from a state on its way: one of `seqtilt list glimpses` [default: tweedie]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) glimpse: Option<String>,
    /// Consistency model of the prior that `sqdf` guesses with: a folder of `seqtilt distil`, or a built-in one by name; means
    /// --glimpse consistency
    #[arg(long, value_name = "NAME|FOLDER")]
    pub(in crate::cli) consistency: Option<String>,
    /// Pairs of path and step that an optimiser step of `sqdf` learns from [default: as many as --paths]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) pairs: Option<usize>,
    /// Paths that are kept to be learned from again, 0 for none: for `sqdf` and methods of values that hold for paths of any earlier
    /// control, which others say [default: 1024 for sqdf, else 0]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) replay: Option<usize>,
    /// MiB that kept paths may take: fewer are kept where they would take more [default: 256]
    #[arg(long, value_name = "MIB")]
    pub(in crate::cli) replay_mib: Option<u64>,
    /// Share of --paths that is walked anew for every draw from the buffer [default: 0.5]
    #[arg(long, value_name = "SHARE")]
    pub(in crate::cli) replay_fresh: Option<f64>,
    /// How kept paths are drawn: one of `seqtilt list replay-rules` [default: random]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) replay_rule: Option<String>,
    /// Weigh draws so that their expectation is that of uniform ones
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::cli) replay_corrected: bool,
}

impl SoftQArgs {
    /// Whether something was given that only guesses are made with.
    fn guesses(&self) -> bool {
        self.discount.is_some() || self.glimpse.is_some() || self.pairs.is_some() || self.consistency.is_some()
    }

    /// Whether nothing was given.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Writes what was given into a configuration.
    ///
    /// # Errors
    /// When a value is out of range, or no command line can give what it asks for.
    pub(super) fn apply(&self, config: &mut FinetuneConfig) -> Result<()> {
        let replaying = objectives_that(|objective| objective.replays());
        if !replaying.contains(&config.objective.as_str()) && !self.is_empty() {
            let message = format!("objective `{}` reads no setting of guesses or kept paths", config.objective);
            let others: Vec<_> = replaying.into_iter().filter(|name| *name != SQDF).collect();
            return Err(Error::usage(message)
                .hint(format!("`--objective {SQDF}` does; these keep paths: `{}`", others.join("`, `"))));
        }
        if config.objective != SQDF && self.guesses() {
            let message = format!("objective `{}` guesses no ends of paths", config.objective);
            return Err(
                Error::usage(message).hint("`--objective sqdf` reads `discount`, `glimpse`, `consistency` and `pairs`")
            );
        }
        config.soft_q.discount = self.discount.unwrap_or(config.soft_q.discount);
        if let Some(name) = &self.glimpse {
            config.soft_q.glimpse = name.parse()?;
        }
        match (&self.consistency, &self.glimpse) {
            (Some(_), None) => config.soft_q.glimpse = GlimpseKind::Consistency,
            (Some(_), Some(_)) if config.soft_q.glimpse != GlimpseKind::Consistency => {
                let message = format!("`consistency` names a model, and `glimpse` {} asks none", config.soft_q.glimpse);
                return Err(Error::usage(message).hint("leave out --glimpse"));
            }
            (None, _) if config.soft_q.glimpse == GlimpseKind::Consistency => {
                return Err(Error::usage("`glimpse` consistency needs a model")
                    .hint("name one with --consistency, or make one: `seqtilt distil PRIOR --out consistency`"));
            }
            _ => {}
        }
        config.soft_q.pairs = self.pairs.map(|pairs| within("pairs", pairs, 1..=1 << 20)).transpose()?;
        config.replay.capacity = self.replay.map(|paths| within("replay", paths, 0..=1 << 24)).transpose()?;
        config.replay.mib = within("replay-mib", self.replay_mib.unwrap_or(config.replay.mib), 1..=1 << 20)?;
        config.replay.fresh = self.replay_fresh.unwrap_or(config.replay.fresh);
        if let Some(name) = &self.replay_rule {
            config.replay.rule.clone_from(name);
        }
        config.replay.corrected = self.replay_corrected;
        Ok(())
    }
}
