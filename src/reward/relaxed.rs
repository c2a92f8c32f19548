//! Sequences as tensors of letter probabilities, and the other strand of such a tensor.

use super::Domain;
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

impl Domain {
    /// One-hot letters of sequences, in f32, padded where the alphabet has padding.
    ///
    /// # Shapes
    /// B sequences to (B, L, V).
    ///
    /// # Errors
    /// When there is no sequence, or one does not fit the domain.
    pub fn one_hot(&self, sequences: &[Sequence], device: &Device) -> Result<Tensor> {
        let Self { alphabet, length } = self;
        if alphabet.padding().is_none() {
            return one_hot(sequences, alphabet.len(), device);
        }
        let letters = alphabet.len();
        let mut values = vec![0_f32; sequences.len() * length * letters];
        for (sequence, rows) in sequences.iter().zip(values.chunks_exact_mut(length * letters)) {
            self.check(sequence)?;
            for (row, id) in rows.chunks_exact_mut(letters).zip(sequence.padded(alphabet, *length)) {
                row[usize::from(id)] = 1.0;
            }
        }
        Ok(Tensor::from_vec(values, (sequences.len(), *length, letters), device)?)
    }
}

/// The other strand of relaxed DNA or RNA: positions reversed, letters complemented.
///
/// With padding the reversed letters are moved to the front, by every number s of positions that may be padding:
///
/// ```text
/// p′_i = Σ_s w_s rev(p)_{i+s},   w_s = p_{L−s}(end) − p_{L−s−1}(end)   (p_L = 1, p_{−1} = 0),   padding where nothing is left
/// ```
/// which is the reverse complement of whole letters, and smooth in between.
#[derive(Clone, Debug)]
pub(super) struct OtherStrand {
    positions: Tensor,
    letters: Tensor,
    /// For a padded alphabet: numbers s of entries (i, j = i + s) of an (L, L) matrix, L + 1 where there is none; and the padding.
    shifts: Option<(Tensor, usize)>,
}

impl OtherStrand {
    /// For sequences of one length; `None` for an alphabet without complements.
    pub(super) fn new(alphabet: &Alphabet, length: usize, device: &Device) -> Result<Option<Self>> {
        let end = alphabet.padding();
        let other = |id: u8| alphabet.complement(id).or(end.filter(|end| *end == id));
        if alphabet.complement(0).is_none() {
            return Ok(None);
        }
        let ids = (0..alphabet.len()).map(|id| u8::try_from(id).ok().and_then(other));
        let Some(complements) = ids.map(|id| id.map(u32::from)).collect::<Option<Vec<u32>>>() else {
            return Ok(None);
        };
        let positions: Vec<u32> = (0..length as u32).rev().collect();
        let (positions, letters) = (Tensor::new(positions, device)?, Tensor::new(complements, device)?);
        let number = |at: usize| (at % length).checked_sub(at / length).unwrap_or(length + 1) as u32;
        let shifts: Vec<u32> = (0..length * length).map(number).collect();
        let shifts = end.map(|end| Ok::<_, Error>((Tensor::new(shifts, device)?, usize::from(end)))).transpose()?;
        Ok(Some(Self { positions, letters, shifts }))
    }

    pub(super) fn of(&self, probs: &Tensor) -> Result<Tensor> {
        let reversed = probs.index_select(&self.positions, 1)?.index_select(&self.letters, 2)?.contiguous()?;
        let Some((shifts, end)) = &self.shifts else { return Ok(reversed) };
        let (rows, length, _) = reversed.dims3()?;
        // that there are at least 0, 1, … L, and never more, paddings
        let ends = reversed.narrow(2, *end, 1)?.squeeze(2)?;
        let (one, none) = (ends.narrow(1, 0, 1)?.ones_like()?, ends.narrow(1, 0, 1)?.zeros_like()?);
        let least = Tensor::cat(&[&one, &ends, &none], 1)?;
        let weights = (least.narrow(1, 0, length + 1)? - least.narrow(1, 1, length + 1)?)?;
        let weights = Tensor::cat(&[&weights, &none], 1)?;
        let moves = weights.index_select(shifts, 1)?.reshape((rows, length, length))?;
        let moved = moves.matmul(&reversed)?;
        // what is moved out of the front leaves padding at the end: every row sums to one
        let gone = moved.sum_keepdim(2)?.affine(-1.0, 1.0)?;
        let (left, last) = (moved.narrow(2, 0, *end)?, (moved.narrow(2, *end, 1)? + gone)?);
        Ok(Tensor::cat(&[&left, &last], 2)?)
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
    fn the_other_strand_of_padded_letters_ends_where_the_word_does() {
        let alphabet = Alphabet::dna().padded().unwrap();
        let domain = Domain { alphabet: alphabet.clone(), length: 3 };
        let words: Vec<Sequence> = (1..=3).flat_map(|length| Sequence::all(&alphabet, length)).collect();
        let reverse: Vec<Sequence> = words.iter().map(|x| x.reverse_complement(&alphabet).unwrap()).collect();
        let strand = OtherStrand::new(&alphabet, 3, &Device::Cpu).unwrap().unwrap();
        let there = strand.of(&domain.one_hot(&words, &Device::Cpu).unwrap()).unwrap();
        let want = domain.one_hot(&reverse, &Device::Cpu).unwrap();
        assert_eq!((words.len(), there.to_vec3::<f32>().unwrap()), (84, want.to_vec3::<f32>().unwrap()));
        assert_eq!(want.to_vec3::<f32>().unwrap()[0][1], [0.0, 0.0, 0.0, 0.0, 1.0]);
        let p = crate::nn::softmax(&crate::nn::check::normal(5, &[2, 3, 5])).unwrap();
        crate::nn::check::input(&p, |p| Ok((strand.of(p)?.sqr()?.flatten_from(1)?.sum(1))?));
        assert!(domain.one_hot(&[Sequence::parse("ACGT", &alphabet).unwrap()], &Device::Cpu).is_err());
    }

    #[test]
    fn a_batch_of_two_lengths_is_refused() {
        let dna = Alphabet::dna();
        let words = ["AC", "ACG"].map(|text| Sequence::parse(text, &dna).unwrap());
        assert_eq!(one_hot(&words, 4, &Device::Cpu).unwrap_err().kind(), crate::Kind::Data);
    }
}
