//! Alphabets, checked sequences, files of them, distances between them.

mod alphabet;
mod consensus;
mod constraint;
mod detect;
mod distance;
mod fasta;
mod mutation;
mod read;
mod records;
mod rule;
mod source;
mod table;
mod tokenizer;
mod word;

pub use alphabet::Alphabet;
pub use consensus::{consensus, variants_of};
pub use constraint::{Constraint, ENZYMES, Enzyme, GcWindow, Imposed, Pattern, Pick, Violation};
pub use detect::detect_alphabet;
pub use distance::{MeanPairwise, Nearest, distance, hamming, levenshtein, mean_pairwise, nearest};
pub use fasta::write_fasta;
pub use mutation::{
    Mutation, Numbering, agreeing_numberings, apply_mutations, format_mutations, mutations_between, parse_mutations,
};
pub use read::{ReadOptions, read_file, read_str};
pub use records::{Normalisation, Record, Records, Report};
pub use rule::{Breach, LetterSet, Rule, RuleEntry, Rules, Severity};
pub use source::{decode_text, read_bytes, read_text};
pub(crate) use table::nearest_name;
pub use table::{Row, Table, write_table};
pub use tokenizer::LetterTokenizer;
pub use word::Sequence;
