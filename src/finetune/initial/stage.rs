//! The stages of a route.

use super::{Regression, Route};
use crate::error::Result;
use crate::nn::{Learner, Tensors, Training as _};

/// What one stage trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The main chain's control from the frozen initial law.
    Frozen,
    /// The value of initial states.
    Value,
    /// The lead's control towards that value.
    Lead,
    /// The main chain's control behind the lead, which is held.
    Main,
    /// Both controls at once.
    Both,
}

impl Route {
    pub(super) fn stages(self) -> &'static [Stage] {
        match self {
            Self::StagedV1 => &[Stage::Value, Stage::Lead, Stage::Main],
            Self::StagedV2 => &[Stage::Frozen, Stage::Value, Stage::Lead, Stage::Main],
            Self::Joint => &[Stage::Both],
            Self::Frozen => &[Stage::Frozen],
        }
    }
}

impl Stage {
    /// What people call it.
    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Frozen => "control from the frozen start",
            Self::Value => "value function",
            Self::Lead => "initial law",
            Self::Main => "control",
            Self::Both => "initial law and control",
        }
    }

    /// Name of its draws.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Frozen => "frozen",
            Self::Value => "value",
            Self::Lead => "lead",
            Self::Main => "main",
            Self::Both => "joint",
        }
    }
}

/// A stage on its way.
pub(super) enum Work<'a> {
    Value(Box<Regression<'a>>),
    Control(Box<Learner>),
}

impl Work<'_> {
    pub(super) fn done(&self) -> u64 {
        match self {
            Self::Value(regression) => regression.done(),
            Self::Control(learner) => learner.done(),
        }
    }

    pub(super) fn total(&self) -> u64 {
        match self {
            Self::Value(regression) => regression.total(),
            Self::Control(learner) => learner.total(),
        }
    }

    pub(super) fn state(&self) -> Result<Tensors> {
        match self {
            Self::Value(regression) => regression.state(),
            Self::Control(learner) => learner.state(),
        }
    }

    pub(super) fn restore(&mut self, done: u64, state: &Tensors) -> Result<()> {
        match self {
            Self::Value(regression) => regression.restore(done, state),
            Self::Control(learner) => learner.restore(done, state),
        }
    }

    pub(super) fn weights(&self) -> Tensors {
        match self {
            Self::Value(regression) => regression.weights(),
            Self::Control(learner) => learner.weights().clone(),
        }
    }
}
