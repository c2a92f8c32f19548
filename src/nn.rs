//! Layers, parameters, optimisers and data-parallel shards on top of candle.
//!
//! candle 0.11 has layers whose backward pass is missing *without an error*: everything before them trains as if it
//! were frozen. The layers here have a gradient for every parameter, tested by finite differences, and
//! [`Gradients::check_complete`] names a parameter that no gradient reached. Forms that cut the graph are refused by
//! `.clippy.toml`.

mod activation;
mod attention;
mod conv;
mod device;
mod ema;
mod embedding;
mod footprint;
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
mod placed;
mod precision;
mod shards;
mod time;
mod training;
mod transformer;

#[cfg(test)]
pub(crate) mod check;

pub use activation::{gelu, softmax};
pub use attention::SelfAttention;
pub use conv::Conv1d;
pub use device::cuda;
pub use ema::Ema;
pub use embedding::embedding;
pub use footprint::{Footprint, gigabytes};
pub use grad::{Gradients, gradients, gradients_with};
pub use host::read;
#[doc(hidden)]
pub use host::reads;
#[doc(hidden)]
pub use kernel::composed;
pub use kernel::recompute;
pub(crate) use kernel::{BeliefStep, MixtureWalk, belief_walk, fused, mixture_walk, product_mixture, words};
pub use learner::{Learner, Learnt};
pub use linear::Linear;
pub use loss::cross_entropy;
pub use mlp::Mlp;
pub use norm::LayerNorm;
pub use optim::{AdamW, AdamWConfig};
pub use parallel::Pool;
pub use params::{Init, Params, Tensors};
pub(crate) use placed::Placed;
#[doc(hidden)]
pub use precision::emulated;
pub(crate) use precision::exact_product;
pub use precision::{Precision, set_precision};
pub use shards::{over_shards, sum_gradients};
pub use time::TimeEmbedding;
pub use training::{Figures, Training, learning_rate};
pub use transformer::Block;
