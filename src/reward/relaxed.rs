//! Sequences as tensors of letter probabilities, and the other strand of such a tensor.

use crate::error::{Error, Result};
use crate::sequence::{Alphabet, Sequence};
use candle_core::{Device, Tensor};

/// One-hot letters of sequences of one length, in f32.
///
/// ```
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let p = seqtilt::reward::one_hot(&[Sequence::parse("AC", &dna)?], 4, &candle_core::Device::Cpu)?;
/// assert_eq!(p.to_vec3::<f32>()?, [[[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]]]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Shapes
/// B sequences of L tokens to (B, L, V).
///
/// # Errors
/// When there is no sequence, the lengths differ, or a token is not below `letters`.
pub fn one_hot(sequences: &[Sequence], letters: usize, device: &Device) -> Result<Tensor> {
    let Some(length) = sequences.first().map(Sequence::len) else {
        return Err(Error::data("no sequences; at least one is needed"));
    };
    let mut values = vec![0_f32; sequences.len() * length * letters];
    for (sequence, rows) in sequences.iter().zip(values.chunks_exact_mut(length * letters)) {
        if sequence.len() != length {
            return Err(Error::data(format!(
                "sequences of {length} and of {} letters in one batch; one length is accepted",
                sequence.len()
            )));
        }
        for (row, id) in rows.chunks_exact_mut(letters).zip(sequence.ids()) {
            let Some(entry) = row.get_mut(usize::from(*id)) else {
                return Err(Error::data(format!("token id {id} is not below {letters}")));
            };
            *entry = 1.0;
        }
    }
    Ok(Tensor::from_vec(values, (sequences.len(), length, letters), device)?)
}

/// The other strand of relaxed DNA or RNA: positions reversed, letters complemented.
#[derive(Clone, Debug)]
pub(super) struct OtherStrand {
    positions: Tensor,
    letters: Tensor,
}

impl OtherStrand {
    /// For sequences of one length; `None` for an alphabet without complements.
    pub(super) fn new(alphabet: &Alphabet, length: usize, device: &Device) -> Result<Option<Self>> {
        let ids = (0..alphabet.len()).map(|id| u8::try_from(id).ok().and_then(|id| alphabet.complement(id)));
        let Some(complements) = ids.map(|id| id.map(u32::from)).collect::<Option<Vec<u32>>>() else {
            return Ok(None);
        };
        let positions: Vec<u32> = (0..length as u32).rev().collect();
        let (positions, letters) = (Tensor::new(positions, device)?, Tensor::new(complements, device)?);
        Ok(Some(Self { positions, letters }))
    }

    pub(super) fn of(&self, probs: &Tensor) -> Result<Tensor> {
        Ok(probs.index_select(&self.positions, 1)?.index_select(&self.letters, 2)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_other_strand_of_one_hot_letters_is_the_reverse_complement() {
        let dna = Alphabet::dna();
        let word = Sequence::parse("AGGTATCA", &dna).unwrap();
        let reverse = word.reverse_complement(&dna).unwrap();
        let strand = OtherStrand::new(&dna, 8, &Device::Cpu).unwrap().unwrap();
        let there = strand.of(&one_hot(&[word], 4, &Device::Cpu).unwrap()).unwrap();
        let want = one_hot(&[reverse], 4, &Device::Cpu).unwrap();
        assert_eq!(there.to_vec3::<f32>().unwrap(), want.to_vec3::<f32>().unwrap());
        assert!(OtherStrand::new(&Alphabet::protein(), 8, &Device::Cpu).unwrap().is_none());
    }

    #[test]
    fn a_batch_of_two_lengths_is_refused() {
        let dna = Alphabet::dna();
        let words = ["AC", "ACG"].map(|text| Sequence::parse(text, &dna).unwrap());
        assert_eq!(one_hot(&words, 4, &Device::Cpu).unwrap_err().kind(), crate::Kind::Data);
    }
}
