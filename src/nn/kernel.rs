//! Fused operations for f32 on the CPU, each with a hand-written backward pass.
//!
//! A layer asks [`fused`] whether its operands qualify, and composes candle operations otherwise (f64, other devices).
//! Everything here runs on the calling thread. Vector instructions are chosen at run time.

#![allow(
    clippy::inline_always,
    reason = "a body must be inlined into each of its copies to be compiled for their processor"
)]

mod adamw;
mod arrays;
mod attention;
mod belief_walk;
mod block;
mod buffer;
mod conv;
mod cross_entropy;
mod embedding;
mod gate;
mod gelu;
mod leaf;
mod linear;
mod matmul;
mod mixture;
mod mixture_walk;
mod norm;
mod product_mixture;
mod simd;
mod softmax;
mod tile;
#[cfg(test)]
mod walks;
mod words;

pub(crate) use adamw::{Rates, adamw};
pub(crate) use attention::{attention, attention_keeps};
pub(crate) use belief_walk::{BeliefStep, belief_walk};
pub use block::recompute;
pub(crate) use block::{Weights as BlockWeights, block};
pub(crate) use conv::conv1d;
pub(crate) use cross_entropy::cross_entropy;
pub(crate) use embedding::embedding;
pub(crate) use gate::gate;
pub(crate) use gelu::gelu;
pub(crate) use leaf::collect as collect_leaves;
pub(crate) use linear::linear;
pub(crate) use mixture_walk::{MixtureWalk, mixture_walk};
pub(crate) use norm::{affine_norm, modulated_norm, plain_norm};
pub(crate) use product_mixture::product_mixture;
pub(crate) use softmax::softmax;
pub(crate) use words::words;

use candle_core::{DType, Tensor};
use std::cell::Cell;
use std::thread::LocalKey;

thread_local! {
    static COMPOSED: Cell<bool> = const { Cell::new(false) };
}

/// Whether the fused forms take these operands.
pub(crate) fn fused(operands: &[&Tensor]) -> bool {
    !COMPOSED.get() && operands.iter().all(|tensor| tensor.device().is_cpu() && tensor.dtype() == DType::F32)
}

/// Runs `work` with every layer composed of candle operations on this thread, for comparisons.
pub fn composed<T>(work: impl FnOnce() -> T) -> T {
    with_flag(&COMPOSED, work)
}

/// Runs `work` with a flag of this thread set.
fn with_flag<T>(flag: &'static LocalKey<Cell<bool>>, work: impl FnOnce() -> T) -> T {
    struct Reset(&'static LocalKey<Cell<bool>>, bool);
    impl Drop for Reset {
        fn drop(&mut self) {
            self.0.set(self.1);
        }
    }
    let _reset = Reset(flag, flag.replace(true));
    work()
}
