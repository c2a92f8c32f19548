//! What every verb is given: the resolved global settings.

use super::check;
use super::device::{self, DeviceName};
use super::interrupt::Interrupt;
use super::printer;
use super::progress::Progress;
use super::settings::{self, ConfigFile};
use crate::error::{Error, Result};
use crate::nn::{Pool, Precision, set_precision};
use crate::oracle::OracleOptions;
use crate::random::Seed;
use candle_core::Device;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::fmt::Display;
use std::path::{Path, PathBuf};

/// Threads used when none are asked for, at most; beyond this, shards are too small to be worth it.
const DEFAULT_THREADS: usize = 16;
const MAX_THREADS: usize = 256;

/// Settings that every verb takes.
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Global options")]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Global {
    /// Print one JSON document on standard output instead of text
    #[arg(long, global = true)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) json: bool,
    /// Seed of every random draw: the same seed gives the same bytes [default: 0]
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u64).range(..=i64::MAX as u64))]
    pub(super) seed: Option<u64>,
    /// Where tensors live: auto, cpu, cuda or cuda:N [default: auto]
    #[arg(long, global = true, value_name = "DEVICE")]
    pub(super) device: Option<DeviceName>,
    /// Numbers that a CUDA device multiplies: f32, tf32 or bf16; the CPU takes f32 only [default: f32]
    #[arg(long, global = true, value_name = "PRECISION")]
    pub(super) precision: Option<Precision>,
    /// Threads to use; the results do not depend on it [default: the cores of this machine]
    #[arg(long, global = true, value_name = "N")]
    pub(super) threads: Option<usize>,
    /// Say nothing on standard error but errors
    #[arg(long, short, global = true, conflicts_with = "verbose")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) quiet: bool,
    /// Say more: the whole text of every cause of an error
    #[arg(long, short, global = true)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) verbose: bool,
    /// Folder of downloaded data sets [default: $SEQTILT_DATA, or the platform's data folder]
    #[arg(long, global = true, value_name = "FOLDER")]
    pub(super) data_dir: Option<PathBuf>,
    /// TOML file of settings: global ones at its top, a verb's under a table with its name
    #[arg(long, global = true, value_name = "FILE")]
    #[serde(skip)]
    pub(super) config: Option<PathBuf>,
}

/// The resolved global settings, and the ways out: standard output, progress, interruption.
#[derive(Debug)]
pub(super) struct Context {
    pub(super) json: bool,
    pub(super) quiet: bool,
    pub(super) seed_number: u64,
    pub(super) threads: usize,
    device: DeviceName,
    precision: Precision,
    data_dir: Option<PathBuf>,
    file: Option<ConfigFile>,
    interrupt: Interrupt,
}

impl Context {
    /// Defaults, then the file, then the flags.
    ///
    /// # Errors
    /// When the file cannot be read or a value is out of range.
    pub(super) fn resolve(flags: Global) -> Result<Self> {
        let file = flags.config.as_ref().map(ConfigFile::read).transpose()?;
        let global = match &file {
            Some(file) => settings::merge(&file.globals()?, &flags)?,
            None => flags,
        };
        let threads = match global.threads {
            Some(threads) => check::within("threads", threads, 1..=MAX_THREADS)?,
            None => std::thread::available_parallelism().map_or(1, usize::from).min(DEFAULT_THREADS),
        };
        let (device, precision) = (global.device.unwrap_or_default(), global.precision.unwrap_or_default());
        device::refuse_precision(device, precision)?;
        Ok(Self {
            json: global.json,
            quiet: global.quiet,
            seed_number: global.seed.unwrap_or(0),
            threads,
            device,
            precision,
            data_dir: global.data_dir.or_else(default_data_dir),
            file,
            interrupt: Interrupt::default(),
        })
    }

    /// The same for one of many jobs side by side: another seed, fewer threads, no progress of its own.
    pub(super) fn beside(&self, seed: u64, threads: usize) -> Self {
        Self {
            json: self.json,
            quiet: true,
            seed_number: seed,
            threads: threads.max(1),
            device: self.device,
            precision: self.precision,
            data_dir: self.data_dir.clone(),
            file: None,
            interrupt: self.interrupt.clone(),
        }
    }

    /// The same on one thread.
    pub(super) fn alone(&self) -> Self {
        Self { quiet: self.quiet, ..self.beside(self.seed_number, 1) }
    }

    /// The root of the seed tree.
    pub(super) fn seed(&self) -> Seed {
        Seed::root(self.seed_number)
    }

    /// Worker threads, as many as were asked for.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(super) fn pool(&self) -> Result<Pool> {
        Pool::new(self.threads)
    }

    /// The device that was asked for, with the precision that was asked for.
    ///
    /// # Errors
    /// When this build or this machine does not have it.
    pub(super) fn device(&self) -> Result<Device> {
        let device = device::open(self.device)?;
        if device.is_cpu() {
            device::refuse_precision(DeviceName::Cpu, self.precision)?;
        }
        set_precision(self.precision);
        Ok(device)
    }

    /// The folder of downloaded data sets; it need not exist.
    ///
    /// # Errors
    /// When none was named and this platform names none.
    pub(super) fn data_dir(&self) -> Result<&Path> {
        self.data_dir.as_deref().ok_or_else(|| {
            Error::usage("no data folder: the home folder is not known")
                .hint("pass --data-dir FOLDER or set SEQTILT_DATA")
        })
    }

    /// What oracles are opened with: the seed, and the data folder where there is one. Verbs that let oracles be programs
    /// add what their flags say.
    pub(super) fn oracle_options(&self) -> OracleOptions {
        let onnx_runtime = std::env::var_os("ORT_DYLIB_PATH").filter(|path| !path.is_empty()).map(PathBuf::from);
        let data_dir = self.data_dir.clone();
        OracleOptions { data_dir, seed: self.seed_number, onnx_runtime, ..OracleOptions::default() }
    }

    /// A verb's settings: what its table in the file says, then the flags. `path` is the table's, such as
    /// `["data", "fetch"]` for `[data.fetch]`.
    ///
    /// # Errors
    /// When the file has an unknown key or a value of the wrong type there.
    pub(super) fn settings<A: Serialize + DeserializeOwned + Default>(&self, path: &[&str], flags: A) -> Result<A> {
        match &self.file {
            Some(file) => settings::merge(&file.table(path)?, &flags),
            None => Ok(flags),
        }
    }

    /// Prints a verb's result: JSON with --json, else its text.
    ///
    /// # Errors
    /// When standard output cannot be written to.
    pub(super) fn emit<T: Serialize + Display>(&self, result: &T) -> Result<()> {
        if self.json { printer::json(result) } else { printer::text(result) }
    }

    /// A line for people, on standard error.
    pub(super) fn note(&self, line: impl Display) {
        if !self.quiet {
            printer::note(line);
        }
    }

    /// Asks to stop, as Ctrl-C does.
    #[cfg(test)]
    pub(super) fn stop(&self) {
        self.interrupt.set();
    }

    /// Shows progress; breaks at the next safe point after Ctrl-C.
    pub(super) fn observer(&self) -> Progress {
        self.interrupt.listen();
        Progress::new(self.quiet, self.interrupt.clone())
    }
}

fn default_data_dir() -> Option<PathBuf> {
    std::env::var_os("SEQTILT_DATA")
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
        .or_else(|| directories::ProjectDirs::from("", "", "seqtilt").map(|folders| folders.data_dir().to_owned()))
}
