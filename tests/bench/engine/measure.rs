//! Time and memory.

use seqtilt::Result;
use std::time::Instant;

/// Times of one piece of work.
pub(crate) struct Measured {
    pub(crate) best_ms: f64,
    pub(crate) median_ms: f64,
    pub(crate) repeats: usize,
}

/// Repeats `work` for about so many seconds after one call that does not count: three times at least, or once where a
/// single call takes longer than that.
pub(crate) fn measure(seconds: f64, mut work: impl FnMut() -> Result<()>) -> Result<Measured> {
    work()?;
    let (start, mut times) = (Instant::now(), Vec::new());
    loop {
        let call = Instant::now();
        work()?;
        times.push(call.elapsed().as_secs_f64() * 1e3);
        let spent = start.elapsed().as_secs_f64();
        if spent >= seconds && (times.len() >= 3 || spent >= 3.0 * seconds) {
            break;
        }
    }
    times.sort_by(f64::total_cmp);
    Ok(Measured { best_ms: times[0], median_ms: times[times.len() / 2], repeats: times.len() })
}

/// Memory of this process; nothing where the system does not say.
pub(crate) struct Memory {
    pub(crate) resident_mb: Option<f64>,
    pub(crate) peak_mb: Option<f64>,
}

impl Memory {
    /// At present, and the most so far.
    pub(crate) fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<f64>().ok().map(|kib| kib / 1024.0)
        };
        Self { resident_mb: field("VmRSS:"), peak_mb: field("VmHWM:") }
    }
}
