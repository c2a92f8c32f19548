//! Which method, where the user leaves it open: the rules of `src/doc/which-method.md`.

use crate::cli::finetune::Tuning;
use crate::finetune::CONTROL;

/// The name that leaves the choice open.
pub(super) const AUTO: &str = "auto";

/// What the choice depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Situation {
    /// Whether the reward reads relaxed sequences and has a gradient there.
    pub(super) has_gradient: bool,
    /// Whether all sequences can be enumerated.
    pub(super) enumerable: bool,
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
            Situation { has_gradient: true, enumerable: true } => Self {
                objective: CONTROL,
                control: Some("word-table"),
                why: "the reward can be read of every sequence: a weight a word that starts at the tilt is nearest to the optimum",
            },
            Situation { has_gradient: true, enumerable: false } => Self {
                objective: CONTROL,
                control: None,
                why: "the reward has a gradient: back-propagation through the sampler came nearest from a control that starts at zero",
            },
            Situation { has_gradient: false, .. } => Self {
                objective: "implicit-tilt-matching",
                control: None,
                why: "the oracle answers values alone: tilt matching came nearest for a given number of calls",
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
