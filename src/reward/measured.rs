//! What has been measured so far.

use super::{Domain, TrainingSet};
use crate::error::{Error, Result};
use crate::sequence::Sequence;
use std::collections::BTreeSet;

/// One spent evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Label {
    /// What was evaluated.
    pub sequence: Sequence,
    /// Its value; none where the evaluation gave no number. A failure is not a low value.
    pub value: Option<f64>,
    /// Round of the evaluation; 0 is what was known before the first.
    pub round: usize,
}

/// All evaluations of a black-box search, in the order in which they were spent.
///
/// ```
/// use seqtilt::reward::{Domain, Label, Measured};
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let word = |text| Sequence::parse(text, &dna);
/// let mut measured = Measured::new(Domain { alphabet: dna.clone(), length: 2 });
/// measured.push(Label { sequence: word("AC")?, value: Some(0.5), round: 0 })?;
/// measured.push(Label { sequence: word("AG")?, value: None, round: 1 })?;
/// measured.push(Label { sequence: word("AC")?, value: Some(1.0), round: 1 })?;
/// assert_eq!(measured.ranked(), [(word("AC")?, 0.75)]);
/// assert_eq!((measured.labels().len(), measured.spent_since(1)), (3, 2));
/// assert!(measured.contains(&word("AG")?));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    domain: Domain,
    labels: Vec<Label>,
    seen: BTreeSet<Sequence>,
}

impl Measured {
    /// Nothing yet.
    #[must_use]
    pub fn new(domain: Domain) -> Self {
        Self { domain, labels: Vec::new(), seen: BTreeSet::new() }
    }

    /// Takes an evaluation in.
    ///
    /// # Errors
    /// When the sequence has another length, or its value is not finite.
    pub fn push(&mut self, label: Label) -> Result<()> {
        let text = || label.sequence.text(&self.domain.alphabet);
        if !self.domain.takes(&label.sequence) {
            let (got, wanted) = (label.sequence.len(), self.domain.length);
            return Err(Error::data(format!("`{}` has {got} letters; {wanted} are accepted", text())));
        }
        if let Some(value) = label.value.filter(|value| !value.is_finite()) {
            return Err(Error::data(format!("value {value} of `{}` is not finite", text())));
        }
        self.seen.insert(label.sequence.clone());
        self.labels.push(label);
        Ok(())
    }

    /// Alphabet and length.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The evaluations in order.
    #[must_use]
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// Evaluations in `round` and later.
    #[must_use]
    pub fn spent_since(&self, round: usize) -> usize {
        self.labels.iter().filter(|label| label.round >= round).count()
    }

    /// Whether a sequence was evaluated, with or without a value.
    #[must_use]
    pub fn contains(&self, sequence: &Sequence) -> bool {
        self.seen.contains(sequence)
    }

    /// What a surrogate learns from: distinct sequences with the mean of their values.
    ///
    /// # Errors
    /// When fewer than two sequences have values.
    pub fn training_set(&self) -> Result<TrainingSet> {
        let pairs = self.labels.iter().filter_map(|label| Some((label.sequence.clone(), label.value?)));
        TrainingSet::within(&self.domain, pairs)
    }

    /// Distinct sequences with the mean of their values, best first; ties go to the earlier.
    #[must_use]
    pub fn ranked(&self) -> Vec<(Sequence, f64)> {
        self.ranked_since(0)
    }

    /// As [`ranked`](Self::ranked), of what was evaluated in `round` and later.
    #[must_use]
    pub fn ranked_since(&self, round: usize) -> Vec<(Sequence, f64)> {
        let mut place = std::collections::BTreeMap::new();
        let mut sums: Vec<(&Sequence, f64, u32)> = Vec::new();
        for label in self.labels.iter().filter(|label| label.round >= round) {
            let Some(value) = label.value else { continue };
            let index = *place.entry(&label.sequence).or_insert(sums.len());
            if index == sums.len() {
                sums.push((&label.sequence, 0.0, 0));
            }
            sums[index].1 += value;
            sums[index].2 += 1;
        }
        let mut ranked: Vec<_> = sums.into_iter().map(|(x, sum, n)| (x.clone(), sum / f64::from(n))).collect();
        ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
        ranked
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::Alphabet;

    #[test]
    fn a_wrong_length_and_a_value_that_is_no_number_are_refused() {
        let dna = Alphabet::dna();
        let mut measured = Measured::new(Domain { alphabet: dna.clone(), length: 2 });
        let label = |text: &str, value| Label { sequence: Sequence::parse(text, &dna).unwrap(), value, round: 0 };
        assert_eq!(measured.push(label("A", None)).unwrap_err().kind(), crate::Kind::Data);
        assert!(measured.push(label("AC", Some(f64::NAN))).unwrap_err().message().contains("`AC`"));
        assert!(measured.labels().is_empty() && measured.training_set().is_err());
    }

    #[test]
    fn what_failed_is_neither_ranked_nor_learned_from() {
        let dna = Alphabet::dna();
        let mut measured = Measured::new(Domain { alphabet: dna.clone(), length: 1 });
        for (text, value, round) in [("A", Some(0.5), 0), ("C", None, 1), ("G", Some(0.75), 1), ("T", Some(0.5), 2)] {
            measured.push(Label { sequence: Sequence::parse(text, &dna).unwrap(), value, round }).unwrap();
        }
        let texts = |ranked: Vec<(Sequence, f64)>| ranked.iter().map(|(x, _)| x.text(&dna)).collect::<String>();
        assert_eq!((texts(measured.ranked()), texts(measured.ranked_since(1))), ("GAT".into(), "GT".into()));
        assert_eq!(measured.training_set().unwrap().len(), 3);
    }
}
