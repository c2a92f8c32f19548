//! Rows of a table by number.

use super::arrays::{gradient, operand, result, values};
use super::simd::dispatch;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Tensor};

/// Rows `ids` of a table (V, D), to (N, D); the ids must be in range.
pub(crate) fn embedding(table: &Tensor, ids: Vec<u32>) -> Result<Tensor> {
    table.contiguous()?.apply_op1(Embedding { ids })
}

struct Embedding {
    ids: Vec<u32>,
}

impl CustomOp1 for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn cpu_fwd(&self, table: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let width = layout.shape().dims2()?.1;
        let mut rows = vec![0.0; self.ids.len() * width];
        gather(&mut rows, operand(table, layout)?, &self.ids, width);
        Ok(result(rows, (self.ids.len(), width)))
    }

    fn bwd(&self, table: &Tensor, _rows: &Tensor, g: &Tensor) -> Result<Option<Tensor>> {
        let width = table.dims2()?.1;
        let g = g.contiguous()?;
        let mut slopes = vec![0.0; table.elem_count()];
        scatter(&mut slopes, &values(&g)?, &self.ids, width);
        Ok(Some(gradient(slopes, table)?))
    }
}

dispatch!(
    /// Copies rows out of a table.
    gather => gather_body(rows: &mut [f32], table: &[f32], ids: &[u32], width: usize)
);
dispatch!(
    /// Adds rows to a table, in their order.
    scatter => scatter_body(table: &mut [f32], rows: &[f32], ids: &[u32], width: usize)
);

#[inline(always)]
fn gather_body<const F: bool>(rows: &mut [f32], table: &[f32], ids: &[u32], width: usize) {
    match width {
        0 => {}
        4 => gather_rows::<4>(rows, table, ids),
        8 => gather_rows::<8>(rows, table, ids),
        16 => gather_rows::<16>(rows, table, ids),
        _ => {
            for (row, id) in rows.chunks_exact_mut(width).zip(ids) {
                row.copy_from_slice(&table[*id as usize * width..][..width]);
            }
        }
    }
}

/// Short rows of a width known to the compiler are copied without a call.
#[inline(always)]
fn gather_rows<const D: usize>(rows: &mut [f32], table: &[f32], ids: &[u32]) {
    let table = table.as_chunks::<D>().0;
    for (row, id) in rows.as_chunks_mut::<D>().0.iter_mut().zip(ids) {
        *row = table[*id as usize];
    }
}

#[inline(always)]
fn scatter_body<const F: bool>(table: &mut [f32], rows: &[f32], ids: &[u32], width: usize) {
    match width {
        0 => {}
        4 => scatter_rows::<4>(table, rows, ids),
        8 => scatter_rows::<8>(table, rows, ids),
        16 => scatter_rows::<16>(table, rows, ids),
        _ => {
            for (row, id) in rows.chunks_exact(width).zip(ids) {
                add(&mut table[*id as usize * width..][..width], row);
            }
        }
    }
}

#[inline(always)]
fn scatter_rows<const D: usize>(table: &mut [f32], rows: &[f32], ids: &[u32]) {
    let table = table.as_chunks_mut::<D>().0;
    for (row, id) in rows.as_chunks::<D>().0.iter().zip(ids) {
        add(&mut table[*id as usize], row);
    }
}

#[inline(always)]
fn add(to: &mut [f32], row: &[f32]) {
    for (to, x) in to.iter_mut().zip(row) {
        *to += x;
    }
}

#[cfg(test)]
mod tests {
    use crate::nn::{check, embedding};
    use candle_core::{Device, Tensor};
    use proptest::prelude::*;

    proptest! {
        #![proptest_config(check::cases())]

        #[test]
        fn it_agrees_with_the_composed_form(
            (letters, rows, length) in (1_usize..30, 1_usize..20, 1_usize..9),
            width in prop_oneof![1_usize..40, Just(4), Just(8), Just(16)], seed in 0_u64..1000,
        ) {
            let table = check::normal_f32(seed, &[letters, width]);
            let ids = (0..rows * length).map(|n| ((n * n + seed as usize) % letters) as u32).collect();
            let ids = Tensor::from_vec(ids, (rows, length), &Device::Cpu).unwrap();
            check::against_composed(&[table], |x| embedding(&x[0], &ids));
        }
    }
}
