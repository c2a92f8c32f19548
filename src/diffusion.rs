//! The prior: a continuous-embedding variance-preserving diffusion model.
