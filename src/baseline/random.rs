//! Uniform random search.

use super::novel::Novel;
use super::{Proposal, Proposer, ProposerConfig, Request};
use crate::error::Result;

/// Uniform random search: distinct sequences drawn uniformly among all that were not measured.
///
/// What a method does not gain over it, it does not know.
#[derive(Clone, Copy, Debug, Default)]
pub struct RandomSearch;

#[allow(clippy::unnecessary_wraps, reason = "the form of every constructor of the family")]
pub(super) fn make(_: &ProposerConfig) -> Result<Box<dyn Proposer>> {
    Ok(Box::new(RandomSearch))
}

impl Proposer for RandomSearch {
    fn propose(&mut self, request: &Request<'_>) -> Result<Vec<Proposal>> {
        let mut rng = request.seed.child("random").rng();
        let drawn = Novel::new(request.measured).uniform(request.count, &mut rng)?;
        Ok(drawn.into_iter().map(|sequence| Proposal { sequence, expected: None, reason: "uniform" }).collect())
    }
}
