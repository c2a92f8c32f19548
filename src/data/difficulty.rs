//! Start sets that are far from the best: how much of a landscape a search may see before it begins.

use super::quantile;
use crate::error::{Error, Result};
use crate::registry::registry;
use crate::sequence::{Records, Sequence, consensus};
use serde::{Deserialize, Serialize};

/// The share of records that are not among the best.
const TOP: f64 = 0.99;

registry! {
    /// Difficulties by name.
    pub DIFFICULTIES: Difficulty, "difficulty", "difficulties";
    "medium" => Difficulty { from: 0.2, to: 0.4, gap: 6 },
        "values from the 20th to the 40th percentile, 6 mutations or more from every sequence of the top 1 %";
    "hard" => Difficulty { from: 0.0, to: 0.3, gap: 7 },
        "values up to the 30th percentile, 7 mutations or more from every sequence of the top 1 %";
}

/// What a start set is cut by: a range of values, and a distance to the best sequences.
///
/// ```text
/// start = { x : Q(from) ≤ y(x) ≤ Q(to),  Hamming(x, x') ≥ gap  for every x' with y(x') ≥ Q(0.99) }
/// ```
/// Q is the quantile of all values, ends included. The ranges and gaps of [`DIFFICULTIES`] are those of Kirjner et al. 2023
/// (arXiv 2307.00494) for GFP.
///
/// ```
/// use seqtilt::data::Difficulty;
/// use seqtilt::sequence::{ReadOptions, read_str};
/// let table = "seq,value\nAAAA,4\nAAAC,1\nCCCC,1\nGGGG,2\n";
/// let records = read_str(table, None, &ReadOptions::default())?;
/// // AAAC is poor as well, but one letter from the best
/// assert_eq!(Difficulty { from: 0.0, to: 0.5, gap: 2 }.start(&records)?, [2]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difficulty {
    /// Probability of the least value.
    pub from: f64,
    /// Probability of the greatest value.
    pub to: f64,
    /// Letters to the nearest of the best, at least.
    pub gap: usize,
}

impl Difficulty {
    /// The difficulty of a name, or one as `FROM:TO:GAP`.
    ///
    /// ```
    /// use seqtilt::data::Difficulty;
    /// assert_eq!(Difficulty::named("medium")?, Difficulty::named("0.2:0.4:6")?);
    /// # Ok::<(), seqtilt::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there is none; the message lists what is accepted.
    pub fn named(name: &str) -> Result<Self> {
        if !name.contains(':') {
            return Ok(DIFFICULTIES.get(name)?.make);
        }
        let [from, to, gap] = *name.split(':').collect::<Vec<_>>() else { return Err(malformed(name)) };
        match (from.parse(), to.parse(), gap.parse()) {
            (Ok(from), Ok(to), Ok(gap)) => Ok(Self { from, to, gap }),
            _ => Err(malformed(name)),
        }
    }

    /// Indices of the records that may be seen, ascending.
    ///
    /// # Errors
    /// When the probabilities are out of order, a value is missing, or sequences have several lengths.
    ///
    /// # Cost
    /// Of pairs of a record in the range and one of the best, the letters that either has of its own: 0.1 s for 51,715 variants of
    /// 238 letters.
    pub fn start(&self, records: &Records) -> Result<Vec<usize>> {
        let Self { from, to, gap } = *self;
        if !(0.0..=1.0).contains(&from) || !(from..=1.0).contains(&to) {
            return Err(Error::usage(format!("percentiles from {from} to {to}; two in order, 0 to 1, are accepted")));
        }
        let values = records.values()?;
        let mut sorted = values.clone();
        sorted.sort_by(f64::total_cmp);
        let [least, most, top] = [from, to, TOP].map(|share| quantile(&sorted, share));
        let sequences = records.sequences();
        let origin = consensus(&sequences, &records.alphabet).ok_or_else(|| {
            Error::data("sequences have several lengths; distances of a start set count substitutions")
                .hint("see `seqtilt data describe`")
        })?;
        let changes = |index: &usize| changes(&sequences[*index], &origin);
        let best: Vec<Vec<(usize, u8)>> =
            (0..values.len()).filter(|i| values[*i] >= top).map(|i| changes(&i)).collect();
        let far = |index: &usize| {
            let own = changes(index);
            best.iter().all(|other| differing(&own, other) >= gap)
        };
        Ok((0..values.len()).filter(|i| (least..=most).contains(&values[*i])).filter(far).collect())
    }
}

fn malformed(name: &str) -> Error {
    Error::usage(format!("difficulty `{name}`; a name or FROM:TO:GAP is accepted, such as 0.2:0.4:6"))
}

/// The letters that are not the origin's, with their positions in ascending order.
fn changes(sequence: &Sequence, origin: &Sequence) -> Vec<(usize, u8)> {
    let pairs = sequence.ids().iter().zip(origin.ids()).enumerate();
    pairs.filter(|(_, (letter, known))| letter != known).map(|(place, (letter, _))| (place, *letter)).collect()
}

/// The Hamming distance of two sequences by their changes from one origin.
fn differing(a: &[(usize, u8)], b: &[(usize, u8)]) -> usize {
    let (mut i, mut j, mut count) = (0, 0, 0);
    while let (Some(x), Some(y)) = (a.get(i), b.get(j)) {
        count += usize::from(x != y);
        i += usize::from(x.0 <= y.0);
        j += usize::from(y.0 <= x.0);
    }
    count + (a.len() - i) + (b.len() - j)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::{Alphabet, Record, hamming};
    use proptest::prelude::*;

    fn records(rows: &[(&str, f64)]) -> Records {
        let dna = Alphabet::dna();
        let row = |(text, value): &(&str, f64)| Record {
            id: (*text).to_owned(),
            sequence: Sequence::parse(text, &dna).unwrap(),
            value: Some(*value),
            sd: None,
            mutations: None,
        };
        Records::new(dna.clone(), rows.iter().map(row).collect())
    }

    #[test]
    fn a_start_set_is_poor_and_far_from_the_best() {
        let table = records(&[
            ("AAAAAA", 10.0),
            ("AAAACC", 1.0),
            ("AAACCC", 2.0),
            ("CCCCCC", 3.0),
            ("GGGAAA", 4.0),
            ("TTTTTT", 5.0),
        ]);
        let start = |from, to, gap| Difficulty { from, to, gap }.start(&table).unwrap();
        assert_eq!(start(0.0, 1.0, 0), [0, 1, 2, 3, 4, 5]);
        assert_eq!(start(0.0, 0.6, 0), [1, 2, 3, 4], "both ends belong to the range");
        assert_eq!(start(0.2, 0.6, 0), [2, 3, 4]);
        assert_eq!(start(0.0, 0.6, 3), [2, 3, 4]);
        assert_eq!(start(0.0, 0.6, 4), [3]);
        assert_eq!(start(0.0, 1.0, 7), [0; 0]);
        for bad in [(0.5, 0.2), (-0.1, 0.2), (0.0, 1.2), (f64::NAN, 1.0)] {
            let error = Difficulty { from: bad.0, to: bad.1, gap: 1 }.start(&table).unwrap_err();
            assert_eq!(error.kind(), crate::Kind::Usage, "{bad:?}");
        }
        let odd = records(&[("AAAA", 1.0), ("AAA", 2.0)]);
        assert!(Difficulty::named("hard").unwrap().start(&odd).unwrap_err().message().contains("several lengths"));
        for bad in ["0.2:0.4", "a:0.4:6", "0.2:0.4:-1", "0.2:0.4:6:1"] {
            assert!(Difficulty::named(bad).unwrap_err().message().contains("FROM:TO:GAP"), "{bad}");
        }
        assert_eq!(Difficulty::named("hrad").unwrap_err().hint_text(), Some("did you mean `hard`?"));
    }

    proptest! {
        #[test]
        fn distances_by_changes_are_hamming_distances(a in "[ACGT]{9}", b in "[ACGT]{9}", origin in "[ACGT]{9}") {
            let dna = Alphabet::dna();
            let [a, b, origin] = [a, b, origin].map(|text| Sequence::parse(&text, &dna).unwrap());
            prop_assert_eq!(Some(differing(&changes(&a, &origin), &changes(&b, &origin))), hamming(&a, &b));
        }
    }
}
