//! What most variants of one molecule have in common.

use super::{Alphabet, Sequence, hamming};

/// A set is one of variants where they differ from its consensus in at most this share of letters on average.
const VARIANTS: f64 = 0.25;

/// The most frequent letter of every site; the first of equals.
///
/// ```
/// use seqtilt::sequence::{Alphabet, Sequence, consensus};
/// let dna = Alphabet::dna();
/// let set = ["ACGT", "ACGA", "TCGA"].map(|text| Sequence::parse(text, &dna).unwrap());
/// assert_eq!(consensus(&set, &dna).unwrap(), set[1]);
/// ```
///
/// Nothing for an empty set or one of several lengths. A library's consensus is its wild type wherever most variants keep that
/// letter.
#[must_use]
pub fn consensus(set: &[Sequence], alphabet: &Alphabet) -> Option<Sequence> {
    let length = set.first()?.len();
    let mut counts = vec![[0_usize; 256]; length];
    for sequence in set {
        if sequence.len() != length {
            return None;
        }
        for (site, id) in counts.iter_mut().zip(sequence.ids()) {
            site[usize::from(*id)] += 1;
        }
    }
    let most = |site: &[usize; 256]| (0..=u8::MAX).rev().max_by_key(|id| site[usize::from(*id)]).unwrap_or(0);
    Sequence::from_ids(counts.iter().map(most).collect::<Vec<u8>>(), alphabet).ok()
}

/// The consensus of a set whose sequences keep three letters of four on average; nothing for others, which are no variants of one
/// molecule.
///
/// ```
/// use seqtilt::sequence::{Alphabet, Sequence, variants_of};
/// let dna = Alphabet::dna();
/// let words = |texts: [&str; 3]| texts.map(|text| Sequence::parse(text, &dna).unwrap());
/// assert_eq!(variants_of(&words(["ACGT", "ACGA", "TCGA"]), &dna).unwrap().text(&dna), "ACGA");
/// assert_eq!(variants_of(&words(["ACGT", "TTTT", "CAAA"]), &dna), None);
/// ```
#[must_use]
pub fn variants_of(set: &[Sequence], alphabet: &Alphabet) -> Option<Sequence> {
    let origin = consensus(set, alphabet)?;
    let changed: usize = set.iter().filter_map(|x| hamming(x, &origin)).sum();
    (changed as f64 <= VARIANTS * (set.len() * origin.len()) as f64).then_some(origin)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ties_go_to_the_first_letter_and_several_lengths_have_none() {
        let dna = Alphabet::dna();
        let words = |texts: &[&str]| texts.iter().map(|text| Sequence::parse(text, &dna).unwrap()).collect::<Vec<_>>();
        assert_eq!(consensus(&words(&["TG", "CG", "CA", "TA"]), &dna).unwrap().text(&dna), "CA");
        assert_eq!(consensus(&words(&["AC", "ACG"]), &dna), None);
        assert_eq!(consensus(&[], &dna), None);
    }
}
