//! The ONNX Runtime library, which is opened when the first model is.

use crate::error::{Error, Result};
use std::path::Path;

/// What the platform calls the library.
const LIBRARY: &str = if cfg!(windows) {
    "onnxruntime.dll"
} else if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else {
    "libonnxruntime.so"
};

/// Opens a file as the library, or that of its usual name where the system looks for libraries. What is open already stays.
///
/// # Errors
/// A device error with a way out when there is none, or it is too old.
pub(super) fn open(named: Option<&Path>) -> Result<()> {
    let path = named.unwrap_or(Path::new(LIBRARY));
    let environment = ort::init_from(path).map_err(|error| {
        let message = format!("the ONNX Runtime library `{}` cannot be used", path.display());
        let hint = format!(
            "set ORT_DYLIB_PATH to the file {LIBRARY} of an ONNX Runtime of 1.18 or newer; `pip install onnxruntime` brings one, in the \
             package's folder `capi`"
        );
        Error::device(message).because(error.to_string()).hint(hint)
    })?;
    // false where another model came first
    let _ = environment.with_telemetry(false).commit();
    Ok(())
}
