//! Parts of a data set that do not leak into each other.

use super::{Difficulty, quantile};
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::sequence::{Records, Sequence, write_table};
use crate::store::write_atomic;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How records are divided.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Split {
    /// At random into `train`, `valid`, `test` by these shares; equal sequences stay together.
    Random {
        /// Shares that sum to 1.
        shares: [f64; 3],
    },
    /// As `Random`, and a sequence and its reverse complement stay together.
    Strands {
        /// Shares that sum to 1.
        shares: [f64; 3],
    },
    /// Into `low`, values at most the quantile at `at`, and `high`, the rest.
    Quantile {
        /// The probability, strictly between 0 and 1.
        at: f64,
    },
    /// Into `start`, what a search of this difficulty may see, and `rest`.
    Start {
        /// Range of values, and distance to the best.
        difficulty: Difficulty,
    },
}

/// A named part: indices into the records, ascending.
pub type Part = (&'static str, Vec<usize>);

/// Divides records; every index is in exactly one part.
///
/// ```
/// use seqtilt::{data::{split, Split}, sequence::{read_str, ReadOptions}, Seed};
/// let records = read_str("seq,value\nACG,1\nCGT,1\nTTT,2\nGGG,3\n", None, &ReadOptions::default())?;
/// let parts = split(&records, Split::Quantile { at: 0.5 }, Seed::root(1))?;
/// assert_eq!(parts, [("low", vec![0, 1]), ("high", vec![2, 3])]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Errors
/// When shares or the probability are out of range, strands are asked for of a protein, values are missing for
/// [`Split::Quantile`], and as [`Difficulty::start`].
pub fn split(records: &Records, rule: Split, seed: Seed) -> Result<Vec<Part>> {
    match rule {
        Split::Quantile { at } => by_value(records, at),
        Split::Start { difficulty } => {
            let start = difficulty.start(records)?;
            let rest = (0..records.len()).filter(|index| start.binary_search(index).is_err()).collect();
            Ok(vec![("start", start), ("rest", rest)])
        }
        Split::Random { shares } => by_group(records, shares, seed, |sequence| Ok(sequence.clone())),
        Split::Strands { shares } => by_group(records, shares, seed, |sequence| {
            let other = sequence.reverse_complement(&records.alphabet).ok_or_else(|| {
                let name = records.alphabet.name();
                Error::usage(format!("alphabet `{name}` has no reverse complement; `dna` and `rna` have"))
                    .hint("split at random instead")
            })?;
            Ok(other.min(sequence.clone()))
        }),
    }
}

fn by_value(records: &Records, at: f64) -> Result<Vec<Part>> {
    if !(at > 0.0 && at < 1.0) {
        return Err(Error::usage(format!("quantile {at} is not strictly between 0 and 1")));
    }
    let values = records.values()?;
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let bound = quantile(&sorted, at);
    let (low, high) = (0..values.len()).partition(|index| values[*index] <= bound);
    Ok(vec![("low", low), ("high", high)])
}

fn by_group(
    records: &Records,
    shares: [f64; 3],
    seed: Seed,
    key: impl Fn(&Sequence) -> Result<Sequence>,
) -> Result<Vec<Part>> {
    let sum: f64 = shares.iter().sum();
    if shares.iter().any(|share| !(0.0..=1.0).contains(share)) || (sum - 1.0).abs() > 1e-9 {
        return Err(Error::usage(format!("shares {shares:?} are not three numbers from 0 to 1 that sum to 1")));
    }
    let mut groups: BTreeMap<Sequence, Vec<usize>> = BTreeMap::new();
    for (index, row) in records.rows.iter().enumerate() {
        groups.entry(key(&row.sequence)?).or_default().push(index);
    }
    let mut groups: Vec<Vec<usize>> = groups.into_values().collect();
    seed.child("split").rng().shuffle(&mut groups);
    let n = groups.len() as f64;
    let first = (shares[0] * n).round() as usize;
    let second = ((shares[0] + shares[1]) * n).round() as usize;
    let part = |range: std::ops::Range<usize>| {
        let mut indices: Vec<usize> = groups[range].concat();
        indices.sort_unstable();
        indices
    };
    Ok(vec![("train", part(0..first)), ("valid", part(first..second)), ("test", part(second..groups.len()))])
}

/// Writes each part that has records as `PART.csv` in a folder; answers with the files.
///
/// # Errors
/// When a file cannot be written.
pub fn write_split(records: &Records, parts: &[Part], folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for (name, indices) in parts.iter().filter(|(_, indices)| !indices.is_empty()) {
        let mut bytes = Vec::new();
        write_table(&mut bytes, &records.subset(indices))?;
        let file = folder.join(format!("{name}.csv"));
        write_atomic(&file, &bytes)?;
        files.push(file);
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::{Alphabet, Record};
    use proptest::prelude::*;

    fn records(texts: &[String]) -> Records {
        let dna = Alphabet::dna();
        let row = |(index, text): (usize, &String)| {
            let sequence = Sequence::parse(text, &dna).unwrap();
            Record { id: format!("a{index}"), sequence, value: Some(index as f64), sd: None, mutations: None }
        };
        Records::new(dna.clone(), texts.iter().enumerate().map(row).collect())
    }

    proptest! {
        #[test]
        fn parts_cover_everything_once_and_strands_stay_together(
            texts in prop::collection::vec("[ACGT]{3}", 1..60), seed in 0_u64..1000
        ) {
            let records = records(&texts);
            let rule = Split::Strands { shares: [0.6, 0.2, 0.2] };
            let parts = split(&records, rule, Seed::root(seed)).unwrap();
            let mut all: Vec<usize> = parts.iter().flat_map(|(_, indices)| indices.clone()).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..texts.len()).collect::<Vec<_>>());
            let part_of = |index: &usize| parts.iter().position(|(_, indices)| indices.contains(index));
            for (i, row) in records.rows.iter().enumerate() {
                let other = row.sequence.reverse_complement(&records.alphabet).unwrap();
                for (j, _) in records.rows.iter().enumerate().filter(|(_, row)| row.sequence == other) {
                    prop_assert_eq!(part_of(&i), part_of(&j));
                }
            }
        }
    }

    #[test]
    fn shares_are_met_and_seeds_matter() {
        let texts: Vec<String> = (0..64).map(|i| ["A", "C", "G", "T"][i % 4].repeat(i / 4 + 1)).collect();
        let records = records(&texts);
        let run = |seed| split(&records, Split::Random { shares: [0.5, 0.25, 0.25] }, Seed::root(seed)).unwrap();
        assert_eq!(run(1).iter().map(|(_, indices)| indices.len()).collect::<Vec<_>>(), [32, 16, 16]);
        assert_eq!(run(1), run(1));
        assert_ne!(run(1), run(2));
    }

    #[test]
    fn a_start_set_and_the_rest_are_everything() {
        let texts = ["AAA", "AAC", "CCC", "GGG"].map(str::to_owned);
        let difficulty = Difficulty { from: 0.0, to: 0.7, gap: 3 };
        let parts = split(&records(&texts), Split::Start { difficulty }, Seed::root(0)).unwrap();
        assert_eq!(parts, [("start", vec![0, 1, 2]), ("rest", vec![3])]);
    }

    #[test]
    fn bad_rules_are_refused() {
        let records = records(&["A".to_owned()]);
        for rule in [
            Split::Random { shares: [0.5, 0.1, 0.1] },
            Split::Random { shares: [1.5, -0.5, 0.0] },
            Split::Random { shares: [f64::NAN, 0.5, 0.5] },
            Split::Quantile { at: 1.0 },
        ] {
            assert_eq!(split(&records, rule, Seed::root(0)).unwrap_err().kind().exit_code(), 2, "{rule:?}");
        }
    }
}
