//! AdaLead.

use super::variation::{mutate_each, recombine};
use super::{Search, Start, View};
use crate::error::{Error, Result};
use crate::reward::Acquisition;
use crate::sequence::Sequence;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Children of a node that may be old before the rollout ends there.
const PATIENCE: usize = 50;

/// Settings of [`AdaLead`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct AdaLeadConfig {
    /// κ: parents are worth at least `(1 − κ)` of the best value (`(1 + κ)` where that is negative); default 0.05.
    pub threshold: f64,
    /// μ: letters that a mutation changes on average; default 1.
    pub mutations: f64,
    /// Probability with which two parents change places before a position when they recombine; default 0.2.
    pub recombination: f64,
    /// Sequences that the surrogate scores for each one that is proposed; default 20.
    pub evaluations: usize,
}

impl Default for AdaLeadConfig {
    fn default() -> Self {
        Self { threshold: 0.05, mutations: 1.0, recombination: 0.2, evaluations: 20 }
    }
}

impl AdaLeadConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        for (name, value) in [("threshold", self.threshold), ("recombination", self.recombination)] {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::usage(format!("`{name}` is {value}; 0 to 1 is accepted")));
            }
        }
        if !(self.mutations > 0.0 && self.mutations.is_finite()) {
            return Err(Error::usage(format!(
                "`mutations` is {}; a finite number above 0 is accepted",
                self.mutations
            )));
        }
        if self.evaluations == 0 {
            return Err(Error::usage("`evaluations` is 0; 1 or more are accepted"));
        }
        Ok(())
    }
}

/// AdaLead: rollouts of mutations from the best measured sequences, each for as long as the surrogate does not fall below
/// its start.
///
/// ```text
/// parents = { x measured : y(x) ≥ y* − κ |y*| }       recombined in pairs
/// node ← mutant of node, each letter with probability μ/L, while f(node) ≥ f(root)
/// ```
/// Every mutant is a candidate. Sinai et al. 2020, arXiv 2010.02141; as in their FLEXS, with these differences: a mutated
/// letter always becomes another one, and all roots of a pass are rolled out side by side.
#[derive(Clone, Debug, Default)]
pub struct AdaLead {
    config: AdaLeadConfig,
}

impl AdaLead {
    /// With these settings.
    ///
    /// # Errors
    /// When one is out of range.
    pub fn new(config: AdaLeadConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { config })
    }
}

impl Search for AdaLead {
    fn name(&self) -> &'static str {
        "adalead"
    }

    fn acquisition(&self) -> Acquisition {
        Acquisition::Mean
    }

    fn candidates(&self, start: &Start<'_>, view: &View<'_>) -> Result<Vec<(Sequence, f64)>> {
        let alphabet = &start.measured.domain().alphabet;
        let rate = (self.config.mutations / start.measured.domain().length as f64).min(1.0);
        let best = start.ranked.first().map_or(0.0, |(_, value)| *value);
        let bar = best - self.config.threshold * best.abs();
        let parents: Vec<&Sequence> = start.ranked.iter().take_while(|(_, y)| *y >= bar).map(|(x, _)| x).collect();
        let budget = (self.config.evaluations * start.count) as u64;
        let mut rng = start.seed.rng();
        let mut population: Vec<Vec<u8>> =
            parents.iter().cycle().take(start.count.max(2)).map(|x| x.ids().to_vec()).collect();
        let mut seen: BTreeSet<Sequence> = BTreeSet::new();
        let mut found = Vec::new();
        while view.calls() < budget {
            rng.shuffle(&mut population);
            population = population
                .chunks(2)
                .flat_map(|pair| match pair {
                    [a, b] => recombine(a, b, self.config.recombination, &mut rng).to_vec(),
                    alone => alone.to_vec(),
                })
                .collect();
            let roots: Vec<Sequence> =
                population.iter().map(|ids| Sequence::from_ids(ids.clone(), alphabet)).collect::<Result<_>>()?;
            let bars = view.scores(&roots)?;
            let mut nodes: Vec<(usize, Sequence)> = roots.into_iter().enumerate().collect();
            let before = found.len();
            while !nodes.is_empty() && view.calls() < budget {
                let mut children = Vec::with_capacity(nodes.len());
                for (root, node) in &nodes {
                    for _ in 0..PATIENCE {
                        let mut ids = node.ids().to_vec();
                        mutate_each(&mut ids, rate, alphabet.len(), &mut rng);
                        let child = Sequence::from_ids(ids, alphabet)?;
                        if !start.measured.contains(&child) && seen.insert(child.clone()) {
                            children.push((*root, child));
                            break;
                        }
                    }
                }
                let sequences: Vec<Sequence> = children.iter().map(|(_, child)| child.clone()).collect();
                let scores = view.scores(&sequences)?;
                found.extend(sequences.into_iter().zip(scores.iter().copied()));
                nodes = children
                    .into_iter()
                    .zip(scores)
                    .filter(|((root, _), f)| *f >= bars[*root])
                    .map(|(n, _)| n)
                    .collect();
            }
            if found.len() == before {
                break;
            }
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
    fn rollouts_climb_while_the_surrogate_rises_and_spend_what_they_may() {
        let measured =
            words(10, &[("AAAAACAAAA", 0.1), ("CCAAAAAAAA", 0.2), ("CAAACAAAAA", 0.195), ("GGGGGGGGGG", 0.0)]);
        let ranked = measured.ranked();
        let surrogate = Counts::of(&measured);
        let view = View::new(&surrogate, Acquisition::Mean, Seed::root(0), Pool::inline());
        let found = AdaLead::default().candidates(&start_of(&measured, &ranked, 50, 3), &view).unwrap();
        assert!((1_000..1_050).contains(&view.calls()), "{}", view.calls());
        let best = found.iter().map(|(_, score)| *score).fold(0.0, f64::max);
        // one mutation from a parent reaches 3 of 10; rollouts go on from there
        assert!(best >= 0.5, "{best}");
        // only the two within 5 % of the best are parents: few mutants keep the Gs of the poor
        assert!(found.iter().all(|(x, _)| letters(x.ids(), 2) < 6));
        let bad = AdaLeadConfig { threshold: -0.1, ..AdaLeadConfig::default() };
        assert!(AdaLead::new(bad).is_err());
    }

    #[test]
    fn the_bar_of_a_negative_best_lies_below_it() {
        let measured = words(4, &[("AAAA", -1.0), ("CCCC", -1.04), ("GGGG", -1.2)]);
        let ranked = measured.ranked();
        let surrogate = Counts::of(&measured);
        let view = View::new(&surrogate, Acquisition::Mean, Seed::root(0), Pool::inline());
        let still = AdaLead::new(AdaLeadConfig { mutations: 0.01, ..AdaLeadConfig::default() }).unwrap();
        let found = still.candidates(&start_of(&measured, &ranked, 40, 1), &view).unwrap();
        let near = |id: u8| found.iter().any(|(x, _)| letters(x.ids(), id) >= 3);
        assert!(near(0) && near(1) && !near(2), "parents are AAAA and CCCC");
    }
}
