//! Alphabets, checked sequences, files of them, distances between them.

mod alphabet;
mod word;

pub use alphabet::Alphabet;
pub use word::Sequence;
