//! Any oracle, made worse.

use super::{Oracle, OracleInfo, OracleName, OracleOptions, Outcome};
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::registry::unknown;
use crate::reward::Reward;
use crate::sequence::Sequence;
use crate::store::Sha256;
use std::collections::HashMap;

/// An oracle whose values carry Gaussian noise and whose evaluations sometimes fail.
///
/// ```text
/// P(failed) = fail,   else value + sd ε,  ε ~ N(0, 1)
/// ```
///
/// What happens is a function of the seed, the sequence and the number of its evaluations before, so replicates differ
/// and a run is repeatable. A run that goes on after a restart tells what it had evaluated
/// ([`Oracle::recall`]); asking in the same order it then gets the labels that it would have got. Other outcomes than
/// values pass unchanged. Written `noisy:sd=0.1,fail=0.05,seed=3:KIND:ARGUMENT`; every option may be left out, sd and fail
/// are then 0.
///
/// ```
/// use seqtilt::oracle::{Noisy, Oracle, Table};
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let word = Sequence::parse("A", &dna)?;
/// let table = Table::new("one", dna, [(word.clone(), 0.5)])?;
/// let mut oracle = Noisy::new(table, 0.1, 0.0, 3)?;
/// let twice = oracle.evaluate(&[word.clone(), word])?;
/// assert_ne!(twice[0].value(), twice[1].value());
/// assert_eq!(twice[0].sd(), Some(0.1));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Debug)]
pub struct Noisy<O> {
    inner: O,
    info: OracleInfo,
    sd: f64,
    fail: f64,
    seed: u64,
    attempts: HashMap<Sequence, u64>,
}

impl<O: Oracle> Noisy<O> {
    /// Noise of standard deviation `sd` in the units of the values; a share `fail` of evaluations without an answer.
    ///
    /// # Errors
    /// When sd is negative or fail not from 0 to 1.
    pub fn new(inner: O, sd: f64, fail: f64, seed: u64) -> Result<Self> {
        if !(sd >= 0.0 && sd.is_finite()) {
            return Err(Error::usage(format!("`sd` is {sd}; 0 or more is accepted")));
        }
        if !(0.0..=1.0).contains(&fail) {
            return Err(Error::usage(format!("`fail` is {fail}; 0 to 1 is accepted")));
        }
        let of = inner.info();
        let mut hash = Sha256::default();
        hash.update(format!("noisy {sd} {fail} {seed} {}", of.fingerprint).as_bytes());
        let info = OracleInfo {
            name: format!("noisy {}", of.name),
            fingerprint: format!("sha256:{}", hash.hex()),
            deterministic: of.deterministic && sd == 0.0 && fail == 0.0,
            has_gradient: false,
            ..of.clone()
        };
        Ok(Self { inner, info, sd, fail, seed, attempts: HashMap::new() })
    }

    /// The number of evaluations before, and one more from now on.
    fn attempt(&mut self, sequence: &Sequence) -> u64 {
        let count = self.attempts.entry(sequence.clone()).or_insert(0);
        *count += 1;
        *count - 1
    }
}

impl<O: Oracle> Oracle for Noisy<O> {
    fn info(&self) -> &OracleInfo {
        &self.info
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        let outcomes = self.inner.evaluate(batch)?;
        let worse = |(sequence, outcome): (&Sequence, Outcome)| {
            let attempt = self.attempt(sequence);
            let Outcome::Value { mean, sd } = outcome else { return outcome };
            let node =
                sequence.ids().iter().fold(Seed::root(self.seed).child("noisy"), |s, id| s.index(u64::from(*id)));
            let mut rng = node.child("attempt").index(attempt).rng();
            if rng.uniform() < self.fail {
                return Outcome::Failed { reason: format!("dropped out on attempt {}", attempt + 1) };
            }
            if self.sd == 0.0 {
                return Outcome::Value { mean, sd };
            }
            Outcome::Value { mean: mean + self.sd * rng.normal(), sd: Some(self.sd.hypot(sd.unwrap_or(0.0))) }
        };
        Ok(batch.iter().zip(outcomes).map(worse).collect())
    }

    fn recall(&mut self, evaluated: &[Sequence]) {
        for sequence in evaluated {
            self.attempt(sequence);
        }
        self.inner.recall(evaluated);
    }
}

/// Opens `sd=0.1,fail=0.1,seed=3:KIND:ARGUMENT`.
pub(super) fn open(argument: &str, options: &OracleOptions) -> Result<Box<dyn Oracle>> {
    let (settings, inner) = parts(argument)?;
    let (mut sd, mut fail, mut seed) = (0.0, 0.0, 0);
    for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
        let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
        let wrong = |what| Error::usage(format!("`{key}` of `noisy` is `{value}`; {what} is accepted"));
        match key {
            "sd" => sd = value.parse().map_err(|_| wrong("a number"))?,
            "fail" => fail = value.parse().map_err(|_| wrong("a number"))?,
            "seed" => seed = value.parse().map_err(|_| wrong("a whole number"))?,
            _ => return Err(unknown("option of `noisy`", key, ["sd", "fail", "seed"])),
        }
    }
    Ok(Box::new(Noisy::new(inner.parse::<OracleName>()?.open(options)?, sd, fail, seed)?))
}

/// Settings, and the name of the oracle inside.
fn parts(argument: &str) -> Result<(&str, &str)> {
    argument.split_once(':').ok_or_else(|| {
        Error::usage(format!(
            "`noisy:{argument}` names no oracle; `noisy:sd=0.1,fail=0.1,seed=3:KIND:ARGUMENT` is accepted"
        ))
    })
}

/// Noise has no gradient.
pub(super) fn reward(argument: &str, _: &OracleOptions) -> Result<Box<dyn Reward>> {
    let (_, inner) = parts(argument)?;
    Err(Error::usage("a noisy oracle has no gradient").hint(format!("the oracle inside may have one: `{inner}`")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{Metered, Table};
    use crate::sequence::Alphabet;

    fn words(n: usize) -> Vec<Sequence> {
        let word = |i: usize| {
            Sequence::from_ids((0..6).map(|k| (i >> (2 * k) & 3) as u8).collect::<Vec<_>>(), &Alphabet::dna())
        };
        (0..n).map(|i| word(i).unwrap()).collect()
    }

    fn noisy(sd: f64, fail: f64, seed: u64) -> Noisy<Table> {
        let table = Table::new("flat", Alphabet::dna(), words(2000).into_iter().map(|word| (word, 0.5))).unwrap();
        Noisy::new(table, sd, fail, seed).unwrap()
    }

    #[test]
    fn noise_and_failures_have_their_size() {
        let words = words(2000);
        let outcomes = noisy(0.1, 0.2, 1).evaluate(&words).unwrap();
        let values: Vec<f64> = outcomes.iter().filter_map(|outcome| Some(outcome.value()? - 0.5)).collect();
        let n = values.len() as f64;
        // standard error √(0.2 · 0.8 / 2000) = 0.009; four of them
        assert!((n / 2000.0 - 0.8).abs() < 0.036, "{n}");
        let (mean, square) = (values.iter().sum::<f64>() / n, values.iter().map(|v| v * v).sum::<f64>() / n);
        // standard errors 0.1/√1600 = 0.0025 and √(2/1600) = 0.035 of the variance; four of each
        assert!(mean.abs() < 0.01 && (square / 0.01 - 1.0).abs() < 0.14, "{mean} {square}");
        assert_eq!(outcomes.iter().find(|o| o.value().is_none()).unwrap().reason(), Some("dropped out on attempt 1"));
    }

    #[test]
    fn a_run_that_goes_on_gets_the_labels_that_it_would_have_got() {
        let words = words(20);
        let mut whole = noisy(0.1, 0.3, 1);
        let (first, second) = (whole.evaluate(&words).unwrap(), whole.evaluate(&words).unwrap());
        assert_ne!(first, second);
        let mut resumed = Metered::new(noisy(0.1, 0.3, 1));
        resumed.recall(&words);
        assert_eq!(resumed.evaluate(&words).unwrap(), second);
        // neither the order within a batch nor its size matters
        let mut backwards: Vec<Sequence> = words.clone();
        backwards.reverse();
        let mut outcomes = noisy(0.1, 0.3, 1).evaluate(&backwards).unwrap();
        outcomes.reverse();
        assert_eq!(outcomes, first);
        assert_ne!(noisy(0.1, 0.3, 2).evaluate(&words).unwrap(), first);
    }

    #[test]
    fn it_is_not_cached_unless_it_changes_nothing() {
        assert!(!noisy(0.1, 0.0, 1).info().deterministic && !noisy(0.0, 0.1, 1).info().deterministic);
        assert!(noisy(0.0, 0.0, 1).info().deterministic);
        assert_ne!(noisy(0.1, 0.0, 1).info().fingerprint, noisy(0.1, 0.0, 2).info().fingerprint);
    }

    #[test]
    fn it_is_opened_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("letters.csv");
        std::fs::write(&file, "sequence,value\nA,0.25\nC,0.5\nG,0.75\nT,1\n").unwrap();
        let open = |settings: &str| {
            crate::oracle::open(&format!("noisy:{settings}:table:{}", file.display()), &OracleOptions::default())
        };
        let mut oracle = open("sd=0.1,fail=0.25,seed=3").unwrap();
        assert_eq!(oracle.info().name, "noisy letters");
        let word = Sequence::parse("G", &Alphabet::dna()).unwrap();
        assert_eq!(open("").unwrap().evaluate(std::slice::from_ref(&word)).unwrap(), [Outcome::exact(0.75)]);
        assert_eq!(oracle.evaluate(&[word]).unwrap().len(), 1);
        let message = |settings: &str| open(settings).err().unwrap().message().to_owned();
        assert_eq!(message("ds=1"), "unknown option of `noisy` `ds`; accepted: `sd`, `fail`, `seed`");
        assert_eq!(message("sd=much"), "`sd` of `noisy` is `much`; a number is accepted");
        assert_eq!(message("fail=2"), "`fail` is 2; 0 to 1 is accepted");
        assert_eq!(message("sd=-1"), "`sd` is -1; 0 or more is accepted");
        let name: OracleName = "noisy:sd=1:table:tfbind8".parse().unwrap();
        assert!(name.reward(&OracleOptions::default()).is_err());
    }
}
