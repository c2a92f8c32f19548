//! How much memory a training run is going to need.

use std::fmt;

/// Memory of a run, in bytes, before it starts: what is allocated by design. The engine log compares estimates with what runs
/// took; they are within a fifth.
///
/// ```
/// let footprint = seqtilt::nn::Footprint { weights: 2_000_000_000, activations: 1_100_000_000, paths: 0 };
/// assert_eq!((footprint.total(), footprint.to_string()), (3_100_000_000, "3.1 GB".to_owned()));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Footprint {
    /// Weights, their average, their moments, and sums of gradients.
    pub weights: u64,
    /// What forward passes keep for the way back, and scratch.
    pub activations: u64,
    /// States and noise of whole paths, and tables.
    pub paths: u64,
}

/// Bytes of a number.
const NUMBER: u64 = 4;

impl Footprint {
    /// Of this many weights trained over `shards` shards on `threads` threads, each with a number of activations and of
    /// numbers of its paths.
    #[must_use]
    pub fn of_training(weights: u64, shards: usize, threads: usize, activations: u64, paths: u64) -> Self {
        let live = shards.min(threads) as u64;
        // the weights, two moments, two averages, the sum of gradients, and the gradients of shards
        let copies = 6 + super::shards::sums(shards) as u64 + live;
        let bytes = |numbers: u64, times: u64| numbers.saturating_mul(times).saturating_mul(NUMBER);
        // memory that was freed for one size is not always used again for another: half as much, measured
        let activations = bytes(activations, live).saturating_mul(3) / 2;
        Self { weights: bytes(weights, copies), activations, paths: bytes(paths, live) }
    }

    /// All of it, in bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.weights.saturating_add(self.activations).saturating_add(self.paths)
    }
}

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&gigabytes(self.total()))
    }
}

/// Bytes for people: `3.1 GB`.
#[must_use]
pub fn gigabytes(bytes: u64) -> String {
    let gigabytes = bytes as f64 / 1e9;
    if gigabytes < 0.1 { format!("{:.0} MB", gigabytes * 1e3) } else { format!("{gigabytes:.1} GB") }
}
