//! Substitutions relative to a wild type, in the notations laboratories use, and the numbering they assume.

use crate::error::{Error, Result};
use std::collections::BTreeSet;
use std::fmt;

/// One substitution as written: the wild-type letter, the number, the new letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mutation {
    /// The wild-type letter, upper case.
    pub from: u8,
    /// The position as written; a [`Numbering`] turns it into an index.
    pub number: i64,
    /// The new letter, upper case (or `*`, a stop).
    pub to: u8,
}

impl fmt::Display for Mutation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}{}", char::from(self.from), self.number, char::from(self.to))
    }
}

/// The number that a notation gives to the wild type's first letter.
///
/// ```text
/// index = number − first
/// ```
/// 1-based notation has `first` 1 and 0-based 0; when the first residue after an initial Met is number 1 (or 0), the
/// Met itself is number 0 (or −1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Numbering {
    /// The number of the first letter.
    pub first: i64,
}

impl Numbering {
    /// 1-based, the usual one.
    pub const ONE_BASED: Self = Self { first: 1 };
    /// 0-based.
    pub const ZERO_BASED: Self = Self { first: 0 };
    /// 0-based from the residue after the initial Met, as in Sarkisyan et al. 2016.
    pub const AFTER_MET_ZERO_BASED: Self = Self { first: -1 };

    /// The index of a number into a wild type of `length` letters, if it lies inside.
    #[must_use]
    pub fn index(self, number: i64, length: usize) -> Option<usize> {
        number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok()).filter(|index| *index < length)
    }

    /// The number of an index.
    #[must_use]
    pub fn number(self, index: usize) -> i64 {
        self.first.saturating_add(i64::try_from(index).unwrap_or(i64::MAX))
    }

    /// In words, for messages.
    #[must_use]
    pub fn describe(self) -> String {
        match self.first {
            1 => "1-based".to_owned(),
            0 => "0-based, or 1-based from the residue after the first".to_owned(),
            -1 => "0-based from the residue after the first".to_owned(),
            first => format!("first letter numbered {first}"),
        }
    }
}

impl Default for Numbering {
    fn default() -> Self {
        Self::ONE_BASED
    }
}

/// Reads `A123V`, `A1B:C2D`, `A1B,C2D` (also `;`, `/`, `+` and spaces between) and Sarkisyan's `SA108D`, whose leading
/// `S` means substitution. Empty text, `WT` and `wild-type` are no mutations.
///
/// ```
/// use seqtilt::sequence::{format_mutations, parse_mutations};
/// let two = parse_mutations("SA108D:SN144D")?;
/// assert_eq!((two[0].from, two[0].number, two[0].to), (b'A', 108, b'D'));
/// assert_eq!(format_mutations(&two), "A108D:N144D");
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Errors
/// When a part is not a substitution, or a position is given twice.
pub fn parse_mutations(text: &str) -> Result<Vec<Mutation>> {
    let text = text.trim();
    if matches!(text.to_ascii_lowercase().as_str(), "" | "wt" | "_wt" | "wild-type" | "wild_type" | "wildtype") {
        return Ok(Vec::new());
    }
    let mut mutations: Vec<Mutation> = Vec::new();
    for part in text.split([':', ',', ';', '/', '+', ' ']).filter(|part| !part.is_empty()) {
        let mutation = parse_one(part).ok_or_else(|| {
            Error::data(format!(
                "mutation `{}` is not a substitution; accepted: `A123V`, `A1B:C2D`, `A1B,C2D`, `SA108D`",
                part.escape_debug()
            ))
        })?;
        if let Some(other) = mutations.iter().find(|other| other.number == mutation.number) {
            return Err(Error::data(format!("mutations `{other}` and `{mutation}` are at the same position")));
        }
        mutations.push(mutation);
    }
    Ok(mutations)
}

fn parse_one(part: &str) -> Option<Mutation> {
    let bytes = part.as_bytes();
    let (bytes, to) = (bytes.get(..bytes.len().checked_sub(1)?)?, *bytes.last()?);
    let bytes = match bytes {
        [b'S' | b's', letter, ..] if letter.is_ascii_alphabetic() => &bytes[1..],
        _ => bytes,
    };
    let (from, digits) = bytes.split_first()?;
    let letter = |byte: u8| byte.is_ascii_alphabetic() || byte == b'*';
    let (sign, plain) = match digits {
        [b'-', rest @ ..] => (-1, rest),
        _ => (1, digits),
    };
    if !letter(*from) || !letter(to) || plain.is_empty() || !plain.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: i64 = std::str::from_utf8(plain).ok()?.parse().ok()?;
    Some(Mutation { from: from.to_ascii_uppercase(), number: sign * number, to: to.to_ascii_uppercase() })
}

/// Writes mutations as `A1B:C2D`; none is the empty text.
#[must_use]
pub fn format_mutations(mutations: &[Mutation]) -> String {
    mutations.iter().map(ToString::to_string).collect::<Vec<_>>().join(":")
}

/// The substitutions that turn `wild_type` into `variant`.
///
/// # Errors
/// When the lengths differ.
pub fn mutations_between(wild_type: &str, variant: &str, numbering: Numbering) -> Result<Vec<Mutation>> {
    if wild_type.len() != variant.len() {
        return Err(Error::data(format!(
            "a variant of {} letters has no substitution notation against a wild type of {}; equal lengths are needed",
            variant.len(),
            wild_type.len()
        )));
    }
    let pairs = wild_type.bytes().zip(variant.bytes()).zip(numbering.first..);
    Ok(pairs.filter(|((from, to), _)| from != to).map(|((from, to), number)| Mutation { from, number, to }).collect())
}

/// The letters of `wild_type` with the mutations made.
///
/// # Errors
/// When a position lies outside the wild type or its letter is another one; the hint then names a numbering under which
/// all of *these* mutations agree, if there is one. It is proposed, never used silently.
pub fn apply_mutations(wild_type: &str, mutations: &[Mutation], numbering: Numbering) -> Result<String> {
    let mut letters = wild_type.as_bytes().to_vec();
    for mutation in mutations {
        match numbering.index(mutation.number, letters.len()) {
            Some(index) if wild_type.as_bytes()[index] == mutation.from => letters[index] = mutation.to,
            found => {
                let error = Error::data(disagreement(wild_type, *mutation, found, numbering));
                let seen = mutations.iter().map(|m| (m.number, m.from)).collect();
                return Err(error.hint(proposal(wild_type, &seen)));
            }
        }
    }
    String::from_utf8(letters).map_err(|source| Error::data("the wild type is not ASCII").because(source))
}

fn disagreement(wild_type: &str, mutation: Mutation, found: Option<usize>, numbering: Numbering) -> String {
    let how = numbering.describe();
    match found {
        Some(index) => format!(
            "mutation `{mutation}` expects `{}`, but the wild type has `{}` at {} ({how})",
            char::from(mutation.from),
            char::from(wild_type.as_bytes()[index]),
            mutation.number
        ),
        None => format!(
            "mutation `{mutation}` lies outside the wild type, whose {} letters are numbered {} to {} ({how})",
            wild_type.len(),
            numbering.first,
            numbering.first.saturating_add_unsigned((wild_type.len() as u64).saturating_sub(1))
        ),
    }
}

/// The numberings under which every (number, wild-type letter) agrees with the wild type, the usual ones first.
///
/// ```
/// use seqtilt::sequence::{agreeing_numberings, Numbering};
/// // Sarkisyan's numbering: 0 is the residue after the initial Met
/// let seen = [(0, b'S'), (2, b'G'), (3, b'E')].into();
/// assert_eq!(agreeing_numberings("MSKGEELF", &seen), vec![Numbering { first: -1 }]);
/// ```
///
/// # Cost
/// One pass over the pairs for each of at most 3·L shifts.
#[must_use]
pub fn agreeing_numberings(wild_type: &str, seen: &BTreeSet<(i64, u8)>) -> Vec<Numbering> {
    let letters = wild_type.as_bytes();
    let (Some((low, _)), Some((high, _))) = (seen.first(), seen.last()) else { return Vec::new() };
    // the lowest number must not fall before the first letter, nor the highest after the last
    let (from, to) = (high.saturating_sub_unsigned((letters.len() as u64).saturating_sub(1)), *low);
    let agrees = |first: i64| {
        let numbering = Numbering { first };
        seen.iter()
            .all(|(number, letter)| numbering.index(*number, letters.len()).is_some_and(|i| letters[i] == *letter))
    };
    let mut found: Vec<i64> = if from > to { Vec::new() } else { (from..=to).filter(|first| agrees(*first)).collect() };
    found.sort_by_key(|first| match first {
        1 => (0, 0),
        0 => (0, 1),
        -1 => (0, 2),
        other => (other.unsigned_abs(), *other),
    });
    found.into_iter().map(|first| Numbering { first }).collect()
}

/// The hint for mutations that disagree with a wild type.
pub(super) fn proposal(wild_type: &str, seen: &BTreeSet<(i64, u8)>) -> String {
    match agreeing_numberings(wild_type, seen).as_slice() {
        [] => {
            "no numbering makes all mutations agree: check that this is the wild type the table was written for".into()
        }
        [one] => format!(
            "pass --first-position {}: all {} mutated positions then agree with the wild type ({})",
            one.first,
            seen.len(),
            one.describe()
        ),
        [one, rest @ ..] => format!(
            "--first-position {} would make all {} mutated positions agree ({}), but so would {} other numberings: check which is meant",
            one.first,
            seen.len(),
            one.describe(),
            rest.len()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const WILD_TYPE: &str = "MSKGEELFTGVVPILVELDG";

    #[test]
    fn all_notations_are_read() {
        for text in ["K3A:E5D", "K3A,E5D", "k3a; e5d", "SK3A:SE5D", "K3A/E5D", "K3A+E5D"] {
            assert_eq!(format_mutations(&parse_mutations(text).unwrap()), "K3A:E5D", "{text}");
        }
        assert_eq!(parse_mutations("S3D").unwrap(), [Mutation { from: b'S', number: 3, to: b'D' }]);
        assert!(parse_mutations("WT").unwrap().is_empty());
    }

    #[test]
    fn what_is_not_a_substitution_is_refused() {
        for text in
            ["A12", "12V", "A1", "V", "A1.5V", "Ala12Val", "A99999999999999999999V", "é1A", "A1é", "del3", "A--1V"]
        {
            let message = parse_mutations(text).unwrap_err().to_string();
            assert!(message.contains("accepted: `A123V`"), "{text}: {message}");
        }
        assert!(parse_mutations("A1C:A1D").unwrap_err().to_string().contains("same position"));
    }

    #[test]
    fn a_wrong_numbering_is_proposed_and_not_used() {
        // written 0-based after Met: index = number + 1
        let mutations = parse_mutations("S0T:K1R:L5V").unwrap();
        let error = apply_mutations(WILD_TYPE, &mutations, Numbering::ONE_BASED).unwrap_err();
        assert!(error.message().contains("lies outside"), "{error}");
        assert!(error.hint_text().unwrap().contains("--first-position -1"), "{:?}", error.hint_text());
        let letters = apply_mutations(WILD_TYPE, &mutations, Numbering::AFTER_MET_ZERO_BASED).unwrap();
        assert_eq!(&letters[..8], "MTRGEEVF");
        let error = apply_mutations(WILD_TYPE, &mutations[1..], Numbering::ONE_BASED).unwrap_err();
        assert!(error.message().contains("expects `K`, but the wild type has `M` at 1"), "{error}");
        let foreign = parse_mutations("W1A:W2A").unwrap();
        let error = apply_mutations(WILD_TYPE, &foreign, Numbering::ONE_BASED).unwrap_err();
        assert!(error.hint_text().unwrap().contains("no numbering"));
    }

    #[test]
    fn one_mutation_alone_leaves_the_numbering_open() {
        let error = apply_mutations(WILD_TYPE, &parse_mutations("E4A").unwrap(), Numbering::ONE_BASED).unwrap_err();
        assert!(error.hint_text().unwrap().contains("other numberings"), "{:?}", error.hint_text());
    }

    proptest! {
        #[test]
        fn mutations_round_trip_under_any_numbering(variant in "[ACDEFGHIKLMNPQRSTVWY]{20}", first in -3_i64..400) {
            let numbering = Numbering { first };
            let mutations = mutations_between(WILD_TYPE, &variant, numbering).unwrap();
            let read = parse_mutations(&format_mutations(&mutations)).unwrap();
            prop_assert_eq!(&read, &mutations);
            prop_assert_eq!(apply_mutations(WILD_TYPE, &read, numbering).unwrap(), variant);
        }

        #[test]
        fn any_text_is_read_or_refused(text in "\\PC{0,24}") {
            let _ = parse_mutations(&text);
        }
    }
}
