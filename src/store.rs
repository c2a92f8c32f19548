//! Model and run folders: hashes, atomic writes, locks.
//!
//! Everything here is deterministic: the same content gives the same bytes, and no clock is read. A reader that finds
//! a file changed, cut short or foreign answers [`Error::integrity`](crate::Error::integrity) with the file's name,
//! what was expected and what was found.

mod append;
mod atomic;
mod checkpoint;
mod diff;
pub mod embedded;
mod hash;
mod manifest;
mod metrics;
mod model;
mod record;
mod run;
mod tensors;

pub use append::{append_lines, whole_lines};
pub use atomic::{remove_partials_below, write_atomic};
pub use checkpoint::Checkpoint;
pub use embedded::{inspect_model, open_model};
pub use hash::{Sha256, sha256, sha256_file};
pub use manifest::{FileHash, Manifest};
pub use model::ModelFolder;
pub use record::RunRecord;
pub use run::{RunFolder, RunInfo, RunState};
pub use tensors::{Tensors, decode_tensors, encode_tensors};
