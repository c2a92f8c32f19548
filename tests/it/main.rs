//! Integration tests.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod architecture;
mod bench;
mod cli;
mod command;
mod command_runs;
mod constraints;
mod control;
mod data;
mod distil;
mod energy;
mod hostile;
mod initial_law;
mod lengths;
mod methods;
mod models_verify;
mod onnx;
mod optimize;
mod oracle;
mod pipeline;
mod report;
mod report_verb;
mod resume;
mod steer;
mod tables;
mod transfers;
