//! seqtilt designs DNA and protein sequences by tilting a diffusion prior towards high fitness.
//!
//! It samples from `p*(x) ∝ p_prior(x) · exp(r(x)/α)`, where the prior is a continuous-embedding diffusion model, `r`
//! a fitness oracle and `α` the price of a nat of departure from the prior, in reward units.
#![cfg_attr(test, allow(clippy::unwrap_used, reason = "a test stops at the first surprise"))]

mod error;
mod random;

pub mod baseline;
pub mod campaign;
pub mod data;
pub mod diffusion;
pub mod doc;
pub mod eval;
pub mod finetune;
pub mod inference;
pub mod nn;
pub mod observe;
pub mod oracle;
pub mod registry;
pub mod reward;
pub mod sequence;
pub mod store;

#[doc(hidden)]
pub mod cli;

pub use error::{Error, Kind, Result};
pub use random::{Rng, Seed};
