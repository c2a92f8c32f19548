//! The genetic algorithm.

use super::novel::Novel;
use super::variation::Breeding;
use super::{Proposal, Proposer, ProposerConfig, Request};
use crate::error::{Error, Result};
use crate::sequence::Sequence;
use serde::{Deserialize, Serialize};

/// Children that may be old for each one that is wanted, before the rest is drawn uniformly.
const PATIENCE: usize = 200;

/// Settings of [`Genetic`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GeneticConfig {
    /// Parents: the best measured sequences; default 64.
    pub parents: usize,
    /// Share of children with two parents; default 0.5.
    pub crossover: f64,
    /// The least and the greatest number of letters of a child that are drawn anew; default 1 and 2.
    pub mutations: (usize, usize),
}

impl Default for GeneticConfig {
    fn default() -> Self {
        Self { parents: 64, crossover: 0.5, mutations: (1, 2) }
    }
}

impl GeneticConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        if self.parents == 0 {
            return Err(Error::usage("`parents` is 0; 1 or more are accepted"));
        }
        self.breeding().check()
    }

    fn breeding(&self) -> Breeding {
        Breeding { crossover: self.crossover, mutations: self.mutations }
    }
}

/// A genetic algorithm without a model: the parents are the best measured, every round is a generation.
///
/// ```text
/// child = a, or with probability ½ every letter from a or b by the toss of a coin;  m of its letters drawn anew
/// a, b uniform among the parents, m uniform in 1..=2
/// ```
/// Uniform crossover after Syswerda 1989; a letter that is drawn anew may stay what it was. Before anything has a value, and where the parents' neighbourhood is exhausted,
/// sequences are uniform.
#[derive(Clone, Debug, Default)]
pub struct Genetic {
    config: GeneticConfig,
}

impl Genetic {
    /// With these settings.
    ///
    /// # Errors
    /// When one is out of range.
    pub fn new(config: GeneticConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { config })
    }
}

pub(super) fn make(config: &ProposerConfig) -> Result<Box<dyn Proposer>> {
    Ok(Box::new(Genetic::new(config.genetic.clone())?))
}

impl Proposer for Genetic {
    fn propose(&mut self, request: &Request<'_>) -> Result<Vec<Proposal>> {
        let mut rng = request.seed.child("genetic").rng();
        let mut novel = Novel::new(request.measured);
        let alphabet = &request.measured.domain().alphabet;
        let mut parents = request.measured.ranked();
        parents.truncate(self.config.parents);
        let breeding = self.config.breeding();
        let mut proposals = Vec::with_capacity(request.count);
        let attempts = if parents.is_empty() { 0 } else { PATIENCE * request.count };
        for _ in 0..attempts {
            if proposals.len() == request.count {
                break;
            }
            let [a, b] = [0, 1].map(|_| parents[rng.below(parents.len())].0.ids());
            let sequence = Sequence::from_ids(breeding.child(a, b, alphabet.len(), &mut rng), alphabet)?;
            if novel.take(&sequence) {
                proposals.push(Proposal { sequence, expected: None, reason: "child of the best" });
            }
        }
        let rest = novel.uniform(request.count - proposals.len(), &mut rng)?;
        proposals.extend(rest.into_iter().map(|sequence| Proposal { sequence, expected: None, reason: "uniform" }));
        Ok(proposals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::Pool;
    use crate::random::Seed;
    use crate::reward::{Domain, Label, Measured};
    use crate::sequence::{Alphabet, hamming};

    #[test]
    fn children_are_near_the_best_and_not_near_what_failed() {
        let dna = Alphabet::dna();
        let mut measured = Measured::new(Domain { alphabet: dna.clone(), length: 12 });
        let word = |text: &str| Sequence::parse(text, &dna).unwrap();
        for (text, value) in [
            ("AAAAAAAAAAAA", Some(1.0)),
            ("AAAAAACCCCCC", Some(2.0)),
            ("GGGGGGGGGGGG", Some(-1.0)),
            ("TTTTTTTTTTTT", None),
        ] {
            measured.push(Label { sequence: word(text), value, round: 0 }).unwrap();
        }
        let mut method = Genetic::new(GeneticConfig { parents: 2, ..GeneticConfig::default() }).unwrap();
        let request = Request { measured: &measured, count: 200, round: 1, seed: Seed::root(3), pool: Pool::inline() };
        let children = method.propose(&request).unwrap();
        assert_eq!(children.len(), 200);
        let mut swapped = 0;
        for child in &children {
            let ids = child.sequence.ids();
            // the parents agree in the first six letters; elsewhere both their letters are inherited
            let changed =
                ids[..6].iter().filter(|id| **id != 0).count() + ids[6..].iter().filter(|id| **id > 1).count();
            assert!(changed <= 2, "{}", child.sequence.text(&dna));
            swapped += usize::from(hamming(&child.sequence, &word("AAAAAACCCCCC")) > Some(2));
        }
        // half are copies of the first parent, and of the crossed ones few have nearly all of the second one's letters
        assert!((60..180).contains(&swapped), "{swapped}");
    }

    #[test]
    fn settings_out_of_range_are_refused() {
        for bad in [
            GeneticConfig { parents: 0, ..GeneticConfig::default() },
            GeneticConfig { mutations: (3, 2), ..GeneticConfig::default() },
        ] {
            assert_eq!(Genetic::new(bad).unwrap_err().kind(), crate::Kind::Usage);
        }
    }
}
