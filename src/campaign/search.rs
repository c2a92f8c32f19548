//! The loop.

use super::{Evaluation, Journal, Pick, Plan, Round, Standing};
use crate::baseline::{Proposer, Request};
use crate::error::{Error, Kind, Result};
use crate::nn::Pool;
use crate::observe::{Event, Observer};
use crate::oracle::{Metered, Oracle, Outcome};
use crate::random::Seed;
use crate::reward::{Domain, Measured};
use crate::sequence::Sequence;
use std::collections::{BTreeMap, BTreeSet};

/// Who proposes, who measures, and what they work with.
pub struct Means<'a> {
    /// Says what to measure.
    pub proposer: &'a mut dyn Proposer,
    /// Measures it.
    pub oracle: &'a mut dyn Oracle,
    /// Where all randomness of the proposer comes from.
    pub seed: Seed,
    /// Threads.
    pub pool: &'a Pool,
    /// Who watches.
    pub observer: &'a mut dyn Observer,
}

/// A search for sequences of high value in rounds, and everything that it knows.
///
/// ```
/// use seqtilt::baseline::{Proposal, Proposer, Request};
/// use seqtilt::campaign::{Campaign, Journal, Means, Plan};
/// use seqtilt::nn::Pool;
/// use seqtilt::observe::Silent;
/// use seqtilt::oracle::Table;
/// use seqtilt::reward::Domain;
/// use seqtilt::sequence::{Alphabet, Sequence};
/// use seqtilt::{Result, Seed};
///
/// /// The letters in their order.
/// struct InOrder;
/// impl Proposer for InOrder {
///     fn propose(&mut self, request: &Request<'_>) -> Result<Vec<Proposal>> {
///         let letters = (0..4_u8).map(|id| Sequence::from_ids([id], &request.measured.domain().alphabet));
///         let letters = letters.filter(|x| x.as_ref().map_or(true, |x| !request.measured.contains(x)));
///         let proposal = |sequence| Proposal { sequence, expected: None, reason: "next letter" };
///         letters.take(request.count).map(|x| x.map(proposal)).collect()
///     }
/// }
/// let dna = Alphabet::dna();
/// let rows: Result<Vec<_>> = ["A", "C", "G"].iter().zip([0.25, 0.5, 0.125]).map(|(x, v)| Ok((Sequence::parse(x, &dna)?, v))).collect();
/// let mut oracle = Table::new("letters", dna.clone(), rows?)?;
/// let mut campaign = Campaign::new(Plan::even(3, 2), Domain { alphabet: dna, length: 1 }, [], Journal::in_memory())?;
/// let (pool, mut observer) = (Pool::new(1)?, Silent);
/// campaign.run(&mut Means { proposer: &mut InOrder, oracle: &mut oracle, seed: Seed::root(0), pool: &pool, observer: &mut observer })?;
/// assert_eq!(campaign.measured().ranked()[0].1, 0.5);
/// // T is not in the table: it failed, was spent, and is not the worst
/// assert_eq!((campaign.spent(), campaign.measured().ranked().len(), campaign.rounds().len()), (4, 3, 2));
/// # Ok::<(), seqtilt::Error>(())
/// ```
pub struct Campaign {
    plan: Plan,
    journal: Journal,
    measured: Measured,
    evaluations: Vec<Evaluation>,
    start: Standing,
    rounds: Vec<Round>,
    exhausted: bool,
    /// Scorings by a surrogate behind a batch that was chosen and is not measured yet.
    calls: Option<(usize, u64)>,
}

impl Campaign {
    /// Before its first round, on what was known before: round 0. What the journal holds is gone through again, and not paid twice.
    ///
    /// # Errors
    /// When the plan is out of range, or a known sequence or value does not fit.
    pub fn new(
        plan: Plan,
        domain: Domain,
        start: impl IntoIterator<Item = (Sequence, f64)>,
        journal: Journal,
    ) -> Result<Self> {
        plan.check()?;
        let mut measured = Measured::new(domain);
        let mut evaluations = Vec::new();
        for (sequence, value) in start {
            let pick = Pick { sequence, expected: None, reason: "known at the start".to_owned() };
            let evaluation = Evaluation { pick, round: 0, outcome: Outcome::exact(value) };
            measured.push(evaluation.label())?;
            evaluations.push(evaluation);
        }
        let start = Standing::of(&measured.ranked(), 0);
        Ok(Self { plan, journal, measured, evaluations, start, rounds: Vec::new(), exhausted: false, calls: None })
    }

    /// The plan.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What was measured, as a proposer sees it.
    #[must_use]
    pub fn measured(&self) -> &Measured {
        &self.measured
    }

    /// Every evaluation in order, start data first.
    #[must_use]
    pub fn evaluations(&self) -> &[Evaluation] {
        &self.evaluations
    }

    /// The level of the start data.
    #[must_use]
    pub fn start(&self) -> &Standing {
        &self.start
    }

    /// The rounds that are over.
    #[must_use]
    pub fn rounds(&self) -> &[Round] {
        &self.rounds
    }

    /// Where the search stands.
    #[must_use]
    pub fn standing(&self) -> &Standing {
        self.rounds.last().map_or(&self.start, |round| &round.standing)
    }

    /// Labels spent.
    #[must_use]
    pub fn spent(&self) -> usize {
        self.evaluations.iter().filter(|evaluation| evaluation.is_spent()).count()
    }

    /// Whether nothing was left to propose before the plan was done.
    #[must_use]
    pub fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// Whether the target was reached.
    #[must_use]
    pub fn has_reached_target(&self) -> bool {
        let best = self.rounds.last().and_then(|_| self.standing().best);
        self.plan.target.zip(best).is_some_and(|(target, best)| best >= target)
    }

    /// Sequences of the next round; 0 when the campaign is over.
    fn next_count(&self) -> usize {
        if self.exhausted || self.has_reached_target() {
            return 0;
        }
        self.plan.count(self.rounds.len() + 1, self.spent())
    }

    /// Runs to the end.
    ///
    /// # Errors
    /// As [`advance`](Self::advance).
    pub fn run(&mut self, means: &mut Means<'_>) -> Result<()> {
        while self.advance(means)?.is_some() {}
        Ok(())
    }

    /// Runs one round, or what is left of it; none when the campaign is over.
    ///
    /// # Errors
    /// When the proposer fails; an oracle error, with what was measured before it kept, when the oracle does; when the journal
    /// cannot be written, or does not fit the campaign; an interruption when the observer asks for one.
    pub fn advance(&mut self, means: &mut Means<'_>) -> Result<Option<&Round>> {
        let count = self.next_count();
        if count == 0 {
            return Ok(None);
        }
        let round = self.rounds.len() + 1;
        let alphabet = self.measured.domain().alphabet.clone();
        let picks = if let Some(picks) = self.journal.batch(round, &alphabet)? {
            picks
        } else {
            let before = means.proposer.surrogate_calls();
            let picks = self.choose(round, count, means)?;
            if let Some(calls) = means.proposer.surrogate_calls() {
                self.journal.keep_calls(round, calls - before.unwrap_or(0))?;
                self.calls = Some((round, calls - before.unwrap_or(0)));
            }
            self.journal.keep_batch(round, &picks, &alphabet)?;
            picks
        };
        if picks.is_empty() {
            self.exhausted = true;
            return Ok(None);
        }
        let outcomes = self.measure(round, &picks, means)?;
        let retried = picks.iter().filter(|pick| self.measured.contains(&pick.sequence)).count();
        let batch: Vec<Evaluation> =
            picks.into_iter().zip(outcomes).map(|(pick, outcome)| Evaluation { pick, round, outcome }).collect();
        for evaluation in batch.iter().filter(|evaluation| evaluation.is_spent()) {
            self.measured.push(evaluation.label())?;
        }
        // an oracle with a budget of its own that is spent ends the campaign
        self.exhausted = batch.iter().any(|evaluation| !evaluation.is_spent());
        self.evaluations.extend(batch.iter().cloned());
        let standing = Standing::of(&self.measured.ranked(), self.spent());
        let chosen_now = self.calls.take().filter(|(of, _)| *of == round).map(|(_, calls)| calls);
        let surrogate_calls = chosen_now.map_or_else(|| self.journal.calls(round), |calls| Ok(Some(calls)))?;
        self.rounds.push(Round { surrogate_calls, ..Round::new(round, &batch, retried, standing) });
        let last = self.rounds.last();
        if let Some(record) = last {
            let _ = means.observer.on_event(&Event::Note(&record.to_string()));
        }
        Ok(last)
    }

    /// Second attempts first, then what is proposed: distinct, and new.
    fn choose(&self, round: usize, count: usize, means: &mut Means<'_>) -> Result<Vec<Pick>> {
        let again = if self.plan.retry { self.failed_once() } else { Vec::new() };
        let mut picks: Vec<Pick> = again
            .into_iter()
            .take(count)
            .map(|sequence| Pick { sequence, expected: None, reason: "second attempt after a failure".to_owned() })
            .collect();
        let count = count - picks.len();
        if count == 0 {
            return Ok(picks);
        }
        let seed = means.seed.child("propose").index(round as u64);
        let request = Request { measured: &self.measured, count, round, seed, pool: means.pool };
        let proposals = means.proposer.propose(&request)?;
        let domain = self.measured.domain();
        let mut taken = BTreeSet::new();
        for proposal in proposals {
            let (got, wanted) = (proposal.sequence.len(), domain.length);
            if got != wanted {
                let text = proposal.sequence.text(&domain.alphabet);
                return Err(Error::data(format!("`{text}` was proposed with {got} letters; {wanted} are accepted")));
            }
            if taken.len() < count
                && !self.measured.contains(&proposal.sequence)
                && taken.insert(proposal.sequence.clone())
            {
                picks.push(proposal.into());
            }
        }
        Ok(picks)
    }

    /// What failed the only time it was asked for, in order.
    fn failed_once(&self) -> Vec<Sequence> {
        let mut asked: BTreeMap<&Sequence, usize> = BTreeMap::new();
        for evaluation in &self.evaluations {
            *asked.entry(&evaluation.pick.sequence).or_default() += 1;
        }
        let failed = self.evaluations.iter().filter(|e| matches!(e.outcome, Outcome::Failed { .. }));
        failed.map(|e| &e.pick.sequence).filter(|x| asked.get(x) == Some(&1)).cloned().collect()
    }

    /// The outcomes of a batch: those that were kept, and the rest from the oracle, a chunk at a time.
    fn measure(&self, round: usize, picks: &[Pick], means: &mut Means<'_>) -> Result<Vec<Outcome>> {
        let alphabet = &self.measured.domain().alphabet;
        let mut outcomes = self.journal.outcomes(round, picks, alphabet)?;
        if !outcomes.is_empty() {
            // labels that were paid for before: an oracle that counts its attempts goes on where it stood
            let known: Vec<Sequence> = picks[..outcomes.len()].iter().map(|pick| pick.sequence.clone()).collect();
            means.oracle.recall(&known);
        }
        if outcomes.len() == picks.len() {
            return Ok(outcomes);
        }
        let name = means.oracle.info().name.clone();
        let mut oracle = Metered::new(&mut *means.oracle);
        let stage = format!("round {round}, labels");
        let total = picks.len() as u64;
        let start = Event::Start { stage: &stage, total, done: outcomes.len() as u64 };
        let mut flow = means.observer.on_event(&start);
        while outcomes.len() < picks.len() {
            let done = outcomes.len();
            if flow.is_break() {
                return Err(Error::interrupted(format!("stopped after {done} of {total} labels of round {round}"))
                    .hint("the same command goes on from there"));
            }
            // chunks end at multiples of their size wherever a crash cut them, so that an oracle sees the same batches
            let end = picks.len().min((done / self.plan.chunk + 1) * self.plan.chunk);
            let chunk = &picks[done..end];
            let sequences: Vec<Sequence> = chunk.iter().map(|pick| pick.sequence.clone()).collect();
            let found = oracle.evaluate(&sequences).map_err(|error| stopped(error, &name, round, done))?;
            self.journal.append(round, chunk, &found, alphabet)?;
            outcomes.extend(found);
            let best = outcomes.iter().filter_map(Outcome::value).reduce(f64::max);
            let figures: Vec<(&str, f64)> = best.map(|best| ("best", best)).into_iter().collect();
            let step = Event::Step { stage: &stage, done: outcomes.len() as u64, figures: &figures };
            flow = means.observer.on_event(&step);
        }
        let _ = means.observer.on_event(&Event::Finish { stage: &stage });
        Ok(outcomes)
    }
}

/// An oracle that stopped; what it had measured before is kept.
fn stopped(error: Error, name: &str, round: usize, done: usize) -> Error {
    if error.kind() == Kind::Interrupted {
        return error;
    }
    let message = format!("oracle `{name}` stopped in round {round} after {done} labels: {}", error.message());
    Error::oracle(message)
        .because(error)
        .hint("what was measured is kept; once the oracle works again, the same command goes on from there")
}
