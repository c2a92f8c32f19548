//! Gradients of weights, summed in place where they arise.
//!
//! candle's backward pass makes a zeroed tensor and a new sum for every use of a variable, and a custom operation has no
//! more than three operands, where a transformer block has fourteen. So fused operations add the gradients of variables
//! here, and [`gradients`](crate::nn::gradients) collects them after the pass.

use super::matmul::{View, matmul, product};
use super::simd::dispatch;
use candle_core::{Result, Tensor, TensorId};
use std::cell::RefCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

/// Sums by variable.
pub(crate) type Leaves = HashMap<TensorId, Vec<f32>>;

thread_local! {
    static SUMS: RefCell<Option<Leaves>> = const { RefCell::new(None) };
}

/// Runs a backward pass and answers what its operations added.
pub(crate) fn collect<T>(pass: impl FnOnce() -> T) -> (T, Leaves) {
    struct Restore(Option<Leaves>);
    impl Drop for Restore {
        fn drop(&mut self) {
            SUMS.set(self.0.take());
        }
    }
    let _restore = Restore(SUMS.replace(Some(Leaves::new())));
    let result = pass();
    (result, SUMS.take().unwrap_or_default())
}

/// Whether the gradient of this operand is to be added here.
pub(super) fn takes(weight: &Tensor) -> bool {
    weight.is_variable() && SUMS.with_borrow(Option::is_some)
}

/// Adds a b to the gradient of `weight`.
pub(super) fn add_product(weight: &Tensor, a: (&[f32], View), b: (&[f32], View)) -> Result<()> {
    with(weight, |entry| match entry {
        Entry::Occupied(mut sum) => matmul((sum.get_mut(), View::dense(a.1.rows, b.1.cols)), a, b, true),
        Entry::Vacant(empty) => drop(empty.insert(product(a, b))),
    })
}

/// Adds all rows to the gradient of `bias`, whose width they have.
pub(super) fn add_sum(bias: &Tensor, rows: &[f32]) -> Result<()> {
    with(bias, |entry| add_rows(entry.or_insert_with(|| vec![0.0; bias.elem_count()]), rows))
}

fn with(weight: &Tensor, add: impl FnOnce(Entry<'_, TensorId, Vec<f32>>)) -> Result<()> {
    SUMS.with_borrow_mut(|sums| match sums {
        Some(sums) => {
            add(sums.entry(weight.id()));
            Ok(())
        }
        None => candle_core::bail!("a backward pass through fused layers runs inside `nn::gradients` only"),
    })
}

dispatch!(
    /// Adds every row to `sum`.
    add_rows => add_rows_body(sum: &mut [f32], rows: &[f32])
);

#[inline(always)]
fn add_rows_body<const F: bool>(sum: &mut [f32], rows: &[f32]) {
    if sum.is_empty() {
        return;
    }
    for row in rows.chunks_exact(sum.len()) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn uses_of_a_weight_add_up_and_a_pass_starts_from_nothing() {
        let weight = Var::from_tensor(&Tensor::new(&[[0.0_f32, 0.0]], &Device::Cpu).unwrap()).unwrap();
        assert!(!takes(&weight) && add_sum(&weight, &[1.0, 2.0]).is_err());
        for _ in 0..2 {
            let ((), sums) = collect(|| {
                assert!(takes(&weight));
                add_product(&weight, (&[2.0], View::dense(1, 1)), (&[1.0, 3.0], View::dense(1, 2))).unwrap();
                add_product(&weight, (&[1.0], View::dense(1, 1)), (&[1.0, 1.0], View::dense(1, 2))).unwrap();
                add_sum(&weight, &[10.0, 20.0, 30.0, 40.0]).unwrap();
            });
            assert_eq!(sums[&weight.id()], [43.0, 67.0]);
        }
        assert!(!takes(&weight));
    }
}
