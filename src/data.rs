//! Named data sets, tables and splits.
//!
//! A data directory holds files that a manifest names with their SHA-256: the package's own manifest for public data
//! sets, one in the directory for the user's imports. Which directory it is, the caller decides.

mod describe;
mod difficulty;
mod fetch;
mod import;
mod landscape;
mod load;
mod manifest;
mod split;

pub use describe::{Description, Lengths, Values, WildType, describe, quantile};
pub use difficulty::{DIFFICULTIES, Difficulty};
pub use fetch::{FetchOptions, fetch};
pub use import::{ImportOptions, import};
pub use landscape::Landscape;
pub use load::{Condition, load, locate, verify};
pub use manifest::{Dataset, built_in, datasets, find, own};
pub use split::{Part, Split, split, write_split};
