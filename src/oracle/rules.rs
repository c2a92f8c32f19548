//! Constraints as scores.

use super::kind::stem;
use super::{Oracle, OracleInfo, OracleOptions, Outcome};
use crate::error::{Error, Result};
use crate::reward::{LONGEST, Reward};
use crate::sequence::{Rules, Sequence, Severity, read_text};
use crate::store::Sha256;
use std::path::Path;

/// Violations that a reason names, at most.
const NAMED: usize = 3;

/// How well sequences keep rules.
///
/// ```text
/// score(x) = −Σ_rules penalty · violations(x)
/// ```
/// 0 where all are met; infeasible, with the violations, where a hard rule is not met or the length is out of limits. Which
/// violations a soft score is made of is told by [`Rules::violations`].
///
/// ```
/// use seqtilt::oracle::{Kept, Oracle, Outcome};
/// use seqtilt::sequence::{Rules, Sequence};
/// let mut oracle = Kept::new("plain", "letters = 'dna'\n[[run]]\nmost = 2\npenalty = 0.5\n")?;
/// let word = Sequence::parse("AAACCCG", &oracle.info().alphabet.clone())?;
/// assert_eq!(oracle.evaluate(&[word])?, [Outcome::exact(-1.0)]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Kept {
    info: OracleInfo,
    rules: Rules,
}

impl Kept {
    /// From the text of a file of rules.
    ///
    /// # Errors
    /// When it is not one.
    pub fn new(name: impl Into<String>, text: &str) -> Result<Self> {
        let rules = Rules::parse(text)?;
        let mut hash = Sha256::default();
        hash.update(b"rules ");
        hash.update(text.as_bytes());
        let info = OracleInfo {
            name: name.into(),
            fingerprint: format!("sha256:{}", hash.hex()),
            alphabet: rules.alphabet.clone(),
            length: rules.length.unwrap_or((1, LONGEST)),
            deterministic: true,
            has_gradient: false,
        };
        Ok(Self { info, rules })
    }

    /// The rules.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    fn outcome(&self, sequence: &Sequence) -> Outcome {
        let ((least, most), got) = (self.info.length, sequence.len());
        if !(least..=most).contains(&got) {
            return Outcome::Infeasible { reason: format!("{got} letters; {} are accepted", self.info.lengths()) };
        }
        let (mut score, mut broken) = (0.0, Vec::new());
        for (entry, violation) in self.rules.violations(sequence) {
            match entry.severity {
                Severity::Penalty(penalty) => score -= penalty,
                Severity::Hard => broken.push(violation.to_string()),
            }
        }
        if broken.is_empty() {
            return Outcome::exact(score);
        }
        let more = broken.len().saturating_sub(NAMED);
        broken.truncate(NAMED);
        let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
        Outcome::Infeasible { reason: format!("{}{rest}", broken.join("; ")) }
    }
}

impl Oracle for Kept {
    fn info(&self) -> &OracleInfo {
        &self.info
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        let outcome = |sequence: &Sequence| {
            self.info.check_letters(sequence)?;
            Ok(self.outcome(sequence))
        };
        batch.iter().map(outcome).collect()
    }
}

pub(super) fn open(file: &str, _: &OracleOptions) -> Result<Box<dyn Oracle>> {
    let path = Path::new(file);
    Ok(Box::new(Kept::new(stem(file), &read_text(path)?).map_err(|error| error.at(path))?))
}

/// It counts: there is no slope.
pub(super) fn reward(_: &str, _: &OracleOptions) -> Result<Box<dyn Reward>> {
    Err(Error::usage("counts of violations have no gradient").hint(
        "methods that ask for values alone take it; `seqtilt list methods` and `seqtilt list proposers` show some",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{OracleName, conformance};
    use crate::random::Seed;

    const FILE: &str = "letters = 'dna'\nlength = [6, 9]\n[[gc]]\nleast = 0.2\npenalty = 3\n[[run]]\nmost = 2\n\
                        [[forbidden]]\nmotif = 'TA'\nhard = true\n";

    #[test]
    fn penalties_add_up_and_a_hard_rule_makes_infeasible_with_reasons() {
        let mut kept = Kept::new("kept", FILE).unwrap();
        let alphabet = kept.info.alphabet.clone();
        let mut say = |text: &str| kept.evaluate(&[Sequence::parse(text, &alphabet).unwrap()]).unwrap().remove(0);
        assert_eq!(say("ACGACG"), Outcome::exact(0.0));
        assert_eq!(say("AAATTTCG"), Outcome::exact(-2.0));
        assert_eq!(say("AAAAAATT"), Outcome::exact(-4.0));
        assert_eq!(say("ACGTAC").reason(), Some("no `TA`: found `TA` at position 4"));
        let many = say("TATATATAT");
        assert!(many.reason().unwrap().ends_with("at position 5; and 1 more"), "{many:?}");
        assert_eq!(say("ACGAC").reason(), Some("5 letters; 6 to 9 are accepted"));
    }

    #[test]
    fn it_conforms_by_name_and_has_no_gradient() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("rules.toml");
        std::fs::write(&file, FILE).unwrap();
        let name: OracleName = format!("rules:{}", file.display()).parse().unwrap();
        let options = OracleOptions::default();
        let mut oracle = name.open(&options).unwrap();
        assert_eq!(oracle.info().name, "rules");
        let alphabet = oracle.info().alphabet.clone();
        let mut rng = Seed::root(1).rng();
        let mut probe = |length: usize| {
            let ids: Vec<u8> = (0..length).map(|_| rng.below(4) as u8).collect();
            Sequence::from_ids(ids, &alphabet).unwrap()
        };
        let probes: Vec<Sequence> = (0..30).map(|i| probe(5 + i % 6)).collect();
        let checks = conformance(oracle.as_mut(), None, &probes).unwrap();
        assert!(checks.len() == 6 && checks.iter().all(|check| check.passed), "{checks:?}");
        assert!(name.reward(&options).is_err());
        std::fs::write(&file, "letters = 'dna'\n[[run]]\nmost = 'x'\n").unwrap();
        let error = name.open(&options).err().unwrap().to_string();
        assert!(error.contains("rules.toml:3:8: "), "{error}");
    }
}
