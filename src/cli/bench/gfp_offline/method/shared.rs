//! A surrogate that was fitted before.

use crate::error::Result;
use crate::random::Seed;
use crate::reward::{Acquisition, Domain, Prediction, Surrogate};
use crate::sequence::Sequence;
use candle_core::Tensor;
use std::sync::Arc;

/// One surrogate for everyone who asks for one.
pub(super) struct Shared(pub(super) Arc<dyn Surrogate>);

impl Surrogate for Shared {
    fn domain(&self) -> &Domain {
        self.0.domain()
    }

    fn predict(&self, sequences: &[Sequence]) -> Result<Vec<Prediction>> {
        self.0.predict(sequences)
    }

    fn acquire(&self, probs: &Tensor, acquisition: Acquisition, draw: Seed) -> Result<Tensor> {
        self.0.acquire(probs, acquisition, draw)
    }

    fn score(&self, sequences: &[Sequence], acquisition: Acquisition, draw: Seed) -> Result<Vec<f64>> {
        self.0.score(sequences, acquisition, draw)
    }
}
