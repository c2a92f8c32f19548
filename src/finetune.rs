//! Tilting a prior towards a reward: entropy-regularised control of its sampling chain.
//!
//! Maximise `E_u[r(x_K)] − α KL(Pᵘ‖P)` over controls u ([`Problem`]); the optimum samples `p(x) exp(r(x)/α)/Z`
//! (Uehara et al. 2024, arXiv 2402.15194). One file per method; [`OBJECTIVES`] lists them.

pub mod analytic;
pub mod initial;

mod backprop;
mod control;
mod footprint;
mod problem;
mod product_mixture;
mod rollout;
mod terminal;
mod token_control;
mod training;
mod walk;

pub use backprop::{BackProp, Batch, Estimator, ShardGradient};
pub use control::Control;
pub use footprint::Walked;
pub use problem::Problem;
pub use rollout::{Paths, Rollout, roll_out};
pub use terminal::{SequenceTerminal, Terminal};
pub use token_control::{CONTROLS, ControlConfig, ControlKind, TokenControl};
pub use training::{FinetuneConfig, Finetuning, OBJECTIVES, ObjectiveKind};

#[cfg(test)]
mod tests;
