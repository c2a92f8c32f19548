//! Black-box optimisation in rounds: propose, measure, record, again.
//!
//! A [`Campaign`] spends a [`Plan`] of labels on any [`Oracle`](crate::oracle::Oracle) with any
//! [`Proposer`](crate::baseline::Proposer). What every phase found is kept in a [`Journal`] before the next begins, and all else is
//! a function of the seed and of what was measured, so that a campaign that was stopped at any moment ends as if it had not been.

mod anchored;
mod evaluation;
mod foresight;
mod journal;
mod plan;
mod round;
mod search;
mod selection;

pub use anchored::Anchor;
pub use evaluation::{Evaluation, Pick};
pub use foresight::Foresight;
pub use journal::Journal;
pub use plan::Plan;
pub use round::{Round, Standing, TOP};
pub use search::{Campaign, Means};
pub use selection::{Candidate, SELECTIONS, Selection};

#[cfg(test)]
mod tests;
