//! A complete table over all sequences of one length.

use crate::error::{Error, Result};
use crate::sequence::{Alphabet, Records, Sequence};

/// The most entries a landscape may have, 2²⁴.
const MOST: usize = 1 << 24;

/// A value for each of the V^L sequences of length L.
///
/// The index reads the ids as digits, first letter most significant:
///
/// ```text
/// index(s) = Σ_i s_i · V^(L−1−i)
/// ```
/// ```
/// use seqtilt::data::Landscape;
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let landscape = Landscape::new(dna.clone(), 2, (0..16).map(f64::from).collect())?;
/// assert_eq!(landscape.value(&Sequence::parse("CA", &dna)?)?, 4.0);
/// assert_eq!(landscape.sequence(7).text(&dna), "CT");
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Landscape {
    alphabet: Alphabet,
    length: usize,
    values: Vec<f64>,
}

impl Landscape {
    /// From values in index order.
    ///
    /// # Errors
    /// When there are not exactly V^L finite values, or more than 2²⁴.
    pub fn new(alphabet: Alphabet, length: usize, values: Vec<f64>) -> Result<Self> {
        let size = Self::size(&alphabet, length)?;
        if values.len() != size {
            let message = format!("{} values for length {length}; {size} are needed", values.len());
            return Err(Error::data(message));
        }
        if let Some(index) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::data(format!("value {index} is {}; finite numbers are accepted", values[index])));
        }
        Ok(Self { alphabet, length, values })
    }

    /// From records that cover every sequence of their length; repeats must agree.
    ///
    /// # Errors
    /// When lengths differ, a value is missing, two values of a sequence differ, a sequence is missing (the first is
    /// named) or V^L exceeds 2²⁴.
    pub fn from_records(records: &Records) -> Result<Self> {
        let length = records.length().ok_or_else(|| {
            Error::data("a complete table needs sequences of one length").hint("see `seqtilt data describe`")
        })?;
        let size = Self::size(&records.alphabet, length)?;
        let values = records.values()?;
        let mut landscape = Self { alphabet: records.alphabet.clone(), length, values: vec![f64::NAN; size] };
        for (row, value) in records.rows.iter().zip(values) {
            let index = landscape.index(row.sequence.ids());
            let old = std::mem::replace(&mut landscape.values[index], value);
            if !old.is_nan() && old != value {
                let text = row.sequence.text(&landscape.alphabet);
                return Err(Error::data(format!("`{text}` has the values {old} and {value}; one is needed")));
            }
        }
        let missing = landscape.values.iter().filter(|value| value.is_nan()).count();
        match landscape.values.iter().position(|value| value.is_nan()) {
            None => Ok(landscape),
            Some(index) => {
                let text = landscape.sequence(index).text(&landscape.alphabet);
                let message = format!(
                    "the table is not complete: {missing} of the {size} sequences of length {length} are missing, the first is `{text}`"
                );
                Err(Error::data(message).hint("a landscape needs every sequence; train a reward model instead"))
            }
        }
    }

    fn size(alphabet: &Alphabet, length: usize) -> Result<usize> {
        let size = u32::try_from(length).ok().and_then(|length| alphabet.len().checked_pow(length));
        size.filter(|size| *size <= MOST && length > 0).ok_or_else(|| {
            Error::data(format!(
                "a complete table over {}^{length} sequences is not possible; at most {MOST} are accepted",
                alphabet.len()
            ))
        })
    }

    /// The alphabet.
    #[must_use]
    pub fn alphabet(&self) -> &Alphabet {
        &self.alphabet
    }

    /// The length of every sequence, L.
    #[must_use]
    pub fn length(&self) -> usize {
        self.length
    }

    /// All values in index order.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The index of token ids.
    ///
    /// # Panics
    /// If there are not L ids below V.
    #[must_use]
    pub fn index(&self, ids: &[u8]) -> usize {
        let base = self.alphabet.len();
        assert!(ids.len() == self.length, "{} ids for length {}", ids.len(), self.length);
        ids.iter().fold(0, |index, id| {
            assert!(usize::from(*id) < base, "token id {id} is not below {base}");
            index * base + usize::from(*id)
        })
    }

    /// The sequence at an index.
    ///
    /// # Panics
    /// If `index` is not below V^L.
    #[must_use]
    pub fn sequence(&self, index: usize) -> Sequence {
        assert!(index < self.values.len(), "index {index} is not below {}", self.values.len());
        let base = self.alphabet.len();
        let mut ids = vec![0; self.length];
        let mut rest = index;
        for id in ids.iter_mut().rev() {
            *id = (rest % base) as u8;
            rest /= base;
        }
        Sequence::from_ids(ids, &self.alphabet).unwrap_or_else(|error| unreachable!("{error}"))
    }

    /// The value of a sequence.
    ///
    /// # Errors
    /// When its length is not L or an id is not below V.
    pub fn value(&self, sequence: &Sequence) -> Result<f64> {
        let inside = sequence.ids().iter().all(|id| usize::from(*id) < self.alphabet.len());
        if sequence.len() != self.length || !inside {
            let message = format!(
                "a sequence of length {} is not in a landscape over `{}` of length {}",
                sequence.len(),
                self.alphabet.name(),
                self.length
            );
            return Err(Error::data(message));
        }
        Ok(self.values[self.index(sequence.ids())])
    }

    /// The index of the greatest value, the first of equals.
    #[must_use]
    pub fn best(&self) -> usize {
        (1..self.values.len()).fold(0, |best, index| if self.values[index] > self.values[best] { index } else { best })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::{ReadOptions, read_str};

    #[test]
    fn indices_and_sequences_are_inverse() {
        let landscape = Landscape::new(Alphabet::rna(), 3, vec![0.5; 64]).unwrap();
        for index in 0..64 {
            assert_eq!(landscape.index(landscape.sequence(index).ids()), index);
        }
        assert_eq!(landscape.sequence(1).text(&Alphabet::rna()), "AAC");
    }

    #[test]
    fn gaps_and_contradictions_are_named() {
        let read = |text: &str| {
            let options = ReadOptions { alphabet: Some(Alphabet::dna()), ..ReadOptions::default() };
            Landscape::from_records(&read_str(text, None, &options).unwrap())
        };
        let error = read("seq,value\nA,1\nC,2\nT,3\n").unwrap_err();
        assert!(error.message().contains("1 of the 4") && error.message().contains("`G`"), "{error}");
        assert!(read("seq,value\nA,1\nA,2\n").unwrap_err().message().contains("has the values 1 and 2"));
        assert_eq!(read("seq,value\nA,1\nC,2\nT,3\nG,4\nG,4\n").unwrap().best(), 2);
        assert!(Landscape::new(Alphabet::protein(), 6, vec![]).unwrap_err().message().contains("at most"));
    }
}
