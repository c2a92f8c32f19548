//! The prior: a continuous-embedding variance-preserving diffusion model over sequences.
//!
//! A sequence x of L letters is embedded row by row, `z₀ = E[x]`, and noised, `z_t = signal(t) z₀ + noise(t) ε`
//! ([`Schedule`], [`Codec`]). The [`Denoiser`] answers token logits; [`Prior`] puts the parts together; a
//! [`DiffusionChain`] walks it from noise to data in K Gaussian steps, which is what fine-tuning tilts.

mod chain;
mod codec;
mod config;
mod consistency;
mod denoiser;
mod elbo;
mod folder;
mod footprint;
mod grid;
mod lettered;
mod masked;

mod noising;
mod pretrain;
mod prior;
mod sample;
mod schedule;
mod sites;
mod solver;
mod uniform;
mod warp;

pub use chain::{Chain, Change, DiffusionChain, Leap, MOST_NOISE, Memory, Move};
pub use codec::{Codec, Embedding};
pub use config::{DenoiserConfig, PretrainConfig, PriorConfig};
pub use consistency::{
    CONSISTENCY, Consistency, ConsistencyConfig, DistilConfig, Distilling, Fidelity, Flow, Missed, PriorRef,
    consistency_folder, consistency_of, few_steps, fidelity, open_consistency,
};
pub use denoiser::{Denoiser, Transformer, level};
pub use elbo::{Elbo, elbo};
pub use folder::{PRIOR, constrain, fingerprint, open_prior, prior_folder, prior_of};
pub use grid::{GRIDS, Grid};
pub use lettered::Lettered;
pub use noising::{Noised, NoisingStep};
pub use pretrain::Pretraining;
pub use prior::Prior;
pub use sample::{Decode, SampleConfig, Samples, sample, shard_rows};
pub use schedule::{Cosine, Linear, SCHEDULES, Scales, Schedule, ScheduleKind};
pub use sites::site_weights;
pub use solver::{Ancestral, Coefficients, Euler, Heun, SOLVERS, Solver, SolverKind};
pub use uniform::{Uniform, uniform_name, uniform_prior};
pub use warp::Warp;

#[cfg(test)]
mod tests;
