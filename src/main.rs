//! The `seqtilt` command.
fn main() {}
