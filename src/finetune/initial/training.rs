//! Learning the initial law and the control behind it.

use super::plan::{Forms, Plan, has};
use super::stage::{Stage, Work};
use super::{Delayed, InitialConfig, Joined, Route, Staged, ValueFunction};
use crate::diffusion::Chain;
use crate::error::Result;
use crate::finetune::Terminal;
use crate::nn::{Figures, Pool, Tensors, Training};
use crate::random::Seed;

/// ELEGANT: entropy-regularised control with a learned initial law (Uehara et al. 2024, arXiv 2402.15194).
///
/// ```text
/// max  E[r(x_K)] − α (KL(lead) + KL(main))
/// ```
/// by a [`Route`]: staged, first the value `v₀` of initial states ([`Regression`](super::Regression) on
/// [`Pairs`](super::Pairs)), then the lead's control towards
/// v₀, then the main chain's behind it; or both controls at once; or the main chain's alone, from the frozen initial law. Whatever
/// the route, the result is a control of the [`Joined`] chain. Every control is trained by [`BackProp`](crate::finetune::BackProp).
///
/// A run is one [`Training`] over all of its stages: it stops and goes on anywhere, to the same bytes. Weights are named `value.…`,
/// `lead.…`, `main.…`; where a control from the frozen start came first, it stays as `frozen.main.…`.
///
/// The returns of [`Route::StagedV2`] are those of a control that moves means only, so that its value is the one of the best such
/// control; that of [`Route::StagedV1`] is the soft value of the chain, which the best control misses by O(1/K).
///
/// ```
/// use seqtilt::finetune::analytic::{Affine, Lattice, LinearChain, LinearQuadratic, Start};
/// use seqtilt::finetune::initial::{Elegant, Form, Forms, InitialConfig, Route};
/// use seqtilt::{Seed, nn::{Pool, Training}};
/// # fn main() -> seqtilt::Result<()> {
/// let problem = LinearQuadratic::default();
/// let (chain, pool) = (LinearChain::euler(&problem, Start::Frozen, 4, 1)?, Pool::new(1)?);
/// fn form<'a>(steps: usize) -> Form<'a> {
///     Box::new(move |params| Ok(Box::new(Affine::new(params, steps)?)))
/// }
/// let config = InitialConfig { route: Route::Joint, lead: 2, updates: 80, learning_rate: 0.1, ..InitialConfig::default() };
/// let forms = Forms { lead: form(2), main: form(4) };
/// let mut run = Elegant::new(config, &chain, &problem, forms, Seed::root(1), &pool)?;
/// while run.done() < run.total() {
///     run.step()?;
/// }
/// let lattice = Lattice::new(run.joined(), &problem, problem.alpha, (-8.0, 8.0))?;
/// let (got, best) = (lattice.outcome(&run.control()?)?, lattice.best());
/// assert!(got.gap - best.gap < 0.01);
/// # Ok(()) }
/// ```
pub struct Elegant<'a> {
    plan: Plan<'a>,
    /// Averaged weights of the stages that are done.
    finished: Tensors,
    current: usize,
    work: Work<'a>,
}

impl<'a> Elegant<'a> {
    /// A run at step 0.
    ///
    /// # Errors
    /// When a setting is out of range, the initial law cannot be led to, or the route begins with a value that would rest on too
    /// few effective paths.
    pub fn new(
        config: InitialConfig,
        chain: &'a dyn Chain,
        terminal: &'a dyn Terminal,
        forms: Forms<'a>,
        seed: Seed,
        pool: &'a Pool,
    ) -> Result<Self> {
        config.check()?;
        let joined = Joined::new(chain, config.lead)?;
        let delayed = joined.terminal(terminal);
        let plan = Plan { config, chain, terminal, joined, delayed, forms, end: None, seed, pool };
        let finished = Tensors::new();
        let work = plan.begin(config.route.stages()[0], &finished)?;
        Ok(Self { plan, finished, current: 0, work })
    }

    /// The same with the main chain's end brought in wherever its control is trained: at a step of a stage, so many of its steps are
    /// walked, and the value is that of the state after them. While letters are still soft their gradient is spread out instead of
    /// rare and large; the last steps of a stage should walk the whole chain, or nearly.
    #[must_use]
    pub fn ending(mut self, end: impl Fn(u64) -> usize + Send + Sync + 'a) -> Self {
        self.plan.end = Some(Box::new(end));
        self
    }

    /// Lead and main chain as one: what the control is of.
    #[must_use]
    pub fn joined(&self) -> &Joined<'a> {
        &self.plan.joined
    }

    /// The reward at the end of the joined chain.
    #[must_use]
    pub fn terminal(&self) -> &Delayed<'a> {
        &self.plan.delayed
    }

    /// The control of the joined chain with the averaged weights so far; a part that was not trained yet walks as the base.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn control(&self) -> Result<Staged<'a>> {
        self.plan.staged(&self.weights(), "main", true)
    }

    /// The control that was trained from the frozen start on the way, if the route has one: what the learned initial law is
    /// compared with.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn frozen(&self) -> Result<Option<Staged<'a>>> {
        let (name, weights) = match self.plan.config.route {
            Route::Frozen => ("main", self.weights()),
            _ => ("frozen.main", self.finished.clone()),
        };
        if !has(&weights, name) {
            return Ok(None);
        }
        self.plan.staged(&weights, name, false).map(Some)
    }

    /// The value of initial states, once there is one.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn value(&self) -> Result<Option<ValueFunction>> {
        let weights = self.weights();
        if !has(&weights, "value") {
            return Ok(None);
        }
        self.plan.value_on(weights).map(Some)
    }

    fn now(&self) -> Stage {
        self.plan.config.route.stages()[self.current]
    }

    /// Keeps what the stage learned and begins the next one.
    fn finish(&mut self) -> Result<()> {
        let weights = self.work.weights();
        if self.now() == Stage::Frozen {
            let copies = weights.iter().map(|(name, tensor)| (format!("frozen.{name}"), tensor.clone()));
            self.finished.extend(copies.collect::<Vec<_>>());
        }
        self.finished.extend(weights);
        self.current += 1;
        self.work = self.plan.begin(self.now(), &self.finished)?;
        Ok(())
    }
}

impl Training for Elegant<'_> {
    fn total(&self) -> u64 {
        self.plan.config.route.stages().iter().map(|stage| self.plan.steps(*stage)).sum()
    }

    fn done(&self) -> u64 {
        let before =
            self.plan.config.route.stages()[..self.current].iter().map(|stage| self.plan.steps(*stage)).sum::<u64>();
        before + self.work.done()
    }

    fn stage(&self) -> Option<&'static str> {
        Some(self.now().title())
    }

    fn step(&mut self) -> Result<Figures> {
        let stage = self.now();
        let figures = match &mut self.work {
            Work::Value(regression) => regression.step(),
            Work::Control(learner) => self.plan.control_step(stage, &self.finished, learner),
        }?;
        if self.work.done() == self.work.total() && self.current + 1 < self.plan.config.route.stages().len() {
            self.finish()?;
        }
        Ok(figures)
    }

    fn state(&self) -> Result<Tensors> {
        let finished = self.finished.iter().map(|(name, tensor)| (format!("finished/{name}"), tensor.clone()));
        let current = self.work.state()?.into_iter().map(|(name, tensor)| (format!("stage/{name}"), tensor));
        Ok(finished.chain(current).collect())
    }

    fn restore(&mut self, done: u64, state: &Tensors) -> Result<()> {
        let part = |prefix: &str| -> Tensors {
            state.iter().filter_map(|(k, t)| Some((k.strip_prefix(prefix)?.to_owned(), t.clone()))).collect()
        };
        let stages = self.plan.config.route.stages();
        let (mut current, mut left) = (0, done);
        while current + 1 < stages.len() && left >= self.plan.steps(stages[current]) {
            left -= self.plan.steps(stages[current]);
            current += 1;
        }
        self.finished = part("finished/");
        self.current = current;
        self.work = self.plan.begin(self.now(), &self.finished)?;
        self.work.restore(left, &part("stage/"))
    }

    fn weights(&self) -> Tensors {
        let mut weights = self.finished.clone();
        weights.extend(self.work.weights());
        weights
    }
}
