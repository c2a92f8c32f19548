//! Proposers: what to measure next.
//!
//! The floors here are the simple methods that a generator has to beat; a user can run any of them.

mod adalead;
mod cma_es;
mod config;
mod exhaustive;
mod genetic;
mod gp_ucb;
mod guided;
#[cfg(test)]
mod guided_tests;
mod kept;
mod novel;
mod random;
mod strategy;
#[cfg(test)]
mod tests;
mod variation;

pub use adalead::{AdaLead, AdaLeadConfig};
pub use cma_es::{CmaEs, CmaEsConfig};
pub use config::{PROPOSERS, ProposerConfig};
pub use exhaustive::Exhaustive;
pub use genetic::{Genetic, GeneticConfig};
pub use gp_ucb::{GpUcb, GpUcbConfig};
pub use guided::{Fit, Guided, Search, Start, View};
pub use kept::Kept;
pub use random::RandomSearch;
pub use strategy::{EvolutionStrategy, Shape};

use crate::error::Result;
use crate::nn::Pool;
use crate::random::Seed;
use crate::reward::{Measured, Prediction};
use crate::sequence::Sequence;

/// What a round asks for.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// All that is known.
    pub measured: &'a Measured,
    /// How many sequences are wanted.
    pub count: usize,
    /// Number of the round, from 1.
    pub round: usize,
    /// Where the round's randomness comes from.
    pub seed: Seed,
    /// Threads.
    pub pool: &'a Pool,
}

/// A sequence to measure, and why.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// The sequence.
    pub sequence: Sequence,
    /// What the proposer expects of it, where it has an expectation.
    pub expected: Option<Prediction>,
    /// Why it was chosen, in a few words for people, such as `upper confidence bound`.
    pub reason: &'static str,
}

/// A method of black-box search: what was measured in, what to measure next out.
///
/// All it knows of earlier rounds is what was measured, so that a search that was interrupted goes on with the same bytes.
pub trait Proposer: Send {
    /// Distinct sequences that were not measured before: `count` of them, or as many as there are.
    ///
    /// # Errors
    /// When too little is known for the method, or a computation fails.
    fn propose(&mut self, request: &Request<'_>) -> Result<Vec<Proposal>>;

    /// How many sequences a surrogate of its own scored so far, relaxed ones on the way not counted; none where it has none.
    fn surrogate_calls(&self) -> Option<u64> {
        None
    }
}
