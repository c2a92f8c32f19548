//! How good a set of sequences is: reward, divergence, diversity, novelty, naturalness, exact tilts, and the report.
//!
//! Everything here is host-side arithmetic in f64 on plain numbers and checked sequences: no tensors, no files, no
//! clock. Where a law can be enumerated the answer is exact ([`exact`]); where it is sampled every figure carries a
//! standard error ([`Estimate`]).

pub mod calibration;
pub mod certificate;
pub mod changes;
pub mod diversity;
pub mod exact;
pub mod histogram;
pub mod logo;
pub mod ngram;
pub mod novelty;
pub mod pareto;
pub mod quantile;
pub mod rank;
pub mod report;
pub mod select;
pub mod series;
pub mod spectrum;
pub mod weights;

mod estimate;
mod log_mean;
mod metric;

pub use estimate::Estimate;
pub use log_mean::{LogMean, log_mean_exp, log_mean_exp_counted};
pub use metric::Metric;
