//! Exact scores of a law over enumerated words, and how much regression targets for them scatter.
//!
//! Words are embedded and noised, `x = a e(w) + b ε`. Where all words can be listed, the score of the noised law and the Jacobian of the
//! score are sums: what sampled targets estimate is known at every state, and so is what their noise costs. The one-dimensional
//! counterpart on smooth laws is [`ScoreTarget`](super::analytic::ScoreTarget).

mod grid;
mod law;
mod measure;
mod network;
mod sampled;
mod steep;
mod target;
mod variance;

pub use law::{Beliefs, WordLaw};
pub use measure::Sampled;
pub use network::NetworkLean;
pub use target::WordTarget;
pub use variance::{Growth, Window, WordLevel, WordVariance};

#[cfg(test)]
mod tests;
