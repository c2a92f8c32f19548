//! `seqtilt doctor`

use super::context::Context;
use super::cuda::{self, Cuda};
use super::memory;
use super::printer::columns;
use crate::data::{self, Condition};
use crate::error::Result;
use crate::store::embedded;
use serde::Serialize;
use std::fmt;
use std::path::Path;

const EXAMPLES: &str = "\
Examples:
  seqtilt doctor                        what this machine can do, and what is missing
  seqtilt doctor --json                 for programs and bug reports";

/// Say what this machine and this build can do: processor, memory, device, data, models
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub(super) struct Args {}

#[derive(Serialize)]
struct Report {
    version: &'static str,
    target: String,
    cores: usize,
    threads: usize,
    cpu_features: Vec<&'static str>,
    memory_bytes: Option<u64>,
    memory_available_bytes: Option<u64>,
    cuda: Cuda,
    data_dir: Option<String>,
    data_sets: Vec<DataSet>,
    models: Vec<Model>,
}

#[derive(Serialize)]
struct DataSet {
    name: String,
    state: &'static str,
}

#[derive(Serialize)]
struct Model {
    name: &'static str,
    kind: Option<String>,
    error: Option<String>,
}

pub(super) fn run(_: &Args, context: &Context) -> Result<()> {
    let data_dir = context.data_dir().ok();
    let (memory_bytes, memory_available_bytes) = memory::machine();
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        threads: context.threads,
        cpu_features: cpu_features(),
        memory_bytes,
        memory_available_bytes,
        cuda: cuda::inspect(),
        data_dir: data_dir.map(|folder| folder.display().to_string()),
        data_sets: data_dir.map_or_else(|| Ok(Vec::new()), data_sets)?,
        models: embedded::MODELS.iter().map(Model::of).collect(),
    };
    context.emit(&report)?;
    // the report is printed first; then whatever is wrong with what was asked for, or with the program, is the result
    context.device()?;
    embedded::MODELS.iter().try_for_each(|model| model.verify().map(drop))
}

impl Model {
    fn of(model: &embedded::Embedded) -> Self {
        match model.verify() {
            Ok(manifest) => Self { name: model.name, kind: Some(manifest.kind), error: None },
            Err(error) => Self { name: model.name, kind: None, error: Some(error.to_string()) },
        }
    }
}

#[cfg(target_arch = "x86_64")]
fn cpu_features() -> Vec<&'static str> {
    let found = [
        ("avx", is_x86_feature_detected!("avx")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("fma", is_x86_feature_detected!("fma")),
        ("f16c", is_x86_feature_detected!("f16c")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
    ];
    found.into_iter().filter_map(|(name, present)| present.then_some(name)).collect()
}

#[cfg(not(target_arch = "x86_64"))]
fn cpu_features() -> Vec<&'static str> {
    if cfg!(target_arch = "aarch64") { vec!["neon"] } else { Vec::new() }
}

/// Each named data set and whether its file is there and has the hash that it should have.
fn data_sets(folder: &Path) -> Result<Vec<DataSet>> {
    let state = |condition| match condition {
        Condition::Intact => "intact",
        Condition::Absent => "absent",
        Condition::Changed { .. } => "changed",
    };
    let sets = data::verify(folder)?.into_iter();
    Ok(sets.map(|(set, condition)| DataSet { name: set.name, state: state(condition) }).collect())
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gib = |bytes: Option<u64>| {
            bytes.map_or("unknown".into(), |b| format!("{:.1} GiB", b as f64 / f64::from(1 << 30)))
        };
        let memory = format!("{}, {} free", gib(self.memory_bytes), gib(self.memory_available_bytes));
        let models = match self.models.iter().filter(|model| model.error.is_some()).count() {
            0 => format!("{}, every hash is as recorded", self.models.len()),
            bad => format!("{}, {bad} damaged", self.models.len()),
        };
        let data = self.data_dir.as_deref().unwrap_or("unknown: pass --data-dir or set SEQTILT_DATA");
        let row = |name: &str, value: String| [name.to_owned(), value];
        let mut rows = vec![
            row("seqtilt", format!("{} ({})", self.version, self.target)),
            row("processor", format!("{} cores, {}", self.cores, self.cpu_features.join(" "))),
            row("threads", self.threads.to_string()),
            row("memory", memory),
        ];
        rows.extend(self.cuda.rows());
        rows.extend([row("data folder", data.to_owned()), row("models", models)]);
        f.write_str(&columns(&rows, ""))?;
        if !self.data_sets.is_empty() {
            writeln!(f, "\ndata sets")?;
            let sets = self.data_sets.iter().map(|set| [set.name.clone(), set.state.to_owned()]);
            f.write_str(&columns(&sets.collect::<Vec<_>>(), "  "))?;
        }
        for model in &self.models {
            if let Some(error) = &model.error {
                writeln!(f, "  {}: {error}", model.name)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_data_set_is_absent_until_its_file_is_there_and_changed_when_it_is_another() {
        let folder = tempfile::tempdir().unwrap();
        let set = data::built_in().unwrap().remove(0);
        let state =
            || data_sets(folder.path()).unwrap().into_iter().find(|found| found.name == set.name).unwrap().state;
        assert_eq!(state(), "absent");
        std::fs::write(folder.path().join(&set.file), b"another").unwrap();
        assert_eq!(state(), "changed");
    }
}
