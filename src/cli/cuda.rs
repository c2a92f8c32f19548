//! What this machine has for CUDA, said without starting anything: `seqtilt doctor` shows it.

#[cfg(feature = "cuda")]
mod driver;
mod library;

use super::device;
use library::Places;
use serde::Serialize;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// The shared libraries that a build with the feature `cuda` is linked to, and the one that cuBLAS brings in.
const LIBRARIES: [&str; 5] =
    ["libcuda.so.1", "libcudart.so.13", "libcublas.so.13", "libcublasLt.so.13", "libcurand.so.10"];

/// CUDA on this machine and in this build.
#[derive(Debug, Serialize)]
pub(super) struct Cuda {
    /// Whether device 0 opens.
    pub(super) usable: bool,
    /// Why, or why not.
    pub(super) reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hint: Option<String>,
    /// Whether this build has CUDA support.
    built_in: bool,
    /// Version of the kernel's driver.
    driver: Option<String>,
    /// The newest CUDA that the driver knows.
    driver_cuda: Option<String>,
    devices: Vec<CudaDevice>,
    libraries: Vec<Library>,
}

/// A device as the driver, or without it the kernel, describes it.
#[derive(Debug, Default, Serialize)]
struct CudaDevice {
    name: String,
    compute_capability: Option<String>,
    memory_bytes: Option<u64>,
    memory_free_bytes: Option<u64>,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct Library {
    name: &'static str,
    /// Where it lies; nothing when it is missing.
    path: Option<String>,
}

/// Asks the kernel, the loader's folders and, where the build can, the driver.
pub(super) fn inspect() -> Cuda {
    let places = Places::of_this_machine();
    let library = |name| Library { name, path: places.find(name).map(|path| path.display().to_string()) };
    let libraries = LIBRARIES.into_iter().map(library).collect();
    let mut cuda = Cuda {
        usable: false,
        reason: String::new(),
        hint: None,
        built_in: device::HAS_CUDA,
        driver: fs::read_to_string("/proc/driver/nvidia/version").ok().as_deref().and_then(driver_version),
        driver_cuda: None,
        devices: devices_in(Path::new("/proc/driver/nvidia/gpus")),
        libraries,
    };
    cuda.judge();
    cuda
}

impl Cuda {
    #[cfg(feature = "cuda")]
    fn judge(&mut self) {
        self.driver_cuda = driver::version();
        match driver::devices() {
            Ok(devices) => self.devices = devices,
            Err(error) => self.hint = Some(format!("the driver says {error}: look at `nvidia-smi` first")),
        }
        match crate::nn::cuda(0) {
            Ok(_) => (self.usable, self.reason) = (true, "device 0 opens".into()),
            Err(error) => {
                let cause = std::error::Error::source(&error).map_or_else(String::new, ToString::to_string);
                cause.lines().next().unwrap_or("unknown reason").clone_into(&mut self.reason);
            }
        }
    }

    #[cfg(not(feature = "cuda"))]
    fn judge(&mut self) {
        self.reason = "this build has no CUDA support (feature `cuda`)".into();
        if self.driver.is_some() || !self.devices.is_empty() || self.libraries.iter().any(Library::is_driver) {
            self.hint = Some("this machine has an NVIDIA driver: a build with `--features cuda` could use it".into());
        }
    }

    /// Rows for people: what is there, then what is missing.
    pub(super) fn rows(&self) -> Vec<[String; 2]> {
        let usable = if self.usable { "usable" } else { "not usable" };
        let row = |name: &str, value: String| [name.to_owned(), value];
        let mut rows = vec![row("cuda", format!("{usable}: {}", self.reason))];
        if let Some(hint) = &self.hint {
            rows.push(row("", hint.clone()));
        }
        let driver = self.driver.as_deref().unwrap_or("none found");
        let cuda = self.driver_cuda.as_ref().map_or_else(String::new, |cuda| format!(", CUDA {cuda}"));
        rows.push(row("  driver", format!("{driver}{cuda}")));
        for (number, device) in self.devices.iter().enumerate() {
            rows.push(row(&format!("  device {number}"), device.line()));
        }
        let missing: Vec<&str> =
            self.libraries.iter().filter(|library| library.path.is_none()).map(|library| library.name).collect();
        let libraries = if missing.is_empty() {
            format!("all {} found", self.libraries.len())
        } else {
            format!("missing: {}", missing.join(", "))
        };
        rows.push(row("  libraries", libraries));
        rows
    }
}

impl Library {
    #[cfg(not(feature = "cuda"))]
    fn is_driver(&self) -> bool {
        self.name.starts_with("libcuda.") && self.path.is_some()
    }
}

impl CudaDevice {
    fn line(&self) -> String {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        let mut line = self.name.clone();
        if let Some(capability) = &self.compute_capability {
            let _ = write!(line, ", compute capability {capability}");
        }
        if let Some(memory) = self.memory_bytes {
            let _ = write!(line, ", {:.1} GiB", gib(memory));
        }
        if let Some(free) = self.memory_free_bytes {
            let _ = write!(line, ", {:.1} GiB free", gib(free));
        }
        if let Some(error) = &self.error {
            let _ = write!(line, ": {error}");
        }
        line
    }
}

/// The version in the kernel's line "NVRM version: NVIDIA UNIX x86_64 Kernel Module  580.82.07  …".
fn driver_version(text: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with("NVRM version:"))?;
    let number = |word: &&str| word.contains('.') && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    line.split_whitespace().find(number).map(str::to_owned)
}

/// Devices that the kernel's driver lists, by name alone.
fn devices_in(folder: &Path) -> Vec<CudaDevice> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut folders: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    folders.sort();
    let model = |folder: &Path| {
        let text = fs::read_to_string(folder.join("information")).ok()?;
        let name = text.lines().find_map(|line| line.strip_prefix("Model:"))?.trim().to_owned();
        Some(CudaDevice { name, ..CudaDevice::default() })
    };
    folders.iter().filter_map(|folder| model(folder)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str =
        "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.82.07  Release Build\nGCC: 12.2.0\n";

    #[test]
    fn the_drivers_version_and_devices_are_read_from_the_kernel() {
        assert_eq!(driver_version(VERSION).as_deref(), Some("580.82.07"));
        assert_eq!(driver_version("something else 1.2"), None);
        let folder = tempfile::tempdir().unwrap();
        for (place, text) in [("0000:01", "Model: \t\t NVIDIA H100\nIRQ: 1\n"), ("0000:00", "IRQ: 2\n")] {
            fs::create_dir(folder.path().join(place)).unwrap();
            fs::write(folder.path().join(place).join("information"), text).unwrap();
        }
        let devices = devices_in(folder.path());
        assert_eq!(devices.iter().map(CudaDevice::line).collect::<Vec<_>>(), ["NVIDIA H100"]);
        assert!(devices_in(&folder.path().join("none")).is_empty());
    }

    #[test]
    fn people_read_what_is_there_and_the_names_of_what_is_missing() {
        let device = CudaDevice {
            name: "NVIDIA H100".into(),
            compute_capability: Some("9.0".into()),
            memory_bytes: Some(80 << 30),
            memory_free_bytes: Some(79 << 30),
            error: None,
        };
        let library = |name, path: Option<&str>| Library { name, path: path.map(str::to_owned) };
        let cuda = Cuda {
            usable: false,
            reason: "no".into(),
            hint: Some("try".into()),
            built_in: true,
            driver: Some("580.82.07".into()),
            driver_cuda: Some("13.0".into()),
            devices: vec![device],
            libraries: vec![library("libcuda.so.1", Some("/x")), library("libcurand.so.10", None)],
        };
        let text = super::super::printer::columns(&cuda.rows(), "");
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "cuda         not usable: no");
        assert_eq!(lines[1], "             try");
        assert_eq!(lines[2], "  driver     580.82.07, CUDA 13.0");
        assert_eq!(lines[3], "  device 0   NVIDIA H100, compute capability 9.0, 80.0 GiB, 79.0 GiB free");
        assert_eq!(lines[4], "  libraries  missing: libcurand.so.10");
    }
}
