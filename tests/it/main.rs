//! Integration tests.
#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

mod bench;
mod control;
mod data;
