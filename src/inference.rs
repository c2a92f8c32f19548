//! Steering a prior while it samples: the tilt without training.

mod guidance;

pub use guidance::{Guidance, Guide};
