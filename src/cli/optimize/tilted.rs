//! The diffusion proposer: fit, tilt, draw, choose.

use super::anchored::{Anchored, Fit, RoundReward};
use super::searcher::Search;
use super::settings::Plan;
use super::start::{Known, digest};
use crate::baseline::{Proposal, Proposer, Request};
use crate::campaign::{Candidate, Journal};
use crate::cli::certify::count_base;
use crate::cli::constraining::open_constrained;
use crate::cli::context::Context;
use crate::cli::finetune::Job;
use crate::cli::pretrain;
use crate::cli::tilted::{CONTROL, Sampler};
use crate::diffusion::{Prior, SampleConfig, sample};
use crate::error::{Error, Result};
use crate::eval::histogram::Histogram;
use crate::finetune::ControlStart;
use crate::inference::{Guide, Guided, Target, steer, units};
use crate::nn::Pool;
use crate::random::Seed;
use crate::reward::{Acquisition, Measured, Score, enumerable};
use crate::sequence::{Alphabet, Sequence};
use crate::store::ModelFolder;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How often more is drawn where a round's draws hold too few new sequences.
const DRAWS: u64 = 6;
/// Labels that a surrogate needs.
const LEAST: usize = 2;

/// Fits a surrogate to all labels, tilts the prior towards its acquisition, and draws.
pub(super) struct Tilted<'a> {
    plan: &'a Plan,
    search: Search,
    journal: &'a Journal,
    context: &'a Context,
    prior: Arc<Prior>,
    prior_name: String,
    prior_folder: ModelFolder,
    base: Option<(Histogram, String)>,
    anchored: Anchored,
    /// Sequences that a surrogate scored outside of fine-tuning.
    calls: u64,
}

impl<'a> Tilted<'a> {
    /// On the prior that was named, or one trained on the start table.
    ///
    /// # Errors
    /// When the prior cannot be opened or trained.
    pub(super) fn new(
        plan: &'a Plan,
        search: Search,
        known: &Known,
        journal: &'a Journal,
        out: &Path,
        context: &'a Context,
    ) -> Result<Self> {
        let device = context.device()?;
        let (prior_name, (prior, prior_folder)) = match (&plan.prior, &known.records) {
            (Some(name), _) => (name.clone(), open_constrained(name, &plan.constraint, &device)?),
            (None, Some(records)) => {
                let folder = out.join("prior");
                pretrain::train(records, &folder, Some(plan.prior_steps), context)?;
                (
                    "prior trained on the start table".to_owned(),
                    open_constrained(&folder.display().to_string(), &plan.constraint, &device)?,
                )
            }
            (None, None) => return Err(Error::usage("`optimize` needs `--prior`, or `--start` to train one on")),
        };
        let (letters, length) = (known.domain.alphabet.len(), known.domain.length);
        let anchored = Anchored::new(plan.alpha, plan.beta, letters, length)?;
        let prior = Arc::new(prior);
        Ok(Self { plan, search, journal, context, prior, prior_name, prior_folder, base: None, anchored, calls: 0 })
    }

    /// The folder of a round's sampler.
    fn folder(&self, round: usize) -> Result<PathBuf> {
        let folder = self.journal.round(round).ok_or_else(|| Error::usage("a tilted search needs a folder"))?;
        Ok(folder.join("finetune"))
    }

    fn alphabet(&self) -> &Alphabet {
        self.prior.alphabet()
    }

    fn is_enumerable(&self) -> bool {
        enumerable(self.alphabet().len(), self.prior.config().length)
    }

    /// The surrogate that round `round` has, on what was measured before it; none where too little was.
    fn fit(&self, measured: &Measured, round: usize, pool: &Pool) -> Result<Option<Fit>> {
        let mut before = Measured::new(measured.domain().clone());
        for label in measured.labels().iter().filter(|label| label.round < round) {
            before.push(label.clone())?;
        }
        if before.ranked().len() < LEAST {
            return Ok(None);
        }
        let seed = self.seed(round);
        let acquisition = if self.search == Search::NonAdaptive { Acquisition::Mean } else { self.plan.climbed() };
        let surrogate = self.plan.surrogate.fit(&before.training_set()?, seed.child("surrogate"), pool)?;
        Ok(Some(Fit { surrogate, acquisition, draw: seed.child("thompson") }))
    }

    fn seed(&self, round: usize) -> Seed {
        self.context.seed().child("tilted").index(round as u64)
    }

    /// Base samples of all rounds, where sequences are enumerated: drawn once.
    fn draw_base(&mut self, pool: &Pool) -> Result<()> {
        if self.base.is_some() || !self.is_enumerable() {
            return Ok(());
        }
        let tuning = self.tuning()?;
        let seed = self.context.seed().child("base");
        let chain = tuning.chain.chain(self.prior.clone())?;
        let counts = count_base(&chain, tuning.base_paths, seed, pool, self.context)?;
        self.base = Some((counts, format!("{} paths of the search's own chain", tuning.base_paths)));
        Ok(())
    }

    fn tuning(&self) -> Result<crate::cli::finetune::Plan> {
        let config = self.prior.config();
        self.plan.round_tuning(self.alphabet().len(), config.length).plan(config)
    }

    /// The last round's sampler, which a control goes on from unless it starts at the tilt or anew.
    fn before(&self, plan: &crate::cli::finetune::Plan, round: usize) -> Result<Option<ModelFolder>> {
        let anew = self.plan.reset || plan.finetune.control.start == ControlStart::Tilt || plan.initial.is_some();
        if anew || round < 2 || self.search != Search::Adaptive {
            return Ok(None);
        }
        let folder = self.folder(round - 1)?;
        // a round that was too poor to tilt by has none
        folder.join("done.json").exists().then(|| ModelFolder::load(&folder, CONTROL)).transpose()
    }

    /// Tilts the prior in the round's folder.
    fn tilt(&self, reward: &RoundReward<'_>, request: &Request<'_>) -> Result<()> {
        let labels = request.measured.labels().iter().filter_map(|label| Some((&label.sequence, label.value?)));
        let settings =
            serde_json::to_string(&(&self.plan.surrogate, self.plan.climbed(), self.plan.alpha, self.plan.beta))
                .map_err(|error| Error::usage("the surrogate's settings are not JSON").because(error))?;
        let plan = self.tuning()?;
        let from = self.before(&plan, request.round)?;
        let job = Job {
            out: &self.folder(request.round)?,
            prior: self.prior.clone(),
            prior_name: &self.prior_name,
            prior_folder: &self.prior_folder,
            reward: reward.reward(),
            reward_name: format!("{} of surrogate `{}`", reward.reward().name(), self.plan.surrogate.kind),
            reward_fingerprint: format!("{} {settings}", digest(labels)),
            plan,
            seed: self.seed(request.round).child("finetune").rng().below(1 << 62) as u64,
            base: self.base.as_ref().map(|(counts, key)| (counts, key.as_str())),
            from: from.as_ref(),
            weighs_base: false,
        };
        job.run(self.context).map(drop)
    }

    /// What a sampler draws, new and distinct, in order: until a batch can be chosen from, or drawing more is hopeless.
    fn new_ones(request: &Request<'_>, mut draw: impl FnMut(Seed) -> Result<Vec<Sequence>>) -> Result<Vec<Sequence>> {
        let mut seen = BTreeSet::new();
        let mut found = Vec::new();
        for attempt in 0..DRAWS {
            for sequence in draw(request.seed.child("draw").index(attempt))? {
                if !request.measured.contains(&sequence) && seen.insert(sequence.clone()) {
                    found.push(sequence);
                }
            }
            if found.len() >= request.count {
                break;
            }
        }
        Ok(found)
    }

    /// The words that nobody measured or proposed yet, in their order: what is left where a sampler draws too few new ones.
    fn left(&self, request: &Request<'_>, taken: &[Proposal]) -> Vec<(usize, Sequence)> {
        if !self.is_enumerable() {
            return Vec::new();
        }
        let taken: BTreeSet<&Sequence> = taken.iter().map(|proposal| &proposal.sequence).collect();
        let words = Sequence::all(self.alphabet(), self.prior.config().length).enumerate();
        let keeps = |x: &Sequence| self.prior.imposed().is_none_or(|rules| rules.keeps(x.ids()));
        words.filter(|(_, x)| !request.measured.contains(x) && !taken.contains(x) && keeps(x)).collect()
    }

    /// A batch from the prior itself.
    fn prior_batch(&self, request: &Request<'_>, reason: &'static str) -> Result<Vec<Proposal>> {
        let count = self.plan.samples.max(request.count);
        let draw = |seed| sample(&self.prior, &SampleConfig::default(), count, seed, request.pool);
        let drawn = Self::new_ones(request, draw)?;
        let propose = |reason| move |sequence| Proposal { sequence, expected: None, reason };
        let mut batch: Vec<Proposal> = drawn.into_iter().take(request.count).map(propose(reason)).collect();
        if batch.len() < request.count {
            let mut left: Vec<Sequence> = self.left(request, &batch).into_iter().map(|(_, word)| word).collect();
            request.seed.child("left").rng().shuffle(&mut left);
            let reason = "left over: the prior drew too few new ones";
            batch.extend(left.into_iter().take(request.count - batch.len()).map(propose(reason)));
        }
        Ok(batch)
    }

    /// What the tilted sampler draws.
    fn tilted_draws(&self, request: &Request<'_>) -> Result<Vec<Sequence>> {
        let sampler = Sampler::open(&self.folder(request.round)?, &self.context.device()?)?;
        let count = self.plan.samples.max(request.count);
        Self::new_ones(request, |seed| Ok(sampler.draw(count, seed, request.pool)?.ends))
    }

    /// What the prior draws, guided by the slope of the relaxed reward at the price of both.
    fn guided_draws(&self, fit: &Fit, reward: &RoundReward<'_>, request: &Request<'_>) -> Result<Vec<Sequence>> {
        let chain = self.tuning()?.chain.chain(self.prior.clone())?;
        let (score, alpha) = (fit.acquired(), self.plan.alpha + self.plan.beta);
        let target = Target { chain: &chain, score: &score, reward: Some(reward.reward()), alpha, outlook: None };
        let method = Guided { guide: Some(Guide::Mean), ..Guided::default() };
        let count = self.plan.samples.max(request.count);
        let units = units(&method, &chain, count);
        Self::new_ones(request, |seed| Ok(steer(&method, &target, 0..units, count, seed, request.pool)?.sequences))
    }

    /// The best of what was drawn, and of what is left where too little was.
    fn batch(
        &self,
        drawn: Vec<Sequence>,
        fit: &Fit,
        words: Option<&[f64]>,
        request: &Request<'_>,
    ) -> Result<Vec<Proposal>> {
        let expected = fit.surrogate.predict(&drawn)?;
        let scores = fit.acquired().scores(&drawn)?;
        let candidates: Vec<Candidate> = drawn
            .into_iter()
            .zip(expected)
            .zip(scores)
            .map(|((sequence, expected), score)| Candidate { sequence, expected: Some(expected), score })
            .collect();
        let mut batch = self.plan.selection.choose(&candidates, request.count, self.plan.min_distance)?;
        if let Some(values) = words.filter(|_| batch.len() < request.count) {
            let mut left = self.left(request, &batch);
            left.sort_by(|a, b| values[b.0].total_cmp(&values[a.0]).then(a.0.cmp(&b.0)));
            left.truncate(request.count - batch.len());
            let left: Vec<Sequence> = left.into_iter().map(|(_, word)| word).collect();
            let expected = fit.surrogate.predict(&left)?;
            let reason = "best acquisition of what is left: the sampler drew too few new ones";
            let rest = left.into_iter().zip(expected);
            batch.extend(rest.map(|(sequence, expected)| Proposal { sequence, expected: Some(expected), reason }));
        }
        Ok(batch)
    }
}

impl Proposer for Tilted<'_> {
    fn propose(&mut self, request: &Request<'_>) -> Result<Vec<Proposal>> {
        let last = request.round >= self.plan.rounds.rounds();
        match self.search {
            Search::Prior => return self.prior_batch(request, "drawn from the prior"),
            Search::NonAdaptive if !last => return self.prior_batch(request, "drawn from the prior"),
            Search::NonAdaptive | Search::Adaptive | Search::Guided => {}
        }
        // the rounds before, where they weigh: a resumed search goes through them again
        if self.plan.beta > 0.0 && self.search != Search::NonAdaptive {
            for round in self.anchored.rounds + 1..request.round {
                let fit = self.fit(request.measured, round, request.pool)?;
                self.anchored.advance(fit)?;
            }
        }
        let Some(fit) = self.fit(request.measured, request.round, request.pool)? else {
            return self.prior_batch(request, "drawn from the prior: too little is known to tilt it");
        };
        if self.search != Search::Guided {
            self.draw_base(request.pool)?;
        }
        let reward = self.anchored.reward(&fit, (!self.plan.keep_known).then_some(request.measured))?;
        let drawn = if self.search == Search::Guided {
            self.guided_draws(&fit, &reward, request)?
        } else {
            self.tilt(&reward, request)?;
            self.tilted_draws(request)?
        };
        let calls = drawn.len() + reward.words().map_or(0, <[f64]>::len);
        let batch = self.batch(drawn, &fit, reward.words(), request);
        self.calls += calls as u64;
        batch
    }

    fn surrogate_calls(&self) -> Option<u64> {
        (self.search != Search::Prior).then_some(self.calls)
    }
}
