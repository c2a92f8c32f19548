//! What an oracle says about itself.

use crate::error::{Error, Result};
use crate::sequence::{Alphabet, Sequence};

/// What an oracle is and which sequences it takes.
#[derive(Clone, Debug, PartialEq)]
pub struct OracleInfo {
    /// What people call it.
    pub name: String,
    /// Changes whenever its answers could: the key of cached evaluations, such as `sha256:5f3c…`.
    pub fingerprint: String,
    /// The letters that it reads.
    pub alphabet: Alphabet,
    /// The least and the greatest length that it takes, both included.
    pub length: (usize, usize),
    /// Whether a second evaluation of the same sequence gives the same outcome.
    pub deterministic: bool,
    /// Whether the same thing can be had as a [`Reward`](crate::reward::Reward), with gradients.
    pub has_gradient: bool,
}

impl OracleInfo {
    /// Checks letters and length of a sequence.
    ///
    /// # Errors
    /// When the sequence is too long or too short, or holds a token outside the alphabet.
    pub fn check(&self, sequence: &Sequence) -> Result<()> {
        let (least, most) = self.length;
        if !(least..=most).contains(&sequence.len()) {
            let got = sequence.len();
            return Err(Error::data(format!(
                "oracle `{}` takes sequences of {} letters, got {got}",
                self.name,
                self.lengths()
            )));
        }
        self.check_letters(sequence)
    }

    /// Checks the letters of a sequence.
    ///
    /// # Errors
    /// When it holds a token outside the alphabet.
    pub fn check_letters(&self, sequence: &Sequence) -> Result<()> {
        match sequence.ids().iter().find(|id| usize::from(**id) >= self.alphabet.len()) {
            Some(id) => Err(Error::data(format!(
                "oracle `{}` reads alphabet `{}`; token id {id} is not below {}",
                self.name,
                self.alphabet.name(),
                self.alphabet.len()
            ))),
            None => Ok(()),
        }
    }

    /// The accepted lengths in words: `8`, or `5 to 8`.
    #[must_use]
    pub fn lengths(&self) -> String {
        match self.length {
            (least, most) if least == most => format!("{least}"),
            (least, most) => format!("{least} to {most}"),
        }
    }
}
