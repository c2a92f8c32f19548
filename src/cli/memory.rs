//! Memory of this machine, and whether a run fits into it.

use crate::error::{Error, Result};
use crate::nn::{Footprint, gigabytes};

/// What the program takes before it allocates anything by design.
const PROGRAM: u64 = 80_000_000;

/// Memory of the machine in bytes, and how much of it is free; nothing where the system does not say.
pub(super) fn machine() -> (Option<u64>, Option<u64>) {
    let table = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    (line(&table, "MemTotal:"), line(&table, "MemAvailable:"))
}

/// The most memory that this process ever held, in bytes; nothing where the system does not say.
pub(super) fn peak() -> Option<u64> {
    line(&std::fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmHWM:")
}

fn line(table: &str, name: &str) -> Option<u64> {
    let row = table.lines().find_map(|row| row.strip_prefix(name))?;
    let kibibytes: u64 = row.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}

/// Refuses a run that does not fit into the memory that is free, before it starts.
///
/// # Errors
/// A device error with the estimate, what is free, and `advice`.
pub(super) fn check(verb: &str, need: Footprint, advice: &str) -> Result<()> {
    refuse(verb, need, machine().1, advice)
}

fn refuse(verb: &str, need: Footprint, free: Option<u64>, advice: &str) -> Result<()> {
    let total = need.total().saturating_add(PROGRAM);
    match free {
        Some(free) if total > free => Err(Error::device(format!(
            "`{verb}` needs about {} of memory (weights and gradients {}, activations {}, paths {}); {} are free",
            gigabytes(total),
            gigabytes(need.weights),
            gigabytes(need.activations),
            gigabytes(need.paths),
            gigabytes(free)
        ))
        .hint(advice)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_kernels_table() {
        let table = "MemTotal:       16384 kB\nMemFree:   10 kB\nMemAvailable:   8192 kB\n";
        assert_eq!(line(table, "MemTotal:"), Some(16 << 20));
        assert_eq!(line(table, "MemAvailable:"), Some(8 << 20));
        assert_eq!(line(table, "SwapTotal:"), None);
        assert_eq!(line("MemTotal: many\n", "MemTotal:"), None);
    }

    #[test]
    fn a_run_that_does_not_fit_is_refused_with_its_parts() {
        let need = Footprint { weights: 1_000_000_000, activations: 2_000_000_000, paths: 0 };
        assert!(
            refuse("finetune", need, Some(4_000_000_000), "").is_ok() && refuse("finetune", need, None, "").is_ok()
        );
        let error = refuse("finetune", need, Some(2_000_000_000), "use --recompute").unwrap_err();
        assert_eq!(
            error.to_string(),
            "`finetune` needs about 3.1 GB of memory (weights and gradients 1.0 GB, activations 2.0 GB, paths 0 MB); 2.0 GB are free"
        );
        assert_eq!(error.kind(), crate::Kind::Device);
    }
}
