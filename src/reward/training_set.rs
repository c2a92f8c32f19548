//! What a reward learns from.

use super::Domain;
use crate::data::quantile;
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::sequence::{Alphabet, Records, Sequence};
use std::collections::BTreeMap;

/// Distinct sequences with one finite value each: of one length, or of several over a [padded](Alphabet::padded) alphabet.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingSet {
    domain: Domain,
    sequences: Vec<Sequence>,
    values: Vec<f64>,
}

impl TrainingSet {
    /// From pairs of one length; the values of a repeated sequence are averaged, the order is that of first occurrence.
    ///
    /// # Errors
    /// When there are fewer than two sequences, their lengths differ, or a value is not finite.
    pub fn new(alphabet: Alphabet, pairs: impl IntoIterator<Item = (Sequence, f64)>) -> Result<Self> {
        let mut pairs = pairs.into_iter().peekable();
        let length = pairs.peek().map_or(0, |(sequence, _)| sequence.len());
        Self::within(&Domain { alphabet, length }, pairs)
    }

    /// As [`new`](Self::new), from sequences of a domain: shorter ones too where its alphabet has padding.
    ///
    /// # Errors
    /// When there are fewer than two sequences, one does not fit the domain, or a value is not finite.
    pub fn within(domain: &Domain, pairs: impl IntoIterator<Item = (Sequence, f64)>) -> Result<Self> {
        let alphabet = &domain.alphabet;
        let mut place: BTreeMap<Sequence, usize> = BTreeMap::new();
        let (mut sequences, mut sums): (Vec<Sequence>, Vec<(f64, u32)>) = (Vec::new(), Vec::new());
        for (sequence, value) in pairs {
            if !value.is_finite() {
                return Err(Error::data(format!("value {value} of `{}` is not finite", sequence.text(alphabet))));
            }
            domain.check(&sequence)?;
            let index = *place.entry(sequence.clone()).or_insert(sums.len());
            if index == sums.len() {
                sequences.push(sequence);
                sums.push((0.0, 0));
            }
            sums[index].0 += value;
            sums[index].1 += 1;
        }
        if sequences.len() < 2 {
            return Err(Error::data(format!("{} distinct sequences; a reward needs 2 or more", sequences.len())));
        }
        let values = sums.into_iter().map(|(sum, count)| sum / f64::from(count)).collect();
        Ok(Self { domain: domain.clone(), sequences, values })
    }

    /// From the records of a file; where they differ in length, over the padded alphabet.
    ///
    /// # Errors
    /// When a record has no value, and as [`new`](Self::new).
    pub fn from_records(records: &Records) -> Result<Self> {
        let values = records.values()?;
        let pairs = records.rows.iter().map(|row| row.sequence.clone()).zip(values);
        let domain = Domain::of(&records.alphabet, records.rows.iter().map(|row| &row.sequence))?;
        Self::within(&domain, pairs).map_err(|error| match &records.report.file {
            Some(file) => error.at(file.clone()),
            None => error,
        })
    }

    /// Alphabet and length.
    #[must_use]
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// The sequences.
    #[must_use]
    pub fn sequences(&self) -> &[Sequence] {
        &self.sequences
    }

    /// The values, in the order of the sequences.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The number of sequences.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a training set has at least two sequences")]
    pub fn len(&self) -> usize {
        self.sequences.len()
    }

    /// The sequences whose value is at most `limit`.
    ///
    /// # Errors
    /// When fewer than two are left.
    pub fn at_most(&self, limit: f64) -> Result<Self> {
        self.select(|index| self.values[index] <= limit).map_err(|error| {
            let (least, most) = self.range();
            error.hint(format!("the values run from {least} to {most}; the limit was {limit}"))
        })
    }

    /// The value at or below which a share of the sequences lies, as [`crate::data::quantile`] has it.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.values.clone();
        sorted.sort_by(f64::total_cmp);
        quantile(&sorted, share)
    }

    /// The least and the greatest value.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        self.values
            .iter()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), value| (least.min(*value), most.max(*value)))
    }

    /// Two sets: about `share` of the sequences held out, the rest. A sequence and its reverse complement stay together.
    ///
    /// # Errors
    /// When one of the two would have fewer than two sequences.
    pub fn hold_out(&self, share: f64, seed: Seed) -> Result<(Self, Self)> {
        let molecules = self.shuffled(seed);
        let held = (share * molecules.len() as f64).round() as usize;
        let mut is_held = vec![false; self.len()];
        for index in molecules.iter().take(held).flatten() {
            is_held[*index] = true;
        }
        let few = |error: Error| error.hint("choose another --hold-out share, or give more sequences");
        Ok((self.select(|index| is_held[index]).map_err(few)?, self.select(|index| !is_held[index]).map_err(few)?))
    }

    /// `count` pairs of what is held out and the rest, every sequence held out once; a sequence and its reverse complement stay
    /// together.
    ///
    /// # Errors
    /// When `count` is below 2, or a part would have fewer than two sequences.
    pub fn folds(&self, count: usize, seed: Seed) -> Result<Vec<(Self, Self)>> {
        if count < 2 {
            return Err(Error::usage(format!("{count} folds; 2 or more are accepted")));
        }
        let mut place = vec![0; self.len()];
        for (fold, molecule) in self.shuffled(seed).into_iter().enumerate() {
            for index in molecule {
                place[index] = fold % count;
            }
        }
        let few = |error: Error| error.hint("fewer folds, or more sequences");
        let pair = |fold| Ok((self.select(|index| place[index] == fold)?, self.select(|index| place[index] != fold)?));
        (0..count).map(|fold| pair(fold).map_err(few)).collect()
    }

    /// The indices of each molecule's strands, in random order.
    fn shuffled(&self, seed: Seed) -> Vec<Vec<usize>> {
        let mut molecules: BTreeMap<Sequence, Vec<usize>> = BTreeMap::new();
        for (index, sequence) in self.sequences.iter().enumerate() {
            molecules.entry(self.canonical(sequence)).or_default().push(index);
        }
        let mut molecules: Vec<Vec<usize>> = molecules.into_values().collect();
        seed.rng().shuffle(&mut molecules);
        molecules
    }

    /// One row for each molecule: of two strands the one first in the alphabet's order, with the mean of their values.
    ///
    /// # Errors
    /// When fewer than two molecules are left.
    pub fn molecules(&self) -> Result<Self> {
        let strands = self.sequences.iter().map(|sequence| self.canonical(sequence));
        Self::within(&self.domain, strands.zip(self.values.iter().copied()))
    }

    fn canonical(&self, sequence: &Sequence) -> Sequence {
        match sequence.reverse_complement(&self.domain.alphabet) {
            Some(other) if other < *sequence => other,
            _ => sequence.clone(),
        }
    }

    fn select(&self, keep: impl Fn(usize) -> bool) -> Result<Self> {
        let kept = (0..self.len()).filter(|index| keep(*index));
        Self::within(&self.domain, kept.map(|index| (self.sequences[index].clone(), self.values[index])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_words(length: usize) -> TrainingSet {
        let dna = Alphabet::dna();
        let landscape =
            crate::data::Landscape::new(dna.clone(), length, vec![0.0; 4_usize.pow(length as u32)]).unwrap();
        let size = landscape.values().len();
        TrainingSet::new(dna, (0..size).map(|index| (landscape.sequence(index), index as f64))).unwrap()
    }

    #[test]
    fn strands_are_held_out_together_and_nothing_is_lost() {
        let set = all_words(4);
        let (held, rest) = set.hold_out(0.25, Seed::root(1)).unwrap();
        assert_eq!(held.len() + rest.len(), 256);
        // 136 molecules (120 pairs and 16 palindromes): 34 held out, 34 to 68 sequences
        assert!((60..=68).contains(&held.len()), "{}", held.len());
        for sequence in held.sequences() {
            let other = sequence.reverse_complement(&Alphabet::dna()).unwrap();
            assert!(!rest.sequences().contains(&other));
        }
        assert_ne!(held, set.hold_out(0.25, Seed::root(2)).unwrap().0);
    }

    #[test]
    fn every_sequence_is_held_out_once_with_its_other_strand() {
        let set = all_words(3);
        let folds = set.folds(5, Seed::root(3)).unwrap();
        let mut held: Vec<&Sequence> = folds.iter().flat_map(|(held, _)| held.sequences()).collect();
        held.sort();
        held.dedup();
        assert_eq!(held.len(), 64);
        for (held, rest) in &folds {
            assert_eq!(held.len() + rest.len(), 64);
            let other = |x: &Sequence| x.reverse_complement(&Alphabet::dna()).unwrap();
            assert!(held.sequences().iter().all(|x| held.sequences().contains(&other(x))));
        }
        assert_eq!(set.folds(1, Seed::root(3)).unwrap_err().kind(), crate::Kind::Usage);
    }

    #[test]
    fn repeats_are_averaged_and_limits_include_their_value() {
        let dna = Alphabet::dna();
        let word = |text: &str| Sequence::parse(text, &dna).unwrap();
        let pairs = [(word("AA"), 1.0), (word("CC"), 3.0), (word("AA"), 2.0), (word("GG"), 5.0)];
        let set = TrainingSet::new(dna.clone(), pairs.clone()).unwrap();
        assert_eq!(set.values(), [1.5, 3.0, 5.0]);
        assert_eq!(set.at_most(3.0).unwrap().len(), 2);
        assert_eq!(set.quantile(0.5), 3.0);
        assert_eq!(set.range(), (1.5, 5.0));
        let molecules = set.molecules().unwrap();
        assert_eq!((molecules.len(), molecules.values()), (2, &[1.5, 4.0][..]), "CC and GG are one molecule");
        let error = set.at_most(1.0).unwrap_err();
        assert_eq!(error.hint_text(), Some("the values run from 1.5 to 5; the limit was 1"));
        let two = [(word("A"), 1.0), (word("CC"), 3.0), (word("G"), 2.0)];
        assert!(TrainingSet::new(dna.clone(), two.clone()).is_err());
        let domain = Domain::of(&dna, two.iter().map(|(sequence, _)| sequence)).unwrap();
        assert_eq!((domain.alphabet.len(), domain.length, domain.alphabet.plain()), (5, 2, dna));
        let set = TrainingSet::within(&domain, two).unwrap();
        assert_eq!(set.at_most(2.0).unwrap().domain(), &domain, "a part has the domain of the whole");
    }
}
