//! Networks in ONNX files as oracles.

mod settings;

#[cfg(feature = "onnx")]
mod network;
#[cfg(feature = "onnx")]
mod runtime;

#[cfg(feature = "onnx")]
pub use network::Onnx;
pub use settings::OnnxConfig;

use super::{Oracle, OracleOptions};
use crate::error::{Error, Result};
use crate::reward::Reward;

/// Opens `FILE`, or settings, a colon and the file.
#[cfg(feature = "onnx")]
pub(super) fn open(argument: &str, options: &OracleOptions) -> Result<Box<dyn Oracle>> {
    Ok(Box::new(Onnx::open(&OnnxConfig::parse(argument)?, options.onnx_runtime.as_deref())?))
}

/// What a build without the runtime answers.
#[cfg(not(feature = "onnx"))]
pub(super) fn open(argument: &str, _: &OracleOptions) -> Result<Box<dyn Oracle>> {
    let file = OnnxConfig::parse(argument)?.file;
    Err(Error::usage(format!("this build has no `onnx` oracles: `{}` needs the feature `onnx`", file.display())).hint(
        "build with --features onnx and point ORT_DYLIB_PATH at the ONNX Runtime library, or put the model behind a program: \
         `seqtilt oracle template python`",
    ))
}

/// A file of this kind has values alone.
pub(super) fn reward(_: &str, _: &OracleOptions) -> Result<Box<dyn Reward>> {
    Err(Error::usage("an ONNX model is run, not differentiated: it has values and no gradient").hint(
        "name a method that asks for values alone, such as --objective log-variance; `finetune` learns a reward with a gradient from \
         its values where the method needs one",
    ))
}
