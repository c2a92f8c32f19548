//! CUDA devices as this package uses them.

use crate::error::Result;
use candle_core::Device;
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

static OPEN: Mutex<BTreeMap<usize, Device>> = Mutex::new(BTreeMap::new());

/// The CUDA device of this number, opened at the first call and the same one ever after.
///
/// candle's own way gives every thread a stream of its own and nothing that orders them, so that a shard could read weights
/// while they are still written; and two openings of one device are two devices, whose tensors cannot meet. Here all threads
/// queue their work on one stream.
///
/// # Errors
/// When this build has no CUDA support, or the driver refuses.
pub fn cuda(number: usize) -> Result<Device> {
    let mut open = OPEN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(device) = open.get(&number) {
        return Ok(device.clone());
    }
    let device = Device::new_cuda_with_stream(number)?;
    open.insert(number, device.clone());
    Ok(device)
}

#[cfg(all(test, not(feature = "cuda")))]
mod tests {
    #[test]
    fn a_build_without_cuda_fails_and_keeps_nothing() {
        for _ in 0..2 {
            assert_eq!(super::cuda(0).unwrap_err().kind(), crate::Kind::Device);
        }
    }
}
