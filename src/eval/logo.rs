//! Letter frequencies and information content by position.

use crate::error::{Error, Result};
use crate::sequence::{Alphabet, Sequence};
use serde::{Deserialize, Serialize};

/// What a sequence logo shows: per position the letter frequencies and the information in bits.
///
/// ```text
/// R_i = max(0, log₂ V − H_i − e(n)),   H_i = −Σ_a f_i(a) log₂ f_i(a),   e(n) = (V − 1) / (2 n ln 2)
/// ```
///
/// Source: Schneider and Stephens, Nucleic Acids Research 18:6097 (1990); the small-sample correction e(n) of Schneider et
/// al., J. Mol. Biol. 188:415 (1986). As published, with negative information shown as 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Profile {
    /// Frequencies by position and letter, (L, V).
    pub frequencies: Vec<Vec<f64>>,
    /// Information by position, in bits.
    pub bits: Vec<f64>,
    /// Number of sequences counted.
    pub n: usize,
}

impl Profile {
    /// The profile of a set of sequences of one length over `letters` letters.
    ///
    /// # Errors
    /// When the set is empty, lengths differ, or a letter does not fit.
    ///
    /// ```
    /// use seqtilt::eval::logo::Profile;
    /// use seqtilt::sequence::{Alphabet, Sequence};
    /// let set = vec![Sequence::parse("A", &Alphabet::dna())?; 100];
    /// let profile = Profile::new(&set, 4)?;
    /// assert!((profile.bits[0] - (2.0 - 3.0 / (200.0 * 2.0_f64.ln()))).abs() < 1e-12);
    /// # Ok::<(), seqtilt::Error>(())
    /// ```
    pub fn new(set: &[Sequence], letters: usize) -> Result<Self> {
        let Some(first) = set.first() else {
            return Err(Error::data("no sequences to count; at least one is needed"));
        };
        if let Some(odd) = set.iter().find(|sequence| sequence.len() != first.len()) {
            let message = format!("sequences of length {} and {}; a logo needs one length", first.len(), odd.len());
            return Err(Error::data(message));
        }
        Self::counted(set.iter().map(Sequence::ids), first.len(), letters)
    }

    /// The profile of sequences up to `length` letters, with [padding](Alphabet::padded) as one more letter where the alphabet has it.
    ///
    /// # Errors
    /// When the set is empty or a letter does not fit.
    pub fn padded(set: &[Sequence], alphabet: &Alphabet, length: usize) -> Result<Self> {
        if set.is_empty() {
            return Self::new(set, alphabet.len());
        }
        let rows: Vec<Vec<u8>> = set.iter().map(|sequence| sequence.padded(alphabet, length)).collect();
        Self::counted(rows.iter().map(Vec::as_slice), length, alphabet.len())
    }

    fn counted<'a>(rows: impl ExactSizeIterator<Item = &'a [u8]>, length: usize, letters: usize) -> Result<Self> {
        let n = rows.len();
        let mut counts = vec![vec![0_u64; letters]; length];
        for row in rows {
            for (site, id) in counts.iter_mut().zip(row) {
                match site.get_mut(usize::from(*id)) {
                    Some(count) => *count += 1,
                    None => return Err(Error::data(format!("token id {id} is not below {letters}"))),
                }
            }
        }
        let frequencies: Vec<Vec<f64>> =
            counts.iter().map(|site| site.iter().map(|c| *c as f64 / n as f64).collect()).collect();
        let correction = (letters as f64 - 1.0) / (2.0 * n as f64 * std::f64::consts::LN_2);
        let bits = frequencies
            .iter()
            .map(|site| {
                let entropy: f64 = site.iter().filter(|f| **f > 0.0).map(|f| -f * f.log2()).sum();
                ((letters as f64).log2() - entropy - correction).max(0.0)
            })
            .collect();
        Ok(Self { frequencies, bits, n })
    }

    /// The most frequent letter at every position; the first among equals.
    #[must_use]
    pub fn consensus(&self) -> Vec<u8> {
        let best = |site: &Vec<f64>| (0..site.len()).rev().max_by(|i, j| site[*i].total_cmp(&site[*j])).unwrap_or(0);
        self.frequencies.iter().map(|site| best(site) as u8).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::Alphabet;

    #[test]
    fn information_is_two_bits_less_entropy_less_the_correction() {
        let dna = Alphabet::dna();
        let set: Vec<Sequence> =
            (0..400).map(|i| Sequence::parse(["AA", "CA", "GA", "AC"][i % 4], &dna).unwrap()).collect();
        let profile = Profile::new(&set, 4).unwrap();
        let correction = 3.0 / (800.0 * 2.0_f64.ln());
        // f = (½, ¼, ¼, 0): H = 1.5; f = (¾, ¼): H = 2 − ¾ log₂ 3
        assert!((profile.bits[0] - (0.5 - correction)).abs() < 1e-12);
        assert!((profile.bits[1] - (0.75 * 3.0_f64.log2() - correction)).abs() < 1e-12);
        assert_eq!(profile.consensus(), [0, 0]);
        assert_eq!(profile.frequencies[0], [0.5, 0.25, 0.25, 0.0]);
        // two sequences: the correction exceeds what is left
        assert_eq!(Profile::new(&set[..2], 4).unwrap().bits[0], 0.0);
        assert!(Profile::new(&[], 4).is_err());
        assert!(Profile::new(&set, 2).is_err());
    }
}
