//! Exact look-up.

use super::{Oracle, OracleInfo, Outcome};
use crate::error::{Error, Result};
use crate::sequence::{Alphabet, Records, Sequence};
use crate::store::Sha256;
use std::collections::BTreeMap;

/// Measured sequences and their values.
///
/// Replicates of a sequence are averaged, with their sample standard deviation. A sequence that is not in the table is
/// [`Outcome::Failed`]: its value is unknown.
///
/// ```
/// use seqtilt::oracle::{Oracle, Table};
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let (a, c) = (Sequence::parse("A", &dna)?, Sequence::parse("C", &dna)?);
/// let mut table = Table::new("assay", dna, [(a.clone(), 0.25), (a.clone(), 0.75)])?;
/// let outcomes = table.evaluate(&[a, c])?;
/// assert_eq!((outcomes[0].value(), outcomes[1].value()), (Some(0.5), None));
/// assert_eq!(outcomes[1].reason(), Some("`C` is not among the 1 sequences of table `assay`"));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Table {
    info: OracleInfo,
    outcomes: BTreeMap<Sequence, Outcome>,
}

impl Table {
    /// From pairs of a sequence and a value.
    ///
    /// # Errors
    /// When there are none, or a value is not finite.
    pub fn new(
        name: impl Into<String>,
        alphabet: Alphabet,
        pairs: impl IntoIterator<Item = (Sequence, f64)>,
    ) -> Result<Self> {
        Self::build(name.into(), alphabet, pairs.into_iter().map(|(sequence, value)| (sequence, value, None)))
    }

    /// From the records of a file; those without a value are left out.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn from_records(name: impl Into<String>, records: &Records) -> Result<Self> {
        if records.rows.iter().all(|row| row.value.is_none()) {
            records.values()?;
        }
        let measured = records.rows.iter().filter_map(|row| Some((row.sequence.clone(), row.value?, row.sd)));
        Self::build(name.into(), records.alphabet.clone(), measured)
    }

    fn build(
        name: String,
        alphabet: Alphabet,
        rows: impl Iterator<Item = (Sequence, f64, Option<f64>)>,
    ) -> Result<Self> {
        let mut measured: BTreeMap<Sequence, Vec<(f64, Option<f64>)>> = BTreeMap::new();
        for (sequence, value, sd) in rows {
            if !value.is_finite() {
                return Err(Error::data(format!("value {value} of `{}` is not finite", sequence.text(&alphabet))));
            }
            measured.entry(sequence).or_default().push((value, sd));
        }
        let lengths = measured.keys().map(Sequence::len);
        let (Some(least), Some(most)) = (lengths.clone().min(), lengths.max()) else {
            return Err(Error::data(format!("table `{name}` holds no measured sequence; at least one is needed")));
        };
        let outcomes: BTreeMap<Sequence, Outcome> =
            measured.into_iter().map(|(sequence, values)| (sequence, summary(&values))).collect();
        let info = OracleInfo {
            name,
            fingerprint: fingerprint(&alphabet, &outcomes),
            has_gradient: alphabet.len().checked_pow(most as u32) == Some(outcomes.len()) && least == most,
            alphabet,
            length: (least, most),
            deterministic: true,
        };
        Ok(Self { info, outcomes })
    }

    /// The number of distinct sequences.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a table holds at least one sequence")]
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    fn missing(&self, sequence: &Sequence) -> Outcome {
        let OracleInfo { name, alphabet, .. } = &self.info;
        let text = sequence.text(alphabet);
        Outcome::Failed { reason: format!("`{text}` is not among the {} sequences of table `{name}`", self.len()) }
    }
}

/// Mean and standard deviation of replicates; the stated one of a single value.
fn summary(values: &[(f64, Option<f64>)]) -> Outcome {
    if let [(mean, sd)] = values {
        return Outcome::Value { mean: *mean, sd: *sd };
    }
    let count = values.len() as f64;
    let mean = values.iter().map(|(value, _)| value).sum::<f64>() / count;
    let square: f64 = values.iter().map(|(value, _)| (value - mean).powi(2)).sum();
    Outcome::Value { mean, sd: Some((square / (count - 1.0)).sqrt()) }
}

/// Hash of letters and values: the same for the same content in another file format.
fn fingerprint(alphabet: &Alphabet, outcomes: &BTreeMap<Sequence, Outcome>) -> String {
    let mut hash = Sha256::default();
    hash.update(alphabet.letters());
    for (sequence, outcome) in outcomes {
        hash.update(&(sequence.len() as u64).to_le_bytes());
        hash.update(sequence.ids());
        for number in [outcome.value(), outcome.sd()] {
            hash.update(&number.unwrap_or(f64::NAN).to_le_bytes());
        }
    }
    format!("sha256:{}", hash.hex())
}

impl Oracle for Table {
    fn info(&self) -> &OracleInfo {
        &self.info
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        batch
            .iter()
            .map(|sequence| {
                self.info.check_letters(sequence)?;
                Ok(self.outcomes.get(sequence).cloned().unwrap_or_else(|| self.missing(sequence)))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::{ReadOptions, read_str};

    fn read(text: &str) -> Table {
        Table::from_records("assay", &read_str(text, None, &ReadOptions::default()).unwrap()).unwrap()
    }

    #[test]
    fn replicates_have_a_mean_and_a_standard_deviation() {
        let mut table = read("sequence,value\nACGT,1\nACGA,0.5\nACGT,3\n");
        let word = Sequence::parse("ACGT", &Alphabet::dna()).unwrap();
        let outcome = table.evaluate(&[word]).unwrap().remove(0);
        assert_eq!(outcome, Outcome::Value { mean: 2.0, sd: Some(2_f64.sqrt()) });
        assert!(!table.info().has_gradient, "2 of 256 sequences are not complete");
    }

    #[test]
    fn the_fingerprint_follows_the_content_and_not_the_order() {
        let (a, b) = ("ACGT,1\n", "ACGA,0.5\n");
        let one = read(&format!("sequence,value\n{a}{b}"));
        assert_eq!(one.info().fingerprint, read(&format!("sequence,value\n{b}{a}")).info().fingerprint);
        assert_ne!(one.info().fingerprint, read("sequence,value\nACGT,1\nACGA,0.25\n").info().fingerprint);
    }

    #[test]
    fn a_sequence_of_another_length_is_unknown_and_one_of_another_alphabet_an_error() {
        let mut table = read("sequence,value\nACGT,1\nACGA,0.5\n");
        let short = Sequence::parse("ACG", &Alphabet::dna()).unwrap();
        assert_eq!(table.evaluate(&[short]).unwrap()[0].status(), "failed");
        let protein = Sequence::parse("ACGW", &Alphabet::protein()).unwrap();
        assert_eq!(table.evaluate(&[protein]).unwrap_err().kind(), crate::Kind::Data);
    }
}
