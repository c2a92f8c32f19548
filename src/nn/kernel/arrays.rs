//! The numbers of operands and results.

use candle_core::{CpuStorage, Device, Layout, Result, Shape, Storage, Tensor};
use std::ops::Deref;

/// The numbers of an operand inside a forward pass.
pub(super) fn operand<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => candle_core::bail!("a fused operation reads contiguous f32 operands"),
    }
}

/// The numbers of a tensor while its storage is locked for reading.
pub(super) struct Values<S> {
    storage: S,
    start: usize,
    end: usize,
}

/// The numbers of a contiguous f32 tensor on the CPU.
pub(super) fn values(tensor: &Tensor) -> Result<Values<impl Deref<Target = Storage>>> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(_)), Some((start, end))) => Ok(Values { storage, start, end }),
        _ => candle_core::bail!("a fused operation reads contiguous f32 operands"),
    }
}

impl<S: Deref<Target = Storage>> Deref for Values<S> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.storage {
            Storage::Cpu(CpuStorage::F32(values)) => &values[self.start..self.end],
            _ => &[],
        }
    }
}

/// A forward pass's result.
pub(super) fn result(values: Vec<f32>, shape: impl Into<Shape>) -> (CpuStorage, Shape) {
    (CpuStorage::F32(values), shape.into())
}

/// A gradient with the shape of its operand.
pub(super) fn gradient(values: Vec<f32>, of: &Tensor) -> Result<Tensor> {
    Tensor::from_vec(values, of.shape(), &Device::Cpu)
}
