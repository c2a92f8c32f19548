//! Distinct sequences that were not measured.

use crate::error::Result;
use crate::random::Rng;
use crate::reward::Measured;
use crate::sequence::Sequence;
use std::collections::BTreeSet;

/// What a round has taken so far: nothing measured, nothing twice.
pub(super) struct Novel<'a> {
    measured: &'a Measured,
    taken: BTreeSet<Sequence>,
}

impl<'a> Novel<'a> {
    /// Nothing yet.
    pub(super) fn new(measured: &'a Measured) -> Self {
        Self { measured, taken: BTreeSet::new() }
    }

    /// Takes a sequence, unless it was measured or taken before.
    pub(super) fn take(&mut self, sequence: &Sequence) -> bool {
        !self.measured.contains(sequence) && self.taken.insert(sequence.clone())
    }

    /// How many were taken.
    pub(super) fn len(&self) -> usize {
        self.taken.len()
    }

    /// Takes `count` sequences uniformly among all that are left, or as many as there are.
    ///
    /// # Errors
    /// When a letter is outside the alphabet, which does not happen.
    pub(super) fn uniform(&mut self, count: usize, rng: &mut Rng) -> Result<Vec<Sequence>> {
        let domain = self.measured.domain();
        let letters = domain.alphabet.len();
        let used = self.measured.labels().len() + self.taken.len();
        let mut chosen = Vec::with_capacity(count);
        match space(letters, domain.length) {
            // where at least half is new, a draw is rejected at most half of the time
            Some(size) if size / 2 < used + count => {
                let mut left = Vec::new();
                for number in 0..size {
                    let word = Sequence::from_ids(digits(number, letters, domain.length), &domain.alphabet)?;
                    if !self.measured.contains(&word) && !self.taken.contains(&word) {
                        left.push(word);
                    }
                }
                rng.shuffle(&mut left);
                left.truncate(count);
                self.taken.extend(left.iter().cloned());
                chosen = left;
            }
            _ => {
                while chosen.len() < count {
                    let ids: Vec<u8> = (0..domain.length).map(|_| rng.below(letters) as u8).collect();
                    let word = Sequence::from_ids(ids, &domain.alphabet)?;
                    if self.take(&word) {
                        chosen.push(word);
                    }
                }
            }
        }
        Ok(chosen)
    }
}

/// V^L where it is a number.
fn space(letters: usize, length: usize) -> Option<usize> {
    letters.checked_pow(u32::try_from(length).ok()?)
}

/// A number in base V, the first position most significant.
fn digits(mut number: usize, letters: usize, length: usize) -> Vec<u8> {
    let mut ids = vec![0; length];
    for id in ids.iter_mut().rev() {
        *id = (number % letters) as u8;
        number /= letters;
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;
    use crate::reward::{Domain, Label};
    use crate::sequence::Alphabet;

    #[test]
    fn every_sequence_that_is_left_is_equally_likely_by_either_route() {
        let dna = Alphabet::dna();
        let mut measured = Measured::new(Domain { alphabet: dna.clone(), length: 2 });
        for text in ["AA", "CC", "GT"] {
            let label = Label { sequence: Sequence::parse(text, &dna).unwrap(), value: None, round: 0 };
            measured.push(label).unwrap();
        }
        // 1 of 13 by rejection, 6 of 13 by enumeration
        for (count, rounds) in [(1, 26_000_u32), (6, 13_000)] {
            let mut hits = std::collections::BTreeMap::new();
            for round in 0..rounds {
                let mut rng = Seed::root(4).index(u64::from(round)).rng();
                for word in Novel::new(&measured).uniform(count, &mut rng).unwrap() {
                    *hits.entry(word.text(&dna)).or_insert(0_u32) += 1;
                }
            }
            assert_eq!(hits.len(), 13);
            let share = count as f64 / 13.0;
            // standard error of a share √(p(1−p)/n): 0.0017 and 0.0044; four of them, over 13 words
            let bound = 4.0 * (share * (1.0 - share) / f64::from(rounds)).sqrt();
            for (word, n) in hits {
                assert!((f64::from(n) / f64::from(rounds) - share).abs() < bound, "{word}: {n} of {rounds}");
            }
        }
    }
}
