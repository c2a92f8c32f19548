//! The methods by name: everything that proposes.

use crate::baseline::{PROPOSERS, Proposer, ProposerConfig};
use crate::error::Result;

/// The methods that are compared unless others are named.
pub(super) const METHODS: [&str; 3] = ["random", "genetic", "gp-ucb"];

/// The method of a name.
///
/// # Errors
/// When there is none, or its settings are out of range.
pub(super) fn proposer(name: &str, config: &ProposerConfig) -> Result<Box<dyn Proposer>> {
    (PROPOSERS.get(name)?.make)(config)
}

/// Whether there is a method of that name.
///
/// # Errors
/// When there is none; the message lists what is accepted.
pub(super) fn check(name: &str) -> Result<()> {
    PROPOSERS.get(name).map(drop)
}
