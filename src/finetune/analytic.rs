//! A control problem that is solved in closed form, to measure methods by.
//!
//! One dimension, linear drift, quadratic reward ([`LinearQuadratic`]). Three exact answers stand beside each other:
//!
//! - of the problem in continuous time ([`LinearQuadratic::optimum`]);
//! - of the chain of Gaussian steps that is really walked, over all controls ([`best`]);
//! - of that chain under one given [`Affine`] control ([`outcome`]).
//!
//! [`MixtureProblem`] (one dimension) and [`SpatialProblem`] (several) are tilts of mixtures of Gaussians with everything in closed
//! form, the fixtures of the unified tilting framework; [`Parametrisation`] translates networks into controls, and
//! [`MatchingTraining`] is Adjoint Matching against those answers.
//!
//! The first two differ by the discretisation, the last two by the training.

mod adjoint;
mod affine;
mod chain;
mod continuous;
mod denoised_chain;
mod density;
mod escort;
mod escort_loss;
mod escort_training;
mod interpolant;
mod lattice;
mod mixture;
mod mixture_chain;
mod mixture_problem;
mod parametrisation;
mod problem;
mod quadratic;
mod quadrature;
mod reinforced;
mod riccati;
mod score_target;
mod spatial;

mod tilted_path;
mod training;

pub use adjoint::{
    EnergyReward, Matched, Matching, MatchingConfig, MatchingTraining, Reference, SamplingConfig, SamplingTraining,
    Subset, additive, lean_adjoints, lean_multiplier,
};
pub use affine::{Affine, Gain};
pub use chain::{LinearChain, LinearStep};
pub use continuous::Continuous;
pub use denoised_chain::{DenoisedChain, Guessed};
pub use escort::EscortNetwork;
pub use escort_loss::EscortLoss;
pub use escort_training::{EscortConfig, EscortTraining};
pub use interpolant::{Interpolant, Mixing};
pub use lattice::{Lattice, Tilting};
pub use mixture::Mixture;
pub use mixture_chain::{MixtureChain, renoised};
pub use mixture_problem::{Fixture, MixtureProblem, Noise, SoftValue};
pub use parametrisation::Parametrisation;
pub use problem::{LinearQuadratic, Normal, Optimum, Start};
pub use quadratic::Quadratic;
pub use reinforced::reinforced;
pub use riccati::{Outcome, best, outcome};
pub use score_target::{AtTime, Ends, Evidence, Mass, ScoreTarget, VarianceReport, matched_mass};
pub use spatial::{SpatialMixture, SpatialNormal, SpatialProblem, SpatialQuadratic, SpatialValue};

pub use tilted_path::{Alone, AlongValue, Escort, Escorted, Ramp, TiltedPath, Weighting};
pub use training::{AnalyticConfig, AnalyticTraining};

#[cfg(test)]
mod tests;
