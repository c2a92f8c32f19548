//! Integration tests.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod architecture;
mod cli;
mod data;
mod hostile;
mod oracle;
mod pipeline;
mod report;
mod resume;
