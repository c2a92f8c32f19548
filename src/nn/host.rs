//! Reading and writing the numbers of a tensor in main memory without a copy.

use candle_core::{CpuStorage, Storage, Tensor};

/// Calls `read` on the numbers of a contiguous f32 tensor on the CPU; `None` for any other tensor.
pub(crate) fn with_f32<T>(tensor: &Tensor, read: impl FnOnce(&[f32]) -> T) -> Option<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => Some(read(&values[start..end])),
        _ => None,
    }
}

/// Calls `read` on the numbers of a contiguous f64 tensor on the CPU; `None` for any other tensor.
pub(crate) fn with_f64<T>(tensor: &Tensor, read: impl FnOnce(&[f64]) -> T) -> Option<T> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F64(values)), Some((start, end))) => Some(read(&values[start..end])),
        _ => None,
    }
}
