//! Which method, where the user leaves it open: the rules of `src/doc/which-method.md`.

use crate::cli::finetune::Tuning;
use crate::diffusion::PriorConfig;
use crate::finetune::CONTROL;
use crate::reward::enumerable;

/// The name that leaves the choice open.
pub(super) const AUTO: &str = "auto";

/// What the choice depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Situation {
    /// Whether the reward reads relaxed sequences and has a gradient there.
    pub(super) has_gradient: bool,
    /// Whether all sequences can be enumerated and the prior's letters are independent: what a word table's start is exact for.
    pub(super) product: bool,
}

impl Situation {
    /// Of a prior, and a reward with or without a gradient.
    pub(super) fn new(prior: &PriorConfig, has_gradient: bool) -> Self {
        // a denoiser without a network answers nothing about other positions
        let product = prior.denoiser.layers == 0 && enumerable(prior.letters.len(), prior.length);
        Self { has_gradient, product }
    }
}

/// A method, a control for it where none was asked for, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Choice {
    pub(super) objective: &'static str,
    pub(super) control: Option<&'static str>,
    pub(super) why: &'static str,
}

impl Choice {
    /// By what was measured on TFBind8.
    pub(super) fn of(situation: Situation) -> Self {
        match situation {
            Situation { has_gradient: true, product: true } => Self {
                objective: CONTROL,
                control: Some("word-table"),
                why: "letters are independent and every word can be enumerated: a weight a word starts at the tilt",
            },
            Situation { has_gradient: true, product: false } => Self {
                objective: CONTROL,
                control: None,
                why: "the reward has a gradient: back-propagation through the sampler came nearest from a control that starts at zero",
            },
            Situation { has_gradient: false, .. } => Self {
                objective: "log-variance",
                control: None,
                why: "the oracle answers values alone: the log-variance came as near as any for the fewest calls",
            },
        }
    }

    /// The settings with the choice made; what the user asked for stays.
    pub(super) fn apply(self, tuning: &Tuning) -> Tuning {
        Tuning {
            objective: Some(self.objective.to_owned()),
            control: tuning.control.clone().or(self.control.map(str::to_owned)),
            ..tuning.clone()
        }
    }
}
