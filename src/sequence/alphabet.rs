//! The letters a sequence may use.

use crate::error::{Error, Result};
use std::sync::Arc;

/// What stands for the letters that a shorter sequence does not have, where models write it down.
pub(super) const PADDING: u8 = b'_';

/// An ordered set of letters; letter number `i` is token id `i`.
///
/// Cheap to clone. Letters are upper-case ASCII; an alphabet of the user's own may have digits, `*` and `-` too.
///
/// ```
/// use seqtilt::sequence::Alphabet;
/// let dna = Alphabet::dna();
/// assert_eq!(dna.len(), 4);
/// assert_eq!(dna.id(b'G'), Some(2));
/// assert_eq!(Alphabet::custom("states", "ABC012")?.id(b'0'), Some(3));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alphabet(Arc<Letters>);

#[derive(Debug, PartialEq, Eq)]
struct Letters {
    name: String,
    letters: Vec<u8>,
    padded: bool,
    ids: Vec<Option<u8>>,
}

impl Alphabet {
    /// `ACGT`.
    #[must_use]
    pub fn dna() -> Self {
        Self::known("dna", b"ACGT")
    }

    /// `ACGU`.
    #[must_use]
    pub fn rna() -> Self {
        Self::known("rna", b"ACGU")
    }

    /// The twenty standard amino acids, `ACDEFGHIKLMNPQRSTVWY`.
    #[must_use]
    pub fn protein() -> Self {
        Self::known("protein", b"ACDEFGHIKLMNPQRSTVWY")
    }

    /// An alphabet of the user's own.
    ///
    /// # Errors
    /// When there are fewer than two letters, more than 64, a repeated one, or one that is not upper-case ASCII, a digit, `*` or `-`.
    pub fn custom(name: &str, letters: &str) -> Result<Self> {
        let bytes = letters.as_bytes();
        if !(2..=64).contains(&bytes.len()) {
            return Err(Error::usage(format!("alphabet `{name}` has {} letters; 2 to 64 are accepted", bytes.len())));
        }
        for (index, letter) in bytes.iter().enumerate() {
            if !(letter.is_ascii_uppercase() || letter.is_ascii_digit() || *letter == b'*' || *letter == b'-') {
                return Err(Error::usage(format!(
                    "alphabet `{name}`: `{}` is not accepted; letters are `A`-`Z`, `0`-`9`, `*` and `-`",
                    char::from(*letter).escape_default()
                )));
            }
            if bytes[..index].contains(letter) {
                return Err(Error::usage(format!("alphabet `{name}` repeats letter `{}`", char::from(*letter))));
            }
        }
        Ok(Self::known(name, bytes))
    }

    /// One of the built-in alphabets by name.
    ///
    /// # Errors
    /// When there is no such alphabet.
    pub fn named(name: &str) -> Result<Self> {
        match name {
            "dna" => Ok(Self::dna()),
            "rna" => Ok(Self::rna()),
            "protein" => Ok(Self::protein()),
            _ => Err(Error::usage(format!("unknown alphabet `{name}`; accepted: `dna`, `rna`, `protein`"))),
        }
    }

    /// The alphabet with these letters in this order: a built-in one where it has them, else one called `custom`.
    ///
    /// ```
    /// use seqtilt::sequence::Alphabet;
    /// assert_eq!(Alphabet::of_letters("ACGU")?.name(), "rna");
    /// assert_eq!(Alphabet::of_letters("ACGT-")?.name(), "custom");
    /// # Ok::<(), seqtilt::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`custom`](Self::custom).
    pub fn of_letters(letters: &str) -> Result<Self> {
        let built_in = [Self::dna(), Self::rna(), Self::protein()];
        match built_in.into_iter().find(|alphabet| alphabet.letters() == letters.as_bytes()) {
            Some(alphabet) => Ok(alphabet),
            None => Self::custom("custom", letters),
        }
    }

    /// The alphabet of this name with these letters, as models store it: a last `_` is [padding](Self::padded).
    ///
    /// # Errors
    /// As [`custom`](Self::custom).
    pub fn stored(name: &str, letters: &str) -> Result<Self> {
        if let Some(plain) = letters.strip_suffix(char::from(PADDING)) {
            return Self::stored(name, plain)?.padded();
        }
        let named = Self::named(name).ok().filter(|known| known.letters() == letters.as_bytes());
        named.map_or_else(|| Self::custom(name, letters), Ok)
    }

    /// The same letters and one more at the end, which stands for no letter: what models of several lengths write after a sequence
    /// up to the longest. It keeps its name, and with it complements and codes.
    ///
    /// Padding is one of the V letters of tensors and never one of a [`Sequence`](super::Sequence): it cannot be written, matches no
    /// motif, has no complement, and does not count as a letter anywhere.
    ///
    /// ```
    /// use seqtilt::sequence::{Alphabet, Sequence};
    /// let padded = Alphabet::dna().padded()?;
    /// assert_eq!((padded.len(), padded.padding(), padded.name()), (5, Some(4), "dna"));
    /// assert_eq!(Sequence::parse("GA", &padded)?.padded(&padded, 4), [2, 0, 4, 4]);
    /// assert!(Sequence::parse("GA_", &padded).is_err());
    /// assert_eq!(padded.plain(), Alphabet::dna());
    /// # Ok::<(), seqtilt::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there are 64 letters already.
    pub fn padded(&self) -> Result<Self> {
        if self.0.padded {
            return Ok(self.clone());
        }
        if self.len() == 64 {
            let name = self.name();
            return Err(Error::usage(format!(
                "alphabet `{name}` has 64 letters, and no room for padding; 63 are accepted"
            )));
        }
        let letters = [self.letters(), &[PADDING]].concat();
        Ok(Self(Arc::new(Letters { name: self.0.name.clone(), letters, padded: true, ids: self.0.ids.clone() })))
    }

    /// The alphabet without its padding: the letters of sequences.
    #[must_use]
    pub fn plain(&self) -> Self {
        if self.0.padded { Self::known(&self.0.name, &self.letters()[..self.len() - 1]) } else { self.clone() }
    }

    /// The token id of padding, the last one, where there is any.
    #[must_use]
    pub fn padding(&self) -> Option<u8> {
        self.0.padded.then(|| (self.len() - 1) as u8)
    }

    fn known(name: &str, letters: &[u8]) -> Self {
        let mut ids = vec![None; 256];
        for (id, letter) in (0_u8..).zip(letters) {
            ids[usize::from(*letter)] = Some(id);
        }
        Self(Arc::new(Letters { name: name.to_owned(), letters: letters.to_vec(), padded: false, ids }))
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The letters in token order, padding at the end.
    #[must_use]
    pub fn letters(&self) -> &[u8] {
        &self.0.letters
    }

    /// The number of letters, V, with padding.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "an alphabet has at least two letters")]
    pub fn len(&self) -> usize {
        self.0.letters.len()
    }

    /// The token id of a letter; none of padding, which cannot be written.
    #[must_use]
    pub fn id(&self, letter: u8) -> Option<u8> {
        self.0.ids[usize::from(letter)]
    }

    /// The letter of a token id.
    ///
    /// # Panics
    /// If `id` is not below [`len`](Self::len).
    #[must_use]
    pub fn letter(&self, id: u8) -> u8 {
        self.0.letters[usize::from(id)]
    }

    /// The Watson-Crick complement of token `id`, for DNA and RNA.
    #[must_use]
    pub fn complement(&self, id: u8) -> Option<u8> {
        match self.name() {
            "dna" | "rna" => 3_u8.checked_sub(id),
            _ => None,
        }
    }
}
