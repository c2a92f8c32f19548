//! What NVIDIA's driver says about itself and its devices.

use super::CudaDevice;
use candle_core::cuda_backend::cudarc::driver::{CudaContext, DriverError, sys};

/// The newest CUDA that the driver knows, such as `13.0`.
#[allow(unsafe_code, reason = "cudarc has no safe form of this call, which writes one number")]
pub(super) fn version() -> Option<String> {
    let mut version = 0;
    // SAFETY: the pointer is to a number of this frame; the call needs no initialised driver
    let known = unsafe { sys::cuDriverGetVersion(&raw mut version) }.result().is_ok() && version > 0;
    known.then(|| format!("{}.{}", version / 1000, version % 1000 / 10))
}

/// Every device, by its number.
pub(super) fn devices() -> Result<Vec<CudaDevice>, String> {
    let count = CudaContext::device_count().map_err(text)?;
    let device = |number| describe(number).unwrap_or_else(|error| CudaDevice { error: Some(error), ..nameless() });
    Ok((0..usize::try_from(count).unwrap_or(0)).map(device).collect())
}

fn nameless() -> CudaDevice {
    CudaDevice { name: "unknown".into(), ..CudaDevice::default() }
}

fn describe(number: usize) -> Result<CudaDevice, String> {
    let read = || -> Result<CudaDevice, DriverError> {
        let context = CudaContext::new(number)?;
        let ((major, minor), (free, total)) = (context.compute_capability()?, context.mem_get_info()?);
        Ok(CudaDevice {
            name: context.name()?,
            compute_capability: Some(format!("{major}.{minor}")),
            memory_bytes: Some(total as u64),
            memory_free_bytes: Some(free as u64),
            error: None,
        })
    };
    read().map_err(text)
}

/// Name of the error, such as `CUDA_ERROR_NO_DEVICE`.
fn text(error: DriverError) -> String {
    format!("{:?}", error.0)
}
