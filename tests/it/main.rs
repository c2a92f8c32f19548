//! Integration tests.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod architecture;
mod cli;
mod control;
mod data;
mod oracle;
mod report;
