//! What steering costs.

use serde::{Deserialize, Serialize};
use std::ops::AddAssign;

/// Calls so far, counted per sequence or state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// Sequences sent to the score.
    pub scores: u64,
    /// Beliefs valued by the differentiable reward.
    pub values: u64,
    /// Slopes of the differentiable reward.
    pub slopes: u64,
    /// States sent through the prior's denoiser.
    pub denoised: u64,
}

impl AddAssign for Calls {
    fn add_assign(&mut self, more: Self) {
        self.scores += more.scores;
        self.values += more.values;
        self.slopes += more.slopes;
        self.denoised += more.denoised;
    }
}
