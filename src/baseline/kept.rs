//! Proposals that keep rules.

use super::{Proposal, Proposer, Request};
use crate::error::Result;
use crate::sequence::{Imposed, Pick, Sequence};
use std::collections::BTreeSet;

/// Draws for every sequence that is missing, at most.
const TRIES: usize = 50;

/// How likely a letter of a proposal is kept where more is drawn around it.
const KEPT: f64 = 0.9;

/// Another proposer, whose sequences are made to keep rules.
///
/// ```text
/// x′ = argmin_{x keeps the rules} Hamming(x, x₀)
/// ```
/// replaces a proposal x₀ that breaks one. What is then missing of a batch, because several became the same or were measured before, is
/// drawn around the proposals, nine letters of ten kept, from what keeps the rules.
pub struct Kept {
    inner: Box<dyn Proposer>,
    rules: Imposed,
    letters: usize,
}

impl Kept {
    /// A proposer of sequences over so many letters, under rules.
    #[must_use]
    pub fn new(inner: Box<dyn Proposer>, rules: Imposed, letters: usize) -> Self {
        Self { inner, rules, letters }
    }

    /// `weight` for the letters of a sequence, 0 for others, (L, V).
    fn scores(&self, sequence: &Sequence, weight: f64) -> Vec<f64> {
        let mut scores = vec![0.0; sequence.len() * self.letters];
        for (row, id) in scores.chunks_exact_mut(self.letters).zip(sequence.ids()) {
            row[usize::from(*id)] = weight;
        }
        scores
    }
}

impl Proposer for Kept {
    fn propose(&mut self, request: &Request<'_>) -> Result<Vec<Proposal>> {
        let mut taken = BTreeSet::new();
        let mut batch = Vec::new();
        let proposals = self.inner.propose(request)?;
        for proposal in &proposals {
            let kept = if self.rules.keeps(proposal.sequence.ids()) {
                proposal.clone()
            } else {
                let sequence = self.rules.choose(&self.scores(&proposal.sequence, 1.0), &mut Pick::Best)?;
                Proposal { sequence, expected: None, reason: "the nearest to a proposal that breaks a rule" }
            };
            if !request.measured.contains(&kept.sequence) && taken.insert(kept.sequence.clone()) {
                batch.push(kept);
            }
        }
        let mut rng = request.seed.child("kept").rng();
        let weight = (KEPT / (1.0 - KEPT) * (self.letters - 1) as f64).ln();
        for _ in 0..TRIES * request.count.saturating_sub(batch.len()) {
            if batch.len() >= request.count || proposals.is_empty() {
                break;
            }
            let near = &proposals[rng.below(proposals.len())].sequence;
            // a draw under narrow windows may find nothing
            let Ok(sequence) = self.rules.choose(&self.scores(near, weight), &mut Pick::Draw(&mut rng)) else { break };
            if !request.measured.contains(&sequence) && taken.insert(sequence.clone()) {
                batch.push(Proposal { sequence, expected: None, reason: "around a proposal that breaks a rule" });
            }
        }
        Ok(batch)
    }

    fn surrogate_calls(&self) -> Option<u64> {
        self.inner.surrogate_calls()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Pool;
    use crate::random::Seed;
    use crate::reward::{Domain, Label, Measured};
    use crate::sequence::{Alphabet, Constraint};

    /// The same words whatever is asked for.
    struct Always(Vec<Sequence>);

    impl Proposer for Always {
        fn propose(&mut self, _: &Request<'_>) -> Result<Vec<Proposal>> {
            let proposal =
                |sequence: &Sequence| Proposal { sequence: sequence.clone(), expected: None, reason: "always" };
            Ok(self.0.iter().map(proposal).collect())
        }
    }

    #[test]
    fn proposals_are_kept_or_repaired_by_as_few_letters_as_can_be() {
        let dna = Alphabet::dna();
        let word = |text: &str| Sequence::parse(text, &dna).unwrap();
        let rules = Constraint::from_toml("max-homopolymer = 2\ngc = [0.5, 0.5]").unwrap();
        let imposed = Imposed::new(&rules, &dna, 6).unwrap();
        let mut measured = Measured::new(Domain { alphabet: dna.clone(), length: 6 });
        measured.push(Label { sequence: word("ACGTCA"), value: Some(1.0), round: 0 }).unwrap();
        let inner = Always(["GATACG", "AAATCC", "ACGTCA"].map(word).to_vec());
        let mut kept = Kept::new(Box::new(inner), imposed, 4);
        let request = Request { measured: &measured, count: 12, round: 1, seed: Seed::root(2), pool: Pool::inline() };
        let batch = kept.propose(&request).unwrap();
        assert_eq!(batch.len(), 12);
        assert_eq!((batch[0].sequence.clone(), batch[0].reason), (word("GATACG"), "always"));
        // three A in a row, two letters of G and C of three: one letter put right does both
        let near = &batch[1].sequence;
        assert_eq!(crate::sequence::hamming(near, &word("AAATCC")), Some(1), "{}", near.text(&dna));
        let distinct: BTreeSet<&Sequence> = batch.iter().map(|proposal| &proposal.sequence).collect();
        assert_eq!(distinct.len(), 12);
        for proposal in &batch {
            assert!(rules.violations(&proposal.sequence, &dna).unwrap().is_empty());
            assert!(!measured.contains(&proposal.sequence));
        }
    }
}
