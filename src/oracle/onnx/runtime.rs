//! The ONNX Runtime library, which is opened when the first model is.

use crate::error::{Error, Result};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::mpsc::channel;
use std::time::Duration;

/// What the platform calls the library.
const LIBRARY: &str = if cfg!(windows) {
    "onnxruntime.dll"
} else if cfg!(target_os = "macos") {
    "libonnxruntime.dylib"
} else {
    "libonnxruntime.so"
};

/// What every such library holds.
const SYMBOL: &[u8] = b"OrtGetApiBase";

/// How long the library may take to open.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens a file as the library. What is open already stays.
///
/// `ort` waits for itself for ever where a library cannot be opened, so what is none is refused before it is asked, and it is asked on a thread of
/// its own.
///
/// # Errors
/// A device error with a way out when no file is named, it is no such library, or it is too old.
pub(super) fn open(named: Option<&Path>) -> Result<()> {
    static OPEN: OnceLock<()> = OnceLock::new();
    if OPEN.get().is_some() {
        return Ok(());
    }
    let unusable = |message: String| {
        Error::device(message).hint(format!(
            "set ORT_DYLIB_PATH to the file {LIBRARY} of an ONNX Runtime of 1.18 or newer; `pip install onnxruntime` brings one, in the \
             package's folder `capi`"
        ))
    };
    let Some(path) = named.map(Path::to_owned) else {
        return Err(unusable("no ONNX Runtime library is named".to_owned()));
    };
    let shown = path.display().to_string();
    let cannot = || format!("the ONNX Runtime library `{shown}` cannot be used");
    let bytes = std::fs::read(&path).map_err(|error| unusable(cannot()).because(error))?;
    if !bytes.windows(SYMBOL.len()).any(|window| window == SYMBOL) {
        return Err(unusable(cannot()).because("it is no ONNX Runtime"));
    }
    let (sender, opened) = channel();
    let open = move || {
        let answer = ort::init_from(&path).map_err(|error| error.to_string());
        // false where another part of the program came first
        let answer = answer.map(|environment| {
            let _ = environment.with_telemetry(false).commit();
        });
        let _ = sender.send(answer);
    };
    std::thread::Builder::new().spawn(open).map_err(|error| unusable(cannot()).because(error))?;
    match opened.recv_timeout(PATIENCE) {
        Ok(Ok(())) => {
            let () = *OPEN.get_or_init(|| ());
            Ok(())
        }
        Ok(Err(error)) => Err(unusable(cannot()).because(error)),
        Err(_) => Err(unusable(cannot()).because("it does not open: too old, or of another kind of processor")),
    }
}
