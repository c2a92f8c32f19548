//! Named data sets, tables and splits.
