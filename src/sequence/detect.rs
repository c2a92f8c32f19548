//! Which alphabet a set of letters is written in.

use super::Alphabet;

/// Letters that mean "unknown" or "gap" in nucleotide files, not amino acids.
const NUCLEOTIDE_DOUBTS: &[u8] = b"N-.";

/// The alphabet of these texts and the reason in words.
///
/// DNA when nine tenths of the letters are `ACGT` (or all are `ACGTN`), RNA likewise with `U`, else protein: an amino
/// acid sequence with more than nine tenths of Ala, Cys, Gly and Thr is not found in nature.
///
/// ```
/// use seqtilt::sequence::detect_alphabet;
/// let (alphabet, why) = detect_alphabet(["ACGTN", "acgtaa"]);
/// assert_eq!(alphabet.name(), "dna");
/// assert!(why.contains("`dna`"));
/// ```
pub fn detect_alphabet<'a>(texts: impl IntoIterator<Item = &'a str>) -> (Alphabet, String) {
    let mut counts = [0_u64; 256];
    for text in texts {
        for byte in text.bytes() {
            counts[usize::from(byte.to_ascii_uppercase())] += 1;
        }
    }
    let sum = |letters: &[u8]| letters.iter().map(|letter| counts[usize::from(*letter)]).sum::<u64>();
    let total = counts.iter().sum::<u64>().max(1);
    let share = |letters: &[u8]| sum(letters) as f64 / total as f64;
    let only = |letters: &[u8]| sum(letters) + sum(NUCLEOTIDE_DOUBTS) == total;
    let uracil = counts[usize::from(b'U')] > 0 && counts[usize::from(b'T')] == 0;
    let alphabet = if !uracil && (share(b"ACGT") >= 0.9 || only(b"ACGT")) {
        Alphabet::dna()
    } else if uracil && (share(b"ACGU") >= 0.9 || only(b"ACGU")) {
        Alphabet::rna()
    } else {
        Alphabet::protein()
    };
    let why = format!(
        "alphabet `{}` decided from the letters ({:.1} % are `{}`); --alphabet overrides",
        alphabet.name(),
        100.0 * share(alphabet.letters()),
        String::from_utf8_lossy(alphabet.letters())
    );
    (alphabet, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_decide() {
        let name = |texts: &[&str]| detect_alphabet(texts.iter().copied()).0.name().to_owned();
        assert_eq!(name(&["ACGT"]), "dna");
        assert_eq!(name(&["NNNN", "ACG"]), "dna");
        assert_eq!(name(&["ACGU"]), "rna");
        assert_eq!(name(&["MSKGEELFTG"]), "protein");
        assert_eq!(name(&["MSKU"]), "protein");
    }
}
