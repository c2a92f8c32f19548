//! Evaluations already made.

use super::Outcome;
use crate::sequence::Sequence;
use std::collections::HashMap;

/// Outcomes by the oracle's fingerprint and the sequence; several oracles can share one.
#[derive(Clone, Debug, Default)]
pub struct Cache {
    oracles: HashMap<String, HashMap<Sequence, Outcome>>,
}

impl Cache {
    /// The outcome of an earlier evaluation.
    #[must_use]
    pub fn get(&self, fingerprint: &str, sequence: &Sequence) -> Option<&Outcome> {
        self.oracles.get(fingerprint)?.get(sequence)
    }

    /// Remembers an outcome, unless another evaluation could say more.
    pub fn insert(&mut self, fingerprint: &str, sequence: &Sequence, outcome: &Outcome) {
        if outcome.is_settled() {
            self.oracles.entry(fingerprint.to_owned()).or_default().insert(sequence.clone(), outcome.clone());
        }
    }

    /// The number of outcomes remembered for an oracle.
    #[must_use]
    pub fn len(&self, fingerprint: &str) -> usize {
        self.oracles.get(fingerprint).map_or(0, HashMap::len)
    }

    /// Whether nothing is remembered at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.oracles.values().all(HashMap::is_empty)
    }
}
