//! Upper confidence bounds of a Gaussian process, climbed by a genetic algorithm.

use super::variation::Breeding;
use super::{Search, Start, View};
use crate::error::{Error, Result};
use crate::reward::Acquisition;
use crate::sequence::Sequence;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Children that may be old for each one that is wanted, before a generation stays small.
const PATIENCE: usize = 20;

/// Settings of [`GpUcb`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct GpUcbConfig {
    /// Measured sequences that the Gaussian process is fitted to at most, the best half and a random half of the others; default
    /// 1500.
    pub max_points: usize,
    /// Standard deviations added to the mean; default 1.
    pub bonus: f64,
    /// Generations of the search; default 12.
    pub generations: usize,
    /// Children of a generation; default 128.
    pub population: usize,
    /// Parents of a generation, the best by score so far; default 64.
    pub parents: usize,
    /// Share of children with two parents; default 0.5.
    pub crossover: f64,
    /// The least and the greatest number of letters of a child that are drawn anew; default 1 and 2.
    pub mutations: (usize, usize),
}

impl Default for GpUcbConfig {
    fn default() -> Self {
        Self {
            max_points: 1500,
            bonus: 1.0,
            generations: 12,
            population: 128,
            parents: 64,
            crossover: 0.5,
            mutations: (1, 2),
        }
    }
}

impl GpUcbConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        for (name, value) in [
            ("generations", self.generations),
            ("population", self.population),
            ("parents", self.parents),
            ("max-points", self.max_points),
        ] {
            if value == 0 {
                return Err(Error::usage(format!("`{name}` is 0; 1 or more are accepted")));
            }
        }
        if !self.bonus.is_finite() {
            return Err(Error::usage(format!("`bonus` is {}; a finite number is accepted", self.bonus)));
        }
        self.breeding().check()
    }

    fn breeding(&self) -> Breeding {
        Breeding { crossover: self.crossover, mutations: self.mutations }
    }
}

/// Upper confidence bounds of a Gaussian process (Srinivas et al. 2010), climbed by a genetic algorithm on the surrogate.
///
/// ```text
/// score(x) = mean(x) + k sd(x)
/// parents ← the best of the parents and their children, by score, for G generations; every child is a candidate
/// ```
/// The first parents are the best measured. The batch is the best candidates by score: nothing is fantasised between them.
#[derive(Clone, Debug, Default)]
pub struct GpUcb {
    config: GpUcbConfig,
}

impl GpUcb {
    /// With these settings.
    ///
    /// # Errors
    /// When one is out of range.
    pub fn new(config: GpUcbConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { config })
    }
}

impl Search for GpUcb {
    fn name(&self) -> &'static str {
        "gp-ucb"
    }

    fn acquisition(&self) -> Acquisition {
        Acquisition::Ucb { bonus: self.config.bonus }
    }

    fn candidates(&self, start: &Start<'_>, view: &View<'_>) -> Result<Vec<(Sequence, f64)>> {
        let alphabet = &start.measured.domain().alphabet;
        let breeding = self.config.breeding();
        let mut rng = start.seed.rng();
        let first: Vec<Sequence> =
            start.ranked.iter().take(self.config.parents).map(|(sequence, _)| sequence.clone()).collect();
        let scores = view.scores(&first)?;
        let mut parents: Vec<(Sequence, f64)> = first.into_iter().zip(scores).collect();
        let mut seen: BTreeSet<Sequence> = BTreeSet::new();
        let mut found = Vec::new();
        for _ in 0..self.config.generations {
            let mut children = Vec::with_capacity(self.config.population);
            for _ in 0..PATIENCE * self.config.population {
                if children.len() == self.config.population {
                    break;
                }
                let [a, b] = [0, 1].map(|_| parents[rng.below(parents.len())].0.ids());
                let child = Sequence::from_ids(breeding.child(a, b, alphabet.len(), &mut rng), alphabet)?;
                if !start.measured.contains(&child) && seen.insert(child.clone()) {
                    children.push(child);
                }
            }
            let scores = view.scores(&children)?;
            let scored = children.into_iter().zip(scores);
            found.extend(scored.clone());
            parents.extend(scored);
            parents.sort_by(|a, b| b.1.total_cmp(&a.1));
            parents.truncate(self.config.parents);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::super::guided_tests::{Counts, letters, start_of, words};
    use super::*;
    use crate::nn::Pool;
    use crate::random::Seed;

    #[test]
    fn generations_climb_the_bound_of_the_surrogate() {
        let measured = words(10, &[("AAAAACAAAA", 0.1), ("CCAAAAAAAA", 0.2), ("GGGGGGGGGG", 0.0)]);
        let ranked = measured.ranked();
        let surrogate = Counts::of(&measured);
        let best = |bonus: f64| {
            let search =
                GpUcb::new(GpUcbConfig { bonus, population: 32, parents: 32, ..GpUcbConfig::default() }).unwrap();
            let view = View::new(&surrogate, search.acquisition(), Seed::root(0), Pool::inline());
            let found = search.candidates(&start_of(&measured, &ranked, 20, 3), &view).unwrap();
            assert_eq!((view.calls(), found.len()), (3 + 12 * 32, 12 * 32));
            found.into_iter().max_by(|a, b| a.1.total_cmp(&b.1)).unwrap().0
        };
        let count = |x: &Sequence, letter: u8| letters(x.ids(), letter);
        // 12 generations from two Cs: nearly all positions
        assert!(count(&best(0.0), 1) >= 8);
        // the surrogate is unsure of the Ts, three times as much as it expects of the Cs
        assert!(count(&best(3.0), 3) >= 8);
        assert!(count(&best(-3.0), 3) <= 1);
    }
}
