//! An oracle as a score.

use crate::error::{Error, Result};
use crate::oracle::{Metered, Oracle, Outcome};
use crate::reward::Score;
use crate::sequence::Sequence;
use std::sync::{Mutex, PoisonError};

/// Any oracle as a [`Score`]: what it has no value for is an error, or counts as a value that was given.
///
/// A deterministic oracle is asked once per sequence.
pub(super) struct OracleScore {
    name: String,
    oracle: Mutex<Metered<Box<dyn Oracle>>>,
    missing: Option<f64>,
}

impl OracleScore {
    pub(super) fn new(oracle: Box<dyn Oracle>, missing: Option<f64>) -> Self {
        Self { name: oracle.info().name.clone(), oracle: Mutex::new(Metered::new(oracle)), missing }
    }

    /// Sequences that were evaluated, each counted once.
    pub(super) fn unique(&self) -> u64 {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner).usage().unique
    }
}

impl Score for OracleScore {
    fn name(&self) -> &str {
        &self.name
    }

    fn scores(&self, sequences: &[Sequence]) -> Result<Vec<f64>> {
        let mut oracle = self.oracle.lock().unwrap_or_else(PoisonError::into_inner);
        let outcomes = oracle.evaluate(sequences)?;
        let alphabet = &oracle.info().alphabet;
        let value = |(outcome, sequence): (&Outcome, &Sequence)| {
            outcome.value().or(self.missing).ok_or_else(|| {
                let why = outcome.reason().map_or_else(|| outcome.status().to_owned(), str::to_owned);
                Error::oracle(format!("oracle `{}` has no value for `{}`: {why}", self.name, sequence.text(alphabet)))
                    .hint(
                        "complete the table; `finetune` and `steer` count such sequences as what --missing REWARD says",
                    )
            })
        };
        outcomes.iter().zip(sequences).map(value).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Table;
    use crate::sequence::Alphabet;

    #[test]
    fn what_is_not_known_is_an_error_or_what_was_given() {
        let dna = Alphabet::dna();
        let words = ["A", "C", "A"].map(|text| Sequence::parse(text, &dna).unwrap());
        let score = |missing| {
            let table = Table::new("one", dna.clone(), [(words[0].clone(), 0.5)]).unwrap();
            OracleScore::new(Box::new(table), missing)
        };
        let error = score(None).scores(&words).unwrap_err();
        assert!(error.message().starts_with("oracle `one` has no value for `C`: "), "{error}");
        let known = score(Some(-1.0));
        assert_eq!(known.scores(&words).unwrap(), [0.5, -1.0, 0.5]);
        assert_eq!((known.name(), known.unique()), ("one", 2));
    }
}
