//! Ground truth: never differentiated, always counted.
//!
//! An oracle is named `KIND:ARGUMENT`, such as `table:assay.csv` or `model:models/tfbind8-reward`; [`ORACLES`] lists the
//! kinds and [`open`] opens one.

mod cache;
mod command;
mod conformance;
mod ehrlich;
mod expression;
mod fitted;
mod formula;
mod info;
mod kind;
mod metered;
mod model;
mod noisy;
mod onnx;
mod option;
mod outcome;
mod record;
mod recorded;
mod rules;
mod table;
mod trial;

pub use cache::Cache;
pub use command::{Command, CommandConfig, command_conformance};
pub use conformance::{Check, conformance};
pub use ehrlich::{Ehrlich, EhrlichShape, SpacedMotif};
pub use expression::Expression;
pub use fitted::Fitted;
pub use formula::Formula;
pub use info::OracleInfo;
pub use kind::{ORACLES, OracleKind, OracleName, OracleOptions, open};
pub use metered::{Metered, Usage};
pub use model::Model;
pub use noisy::Noisy;
#[cfg(feature = "onnx")]
pub use onnx::Onnx;
pub use onnx::OnnxConfig;
pub use outcome::{Bound, Outcome};
pub use recorded::Recorded;
pub use rules::Kept;
pub use table::Table;
pub use trial::{FAMILIES, Fit, Support, Trial, best, cross_validate, is_significant, trials};

pub(crate) use record::Record;

use crate::error::Result;
use crate::sequence::Sequence;

/// Something that says how good a sequence is; higher is better.
///
/// ```
/// use seqtilt::oracle::{Oracle, Outcome, Table};
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let word = Sequence::parse("AGGTATCA", &dna)?;
/// let mut oracle = Table::new("assay", dna, [(word.clone(), 1.0)])?;
/// assert_eq!(oracle.evaluate(&[word])?, [Outcome::exact(1.0)]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
pub trait Oracle: Send {
    /// What it is and which sequences it takes.
    fn info(&self) -> &OracleInfo;

    /// One outcome for each sequence, in order.
    ///
    /// # Errors
    /// When the oracle as a whole cannot answer; what goes wrong with one sequence is its [`Outcome`].
    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>>;

    /// Told, before it is asked more, what an earlier part of the same run had it evaluate, in that order: an oracle whose
    /// answers depend on how often it was asked goes on from there.
    fn recall(&mut self, evaluated: &[Sequence]) {
        let _ = evaluated;
    }
}

impl<O: Oracle + ?Sized> Oracle for Box<O> {
    fn info(&self) -> &OracleInfo {
        (**self).info()
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        (**self).evaluate(batch)
    }

    fn recall(&mut self, evaluated: &[Sequence]) {
        (**self).recall(evaluated);
    }
}

impl<O: Oracle + ?Sized> Oracle for &mut O {
    fn info(&self) -> &OracleInfo {
        (**self).info()
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        (**self).evaluate(batch)
    }

    fn recall(&mut self, evaluated: &[Sequence]) {
        (**self).recall(evaluated);
    }
}
