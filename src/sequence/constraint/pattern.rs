//! Motifs of letter sets.

use crate::error::{Error, Result};
use crate::sequence::Alphabet;

/// A motif: a set of letters for each of its positions, a bit each.
///
/// ```
/// use seqtilt::sequence::{Alphabet, Pattern, Sequence};
/// let protein = Alphabet::protein();
/// let glycosylation = Pattern::parse("forbidden", "sequon", "N[^P][ST]", &protein)?;
/// let sites = |text: &str| Ok::<_, seqtilt::Error>(glycosylation.sites(&Sequence::parse(text, &protein)?));
/// assert_eq!((sites("ANGTNAS")?, sites("NPTW")?), (vec![1, 4], vec![]));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The rule that it belongs to.
    pub rule: &'static str,
    /// What people call it.
    pub name: String,
    pub(super) sets: Vec<u64>,
}

/// Letter codes of nucleic acids beyond the four, IUPAC 1984.
const CODES: [(u8, &[u8]); 11] = [
    (b'R', b"AG"),
    (b'Y', b"CT"),
    (b'S', b"CG"),
    (b'W', b"AT"),
    (b'K', b"GT"),
    (b'M', b"AC"),
    (b'B', b"CGT"),
    (b'D', b"AGT"),
    (b'H', b"ACT"),
    (b'V', b"ACG"),
    (b'N', b"ACGT"),
];

impl Pattern {
    /// Reads letters, IUPAC codes of DNA and RNA, `X` (protein) or `.` for any letter, `[AB]` and `[^AB]`.
    ///
    /// # Errors
    /// When a letter is not of the alphabet, a bracket is left open, or nothing is there.
    pub fn parse(rule: &'static str, name: &str, text: &str, alphabet: &Alphabet) -> Result<Self> {
        let wrong = |what: &str| Error::usage(format!("`{rule}`: motif `{text}` {what}"));
        let every = every(alphabet);
        let mut sets = Vec::new();
        let mut rest = text.trim();
        while let Some(letter) = rest.chars().next() {
            if let Some(inner) = rest.strip_prefix('[') {
                let (class, after) = inner.split_once(']').ok_or_else(|| wrong("leaves a bracket open"))?;
                let (class, negated) = class.strip_prefix('^').map_or((class, false), |class| (class, true));
                let set = Self::letters(rule, class, alphabet)?;
                sets.push(if negated { every & !set } else { set });
                rest = after;
            } else {
                sets.push(code(letter, alphabet).ok_or_else(|| {
                    let letters = String::from_utf8_lossy(alphabet.letters()).into_owned();
                    wrong(&format!("has `{letter}`")).hint(format!(
                        "letters of `{letters}`, IUPAC codes of DNA and RNA, `.` for any, `[AB]` and `[^AB]` are accepted"
                    ))
                })?);
                rest = &rest[letter.len_utf8()..];
            }
        }
        if sets.is_empty() || sets.contains(&0) {
            return Err(wrong("matches nothing"));
        }
        Ok(Self { rule, name: name.to_owned(), sets })
    }

    /// A letter after padding.
    pub(super) fn resumed(padding: u8, alphabet: &Alphabet) -> Self {
        Self { rule: "padding", name: "a letter after the end".to_owned(), sets: vec![1 << padding, every(alphabet)] }
    }

    /// A run of one letter.
    pub(super) fn run(id: u8, length: usize, alphabet: &Alphabet) -> Self {
        let name = format!("{length} {} in a row", char::from(alphabet.letter(id)));
        Self { rule: "max-homopolymer", name, sets: vec![1 << id; length] }
    }

    /// A set of letters, or of IUPAC codes.
    pub(super) fn letters(rule: &'static str, text: &str, alphabet: &Alphabet) -> Result<u64> {
        let mut set = 0;
        for letter in text.chars() {
            set |= code(letter, alphabet).ok_or_else(|| {
                let letters = String::from_utf8_lossy(alphabet.letters()).into_owned();
                Error::usage(format!("`{rule}`: `{letter}` is not a letter of `{letters}`"))
            })?;
        }
        if set == 0 { Err(Error::usage(format!("`{rule}`: no letters are left"))) } else { Ok(set) }
    }

    /// The same on the other strand; nothing where letters have no complement, or it is the same motif.
    #[must_use]
    pub fn reverse_complement(&self, alphabet: &Alphabet) -> Option<Self> {
        alphabet.complement(0)?;
        let other = |set: &u64| {
            let ids = (0..alphabet.len() as u8).filter(|id| set >> id & 1 == 1);
            ids.filter_map(|id| alphabet.complement(id)).fold(0, |set, id| set | 1 << id)
        };
        let sets: Vec<u64> = self.sets.iter().rev().map(other).collect();
        (sets != self.sets).then(|| Self { rule: self.rule, name: format!("{}, other strand", self.name), sets })
    }

    /// Where it occurs, as indices of its first letters.
    #[must_use]
    pub fn sites(&self, sequence: &crate::sequence::Sequence) -> Vec<usize> {
        let fits = |window: &[u8]| window.iter().zip(&self.sets).all(|(id, set)| set >> id & 1 == 1);
        let windows = sequence.ids().windows(self.sets.len()).enumerate();
        windows.filter(|(_, window)| fits(window)).map(|(index, _)| index).collect()
    }
}

/// All letters, without padding.
pub(super) fn every(alphabet: &Alphabet) -> u64 {
    let letters = alphabet.len() - usize::from(alphabet.padding().is_some());
    (0..letters).fold(0, |set, id| set | 1 << id)
}

/// The letters that a character stands for.
fn code(letter: char, alphabet: &Alphabet) -> Option<u64> {
    let letter = u8::try_from(letter).ok()?.to_ascii_uppercase();
    if letter == b'.' {
        return Some(every(alphabet));
    }
    if let Some(id) = alphabet.id(letter) {
        return Some(1 << id);
    }
    if alphabet.complement(0).is_none() {
        return (letter == b'X').then(|| every(alphabet));
    }
    let (_, letters) = CODES.iter().find(|(code, _)| *code == letter)?;
    // T of DNA is U of RNA
    let id = |letter: &u8| alphabet.id(*letter).or_else(|| alphabet.id(b'U'));
    letters.iter().filter_map(id).map(|id| 1 << id).reduce(|a: u64, b| a | b)
}
