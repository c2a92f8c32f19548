//! Numbers of tensors in main memory: without a copy where they lie there already, and in one transfer where they lie on
//! a device.

use crate::error::{Error, Result};
use candle_core::{CpuStorage, DType, Storage, Tensor};
use std::cell::Cell;

thread_local! {
    static READS: Cell<usize> = const { Cell::new(0) };
}

/// The numbers of several tensors of one device, each flat and in f64.
///
/// All of them travel together, and nothing else in a training step brings numbers back to main memory: a transfer waits for
/// the device, so there is one in a step. A test scans the sources for others.
///
/// # Errors
/// When the tensors are on different devices or cannot be read.
pub fn read(tensors: &[&Tensor]) -> Result<Vec<Vec<f64>>> {
    READS.set(READS.get() + 1);
    let flat = |tensor: &&Tensor| tensor.detach().flatten_all()?.to_dtype(DType::F64);
    let flat = tensors.iter().map(flat).collect::<candle_core::Result<Vec<_>>>()?;
    if flat.is_empty() {
        return Ok(Vec::new());
    }
    let all = Tensor::cat(&flat, 0)?.to_vec1::<f64>()?;
    let mut rest = all.as_slice();
    let mut next = |count| {
        let (numbers, after) = rest.split_at(count);
        rest = after;
        numbers.to_vec()
    };
    Ok(flat.iter().map(|tensor| next(tensor.elem_count())).collect())
}

/// How many times [`read`] was called on this thread, for tests.
#[must_use]
pub fn reads() -> usize {
    READS.get()
}

/// Token ids in main memory, all of which must be below `letters`; `None` for those on a device, which were checked where they
/// were made.
///
/// # Errors
/// When an id is `letters` or more.
pub(crate) fn token_ids(ids: &Tensor, letters: usize) -> Result<Option<Vec<u32>>> {
    let ids = ids.contiguous()?;
    let (storage, layout) = ids.storage_and_layout();
    let (Storage::Cpu(CpuStorage::U32(values)), Some((start, end))) = (&*storage, layout.contiguous_offsets()) else {
        return Ok(None);
    };
    let ids = &values[start..end];
    match ids.iter().find(|id| **id as usize >= letters) {
        Some(id) => Err(Error::data(format!("token id `{id}` is out of range; only ids below {letters} are accepted"))),
        None => Ok(Some(ids.to_vec())),
    }
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn tensors_of_any_shape_and_type_come_back_in_their_order() {
        let a = Tensor::new(&[[1.0_f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap();
        let b = Tensor::new(5.0_f64, &Device::Cpu).unwrap();
        let (turned, before) = (a.t().unwrap(), reads());
        assert_eq!(read(&[&turned, &b]).unwrap(), [vec![1.0, 3.0, 2.0, 4.0], vec![5.0]]);
        assert!(reads() > before && read(&[]).unwrap().is_empty());
    }
}
