//! Which method, where the user leaves it open: the rules of `src/doc/which-method.md`.

use crate::cli::context::Context;
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
    /// Whether constraints tie letters together, which only the decode keeps.
    pub(super) joint: bool,
}

impl Situation {
    /// Of a prior, and a reward with or without a gradient.
    pub(super) fn new(prior: &PriorConfig, has_gradient: bool) -> Self {
        let product = prior.is_uniform() && enumerable(prior.letters.len(), prior.length);
        Self { has_gradient, product, joint: prior.constraint.is_joint() }
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
            Situation { joint: true, .. } => Self {
                objective: "log-variance",
                control: None,
                why: "constraints tie letters together in the decode, which methods of decoded letters alone can see",
            },
            Situation { has_gradient: true, product: true, .. } => Self {
                objective: CONTROL,
                control: Some("word-table"),
                why: "letters are independent and every word can be enumerated: a weight a word starts at the tilt",
            },
            Situation { has_gradient: true, product: false, .. } => Self {
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

/// The settings with the method chosen, where it was left open; what was chosen, and why, is said.
pub(in crate::cli) fn decided(tuning: &Tuning, prior: &PriorConfig, has_gradient: bool, context: &Context) -> Tuning {
    if tuning.objective.as_deref() != Some(AUTO) {
        return tuning.clone();
    }
    let choice = Choice::of(Situation::new(prior, has_gradient));
    context.note(format!("objective `{}`: {}", choice.objective, choice.why));
    choice.apply(tuning)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::Alphabet;

    #[test]
    fn the_choice_depends_on_the_gradient_and_on_the_prior() {
        let dna = Alphabet::dna();
        let chosen = |prior: &PriorConfig, has_gradient| {
            let tuning = Choice::of(Situation::new(prior, has_gradient)).apply(&Tuning::default());
            (tuning.objective.unwrap(), tuning.control)
        };
        let (trained, short, long) =
            (PriorConfig::new(&dna, 8), PriorConfig::uniform(&dna, 8), PriorConfig::uniform(&dna, 30));
        assert_eq!(chosen(&trained, true), ("control".to_owned(), None));
        assert_eq!(chosen(&short, true), ("control".to_owned(), Some("word-table".to_owned())));
        assert_eq!(chosen(&long, true), ("control".to_owned(), None));
        assert_eq!(chosen(&short, false), ("log-variance".to_owned(), None));
        let asked = Tuning { control: Some("transformer".to_owned()), ..Tuning::default() };
        assert_eq!(Choice::of(Situation::new(&short, true)).apply(&asked).control.as_deref(), Some("transformer"));
    }
}
