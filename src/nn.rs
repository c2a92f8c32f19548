//! Layers, parameters, optimisers and data-parallel shards on top of candle.
//!
//! candle 0.11 has layers whose backward pass is missing *without an error*: everything before them trains as if it
//! were frozen. The layers here have a gradient for every parameter, tested by finite differences, and
//! [`Gradients::check_complete`] names a parameter that no gradient reached. Forms that cut the graph are refused by
//! `.clippy.toml`.

mod activation;
mod attention;
mod conv;
mod ema;
mod embedding;
mod grad;
mod host;
mod kernel;
mod learner;
mod linear;
mod loss;
mod mlp;
mod norm;
mod optim;
mod parallel;
mod params;
mod time;
mod training;
mod transformer;

#[cfg(test)]
pub(crate) mod check;

pub use activation::{gelu, softmax};
pub use attention::SelfAttention;
pub use conv::Conv1d;
pub use ema::Ema;
pub use embedding::embedding;
pub use grad::{Gradients, gradients, gradients_with};
#[doc(hidden)]
pub use kernel::composed;
pub(crate) use kernel::{BeliefStep, MixtureWalk, belief_walk, fused, mixture_walk, product_mixture};
pub use learner::Learner;
pub use linear::Linear;
pub use loss::cross_entropy;
pub use mlp::Mlp;
pub use norm::LayerNorm;
pub use optim::{AdamW, AdamWConfig};
pub use parallel::{Pool, sum_gradients};
pub use params::{Init, Params, Tensors};
pub use time::TimeEmbedding;
pub use training::{Figures, Training, learning_rate};
pub use transformer::Block;
