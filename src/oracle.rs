//! Ground truth: never differentiated, always counted.
