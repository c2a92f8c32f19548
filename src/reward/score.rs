//! Values of sequences, without a gradient.

use super::{Domain, Reward, one_hot};
use crate::error::{Error, Result};
use crate::nn::read;
use crate::sequence::Sequence;
use candle_core::Device;

/// What a method asks of a reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Values of sequences: any [`Score`], and with it any oracle.
    Score,
    /// A differentiable [`Reward`] of relaxed sequences.
    Gradient,
}

/// A value of sequences; higher is better.
///
/// Unlike a [`Reward`] it has no gradient and reads no relaxed sequences, so that anything that can be evaluated is one.
pub trait Score: Send + Sync {
    /// What people call it.
    fn name(&self) -> &str;

    /// One finite value for each sequence, in order.
    ///
    /// # Errors
    /// When a sequence has no value.
    fn scores(&self, sequences: &[Sequence]) -> Result<Vec<f64>>;
}

/// A reward as a [`Score`]: read at the vertices of the simplex, where every position is one letter.
///
/// ```
/// use seqtilt::reward::{Multilinear, Score, Vertices};
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let letters = Alphabet::custom("two", "AB")?;
/// let table = Multilinear::new("and", &[0.0, 0.0, 0.25, 1.0], 2, 2)?;
/// let score = Vertices::new(&table, 2, &candle_core::Device::Cpu);
/// assert_eq!(score.scores(&[Sequence::parse("BA", &letters)?, Sequence::parse("BB", &letters)?])?, [0.25, 1.0]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone)]
pub struct Vertices<'a> {
    reward: &'a dyn Reward,
    letters: usize,
    padded: Option<Domain>,
    device: Device,
}

impl<'a> Vertices<'a> {
    /// A reward of sequences over so many letters, evaluated on `device`.
    #[must_use]
    pub fn new(reward: &'a dyn Reward, letters: usize, device: &Device) -> Self {
        Self { reward, letters, padded: None, device: device.clone() }
    }

    /// A reward of the sequences of a domain, padded where its alphabet has padding.
    #[must_use]
    pub fn within(reward: &'a dyn Reward, domain: &Domain, device: &Device) -> Self {
        let padded = domain.alphabet.padding().map(|_| domain.clone());
        Self { padded, ..Self::new(reward, domain.alphabet.len(), device) }
    }
}

impl Score for Vertices<'_> {
    fn name(&self) -> &str {
        self.reward.name()
    }

    fn scores(&self, sequences: &[Sequence]) -> Result<Vec<f64>> {
        if sequences.is_empty() {
            return Ok(Vec::new());
        }
        let vertices = match &self.padded {
            Some(domain) => domain.one_hot(sequences, &self.device)?,
            None => one_hot(sequences, self.letters, &self.device)?,
        };
        let values = read(&[&self.reward.reward(&vertices)?])?.remove(0);
        match values.iter().find(|value| !value.is_finite()) {
            Some(value) => {
                Err(Error::data(format!("reward `{}` answered {value}; a finite number is needed", self.name())))
            }
            None => Ok(values),
        }
    }
}
