//! Settings of the buffer.

use super::REPLAY_RULES;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How paths are kept and drawn again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ReplayConfig {
    /// Paths that are kept, the oldest leaving first; 0 keeps none. `None` is what the method asks for: 1024 for `sqdf`, 0 for the others.
    pub capacity: Option<usize>,
    /// Fewer paths are kept where they would take more than this many MiB.
    pub mib: u64,
    /// Share of a batch that is walked anew for every draw; the rest of what is learned from are kept paths. The first batch is new as a
    /// whole.
    pub fresh: f64,
    /// How pairs of path and step are drawn, by its name in [`REPLAY_RULES`].
    pub rule: String,
    /// Whether draws are weighted so that their expectation is that of uniform ones. A tenth of uniform draws is mixed in then, so that
    /// every pair can be drawn.
    pub corrected: bool,
}

impl Default for ReplayConfig {
    fn default() -> Self {
        Self { capacity: None, mib: 256, fresh: 0.5, rule: "random".to_owned(), corrected: false }
    }
}

impl ReplayConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        if let Some(capacity) = self.capacity.filter(|capacity| *capacity > 1 << 24) {
            return Err(Error::usage(format!("`replay.capacity` is {capacity}; 0 to {} is accepted", 1 << 24)));
        }
        if self.mib == 0 || self.mib > 1 << 20 {
            return Err(Error::usage(format!("`replay.mib` is {}; 1 to {} is accepted", self.mib, 1 << 20)));
        }
        if !(self.fresh > 0.0 && self.fresh <= 1.0) {
            return Err(Error::usage(format!("`replay.fresh` is {}; above 0 to 1 is accepted", self.fresh)));
        }
        REPLAY_RULES.get(&self.rule).map(|_| ())
    }

    /// Paths that a batch of `batch` is drawn anew, of a ring that is `empty` or not.
    pub(in crate::finetune) fn fresh_of(&self, batch: usize, empty: bool) -> usize {
        if empty { batch } else { ((batch as f64 * self.fresh).ceil() as usize).clamp(1, batch) }
    }

    /// Bytes that the ring may take.
    pub(in crate::finetune) fn bytes(&self) -> u64 {
        self.mib << 20
    }
}
