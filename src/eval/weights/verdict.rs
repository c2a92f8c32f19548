//! Path weights in words.

use super::{BaseSide, PathWeights};
use crate::eval::Estimate;
use crate::eval::certificate::SMALL_ESS;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How much denser than the tuned chain the optimum must be for a place to count as missed.
pub const MISSED_RATIO: f64 = 100.0;

/// Share of the optimum from which on missed places are a missed mode.
pub const MISSED_SHARE: f64 = 0.05;

/// Share of effective paths below which weights are called spread out.
pub const SPREAD_SHARE: f64 = 0.5;

/// Standard errors from which on two estimates of log Z disagree.
const APART: f64 = 4.0;

/// What to make of path weights; the first of these that holds, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Verdict {
    /// Where the optimum is [`MISSED_RATIO`] times as dense as the tuned chain it has at least [`MISSED_SHARE`] of its mass, by at
    /// least 100 effective base paths, two standard errors clear of 0.
    MissesModes {
        /// Share of the optimum there, by base paths.
        tilt: f64,
        /// Share of the tuned paths there.
        tuned: f64,
    },
    /// Fewer than 100 effective paths, of the pool where there is one.
    TooFewPaths {
        /// Effective paths.
        effective: f64,
        /// Paths.
        paths: usize,
    },
    /// Base paths and tuned paths have estimates of log Z that lie more than four standard errors apart.
    Disagrees {
        /// That many, tuned above base being positive.
        errors: f64,
    },
    /// Weights are spread out: fewer than [`SPREAD_SHARE`] of the paths are effective.
    Spread {
        /// The share.
        share: f64,
        /// Var W, in nats².
        variance: f64,
    },
    /// Even weights, and no base paths, or too few effective ones, to see modes that no tuned path has been in.
    Unchecked {
        /// Effective base paths.
        effective: f64,
    },
    /// Even weights, and base paths that find nothing which tuned paths lack.
    Healthy {
        /// Share of effective paths.
        share: f64,
    },
}

impl Verdict {
    /// Of the tuned paths and, where there are some, the base paths.
    #[must_use]
    pub fn of(forward: &PathWeights, base: Option<&BaseSide>) -> Self {
        let share = forward.ess_share();
        let reliable = base.filter(|base| base.is_reliable());
        if let Some(base) = reliable
            && base.missed.value >= MISSED_SHARE
            && base.missed.value >= 2.0 * base.missed.se
        {
            return Self::MissesModes { tilt: base.missed.value, tuned: base.visited };
        }
        let (effective, paths) = match base {
            Some(base) if base.mixture.ess > forward.ess => (base.mixture.ess, base.n + forward.n),
            _ => (forward.ess, forward.n),
        };
        if effective < SMALL_ESS {
            return Self::TooFewPaths { effective, paths };
        }
        if let Some(base) = reliable {
            let (tuned, rounding) = (forward.log_z, 1e-9 * (1.0 + base.log_z.value.abs()));
            let apart = Estimate { value: tuned.value - base.log_z.value, se: tuned.se.hypot(base.log_z.se) };
            if apart.value.abs() > rounding && apart.z(0.0).abs() > APART && forward.ess >= SMALL_ESS {
                // finite, so that it can be written as JSON
                return Self::Disagrees { errors: apart.z(0.0).clamp(-1e6, 1e6) };
            }
        }
        if share < SPREAD_SHARE {
            return Self::Spread { share, variance: forward.variance };
        }
        match reliable {
            Some(_) => Self::Healthy { share },
            None => Self::Unchecked { effective: base.map_or(0.0, |base| base.ess) },
        }
    }
}

impl fmt::Display for Verdict {
    /// One sentence for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MissesModes { tilt, tuned } => write!(
                f,
                "The sampler misses modes: base paths put {:.1} % of the tilt where tuned paths put {:.2} %.",
                100.0 * tilt,
                100.0 * tuned
            ),
            Self::TooFewPaths { effective, paths } => write!(
                f,
                "Too few effective paths ({effective:.0} of {paths}): log Z is a lower bound; train longer or raise alpha."
            ),
            Self::Disagrees { errors } => write!(
                f,
                "Tuned and base paths disagree about log Z by {errors:+.1} standard errors: one of them misses places; draw more."
            ),
            Self::Spread { share, variance } => write!(
                f,
                "The weights are usable but spread out: {:.1} % of the tuned paths are effective, Var W {variance:.2}.",
                100.0 * share
            ),
            Self::Unchecked { effective: 0.0 } => {
                write!(f, "The weights are even, but no base paths look for modes that tuned paths never visit.")
            }
            Self::Unchecked { effective } => write!(
                f,
                "The weights are even, but only {effective:.0} effective base paths look for modes that tuned paths never visit."
            ),
            Self::Healthy { share } => write!(
                f,
                "The weights are healthy: {:.1} % of the tuned paths are effective, and base paths find nothing that they miss.",
                100.0 * share
            ),
        }
    }
}
