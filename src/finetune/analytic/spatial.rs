//! Tilting mixtures of Gaussians in any number of dimensions: the closed forms.

mod mixture;
mod problem;

pub use mixture::{SpatialMixture, SpatialNormal};
pub use problem::{SpatialProblem, SpatialQuadratic, SpatialValue};
