//! The times at which a sampler stops.

use super::{ScheduleKind, Warp};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How the K steps are spread between noise and data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grid {
    /// Equal steps in time.
    #[default]
    Time,
    /// Equal steps in log signal-to-noise ratio.
    LogSnr,
    /// Equal decrements of the prior's denoising cross-entropy: each step decides the same amount of sequence.
    Information,
}

impl Grid {
    /// Every name with a line about it.
    pub const ALL: &'static [(&'static str, &'static str)] = &[
        ("time", "equal steps in time"),
        ("log-snr", "equal steps in log signal-to-noise ratio"),
        ("information", "equal decrements of the prior's denoising cross-entropy"),
    ];

    /// The grid of a name.
    ///
    /// # Errors
    /// When there is no such grid.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "time" => Ok(Self::Time),
            "log-snr" => Ok(Self::LogSnr),
            "information" => Ok(Self::Information),
            _ => Err(Error::usage(format!("unknown grid `{name}`; accepted: `time`, `log-snr`, `information`"))),
        }
    }

    /// The K + 1 log signal-to-noise ratios from `first` up to `last`, both included.
    ///
    /// # Errors
    /// When `steps` is 0.
    pub fn log_snrs(
        self,
        steps: usize,
        first: f64,
        last: f64,
        schedule: &ScheduleKind,
        warp: &Warp,
    ) -> Result<Vec<f64>> {
        if steps == 0 {
            return Err(Error::usage("`steps` is 0; at least 1 is needed"));
        }
        let share = |k: usize| k as f64 / steps as f64;
        let mut nodes: Vec<f64> = match self {
            Self::LogSnr => (0..=steps).map(|k| first + share(k) * (last - first)).collect(),
            Self::Time => {
                let schedule = schedule.get();
                let (from, to) = (schedule.time(first), schedule.time(last));
                (0..=steps).map(|k| schedule.log_snr(from + share(k) * (to - from))).collect()
            }
            Self::Information => {
                let (from, to) = (warp.cumulative(first), warp.cumulative(last));
                (0..=steps).map(|k| warp.quantile(from + share(k) * (to - from))).collect()
            }
        };
        nodes[0] = first;
        nodes[steps] = last;
        Ok(nodes)
    }
}
