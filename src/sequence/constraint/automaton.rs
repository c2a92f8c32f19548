//! Forbidden motifs as a deterministic automaton.

use super::Pattern;
use crate::error::{Error, Result};
use std::collections::HashMap;

/// No next state: a motif would be complete.
pub(super) const DEAD: u32 = u32::MAX;

/// States at most: more come from long motifs of many sets.
const MOST: usize = 20_000;

/// Reads letters and knows how much of which motifs it has just seen.
///
/// A state is the set of motifs begun, each with the number of its letters seen (subset construction; Aho and Corasick 1975 where
/// motifs are plain words). A run longer than allowed is a motif like any other.
pub(super) struct Automaton {
    letters: usize,
    /// Next states, (states, V).
    next: Vec<u32>,
}

impl Automaton {
    pub(super) fn new(patterns: &[Pattern], letters: usize) -> Result<Self> {
        let mut known: HashMap<Vec<(usize, usize)>, u32> = HashMap::from([(Vec::new(), 0)]);
        let mut states = vec![Vec::new()];
        let mut next = Vec::new();
        let mut at = 0;
        while at < states.len() {
            for id in 0..letters {
                let begun = states[at].iter().copied().chain((0..patterns.len()).map(|motif| (motif, 0)));
                let mut state: Vec<(usize, usize)> = begun
                    .filter(|(motif, seen)| patterns[*motif].sets[*seen] >> id & 1 == 1)
                    .map(|(motif, seen)| (motif, seen + 1))
                    .collect();
                state.sort_unstable();
                state.dedup();
                if state.iter().any(|(motif, seen)| *seen == patterns[*motif].sets.len()) {
                    next.push(DEAD);
                    continue;
                }
                let new = known.len() as u32;
                next.push(*known.entry(state.clone()).or_insert_with(|| {
                    states.push(state);
                    new
                }));
            }
            at += 1;
            if states.len() > MOST {
                return Err(Error::usage(format!("the forbidden motifs need more than {MOST} states together"))
                    .hint("forbid fewer, or with fewer sets of letters"));
            }
        }
        Ok(Self { letters, next })
    }

    pub(super) fn states(&self) -> usize {
        self.next.len() / self.letters
    }

    /// The state after a letter, or [`DEAD`].
    pub(super) fn after(&self, state: usize, id: usize) -> u32 {
        self.next[state * self.letters + id]
    }
}
