//! Tilting a prior towards a reward: entropy-regularised control of its sampling chain.
//!
//! Maximise `E_u[r(x_K)] − α KL(Pᵘ‖P)` over controls u ([`Problem`]); the optimum samples `p(x) exp(r(x)/α)/Z`
//! (Uehara et al. 2024, arXiv 2402.15194). One file per method; [`OBJECTIVES`] lists them. Prices other than KL are in
//! [`divergence`]; a [`Surrogate`] reward lets any of these methods pay them.

pub mod analytic;
pub mod divergence;
pub mod initial;
pub mod word_score;

mod adjoint;
mod anchored;
mod backprop;
mod balance;
mod base_paths;
mod clipping;
mod config;
mod control;
mod escort;
mod footprint;
mod glimpse;
mod objective;
mod potential;
mod problem;
mod product_mixture;
mod renoised;
mod replay;
mod residual;
mod reversal;
mod rollout;
mod soft_q;
mod surrogate;
mod terminal;
mod tilt_matching;
mod token_control;
mod trace;
mod training;
mod walk;
mod word_table;

pub use adjoint::{AdjointConfig, Alignment};
pub use anchored::{Anchor, TwoPriced, two_priced_tilt};
pub use backprop::{BackProp, Batch, Estimator, ShardGradient};
pub use balance::BalanceConfig;
pub use base_paths::base_paths;
pub use clipping::QuantileClip;
pub use config::{ADJOINT_MATCHING, CONTROL, FinetuneConfig};
pub use control::Control;
pub use escort::EscortConfig;
pub use footprint::Walked;
pub use glimpse::{Consistent, Ddim, GLIMPSES, Glimpse, GlimpseKind, MakeGlimpse};
pub use objective::{
    ClippedRatio, ImplicitTilt, Ledger, LogVariance, MirrorDescent, OBJECTIVES, Objective, PathLoss, PathObjective,
    Route, Run, ScoreFunction, TrajectoryBalance, Update, Weighed, WeightedLikelihood, objectives_that,
};
pub use problem::Problem;
pub use renoised::Renoised;
pub use replay::{REPLAY_RULES, Replay, ReplayConfig, Shares, Stock, Track};
pub use rollout::{Paths, Rollout, roll_out};
pub use soft_q::SoftQConfig;
pub use surrogate::Surrogate;
pub use terminal::{ScoredTerminal, SequenceTerminal, Terminal, Undecoded, Valued};
pub use tilt_matching::TiltConfig;
pub use token_control::{CONTROLS, ControlConfig, ControlKind, ControlStart, TokenControl};
pub use trace::Trace;
pub use training::{Feedback, Finetuning};
pub use walk::{Walk, Walker};

#[cfg(test)]
mod tests;
