//! What every oracle must do.

use super::{Oracle, Outcome};
use crate::error::Result;
use crate::reward::{Reward, one_hot};
use crate::sequence::Sequence;
use candle_core::Device;
use serde::Serialize;
use std::collections::BTreeSet;

/// One requirement and how the oracle met it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What was asked for.
    pub name: &'static str,
    /// Whether it was met.
    pub passed: bool,
    /// What was seen.
    pub detail: String,
}

/// Puts an oracle through the list: an empty batch, one sequence, all of `probes`, a repeat, another order, a wrong
/// letter, numbers that are numbers; and, where it is a reward too, the same values at one-hot letters.
///
/// # Errors
/// Only when an answer that must come does not come at all; what is wrong with an answer is a failed [`Check`].
pub fn conformance(oracle: &mut dyn Oracle, reward: Option<&dyn Reward>, probes: &[Sequence]) -> Result<Vec<Check>> {
    let mut checks = Vec::new();
    let mut add = |name, passed, detail: String| checks.push(Check { name, passed, detail });
    let info = oracle.info().clone();
    let empty = oracle.evaluate(&[])?;
    add("an empty batch has no outcomes", empty.is_empty(), format!("{} outcomes", empty.len()));
    let all = oracle.evaluate(probes)?;
    let with_value = all.iter().filter(|outcome| outcome.value().is_some()).count();
    let seen = format!("{} outcomes for {} sequences, {with_value} with a value", all.len(), probes.len());
    add("one outcome for each sequence", all.len() == probes.len(), seen);
    let unsound = all.iter().find(|outcome| !is_sound(outcome));
    let seen = unsound.map_or_else(|| "all are".to_owned(), |outcome| format!("got {outcome:?}"));
    add("values are finite, standard deviations not negative", unsound.is_none(), seen);
    if info.deterministic {
        let singly: Vec<Outcome> = probes
            .iter()
            .map(|probe| oracle.evaluate(std::slice::from_ref(probe)))
            .collect::<Result<Vec<_>>>()?
            .concat();
        let (same, seen) = compare(&singly, &all);
        add("alone or in a batch, the same outcome", same, seen);
        let backwards: Vec<Sequence> = probes.iter().rev().cloned().collect();
        let mut outcomes = oracle.evaluate(&backwards)?;
        outcomes.reverse();
        let (same, seen) = compare(&outcomes, &all);
        add("outcomes follow the order of the batch", same, seen);
    }
    if let Some(strange) = outside(&info.alphabet, probes) {
        let answer = oracle.evaluate(&[strange]);
        let refused = answer.as_ref().map_or(true, |outcomes| outcomes.iter().all(|one| one.value().is_none()));
        let seen = answer.map_or_else(|error| error.to_string(), |outcomes| format!("{outcomes:?}"));
        add("a letter outside the alphabet has no value", refused, seen);
    }
    if let Some(reward) = reward {
        let known: Vec<(Sequence, f64)> =
            probes.iter().zip(&all).filter_map(|(probe, outcome)| Some((probe.clone(), outcome.value()?))).collect();
        if let Some((_, first)) = known.first() {
            let scale = known.iter().fold(first.abs().max(1e-3), |most, (_, value)| most.max(value.abs()));
            let mut worst = 0.0_f64;
            // one length at a time
            let lengths: BTreeSet<usize> = known.iter().map(|(word, _)| word.len()).collect();
            for length in lengths {
                let of: Vec<&(Sequence, f64)> = known.iter().filter(|(word, _)| word.len() == length).collect();
                let words: Vec<Sequence> = of.iter().map(|(word, _)| word.clone()).collect();
                let vertices = match reward.reads() {
                    Some(domain) => domain.one_hot(&words, &Device::Cpu)?,
                    None => one_hot(&words, info.alphabet.len(), &Device::Cpu)?,
                };
                let rewards = reward.reward(&vertices)?.to_vec1::<f32>()?;
                let gaps = rewards.iter().zip(of).map(|(reward, (_, value))| (f64::from(*reward) - value).abs());
                worst = gaps.fold(worst, f64::max);
            }
            add("the reward has the oracle's values", worst <= 1e-5 * scale, format!("largest difference {worst:.2e}"));
        }
    }
    Ok(checks)
}

fn is_sound(outcome: &Outcome) -> bool {
    outcome.value().is_none_or(f64::is_finite) && outcome.sd().is_none_or(|sd| sd.is_finite() && sd >= 0.0)
}

/// Whether outcomes agree: the same status, and values up to the rounding of f32 sums in another order.
fn compare(some: &[Outcome], others: &[Outcome]) -> (bool, String) {
    let apart = |a: &Outcome, b: &Outcome| match (a.value(), b.value()) {
        (Some(a), Some(b)) => (a - b).abs() > 1e-5 * (1e-3 + a.abs().max(b.abs())),
        _ => a != b,
    };
    match some.iter().zip(others).find(|(a, b)| apart(a, b)) {
        Some((a, b)) => (false, format!("{a:?} against {b:?}")),
        None => (some.len() == others.len(), format!("{} compared", some.len().min(others.len()))),
    }
}

/// A probe with a letter that the alphabet does not have.
fn outside(alphabet: &crate::sequence::Alphabet, probes: &[Sequence]) -> Option<Sequence> {
    let wide = crate::sequence::Alphabet::custom("wide", "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789*-").ok()?;
    let mut ids = probes.first()?.ids().to_vec();
    *ids.first_mut()? = u8::try_from(alphabet.len()).ok()?;
    Sequence::from_ids(ids, &wide).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::{OracleInfo, Table};
    use crate::sequence::Alphabet;

    fn words(texts: &[&str]) -> Vec<Sequence> {
        texts.iter().map(|text| Sequence::parse(text, &Alphabet::dna()).unwrap()).collect()
    }

    #[test]
    fn a_table_passes() {
        let words = words(&["AC", "GT", "CC"]);
        let pairs = words.iter().cloned().zip([0.5, -1.0, 2.0]);
        let mut table = Table::new("assay", Alphabet::dna(), pairs.take(2)).unwrap();
        let checks = conformance(&mut table, None, &words).unwrap();
        assert_eq!(checks.len(), 6);
        assert!(checks.iter().all(|check| check.passed), "{checks:?}");
        assert_eq!(checks[1].detail, "3 outcomes for 3 sequences, 2 with a value");
    }

    /// Counts its calls: neither repeatable nor in order, and not a number at last.
    struct Broken(OracleInfo, f64);

    impl Oracle for Broken {
        fn info(&self) -> &OracleInfo {
            &self.0
        }

        fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
            self.1 += 1.0;
            let value = |index: usize| Outcome::exact(if index == 2 { f64::NAN } else { self.1 + index as f64 });
            Ok((0..batch.len()).map(value).collect())
        }
    }

    #[test]
    fn a_broken_oracle_fails_with_what_was_seen() {
        let words = words(&["AC", "GT", "CC"]);
        let table = Table::new("assay", Alphabet::dna(), [(words[0].clone(), 1.0)]).unwrap();
        let mut broken = Broken(table.info().clone(), 0.0);
        let checks = conformance(&mut broken, None, &words).unwrap();
        let failed: Vec<_> = checks.iter().filter(|check| !check.passed).map(|check| check.name).collect();
        assert_eq!(
            failed,
            [
                "values are finite, standard deviations not negative",
                "alone or in a batch, the same outcome",
                "outcomes follow the order of the batch",
                "a letter outside the alphabet has no value",
            ]
        );
    }
}
