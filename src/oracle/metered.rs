//! An oracle that counts.

use super::{Cache, Oracle, OracleInfo, Outcome};
use crate::error::{Error, Result};
use crate::sequence::Sequence;
use std::collections::{HashMap, HashSet};

/// Evaluations so far, by what they cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// First evaluations of a sequence.
    pub unique: u64,
    /// Further evaluations of a sequence: replicates of a noisy oracle, or another attempt after a failure.
    pub replicate: u64,
    /// Answers from memory, which cost nothing.
    pub cached: u64,
    /// Sequences left unevaluated because the budget was spent.
    pub skipped: u64,
}

impl Usage {
    /// What counts against the budget: unique evaluations and replicates.
    #[must_use]
    pub const fn spent(&self) -> u64 {
        self.unique + self.replicate
    }
}

/// Counts the evaluations of an oracle, remembers the answers of a deterministic one, and stops at a budget.
///
/// A sequence that the budget does not cover is [`Outcome::Skipped`]: running out is an end, not an error.
///
/// ```
/// use seqtilt::oracle::{Metered, Oracle, Table};
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let (a, c) = (Sequence::parse("A", &dna)?, Sequence::parse("C", &dna)?);
/// let table = Table::new("two", dna, [(a.clone(), 0.25), (c.clone(), 0.5)])?;
/// let mut oracle = Metered::new(table).with_budget(1);
/// let statuses: Vec<_> = oracle.evaluate(&[a.clone(), a, c])?.iter().map(|outcome| outcome.status()).collect();
/// assert_eq!(statuses, ["ok", "ok", "skipped"]);
/// let usage = oracle.usage();
/// assert_eq!((usage.unique, usage.cached, usage.skipped), (1, 1, 1));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Debug)]
pub struct Metered<O> {
    inner: O,
    budget: Option<u64>,
    usage: Usage,
    seen: HashSet<Sequence>,
    cache: Cache,
}

impl<O: Oracle> Metered<O> {
    /// Without a budget and with an empty memory.
    pub fn new(inner: O) -> Self {
        Self { inner, budget: None, usage: Usage::default(), seen: HashSet::new(), cache: Cache::default() }
    }

    /// At most so many evaluations, unique and replicate together.
    #[must_use]
    pub fn with_budget(mut self, budget: u64) -> Self {
        self.budget = Some(budget);
        self
    }

    /// With the memory of an earlier run; used for deterministic oracles only.
    #[must_use]
    pub fn with_cache(mut self, cache: Cache) -> Self {
        self.cache = cache;
        self
    }

    /// Evaluations so far.
    #[must_use]
    pub const fn usage(&self) -> Usage {
        self.usage
    }

    /// How many evaluations are left; `None` without a budget.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        self.budget.map(|budget| budget.saturating_sub(self.usage.spent()))
    }

    /// The memory, to be handed to a later run.
    #[must_use]
    pub const fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Which of the batch's sequences to send, in order, and where the answer of each comes from.
    fn plan(&self, batch: &[Sequence]) -> (Vec<Sequence>, Vec<Source>) {
        let info = self.inner.info();
        let mut fresh: Vec<Sequence> = Vec::new();
        let mut position: HashMap<&Sequence, usize> = HashMap::new();
        let room = self.left().map_or(usize::MAX, |left| usize::try_from(left).unwrap_or(usize::MAX));
        let sources = batch
            .iter()
            .map(|sequence| {
                if info.deterministic {
                    if let Some(outcome) = self.cache.get(&info.fingerprint, sequence) {
                        return Source::Memory(outcome.clone());
                    }
                    if let Some(index) = position.get(sequence) {
                        return Source::Repeat(*index);
                    }
                }
                if fresh.len() >= room {
                    return Source::Unaffordable;
                }
                position.insert(sequence, fresh.len());
                fresh.push(sequence.clone());
                Source::Fresh(fresh.len() - 1)
            })
            .collect();
        (fresh, sources)
    }
}

/// A value that is not a number is not a value.
fn refuse_non_finite(outcome: &mut Outcome) {
    if let Outcome::Value { mean, .. } = outcome
        && !mean.is_finite()
    {
        *outcome = Outcome::Failed { reason: format!("the oracle answered {mean}, which is not a finite number") };
    }
}

/// Where the answer to one item of a batch comes from.
enum Source {
    Fresh(usize),
    Repeat(usize),
    Memory(Outcome),
    Unaffordable,
}

impl<O: Oracle> Oracle for Metered<O> {
    fn info(&self) -> &OracleInfo {
        self.inner.info()
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        let (fresh, sources) = self.plan(batch);
        let mut answers = if fresh.is_empty() { Vec::new() } else { self.inner.evaluate(&fresh)? };
        answers.iter_mut().for_each(refuse_non_finite);
        let info = self.inner.info();
        if answers.len() != fresh.len() {
            return Err(Error::oracle(format!(
                "oracle `{}` gave {} outcomes for {} sequences",
                info.name,
                answers.len(),
                fresh.len()
            )));
        }
        for (sequence, outcome) in fresh.iter().zip(&answers) {
            if self.seen.insert(sequence.clone()) {
                self.usage.unique += 1;
            } else {
                self.usage.replicate += 1;
            }
            if info.deterministic {
                self.cache.insert(&info.fingerprint, sequence, outcome);
            }
        }
        let outcomes = sources.into_iter().map(|source| match source {
            Source::Fresh(index) => answers[index].clone(),
            Source::Repeat(index) => {
                self.usage.cached += 1;
                answers[index].clone()
            }
            Source::Memory(outcome) => {
                self.usage.cached += 1;
                outcome
            }
            Source::Unaffordable => {
                self.usage.skipped += 1;
                Outcome::Skipped
            }
        });
        Ok(outcomes.collect())
    }

    fn recall(&mut self, evaluated: &[Sequence]) {
        self.inner.recall(evaluated);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::Alphabet;

    /// Counts its own calls; answers NaN to sequences that start with token 3.
    struct Probe {
        info: OracleInfo,
        calls: Vec<usize>,
    }

    impl Oracle for Probe {
        fn info(&self) -> &OracleInfo {
            &self.info
        }

        fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
            self.calls.push(batch.len());
            let outcome = |sequence: &Sequence| match sequence.ids()[0] {
                3 => Outcome::exact(f64::NAN),
                id => Outcome::exact(f64::from(id)),
            };
            Ok(batch.iter().map(outcome).collect())
        }
    }

    fn probe(deterministic: bool) -> Probe {
        let info = OracleInfo {
            name: "probe".to_owned(),
            fingerprint: "probe:1".to_owned(),
            alphabet: Alphabet::dna(),
            length: (1, 1),
            deterministic,
            has_gradient: false,
        };
        Probe { info, calls: Vec::new() }
    }

    fn words(text: &str) -> Vec<Sequence> {
        text.bytes().map(|letter| Sequence::parse(&char::from(letter).to_string(), &Alphabet::dna()).unwrap()).collect()
    }

    #[test]
    fn repeats_of_a_deterministic_oracle_cost_nothing() {
        let mut oracle = Metered::new(probe(true));
        let values: Vec<_> = oracle.evaluate(&words("ACAG")).unwrap().iter().map(Outcome::value).collect();
        assert_eq!(values, [Some(0.0), Some(1.0), Some(0.0), Some(2.0)]);
        oracle.evaluate(&words("GA")).unwrap();
        assert_eq!(oracle.usage(), Usage { unique: 3, replicate: 0, cached: 3, skipped: 0 });
        assert_eq!(oracle.inner.calls, [3], "a batch answered from memory is not sent");
    }

    #[test]
    fn repeats_of_a_noisy_oracle_are_replicates() {
        let mut oracle = Metered::new(probe(false));
        oracle.evaluate(&words("ACA")).unwrap();
        oracle.evaluate(&words("A")).unwrap();
        assert_eq!(oracle.usage(), Usage { unique: 2, replicate: 2, cached: 0, skipped: 0 });
    }

    #[test]
    fn what_is_not_a_number_is_a_failure_and_failures_are_asked_again() {
        let mut oracle = Metered::new(probe(true));
        assert_eq!(oracle.evaluate(&words("T")).unwrap()[0].status(), "failed");
        oracle.evaluate(&words("T")).unwrap();
        assert_eq!(oracle.usage(), Usage { unique: 1, replicate: 1, cached: 0, skipped: 0 });
    }

    #[test]
    fn a_spent_budget_skips_what_is_new_and_still_answers_what_is_known() {
        let mut oracle = Metered::new(probe(true)).with_budget(2);
        let statuses: Vec<_> = oracle.evaluate(&words("ACGA")).unwrap().iter().map(Outcome::status).collect();
        assert_eq!(statuses, ["ok", "ok", "skipped", "ok"]);
        assert_eq!((oracle.left(), oracle.usage().spent()), (Some(0), 2));
        let cache = oracle.cache().clone();
        let mut later = Metered::new(probe(true)).with_cache(cache);
        later.evaluate(&words("ACG")).unwrap();
        assert_eq!(later.usage(), Usage { unique: 1, replicate: 0, cached: 2, skipped: 0 });
    }
}
