//! Differentiable reward models.
