//! Rewards of whole letters alone.

use super::{Reward, Score, check_shape};
use crate::error::{Error, Result};
use crate::nn::read;
use crate::sequence::{Alphabet, Sequence};
use candle_core::{Device, Tensor};

/// A [`Score`] in the place of a [`Reward`]: it answers where every position is one letter, without a gradient, and refuses
/// relaxed sequences. For methods that ask for values only.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use seqtilt::reward::{Multilinear, Reward, Vertices, Whole};
/// use seqtilt::sequence::Alphabet;
/// let letters = Alphabet::custom("two", "AB")?;
/// let table = Multilinear::new("and", &[0.0, 0.0, 0.25, 1.0], 2, 2)?;
/// let score = Vertices::new(&table, 2, &Device::Cpu);
/// let whole = Whole::new(&score, &letters);
/// let ba = Tensor::new(&[[[0.0_f64, 1.0], [1.0, 0.0]]], &Device::Cpu)?;
/// assert_eq!(whole.reward(&ba)?.to_vec1::<f64>()?, [0.25]);
/// let between = Tensor::new(&[[[0.5_f64, 0.5], [1.0, 0.0]]], &Device::Cpu)?;
/// assert!(whole.reward(&between).is_err());
/// # Ok::<(), seqtilt::Error>(())
/// ```
pub struct Whole<'a> {
    score: &'a dyn Score,
    alphabet: &'a Alphabet,
}

impl<'a> Whole<'a> {
    /// The score of sequences over an alphabet.
    #[must_use]
    pub fn new(score: &'a dyn Score, alphabet: &'a Alphabet) -> Self {
        Self { score, alphabet }
    }
}

impl Reward for Whole<'_> {
    fn name(&self) -> &str {
        self.score.name()
    }

    fn is_differentiable(&self) -> bool {
        false
    }

    fn reward(&self, probs: &Tensor) -> Result<Tensor> {
        check_shape(probs, None, self.alphabet.len())?;
        let (rows, length, letters) = probs.dims3()?;
        let values = read(&[probs])?.remove(0);
        let letter = |p: &[f64]| match p.iter().position(|p| *p > 1.0 - 1e-6) {
            Some(letter) => Ok(letter as u8),
            None => Err(Error::usage(format!("reward `{}` reads whole letters, and got a relaxed one", self.name()))
                .hint("train a differentiable one: `seqtilt oracle train`")),
        };
        let sequences = values.chunks_exact(length * letters).map(|row| {
            let ids = row.chunks_exact(letters).map(letter).collect::<Result<Vec<u8>>>()?;
            Sequence::unpadded(&ids, self.alphabet)
        });
        let scores = self.score.scores(&sequences.collect::<Result<Vec<_>>>()?)?;
        Ok(Tensor::from_vec(scores, rows, &Device::Cpu)?.to_dtype(probs.dtype())?.to_device(probs.device())?)
    }
}
