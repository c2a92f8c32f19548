//! Choice of the device by name.

use crate::error::{Error, Result};
use crate::nn::{Precision, cuda};
use candle_core::Device;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Whether this build can use CUDA at all.
pub(super) const HAS_CUDA: bool = cfg!(feature = "cuda");

/// `auto`, `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(super) enum DeviceName {
    /// The first CUDA device where there is one, else the CPU.
    #[default]
    Auto,
    Cpu,
    Cuda(usize),
}

impl FromStr for DeviceName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|number| number.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("unknown device `{text}`; accepted: `auto`, `cpu`, `cuda`, `cuda:N`")),
        }
    }
}

impl TryFrom<String> for DeviceName {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => write!(f, "auto"),
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(number) => write!(f, "cuda:{number}"),
        }
    }
}

impl From<DeviceName> for String {
    fn from(name: DeviceName) -> Self {
        name.to_string()
    }
}

/// Opens a device.
///
/// # Errors
/// A device error when CUDA was asked for and this build or machine does not have it.
pub(super) fn open(name: DeviceName) -> Result<Device> {
    match name {
        DeviceName::Cpu => Ok(Device::Cpu),
        DeviceName::Auto if !HAS_CUDA => Ok(Device::Cpu),
        DeviceName::Auto => Ok(cuda(0).unwrap_or(Device::Cpu)),
        DeviceName::Cuda(_) if !HAS_CUDA => {
            Err(Error::device(format!("device `{name}` was asked for, but this build of seqtilt has no CUDA support"))
                .hint("pass --device cpu, or build with `cargo build --release --features cuda`"))
        }
        DeviceName::Cuda(number) => cuda(number).map_err(|error| {
            Error::device(format!("device `{name}` cannot be opened"))
                .because(error)
                .hint("`seqtilt doctor` says what this machine has; --device cpu always works")
        }),
    }
}

/// Refuses a precision that only CUDA devices have where there can be none.
///
/// # Errors
/// A usage error that says what is accepted.
pub(super) fn refuse_precision(name: DeviceName, precision: Precision) -> Result<()> {
    let can_be_cuda = HAS_CUDA && name != DeviceName::Cpu;
    if precision == Precision::F32 || can_be_cuda || matches!(name, DeviceName::Cuda(_)) {
        return Ok(());
    }
    Err(Error::usage(format!("`precision` is `{precision}`; on the CPU `f32` is accepted"))
        .hint("leave --precision out, or pass --device cuda to a build with CUDA support"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        for (text, name) in [("auto", DeviceName::Auto), ("cpu", DeviceName::Cpu), ("cuda:3", DeviceName::Cuda(3))] {
            assert_eq!(text.parse::<DeviceName>().unwrap(), name);
            assert_eq!(name.to_string(), text);
        }
        assert_eq!("cuda".parse(), Ok(DeviceName::Cuda(0)));
        for bad in ["gpu", "cuda:", "cuda:x", "cuda:-1", "CPU", ""] {
            assert!(bad.parse::<DeviceName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_cpu_takes_f32_only() {
        for precision in [Precision::Tf32, Precision::Bf16] {
            let error = refuse_precision(DeviceName::Cpu, precision).unwrap_err();
            assert_eq!(error.kind(), crate::Kind::Usage);
            assert_eq!(error.message(), format!("`precision` is `{precision}`; on the CPU `f32` is accepted"));
            // without CUDA support, `cuda` itself is refused, which is the better message
            refuse_precision(DeviceName::Cuda(0), precision).unwrap();
            assert_eq!(refuse_precision(DeviceName::Auto, precision).is_ok(), HAS_CUDA);
        }
        refuse_precision(DeviceName::Cpu, Precision::F32).unwrap();
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_build_without_cuda_says_so_and_auto_is_the_cpu() {
        let error = open(DeviceName::Cuda(1)).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Device);
        assert!(error.hint_text().unwrap().contains("--device cpu"));
        assert!(open(DeviceName::Auto).unwrap().is_cpu());
    }
}
