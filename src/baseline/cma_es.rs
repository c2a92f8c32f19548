//! CMA-ES over relaxed sequences.

use super::{EvolutionStrategy, Search, Shape, Start, View};
use crate::error::{Error, Result};
use crate::reward::Acquisition;
use crate::sequence::{Alphabet, Sequence};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// L·V up to which the whole covariance is learned.
const FULL: usize = 200;

/// Generations that may bring no new sequence before a search is started elsewhere.
const PATIENCE: usize = 20;

/// Settings of [`CmaEs`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct CmaEsConfig {
    /// Step at the start, in units of a one-hot letter; default √0.2 = 0.447.
    pub sigma: f64,
    /// Points a generation; default 4 + ⌊3 ln(L·V)⌋.
    pub population: Option<usize>,
    /// Searches, from the best measured, the second best and so on; default 8.
    pub starts: usize,
    /// Sequences that the surrogate scores for each one that is proposed; default 20.
    pub evaluations: usize,
}

impl Default for CmaEsConfig {
    fn default() -> Self {
        Self { sigma: 0.2_f64.sqrt(), population: None, starts: 8, evaluations: 20 }
    }
}

impl CmaEsConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        if !(self.sigma > 0.0 && self.sigma.is_finite()) {
            return Err(Error::usage(format!("`sigma` is {}; a finite number above 0 is accepted", self.sigma)));
        }
        if let Some(population) = self.population.filter(|population| *population < 4) {
            return Err(Error::usage(format!("`population` is {population}; 4 or more are accepted")));
        }
        for (name, value) in [("starts", self.starts), ("evaluations", self.evaluations)] {
            if value == 0 {
                return Err(Error::usage(format!("`{name}` is 0; 1 or more are accepted")));
            }
        }
        Ok(())
    }
}

/// CMA-ES on the relaxation: [`EvolutionStrategy`] over L·V numbers, scored where they decode.
///
/// ```text
/// x ∈ R^{L×V},  m₀ = one-hot of a measured sequence,  fitness(x) = acquisition(argmax_v x_{iv} at every position i)
/// ```
/// As in FLEXS (Sinai et al. 2020, arXiv 2010.02141): the surrogate never sees a relaxed sequence. Every sequence that is met is
/// a candidate. The whole covariance is learned up to L·V = 200, variances above.
#[derive(Clone, Debug, Default)]
pub struct CmaEs {
    config: CmaEsConfig,
}

impl CmaEs {
    /// With these settings.
    ///
    /// # Errors
    /// When one is out of range.
    pub fn new(config: CmaEsConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { config })
    }

    /// One search, from one sequence.
    fn climb(&self, number: usize, start: &Start<'_>, view: &View<'_>) -> Result<BTreeMap<Sequence, f64>> {
        let alphabet = &start.measured.domain().alphabet;
        let (origin, _) = &start.ranked[number];
        let n = origin.len() * alphabet.len();
        let shape = if n <= FULL { Shape::Full } else { Shape::Separable };
        let mut search =
            EvolutionStrategy::new(&vertex(origin, alphabet), self.config.sigma, self.config.population, shape)?;
        let mut rng = start.seed.index(number as u64).rng();
        let (starts, mut met) = (self.starts(start), BTreeMap::new());
        let budget = (self.config.evaluations * start.count).div_ceil(starts);
        let (mut spent, mut still) = (0, 0);
        while spent < budget && still < PATIENCE {
            let points = search.ask(&mut rng);
            let words: Vec<Sequence> = points.iter().map(|x| decode(x, alphabet)).collect::<Result<_>>()?;
            let mut new: Vec<Sequence> = words.iter().filter(|word| !met.contains_key(*word)).cloned().collect();
            new.sort();
            new.dedup();
            still = if new.is_empty() { still + 1 } else { 0 };
            let (asked, scores) = (new.len(), view.here(&new)?);
            met.extend(new.into_iter().zip(scores));
            let fitness: Vec<f64> = words.iter().map(|word| met[word]).collect();
            search.tell(&points, &fitness)?;
            spent += asked;
        }
        Ok(met)
    }

    fn starts(&self, start: &Start<'_>) -> usize {
        self.config.starts.min(start.ranked.len())
    }
}

impl Search for CmaEs {
    fn name(&self) -> &'static str {
        "cma-es"
    }

    fn acquisition(&self) -> Acquisition {
        Acquisition::Mean
    }

    fn candidates(&self, start: &Start<'_>, view: &View<'_>) -> Result<Vec<(Sequence, f64)>> {
        let searches = view.pool().map(self.starts(start), |number| self.climb(number, start, view))?;
        Ok(searches.into_iter().flatten().collect())
    }
}

/// One-hot letters, position by position.
fn vertex(sequence: &Sequence, alphabet: &Alphabet) -> Vec<f64> {
    let letters = alphabet.len();
    let mut x = vec![0.0; sequence.len() * letters];
    for (row, id) in x.chunks_exact_mut(letters).zip(sequence.ids()) {
        row[usize::from(*id)] = 1.0;
    }
    x
}

/// The greatest letter of every position, the first of equals.
fn decode(x: &[f64], alphabet: &Alphabet) -> Result<Sequence> {
    let greatest = |row: &[f64]| {
        let mut best = 0;
        for (id, value) in row.iter().enumerate() {
            if *value > row[best] {
                best = id;
            }
        }
        best as u8
    };
    Sequence::from_ids(x.chunks_exact(alphabet.len()).map(greatest).collect::<Vec<u8>>(), alphabet)
}

#[cfg(test)]
mod tests {
    use super::super::guided_tests::{Counts, start_of, words};
    use super::*;
    use crate::nn::Pool;
    use crate::random::Seed;

    #[test]
    fn a_vertex_decodes_to_itself_and_ties_to_the_first() {
        let dna = Alphabet::dna();
        let word = Sequence::parse("GATTACA", &dna).unwrap();
        assert_eq!(decode(&vertex(&word, &dna), &dna).unwrap(), word);
        assert_eq!(decode(&[0.0, 2.0, 2.0, 1.0], &dna).unwrap().ids(), [1]);
    }

    #[test]
    fn searches_climb_the_surrogate_from_several_measured() {
        let measured = words(10, &[("AAAAACAAAA", 0.1), ("CCAAAAAAAA", 0.2), ("GGGGGGGGGG", 0.0)]);
        let ranked = measured.ranked();
        let surrogate = Counts::of(&measured);
        let search = CmaEs::new(CmaEsConfig { starts: 2, ..CmaEsConfig::default() }).unwrap();
        let run = |pool: &Pool| {
            let view = View::new(&surrogate, Acquisition::Mean, Seed::root(0), pool);
            let found = search.candidates(&start_of(&measured, &ranked, 100, 3), &view).unwrap();
            assert!(view.calls() <= 2_000 && view.calls() == found.len() as u64);
            found
        };
        let found = run(Pool::inline());
        let best = found.iter().map(|(_, score)| *score).fold(0.0, f64::max);
        // 1,000 points from each of two starts with 1 and 2 Cs of 10
        assert!(best >= 0.8, "{best}");
        assert_eq!(run(&Pool::new(2).unwrap()), found);
        assert!(CmaEs::new(CmaEsConfig { population: Some(2), ..CmaEsConfig::default() }).is_err());
    }
}
