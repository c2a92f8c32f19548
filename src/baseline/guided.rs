//! Search on a surrogate: what AdaLead, GP-UCB and CMA-ES share.

use super::novel::Novel;
use super::{Proposal, Proposer, Request};
use crate::error::{Error, Result};
use crate::nn::Pool;
use crate::random::Seed;
use crate::reward::{Acquired, Acquisition, Measured, Score, Surrogate, TrainingSet};
use crate::sequence::Sequence;
use std::sync::atomic::{AtomicU64, Ordering};

/// Sequences that one thread scores at a time.
const SHARD: usize = 64;

/// Fits a surrogate to what was measured.
pub type Fit = Box<dyn Fn(&TrainingSet, Seed, &Pool) -> Result<Box<dyn Surrogate>> + Send + Sync>;

/// A fitted surrogate as a search sees it: a number for each sequence, and how many were asked for.
pub struct View<'a> {
    surrogate: &'a dyn Surrogate,
    acquired: Acquired<'a>,
    acquisition: Acquisition,
    pool: &'a Pool,
    calls: AtomicU64,
}

impl<'a> View<'a> {
    /// Of a surrogate; `draw` is what a Thompson draw comes from.
    #[must_use]
    pub fn new(surrogate: &'a dyn Surrogate, acquisition: Acquisition, draw: Seed, pool: &'a Pool) -> Self {
        let acquired = Acquired::new(surrogate, acquisition, draw);
        Self { surrogate, acquired, acquisition, pool, calls: AtomicU64::new(0) }
    }

    /// The acquisition of sequences, in order, on all threads.
    ///
    /// # Errors
    /// When the surrogate fails, or answers what is not a number.
    pub fn scores(&self, sequences: &[Sequence]) -> Result<Vec<f64>> {
        let shards: Vec<&[Sequence]> = sequences.chunks(SHARD).collect();
        Ok(self.pool.map(shards.len(), |shard| self.here(shards[shard]))?.concat())
    }

    /// As [`scores`](Self::scores), on the thread that asks.
    ///
    /// # Errors
    /// As [`scores`](Self::scores).
    pub fn here(&self, sequences: &[Sequence]) -> Result<Vec<f64>> {
        if sequences.is_empty() {
            return Ok(Vec::new());
        }
        self.calls.fetch_add(sequences.len() as u64, Ordering::Relaxed);
        let bonus = match self.acquisition {
            Acquisition::Mean => Some(0.0),
            Acquisition::Ucb { bonus } => Some(bonus),
            Acquisition::Thompson | Acquisition::BootstrapMax => None,
        };
        let scores: Vec<f64> = match bonus {
            Some(bonus) => {
                let known = self.surrogate.predict(sequences)?;
                known.into_iter().map(|p| p.mean + bonus * p.sd.unwrap_or(0.0)).collect()
            }
            None => self.acquired.scores(sequences)?,
        };
        match scores.iter().find(|score| !score.is_finite()) {
            Some(score) => Err(Error::data(format!("the surrogate answered {score}; a finite number is needed"))),
            None => Ok(scores),
        }
    }

    /// Threads.
    #[must_use]
    pub fn pool(&self) -> &Pool {
        self.pool
    }

    /// Sequences scored so far.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

/// What a search on a surrogate starts from.
#[derive(Clone, Copy)]
pub struct Start<'a> {
    /// All that was measured.
    pub measured: &'a Measured,
    /// Distinct sequences with their values, best first; at least two.
    pub ranked: &'a [(Sequence, f64)],
    /// How many candidates are wanted at least.
    pub count: usize,
    /// Where randomness comes from.
    pub seed: Seed,
}

/// A search for what a surrogate promises most of.
pub trait Search: Send + Sync {
    /// What it is called where a proposal says why it was chosen.
    fn name(&self) -> &'static str;

    /// The least and the most useful acquisition, unless another is asked for.
    fn acquisition(&self) -> Acquisition;

    /// Candidates with their acquisition, in any order; fewer than wanted where the search finds no more.
    ///
    /// # Errors
    /// When the surrogate fails.
    fn candidates(&self, start: &Start<'_>, view: &View<'_>) -> Result<Vec<(Sequence, f64)>>;
}

/// A proposer that fits a surrogate each round, searches on it, and takes the best new candidates.
///
/// Failed measurements teach the surrogate nothing. Before two sequences have values, and for what the search does not find,
/// sequences are uniform.
pub struct Guided<S> {
    search: S,
    fit: Fit,
    acquisition: Acquisition,
    calls: u64,
}

impl<S: Search> Guided<S> {
    /// A search on the surrogate that `fit` fits, by its own acquisition unless another is given.
    #[must_use]
    pub fn new(search: S, fit: Fit, acquisition: Option<Acquisition>) -> Self {
        let acquisition = acquisition.unwrap_or_else(|| search.acquisition());
        Self { search, fit, acquisition, calls: 0 }
    }
}

impl<S: Search> Proposer for Guided<S> {
    fn propose(&mut self, request: &Request<'_>) -> Result<Vec<Proposal>> {
        let seed = request.seed.child(self.search.name());
        let mut novel = Novel::new(request.measured);
        let mut proposals = Vec::with_capacity(request.count);
        let ranked = request.measured.ranked();
        if ranked.len() >= 2 && request.count > 0 {
            let set = request.measured.training_set()?;
            let surrogate = (self.fit)(&set, seed.child("fit"), request.pool)?;
            let view = View::new(surrogate.as_ref(), self.acquisition, seed.child("draw"), request.pool);
            let start =
                Start { measured: request.measured, ranked: &ranked, count: request.count, seed: seed.child("search") };
            let mut candidates = self.search.candidates(&start, &view)?;
            self.calls += view.calls();
            candidates.sort_by(|a, b| b.1.total_cmp(&a.1));
            candidates.retain(|(sequence, _)| novel.len() < request.count && novel.take(sequence));
            let sequences: Vec<Sequence> = candidates.into_iter().map(|(sequence, _)| sequence).collect();
            let expected = if sequences.is_empty() { Vec::new() } else { surrogate.predict(&sequences)? };
            proposals.extend(sequences.into_iter().zip(expected).map(|(sequence, expected)| Proposal {
                sequence,
                expected: Some(expected),
                reason: self.search.name(),
            }));
        }
        let rest = novel.uniform(request.count - proposals.len(), &mut seed.child("rest").rng())?;
        proposals.extend(rest.into_iter().map(|sequence| Proposal { sequence, expected: None, reason: "uniform" }));
        Ok(proposals)
    }

    fn surrogate_calls(&self) -> Option<u64> {
        Some(self.calls)
    }
}
