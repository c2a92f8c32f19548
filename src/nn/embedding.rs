//! Looking rows up in a table.

use super::host::token_ids;
use super::kernel;
use crate::error::Result;
use candle_core::Tensor;

/// The rows of a table that ids name.
///
/// ```text
/// yₙ = table[idsₙ]      ∂/∂table[v] = Σ_{n: idsₙ = v} ∂/∂yₙ, in the order of n
/// ```
///
/// # Shapes
/// (V, D) and (…) of `u32`, to (…, D).
///
/// # Errors
/// When the table is not a matrix or an id is V or more.
///
/// ```
/// use candle_core::{Device, Tensor};
/// # fn main() -> seqtilt::Result<()> {
/// let table = Tensor::new(&[[1f32, 2.0], [3.0, 4.0]], &Device::Cpu)?;
/// let rows = seqtilt::nn::embedding(&table, &Tensor::new(&[1u32, 0, 1], &Device::Cpu)?)?;
/// assert_eq!(rows.to_vec2::<f32>()?, [[3.0, 4.0], [1.0, 2.0], [3.0, 4.0]]);
/// # Ok(()) }
/// ```
pub fn embedding(table: &Tensor, ids: &Tensor) -> Result<Tensor> {
    let (letters, width) = table.dims2()?;
    let flat = ids.flatten_all()?;
    let rows = match token_ids(&flat, letters)? {
        Some(list) if kernel::fused(&[table]) => kernel::embedding(table, list)?,
        _ => table.index_select(&flat, 0)?,
    };
    let mut shape = ids.dims().to_vec();
    shape.push(width);
    Ok(rows.reshape(shape)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::check;
    use candle_core::{DType, Device};

    #[test]
    fn rows_that_are_named_twice_get_both_gradients() {
        let ids = Tensor::new(&[[3_u32, 0, 3], [1, 3, 0]], &Device::Cpu).unwrap();
        let table = check::normal(5, &[4, 3]);
        assert_eq!(embedding(&table, &ids).unwrap().dims(), [2, 3, 3]);
        check::input(&table, |table| embedding(table, &ids));
    }

    #[test]
    fn an_id_out_of_range_is_bad_data() {
        for dtype in [DType::F32, DType::F64] {
            let table = check::normal(5, &[4, 3]).to_dtype(dtype).unwrap();
            let error = embedding(&table, &Tensor::new(&[1_u32, 4], &Device::Cpu).unwrap()).unwrap_err();
            assert_eq!(error.to_string(), "token id `4` is out of range; only ids below 4 are accepted");
        }
    }
}
