//! A checked sequence.

use super::Alphabet;
use crate::error::{Error, Result};
use std::fmt;

/// A non-empty sequence of token ids over an [`Alphabet`] (which it does not carry: ids only).
///
/// Ordered and hashed by its ids, so that it can be a key.
///
/// ```
/// use seqtilt::sequence::{Alphabet, Sequence};
/// let dna = Alphabet::dna();
/// let word = Sequence::parse("AGGTATCA", &dna)?;
/// assert_eq!(word.len(), 8);
/// assert_eq!(word.reverse_complement(&dna).map(|rc| rc.text(&dna)), Some("TGATACCT".to_owned()));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(Box<[u8]>);

impl Sequence {
    /// Reads letters; lower case is accepted and read as upper case.
    ///
    /// # Errors
    /// When the text is empty or holds a letter outside the alphabet; the error carries the column.
    pub fn parse(text: &str, alphabet: &Alphabet) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::data("empty sequence; at least one letter is needed"));
        }
        let mut ids = Vec::with_capacity(text.len());
        for (index, letter) in text.bytes().enumerate() {
            let Some(id) = alphabet.id(letter.to_ascii_uppercase()) else {
                let letters = String::from_utf8_lossy(alphabet.plain().letters()).into_owned();
                return Err(Error::data(format!(
                    "letter `{}` at position {} is not in alphabet `{}`, which accepts `{letters}`",
                    char::from(letter).escape_default(),
                    index + 1,
                    alphabet.name(),
                )));
            };
            ids.push(id);
        }
        Ok(Self(ids.into()))
    }

    /// From token ids.
    ///
    /// # Errors
    /// When there are none or one is not that of a letter: padding is none.
    pub fn from_ids(ids: impl Into<Box<[u8]>>, alphabet: &Alphabet) -> Result<Self> {
        let ids = ids.into();
        let letters = alphabet.len() - usize::from(alphabet.padding().is_some());
        match ids.iter().find(|id| usize::from(**id) >= letters) {
            Some(id) => Err(Error::data(format!("token id {id} is not below {letters}"))),
            None if ids.is_empty() => Err(Error::data("empty sequence; at least one letter is needed")),
            None => Ok(Self(ids)),
        }
    }

    /// From token ids with padding at the end, which is left out.
    ///
    /// # Errors
    /// As [`from_ids`](Self::from_ids), also where padding is followed by a letter.
    pub fn unpadded(ids: &[u8], alphabet: &Alphabet) -> Result<Self> {
        let end = ids.iter().rposition(|id| Some(*id) != alphabet.padding()).map_or(0, |last| last + 1);
        Self::from_ids(&ids[..end], alphabet)
    }

    /// The token ids and as much padding as is missing to `length`; the ids alone for an alphabet without.
    #[must_use]
    pub fn padded(&self, alphabet: &Alphabet, length: usize) -> Vec<u8> {
        let missing = alphabet.padding().map_or(0, |_| length.saturating_sub(self.len()));
        self.0.iter().copied().chain(std::iter::repeat_n(alphabet.padding().unwrap_or_default(), missing)).collect()
    }

    /// All sequences of a length in their order, the first position most significant.
    ///
    /// ```
    /// use seqtilt::sequence::{Alphabet, Sequence};
    /// let dna = Alphabet::dna();
    /// let words: Vec<String> = Sequence::all(&dna, 2).map(|word| word.text(&dna)).collect();
    /// assert_eq!((words.len(), &words[..5], &*words[15]), (16, &["AA", "AC", "AG", "AT", "CA"].map(String::from)[..], "TT"));
    /// # Ok::<(), seqtilt::Error>(())
    /// ```
    pub fn all(alphabet: &Alphabet, length: usize) -> impl Iterator<Item = Self> + use<> {
        let letters = alphabet.len() - usize::from(alphabet.padding().is_some());
        let count =
            u32::try_from(length).ok().filter(|length| *length > 0).and_then(|length| letters.checked_pow(length));
        (0..count.unwrap_or(0)).map(move |mut number| {
            let mut ids = vec![0; length];
            for id in ids.iter_mut().rev() {
                *id = (number % letters) as u8;
                number /= letters;
            }
            Self(ids.into())
        })
    }

    /// Its place among [`all`](Self::all) of its length.
    ///
    /// ```
    /// use seqtilt::sequence::{Alphabet, Sequence};
    /// let dna = Alphabet::dna();
    /// assert_eq!(Sequence::parse("CG", &dna)?.number(dna.len()), 6);
    /// # Ok::<(), seqtilt::Error>(())
    /// ```
    #[must_use]
    pub fn number(&self, letters: usize) -> usize {
        self.0.iter().fold(0, |number, id| number * letters + usize::from(*id))
    }

    /// The token ids.
    #[must_use]
    pub fn ids(&self) -> &[u8] {
        &self.0
    }

    /// The number of letters, L.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The letters.
    #[must_use]
    pub fn text(&self, alphabet: &Alphabet) -> String {
        self.0.iter().map(|id| char::from(alphabet.letter(*id))).collect()
    }

    /// The other strand read 5′ to 3′, for DNA and RNA.
    #[must_use]
    pub fn reverse_complement(&self, alphabet: &Alphabet) -> Option<Self> {
        self.0.iter().rev().map(|id| alphabet.complement(*id)).collect::<Option<Vec<_>>>().map(|ids| Self(ids.into()))
    }
}

impl fmt::Debug for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sequence({:?})", self.0)
    }
}
