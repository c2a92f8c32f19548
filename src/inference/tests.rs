//! Steered chains against laws that are known.

mod best_of_n;
mod classifier;
mod drift;
mod fixture;
mod particles;
mod resampling;
