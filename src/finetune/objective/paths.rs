//! Methods that learn from kept paths and values alone.

use super::{Objective, Route, Run, Update};
use crate::error::{Error, Result};
use crate::finetune::Control;
use crate::finetune::analytic::Ramp;
use crate::finetune::divergence::Divergence;
use crate::finetune::potential::Potential;
use crate::finetune::replay::{Replay, ReplayConfig, Track};
use crate::finetune::reversal::Reversal;
use crate::finetune::rollout::Draw;
use crate::finetune::trace::Trace;
use crate::nn::{Figures, Gradients, Params, Tensors, over_shards};
use crate::reward::Needs;
use candle_core::Var;
use ndarray::{Array1, Array2, Axis, concatenate};

/// All numbers of a batch of kept paths.
pub struct Ledger<'a> {
    /// Rewards of the ends, as decoded, (n).
    pub values: &'a [f64],
    /// ℓ_k of the control that drew the paths, (K, n); its column sums are L.
    pub drawn: &'a Array2<f64>,
    /// ℓ_k of the control as it is now, (K, n).
    pub now: &'a Array2<f64>,
    /// Log of what a path's probability of being drawn from a replay buffer is of an even one, (n); nothing where all are alike, or where
    /// that is not to be corrected. The law of the paths is `e^{drawn + this}` then.
    pub log_shares: Option<&'a [f64]>,
    /// Price of the divergence.
    pub alpha: f64,
    /// The divergence that is priced.
    pub divergence: &'a dyn Divergence,
}

impl Ledger<'_> {
    /// L of the control that drew the paths, per path.
    #[must_use]
    pub fn drawn_ratio(&self) -> Array1<f64> {
        self.drawn.sum_axis(Axis(0))
    }

    /// L of the law that the paths are of: of the control that drew them, and of the draw from a buffer.
    #[must_use]
    pub fn source_ratio(&self) -> Array1<f64> {
        let mut ratio = self.drawn_ratio();
        for (ratio, share) in ratio.iter_mut().zip(self.log_shares.unwrap_or_default()) {
            *ratio += share;
        }
        ratio
    }

    /// L of the control as it is now, per path.
    #[must_use]
    pub fn ratio(&self) -> Array1<f64> {
        self.now.sum_axis(Axis(0))
    }
}

/// What a loss makes of a batch.
pub struct Weighed {
    /// `∂loss/∂ℓ_{k,i}`, (K, n), or (1, n) for the same at every step.
    pub weights: Array2<f64>,
    /// What it says of itself.
    pub figures: Figures,
}

/// A loss that is a function of log-densities, rewards and nothing else, on paths that are held fixed:
///
/// ```text
/// ∂loss/∂θ = Σ_{k,i} w_{k,i} ∂ℓ_{k,i}(θ)/∂θ
/// ```
/// so that a method is its weights.
pub trait PathLoss: Send + Sync {
    /// The weights of a batch.
    ///
    /// # Errors
    /// When the batch carries no information, such as one path alone.
    fn weigh(&self, ledger: &Ledger<'_>) -> Result<Weighed>;

    /// Optimiser steps that are taken on one batch of paths.
    fn reuse(&self) -> u64 {
        1
    }

    /// What the loss learns beside the control, from every batch before it is weighed.
    ///
    /// # Errors
    /// When the batch carries no information.
    fn learn(&mut self, ledger: &Ledger<'_>) -> Result<()> {
        let _ = ledger;
        Ok(())
    }

    /// How it meets a divergence other than KL.
    fn route(&self) -> Route {
        Route::Surrogate
    }

    /// Whether paths of several earlier controls will do: where the loss holds for any law of the paths, or weighs each by the density that
    /// it was drawn with.
    fn replays(&self) -> bool {
        false
    }

    /// Whether the paths' own law does not enter the loss at all, so that paths with more noise than the chain's will do.
    fn explores(&self) -> bool {
        false
    }

    /// What it has learned.
    ///
    /// # Errors
    /// When a tensor cannot be made.
    fn state(&self) -> Result<Tensors> {
        Ok(Tensors::default())
    }

    /// Takes over a [`state`](Self::state).
    ///
    /// # Errors
    /// When a tensor has another shape.
    fn restore(&mut self, state: &Tensors) -> Result<()> {
        let _ = state;
        Ok(())
    }
}

/// A [`PathLoss`] as an [`Objective`]: paths of the control as it stands are drawn, weighed, and kept for as many optimiser
/// steps as the loss reuses them. With a replay buffer ([`FinetuneConfig::replay`](crate::finetune::FinetuneConfig::replay)) a share of a
/// batch is drawn anew and put in, and the batch is then drawn from all that is in there.
///
/// # Cost
/// One walk of the chain a batch; one evaluation of the control forward and one in reverse an optimiser step, and another
/// forward where paths are reused. The graph of one block is held at a time, however long the path.
pub struct PathObjective<L> {
    loss: L,
    batch: Option<Kept>,
    behaviour: Option<Tensors>,
    replay: Option<Replay>,
    escorted: Option<Ramp>,
}

/// What the loss's own state is filed under.
const LOSS: &str = "loss/";

struct Kept {
    traces: Vec<Trace>,
    values: Vec<f64>,
    drawn: Array2<f64>,
    log_shares: Option<Vec<f64>>,
    /// Of every trace in turn, where the control is read as tilt and escort.
    reversals: Vec<Reversal>,
}

impl<L: PathLoss> PathObjective<L> {
    /// The objective of a loss.
    pub fn new(loss: L) -> Self {
        Self { loss, batch: None, behaviour: None, replay: None, escorted: None }
    }

    /// The same with the works of an escort in the place of log-ratios: `L − log B_w/B` for L, under a tilt that is turned on by `ramp`.
    #[must_use]
    pub(super) fn escorted(self, ramp: Ramp) -> Self {
        Self { escorted: Some(ramp), ..self }
    }

    /// The same with the buffer of some settings, where they keep paths.
    #[must_use]
    pub fn replaying(self, config: &ReplayConfig) -> Self {
        let replay = config.capacity.filter(|capacity| *capacity > 0).map(|n| Replay::new(n, config.bytes()));
        Self { replay, ..self }
    }

    /// Draws the batch that belongs to optimiser step `first` with the weights that stood then.
    fn draw(run: &Run<'_>, first: u64, behaviour: &Params) -> Result<Kept> {
        let draws = run.draws(first);
        let traces = run.pool.map(draws.len(), |i| {
            let control = (run.control)(behaviour)?;
            Self::walk(run, first, control.as_ref(), &draws[i..=i])
        })?;
        Ok(Kept::new(traces, None))
    }

    /// Paths of a control with the noise of optimiser step `step`.
    fn walk(run: &Run<'_>, step: u64, control: &dyn Control, draws: &[Draw]) -> Result<Trace> {
        let spread = run.config.balance.spread_at(step, run.config.steps);
        Trace::explore(run.chain, Some(control), run.values, run.steps, draws, spread)
    }

    /// Puts fresh paths of the control as it stands into the buffer.
    fn refill(run: &Run<'_>, replay: &mut Replay) -> Result<()> {
        let held = run.learner.held();
        let mut left = run.config.replay.fresh_of(run.config.batch, replay.is_empty());
        let draws: Vec<_> = run
            .draws(run.done())
            .into_iter()
            .map(|(seed, rows)| {
                let rows = rows.min(left);
                left -= rows;
                (seed, rows)
            })
            .filter(|(_, rows)| *rows > 0)
            .collect();
        let tracks = run.pool.map(draws.len(), |i| {
            let control = (run.control)(&held)?;
            Self::walk(run, run.done(), control.as_ref(), &draws[i..=i])?.tracks(run.done(), true)
        })?;
        replay.push(tracks.into_iter().flatten().collect());
        Ok(())
    }

    /// Draws the batch that belongs to optimiser step `first` from the buffer.
    fn recall(run: &Run<'_>, first: u64, replay: &Replay) -> Result<Kept> {
        let (batch, config) = (run.config.batch, &run.config.replay);
        // whole paths are learned from: the discount of a step does not matter
        let shares = replay.shares(config, 1.0, batch)?;
        let drawn = shares.draw(batch, &mut run.seed_at(first).child("replay").rng());
        let log_shares = config.corrected.then(|| drawn.iter().map(|pair| shares.log_share(pair.path)).collect());
        let tracks: Vec<&Track> = drawn.iter().map(|pair| &replay.tracks()[pair.path]).collect();
        let parts: Vec<&[&Track]> = tracks.chunks(run.config.shard).collect();
        let traces = run.pool.map(parts.len(), |i| Trace::of(run.chain, parts[i]))?;
        Ok(Kept::new(traces, log_shares))
    }
}

impl Kept {
    fn new(traces: Vec<Trace>, log_shares: Option<Vec<f64>>) -> Self {
        let values = traces.iter().flat_map(|trace| trace.values.iter().copied()).collect();
        let drawn = beside(traces.iter().map(|trace| &trace.increments));
        Self { traces, values, drawn, log_shares, reversals: Vec::new() }
    }

    /// The same with the reversals of its paths, at the price of the optimiser step `first` that they belong to.
    fn reversed(self, run: &Run<'_>, first: u64, ramp: Ramp) -> Result<Self> {
        let terminal = run.terminal.ok_or_else(|| Error::usage("this objective needs the reward's gradient"))?;
        let potential = Potential { terminal, alpha: run.config.alpha_at(first), ramp, steps: run.steps };
        let reversals = run.pool.map(self.traces.len(), |i| Reversal::of(&self.traces[i], run.chain, &potential))?;
        Ok(Self { reversals, ..self })
    }

    /// ℓ of the control in every trace, less those of its reversal where it is an escort's.
    fn under(&self, run: &Run<'_>) -> Result<Array2<f64>> {
        let held = run.learner.held();
        let parts = run.pool.map(self.traces.len(), |i| {
            let control = (run.control)(&held)?;
            let forward = self.traces[i].under(control.as_ref())?;
            Ok(match self.reversals.get(i) {
                Some(reversal) => forward - reversal.under(control.as_ref())?,
                None => forward,
            })
        })?;
        Ok(beside(parts.iter()))
    }

    /// The gradient of the weighted sum of those of trace `i`.
    fn gradient(
        &self,
        i: usize,
        control: &dyn Control,
        vars: &[(String, Var)],
        weights: &Array2<f64>,
    ) -> Result<Gradients> {
        let mut gradients = self.traces[i].gradient(control, vars, weights)?;
        let backward = self.reversals.get(i).map(|reversal| reversal.gradient(control, vars, &-weights)).transpose()?;
        if let Some(backward) = backward.flatten() {
            gradients.add(backward)?;
        }
        Ok(gradients)
    }
}

/// Matrices of as many rows beside each other.
fn beside<'a>(parts: impl Iterator<Item = &'a Array2<f64>>) -> Array2<f64> {
    let views: Vec<_> = parts.map(|part| part.view()).collect();
    concatenate(Axis(1), &views).unwrap_or_default()
}

impl<L: PathLoss> Objective for PathObjective<L> {
    fn needs(&self) -> Needs {
        if self.escorted.is_some() { Needs::Gradient } else { Needs::Score }
    }

    fn route(&self) -> Route {
        self.loss.route()
    }

    fn replays(&self) -> bool {
        self.escorted.is_none() && self.loss.replays()
    }

    fn kept_states(&self) -> usize {
        // besides states, innovations and means: slopes, innovations and means of the reversal, with its beliefs
        if self.escorted.is_some() { 7 } else { 3 }
    }

    fn values_states(&self) -> bool {
        self.escorted.is_some()
    }

    fn update(&mut self, run: &Run<'_>) -> Result<Update> {
        let age = run.done() % self.loss.reuse();
        if age == 0 {
            self.batch = None;
            match &mut self.replay {
                Some(replay) => Self::refill(run, replay)?,
                None => {
                    self.behaviour = (self.loss.reuse() > 1).then(|| run.learner.params().snapshot()).transpose()?;
                }
            }
        }
        let kept = if let Some(kept) = self.batch.take() {
            kept
        } else if let Some(replay) = &self.replay {
            Self::recall(run, run.done() - age, replay)?
        } else {
            let behaviour = match (&self.behaviour, age) {
                (Some(weights), 1..) => Params::frozen(weights.clone(), run.learner.params().device()),
                _ => run.learner.held(),
            };
            let kept = Self::draw(run, run.done() - age, &behaviour)?;
            match self.escorted {
                Some(ramp) => kept.reversed(run, run.done() - age, ramp)?,
                None => kept,
            }
        };
        let fresh = age == 0 && self.replay.is_none() && self.escorted.is_none();
        let now = if fresh { kept.drawn.clone() } else { kept.under(run)? };
        let divergence = run.config.divergence.get();
        let ledger = Ledger {
            values: &kept.values,
            drawn: &kept.drawn,
            now: &now,
            log_shares: kept.log_shares.as_deref(),
            alpha: run.alpha,
            divergence,
        };
        self.loss.learn(&ledger)?;
        let Weighed { weights, mut figures } = self.loss.weigh(&ledger)?;
        let n = kept.values.len() as f64;
        let known = (kept.values.iter().sum::<f64>() / n, ledger.drawn_ratio().sum() / n);
        figures.push(("path_age", age as f64));
        let weights = weights.broadcast(kept.drawn.raw_dim()).map(|all| all.to_owned()).unwrap_or(weights);
        let starts: Vec<usize> = kept
            .traces
            .iter()
            .scan(0, |at, trace| {
                let start = *at;
                *at += trace.rows();
                Some(start)
            })
            .collect();
        let vars = run.learner.params().vars();
        let (sums, _) = over_shards(run.pool, kept.traces.len(), |i| {
            let control = (run.control)(run.learner.params())?;
            let columns = starts[i]..starts[i] + kept.traces[i].rows();
            let share = weights.slice(ndarray::s![.., columns]).to_owned();
            Ok((kept.gradient(i, control.as_ref(), &vars, &share)?, ()))
        })?;
        self.batch = Some(kept);
        Ok(Update { sums, rows: Vec::new(), known: Some(known), figures })
    }

    fn explores(&self) -> bool {
        self.loss.explores()
    }

    fn state(&self) -> Result<Tensors> {
        let kept =
            self.replay.as_ref().map_or_else(|| Ok(self.behaviour.clone().unwrap_or_default()), Replay::state)?;
        let learned = self.loss.state()?.into_iter().map(|(name, tensor)| (format!("{LOSS}{name}"), tensor));
        Ok(kept.into_iter().chain(learned).collect())
    }

    fn restore(&mut self, state: Tensors) -> Result<()> {
        self.batch = None;
        let (learned, state): (Tensors, Tensors) = state.into_iter().partition(|(name, _)| name.starts_with(LOSS));
        let learned =
            learned.into_iter().filter_map(|(name, tensor)| Some((name.strip_prefix(LOSS)?.to_owned(), tensor)));
        self.loss.restore(&learned.collect())?;
        if let Some(replay) = &mut self.replay {
            return replay.restore(&state);
        }
        self.behaviour = (!state.is_empty()).then_some(state);
        Ok(())
    }
}
