//! Named data sets, tables and splits.

mod landscape;

pub use landscape::Landscape;
