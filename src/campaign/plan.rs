//! How many labels are spent, and when.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Rounds, their batches, and what ends a campaign early.
///
/// ```
/// use seqtilt::campaign::Plan;
/// let plan = Plan { budget: Some(300), ..Plan::even(4, 128) };
/// plan.check()?;
/// assert_eq!((plan.total(), plan.count(3, 256), plan.count(4, 300), plan.count(5, 0)), (300, 44, 0, 0));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Plan {
    /// Sequences of every round, first round first.
    pub batches: Vec<usize>,
    /// Labels to spend at most; without one, all batches.
    pub budget: Option<usize>,
    /// Stop after the round that measures a value of at least this.
    pub target: Option<f64>,
    /// Ask once more, in a later round, for what failed; what is infeasible is never asked for again.
    pub retry: bool,
    /// Labels that are asked for, and kept, at a time.
    pub chunk: usize,
}

/// Rounds of a plan, at most.
const ROUNDS: usize = 10_000;
/// Sequences of a round, at most.
const BATCH: usize = 10_000_000;

impl Plan {
    /// Rounds of one size.
    #[must_use]
    pub fn even(rounds: usize, batch: usize) -> Self {
        Self { batches: vec![batch; rounds], budget: None, target: None, retry: false, chunk: 64 }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// When there is no round, a batch, the budget or the chunk is 0, or the target is not a number.
    pub fn check(&self) -> Result<()> {
        if self.batches.is_empty() || self.batches.len() > ROUNDS {
            let rounds = self.batches.len();
            return Err(Error::usage(format!("the plan has {rounds} rounds; 1 to {ROUNDS} are accepted")));
        }
        if let Some(batch) = self.batches.iter().find(|batch| !(1..=BATCH).contains(*batch)) {
            return Err(Error::usage(format!("a batch of {batch} sequences; 1 to {BATCH} is accepted")));
        }
        if self.budget == Some(0) {
            return Err(Error::usage("a budget of 0 labels; at least 1 is needed"));
        }
        if self.chunk == 0 {
            return Err(Error::usage("labels are asked for 0 at a time; at least 1 is needed"));
        }
        if let Some(target) = self.target.filter(|target| !target.is_finite()) {
            return Err(Error::usage(format!("the target is {target}; a finite number is accepted")));
        }
        Ok(())
    }

    /// Rounds.
    #[must_use]
    pub fn rounds(&self) -> usize {
        self.batches.len()
    }

    /// Labels that are spent when nothing ends the campaign early.
    #[must_use]
    pub fn total(&self) -> usize {
        let all = self.batches.iter().sum();
        self.budget.map_or(all, |budget| budget.min(all))
    }

    /// Sequences that round `round`, counted from 1, may ask for when `spent` labels are gone.
    #[must_use]
    pub fn count(&self, round: usize, spent: usize) -> usize {
        let batch = round.checked_sub(1).and_then(|index| self.batches.get(index)).copied().unwrap_or(0);
        self.budget.map_or(batch, |budget| batch.min(budget.saturating_sub(spent)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_spent_is_refused() {
        let even = || Plan::even(2, 3);
        let bad = [
            Plan { batches: Vec::new(), ..even() },
            Plan { batches: vec![3, 0], ..even() },
            Plan { budget: Some(0), ..even() },
            Plan { chunk: 0, ..even() },
            Plan { target: Some(f64::NAN), ..even() },
        ];
        for plan in bad {
            assert_eq!(plan.check().unwrap_err().kind(), crate::Kind::Usage, "{plan:?}");
        }
        assert!(even().check().is_ok());
    }
}
