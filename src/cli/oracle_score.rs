//! An oracle as a score.

use crate::error::{Error, Result};
use crate::oracle::{Metered, Oracle, Outcome, Recorded};
use crate::reward::Score;
use crate::sequence::Sequence;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Any oracle as a [`Score`]: what it has no value for is an error, or counts as a value that was given.
///
/// A deterministic oracle is asked once per sequence.
pub(super) struct OracleScore {
    name: String,
    oracle: Mutex<Metered<Box<dyn Oracle>>>,
    missing: Option<f64>,
    /// Evaluations that earlier runs of the same command paid for.
    before: u64,
}

impl OracleScore {
    pub(super) fn new(oracle: Box<dyn Oracle>, missing: Option<f64>) -> Self {
        let name = oracle.info().name.clone();
        Self { name, oracle: Mutex::new(Metered::new(oracle)), missing, before: 0 }
    }

    /// With every evaluation kept in a file, and at most so many of them, those that the file holds counted.
    ///
    /// # Errors
    /// When the file cannot be read or is of something else.
    pub(super) fn recorded(
        oracle: Box<dyn Oracle>,
        missing: Option<f64>,
        file: &Path,
        budget: Option<u64>,
    ) -> Result<Self> {
        let name = oracle.info().name.clone();
        let recorded = Recorded::open(oracle, file)?;
        let (before, cache) = (recorded.before() as u64, recorded.cache());
        let mut metered = Metered::new(Box::new(recorded) as Box<dyn Oracle>).with_cache(cache);
        if let Some(budget) = budget {
            metered = metered.with_budget(budget.saturating_sub(before));
        }
        Ok(Self { name, oracle: Mutex::new(metered), missing, before })
    }

    /// The same with at most so many evaluations.
    pub(super) fn within(self, budget: Option<u64>) -> Self {
        let oracle = self.oracle.into_inner().unwrap_or_else(PoisonError::into_inner);
        let oracle = match budget {
            Some(budget) => oracle.with_budget(budget),
            None => oracle,
        };
        Self { oracle: Mutex::new(oracle), ..self }
    }

    /// Sequences that were evaluated, each counted once.
    pub(super) fn unique(&self) -> u64 {
        self.lend().usage().unique
    }

    /// Evaluations that were paid for, those of earlier runs of the same command counted.
    pub(super) fn spent(&self) -> u64 {
        self.before + self.lend().usage().spent()
    }

    /// The oracle itself, for who reads outcomes; it is asked by nobody else meanwhile.
    pub(super) fn lend(&self) -> MutexGuard<'_, Metered<Box<dyn Oracle>>> {
        self.oracle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there is a budget.
    pub(super) fn is_limited(&self) -> bool {
        self.lend().left().is_some()
    }

    /// Whether something was left unevaluated because the budget was spent.
    pub(super) fn is_spent(&self) -> bool {
        self.lend().usage().skipped > 0
    }
}

impl Score for OracleScore {
    fn name(&self) -> &str {
        &self.name
    }

    fn scores(&self, sequences: &[Sequence]) -> Result<Vec<f64>> {
        let mut oracle = self.lend();
        let skipped = oracle.usage().skipped;
        let outcomes = oracle.evaluate(sequences)?;
        let usage = oracle.usage();
        if usage.skipped > skipped {
            let spent = self.before + usage.spent();
            return Err(Error::oracle(format!("the budget of --max-evals is spent: {spent} evaluations"))
                .hint("what was evaluated is kept; the same command with a larger --max-evals goes on from there"));
        }
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

    fn table() -> (Box<dyn Oracle>, [Sequence; 3]) {
        let dna = Alphabet::dna();
        let words = ["A", "C", "A"].map(|text| Sequence::parse(text, &dna).unwrap());
        (Box::new(Table::new("one", dna, [(words[0].clone(), 0.5)]).unwrap()), words)
    }

    #[test]
    fn what_is_not_known_is_an_error_or_what_was_given() {
        let (table, words) = table();
        let error = OracleScore::new(table, None).scores(&words).unwrap_err();
        assert!(error.message().starts_with("oracle `one` has no value for `C`: "), "{error}");
        let known = OracleScore::new(self::table().0, Some(-1.0));
        assert_eq!(known.scores(&words).unwrap(), [0.5, -1.0, 0.5]);
        assert_eq!((known.name(), known.unique()), ("one", 2));
    }

    #[test]
    fn a_spent_budget_is_no_missing_value_and_what_was_paid_for_is_known_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("evaluations.jsonl");
        let (dna, words) = (Alphabet::dna(), table().1);
        let other = Sequence::parse("G", &dna).unwrap();
        let score = |budget| OracleScore::recorded(table().0, Some(-1.0), &file, Some(budget)).unwrap();
        let first = score(2);
        let error = first.scores(&[words[0].clone(), words[1].clone(), other.clone()]).unwrap_err();
        assert_eq!(error.message(), "the budget of --max-evals is spent: 2 evaluations");
        assert!(first.is_spent() && first.spent() == 2);
        let second = score(4);
        assert_eq!(second.spent(), 2);
        // the value is known, the failure is asked for again, and the third for the first time
        assert_eq!(second.scores(&[words[0].clone(), words[1].clone(), other]).unwrap(), [0.5, -1.0, -1.0]);
        assert_eq!((second.spent(), second.is_spent()), (4, false));
        assert_eq!(OracleScore::new(table().0, None).within(Some(1)).scores(&words[..1]).unwrap(), [0.5]);
    }
}
