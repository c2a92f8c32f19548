//! Steering a prior while it samples: the tilt `p(x) exp(r(x)/α)/Z` without training.
//!
//! A [`Steering`] draws sequences of a [`Target`] in independent units ([`steer`]); what it drew carries log-weights whose mean
//! exponential is an unbiased estimate of Z wherever the method has one. One file per method; [`STEERINGS`] lists them.
//!
//! ```
//! use seqtilt::diffusion::{DiffusionChain, Grid, SolverKind, open_prior};
//! use seqtilt::inference::{BestOfN, Target, steer, units};
//! use seqtilt::{Result, Seed, nn::Pool, reward::Score, sequence::Sequence};
//!
//! /// The share of the letter G: something that has no gradient.
//! struct Guanine;
//!
//! impl Score for Guanine {
//!     fn name(&self) -> &str {
//!         "guanine"
//!     }
//!     fn scores(&self, words: &[Sequence]) -> Result<Vec<f64>> {
//!         Ok(words.iter().map(|x| x.ids().iter().filter(|id| **id == 2).count() as f64 / x.len() as f64).collect())
//!     }
//! }
//!
//! let (prior, _) = open_prior("tfbind8-prior", &candle_core::Device::Cpu)?;
//! let chain = DiffusionChain::new(prior.into(), 8, 4, Grid::Time, SolverKind::Ancestral)?;
//! let target = Target { chain: &chain, score: &Guanine, reward: None, alpha: 0.1, outlook: None };
//! let method = BestOfN { candidates: 8, greedy: false };
//! let drawn = steer(&method, &target, 0..units(&method, &chain, 16), 16, Seed::root(1), &Pool::new(1)?)?;
//! assert_eq!((drawn.sequences.len(), drawn.calls.scores), (16, 8 * 16));
//! assert!(drawn.rewards.iter().sum::<f64>() / 16.0 > 0.4); // the prior's own share is about a quarter
//! # Ok::<(), seqtilt::Error>(())
//! ```

mod best_of_n;
mod calls;
mod classifier;
mod cloud;
mod escorted;
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
pub use classifier::{Classifier, ClassifierConfig, ClassifierGuidance};
pub use escorted::escorted;
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
