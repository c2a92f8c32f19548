//! Adjoint Matching on chains of one number: a regression of the control on the lean adjoint.
//!
//! Walk the chain under the present control, carry the reward's gradient back along the path by the Jacobians of the *base*, and
//! pull the control towards what arrives (Domingo-Enrich et al. 2024, arXiv 2409.08861). No gradient goes through the path.

mod config;
mod energy;
mod lean;
mod matching;
mod reference;
mod sampling;
mod subset;
mod training;

pub use config::MatchingConfig;
pub use energy::EnergyReward;
pub use lean::{additive, lean_adjoints, lean_multiplier};
pub use matching::{Matched, Matching};
pub use reference::Reference;
pub use sampling::{SamplingConfig, SamplingTraining};
pub use subset::Subset;
pub use training::MatchingTraining;

#[cfg(test)]
mod tests;
