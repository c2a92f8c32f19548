//! What was chosen, and what came of it.

use crate::baseline::Proposal;
use crate::oracle::Outcome;
use crate::reward::{Label, Prediction};
use crate::sequence::Sequence;

/// A sequence of a batch, and why it is in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Pick {
    /// The sequence.
    pub sequence: Sequence,
    /// What the proposer expected of it, where it had an expectation.
    pub expected: Option<Prediction>,
    /// Why it was chosen, in a few words.
    pub reason: String,
}

impl From<Proposal> for Pick {
    fn from(proposal: Proposal) -> Self {
        Self { sequence: proposal.sequence, expected: proposal.expected, reason: proposal.reason.to_owned() }
    }
}

/// A pick that was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct Evaluation {
    /// What was chosen.
    pub pick: Pick,
    /// In which round; 0 is what was known before the first.
    pub round: usize,
    /// What came of it.
    pub outcome: Outcome,
}

impl Evaluation {
    /// Whether it counts against the budget.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.round > 0 && self.outcome != Outcome::Skipped
    }

    /// What a search learns from it: a value, or that there is none. A failure is not a low value, and neither is a bound.
    #[must_use]
    pub fn label(&self) -> Label {
        Label { sequence: self.pick.sequence.clone(), value: self.outcome.value(), round: self.round }
    }
}
