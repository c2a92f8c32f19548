//! Sets of letters.

use crate::error::{Error, Result};
use crate::sequence::Alphabet;

/// Ambiguity codes of nucleotides and what they stand for (IUPAC), with T for U.
const NUCLEOTIDES: [(u8, &str); 11] = [
    (b'R', "AG"),
    (b'Y', "CT"),
    (b'S', "CG"),
    (b'W', "AT"),
    (b'K', "GT"),
    (b'M', "AC"),
    (b'B', "CGT"),
    (b'D', "AGT"),
    (b'H', "ACT"),
    (b'V', "ACG"),
    (b'N', "ACGT"),
];

/// Some letters of an alphabet: one bit for each.
///
/// ```
/// use seqtilt::sequence::{Alphabet, LetterSet};
/// let dna = Alphabet::dna();
/// assert_eq!(LetterSet::of("GC", &dna)?.text(&dna), "CG");
/// assert_eq!(LetterSet::place_of('R', &dna)?.ids().collect::<Vec<_>>(), [0, 2]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LetterSet(u64);

impl LetterSet {
    /// Every letter.
    #[must_use]
    pub fn all(alphabet: &Alphabet) -> Self {
        (0..alphabet.len()).fold(Self(0), |set, id| Self(set.0 | 1 << id))
    }

    /// The letters of a text.
    ///
    /// # Errors
    /// When it is empty, or holds a letter outside the alphabet.
    pub fn of(text: &str, alphabet: &Alphabet) -> Result<Self> {
        if text.is_empty() {
            return Err(Error::data("no letters; one or more are accepted"));
        }
        let bit = |letter: u8| match alphabet.id(letter.to_ascii_uppercase()) {
            Some(id) => Ok(1_u64 << id),
            None => Err(unknown(char::from(letter), alphabet)),
        };
        text.bytes().try_fold(0, |set, letter| Ok(set | bit(letter)?)).map(Self)
    }

    /// What a letter of a motif stands for: itself; several for an ambiguity code of nucleotides, any for X of proteins.
    ///
    /// # Errors
    /// When it is neither a letter nor a code.
    pub fn place_of(letter: char, alphabet: &Alphabet) -> Result<Self> {
        let upper = letter.to_ascii_uppercase();
        let byte = u8::try_from(upper).ok();
        if let Some(id) = byte.and_then(|byte| alphabet.id(byte)) {
            return Ok(Self(1 << id));
        }
        let code = NUCLEOTIDES.iter().find(|(code, _)| Some(*code) == byte);
        match (alphabet.name(), code) {
            ("dna", Some((_, letters))) => Self::of(letters, alphabet),
            ("rna", Some((_, letters))) => Self::of(&letters.replace('T', "U"), alphabet),
            ("protein", _) if upper == 'X' => Ok(Self::all(alphabet)),
            _ => Err(unknown(letter, alphabet)),
        }
    }

    /// The letters on the other strand, for DNA and RNA.
    #[must_use]
    pub fn complement(self, alphabet: &Alphabet) -> Option<Self> {
        self.ids().try_fold(0, |set, id| Some(set | 1_u64 << alphabet.complement(id)?)).map(Self)
    }

    /// Whether a letter is among them.
    #[must_use]
    pub fn contains(self, id: u8) -> bool {
        self.0 >> id & 1 == 1
    }

    /// Their token ids, in order.
    pub fn ids(self) -> impl Iterator<Item = u8> {
        (0..64).filter(move |id| self.contains(*id))
    }

    /// The letters, in the order of the alphabet.
    #[must_use]
    pub fn text(self, alphabet: &Alphabet) -> String {
        self.ids().map(|id| char::from(alphabet.letter(id))).collect()
    }

    /// The letters as a place of a motif is written: `A`, or `[AG]`.
    #[must_use]
    pub fn place(self, alphabet: &Alphabet) -> String {
        let text = self.text(alphabet);
        if text.len() == 1 { text } else { format!("[{text}]") }
    }
}

fn unknown(letter: char, alphabet: &Alphabet) -> Error {
    let letters = String::from_utf8_lossy(alphabet.letters());
    let (letter, name) = (letter.escape_default(), alphabet.name());
    Error::data(format!("letter `{letter}` is not in alphabet `{name}`, which accepts `{letters}`"))
}
