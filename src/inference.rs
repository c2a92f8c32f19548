//! Steering a prior while it samples: the tilt `p(x) exp(r(x)/α)/Z` without training.
//!
//! A [`Steering`] draws sequences of a [`Target`] in independent units ([`steer`]); what it drew carries log-weights whose mean
//! exponential is an unbiased estimate of Z wherever the method has one. One file per method; [`STEERINGS`] lists them.

mod best_of_n;
mod calls;
mod cloud;
mod guidance;
mod kind;
mod outlook;
mod resample;
mod smc;
mod steering;
mod svdd;
mod target;

pub use best_of_n::BestOfN;
pub use calls::Calls;
pub use guidance::{GUIDES, Guidance, Guide, Guided};
pub use kind::{STEERINGS, SteeringKind};
pub use outlook::{OUTLOOKS, Outlook};
pub use resample::{effective, systematic};
pub use smc::Smc;
pub use steering::{Steered, Steering, steer, units};
pub use svdd::Svdd;
pub use target::Target;

#[cfg(test)]
mod tests;
