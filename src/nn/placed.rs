//! What follows the data to a device.

use crate::error::Result;
use candle_core::{Device, DeviceLocation};
use std::sync::{Arc, Mutex, PoisonError};

/// One copy of something on the device that it was last wanted on, so that it travels there once and not in every step.
#[derive(Debug)]
pub(crate) struct Placed<T>(Mutex<Option<(DeviceLocation, Arc<T>)>>);

impl<T> Default for Placed<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Placed<T> {
    /// The copy on `device`, made at the first call.
    ///
    /// # Errors
    /// That of `make`.
    pub(crate) fn on(&self, device: &Device, make: impl FnOnce() -> Result<T>) -> Result<Arc<T>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = device.location();
        if let Some((_, copy)) = kept.as_ref().filter(|(known, _)| *known == place) {
            return Ok(Arc::clone(copy));
        }
        let copy = Arc::new(make()?);
        *kept = Some((place, Arc::clone(&copy)));
        Ok(copy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;

    #[test]
    fn a_copy_is_made_once_and_a_failure_is_not_kept() {
        let placed = Placed::default();
        assert!(placed.on(&Device::Cpu, || Err(Error::device("full"))).is_err());
        assert_eq!(*placed.on(&Device::Cpu, || Ok(1)).unwrap(), 1);
        assert_eq!(*placed.on(&Device::Cpu, || Ok(2)).unwrap(), 1);
    }
}
