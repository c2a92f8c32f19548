//! A fine-tuning run.

use super::backprop::means;
use super::divergence::DivergenceKind;
use super::objective::{OBJECTIVES, Objective, Run, Update, objectives_that};
use super::word_table::WordTable;
use super::{
    AdjointConfig, Anchor, BackProp, BalanceConfig, Control, ControlConfig, ControlStart, Ddim, EscortConfig,
    Estimator, Glimpse, GlimpseKind, ReplayConfig, SoftQConfig, Terminal, TiltConfig, TokenControl, Valued,
};
use crate::diffusion::{Chain as _, DiffusionChain};
use crate::error::{Error, Result};
use crate::nn::{AdamWConfig, Figures, Learner, Learnt, Params, Pool, Tensors, Training};
use crate::random::Seed;
use crate::reward::Needs;
use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

/// How a control is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct FinetuneConfig {
    /// The method, by its name in [`OBJECTIVES`].
    pub objective: String,
    /// Price of a nat of departure from the prior, or of a unit of another divergence, for the whole sequence, in reward units.
    pub alpha: f64,
    /// What departure from the prior is measured by.
    pub divergence: DivergenceKind,
    /// Optimiser steps.
    pub steps: u64,
    /// Paths a step.
    pub batch: usize,
    /// Paths a shard; the result depends on it, the number of threads does not matter.
    pub shard: usize,
    /// Peak learning rate; warms up over the first 2 % and falls to 1 % along a cosine. 0.1 suits a product
    /// mixture, 0.005 the networks.
    pub learning_rate: f64,
    /// Decay of the averaged weights that are kept.
    pub ema: f64,
    /// Early in training the chain ends at this log signal-to-noise ratio and the reward is read there, through letter
    /// probabilities; the end then moves to the decode over the first `ramp-share` of the steps. While letters are still soft
    /// the reward's gradient is spread out instead of rare and large.
    pub ramp_from: f64,
    /// Share of the steps over which the end moves; 0 walks the whole chain from the start.
    pub ramp_share: f64,
    /// The end stops this much log signal-to-noise ratio short of the decode. Near the decode the relaxed reward's gradient is
    /// rare and large; a product mixture holds the rest of the way by its form, other networks want 0.
    pub ramp_short: f64,
    /// alpha starts this many times higher and falls geometrically to its value over the first `anneal-share` of the steps.
    pub anneal: f64,
    /// Share of the steps over which alpha falls.
    pub anneal_share: f64,
    /// Gradient estimator of the divergence.
    pub estimator: Estimator,
    /// Back-propagate through the last so many steps only: an approximation; earlier steps feel their own cost alone.
    pub truncate: Option<usize>,
    /// Cut the path into stretches of this many steps, each of which ends in the value of its last state: wants a reward with a
    /// soft value in closed form.
    pub lookahead: Option<usize>,
    /// Optimiser steps that methods of kept paths take on one batch of them.
    pub reuse: u64,
    /// How far a step's density ratio may leave 1 before proximal policy optimisation ignores the path.
    pub clip: f64,
    /// How soft-Q fine-tuning guesses and trusts values on the way.
    #[serde(skip_serializing_if = "is_default")]
    pub soft_q: SoftQConfig,
    /// How adjoint matching regresses the control.
    #[serde(skip_serializing_if = "is_default")]
    pub adjoint: AdjointConfig,
    /// How methods that learn from earlier paths keep them.
    #[serde(skip_serializing_if = "is_default")]
    pub replay: ReplayConfig,
    /// How methods that balance paths learn log Z and explore.
    #[serde(skip_serializing_if = "is_default")]
    pub balance: BalanceConfig,
    /// How methods that read a control as tilt and escort do so.
    #[serde(skip_serializing_if = "is_default")]
    pub escort: EscortConfig,
    /// How ends of paths are tilted and noised anew.
    #[serde(skip_serializing_if = "is_default")]
    pub tilt: TiltConfig,
    /// The control network.
    pub control: ControlConfig,
}

/// What is as it was before there was a setting is not written down: records of other methods stay the same.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Default for FinetuneConfig {
    fn default() -> Self {
        Self {
            objective: CONTROL.to_owned(),
            alpha: 0.1,
            divergence: DivergenceKind::Kl,
            steps: 260,
            batch: 256,
            shard: 64,
            learning_rate: 0.1,
            ema: 0.98,
            ramp_from: -1.0,
            ramp_share: 0.8,
            ramp_short: 1.0,
            anneal: 1.0,
            anneal_share: 0.3,
            estimator: Estimator::Landing,
            truncate: None,
            lookahead: None,
            reuse: 4,
            clip: 0.1,
            soft_q: SoftQConfig::default(),
            adjoint: AdjointConfig::default(),
            replay: ReplayConfig::default(),
            balance: BalanceConfig::default(),
            escort: EscortConfig::default(),
            tilt: TiltConfig::default(),
            control: ControlConfig::default(),
        }
    }
}

impl FinetuneConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        let reals = [
            ("alpha", self.alpha, 0.0, 1e6),
            ("learning-rate", self.learning_rate, 0.0, 1.0),
            ("anneal", self.anneal, 0.999_999, 1e6),
        ];
        for (name, value, above, most) in reals {
            if !(value > above && value <= most) {
                let above = if name == "anneal" { "1".to_owned() } else { format!("above {above}") };
                return Err(Error::usage(format!("`{name}` is {value}; {above} to {most} is accepted")));
            }
        }
        for (name, value) in [("ema", self.ema), ("anneal-share", self.anneal_share), ("ramp-share", self.ramp_share)] {
            if !(0.0..1.0).contains(&value) {
                return Err(Error::usage(format!("`{name}` is {value}; 0 to below 1 is accepted")));
            }
        }
        for (name, value, most) in [
            ("steps", self.steps, 10_000_000),
            ("batch", self.batch as u64, 1 << 20),
            ("shard", self.shard as u64, 1 << 20),
            ("reuse", self.reuse, 10_000),
        ] {
            if value == 0 || value > most {
                return Err(Error::usage(format!("`{name}` is {value}; 1 to {most} is accepted")));
            }
        }
        if !(0.0..=100.0).contains(&self.ramp_short) {
            return Err(Error::usage(format!("`ramp-short` is {}; 0 to 100 is accepted", self.ramp_short)));
        }
        if !(self.clip > 0.0 && self.clip < 1.0) {
            return Err(Error::usage(format!("`clip` is {}; above 0 to below 1 is accepted", self.clip)));
        }
        OBJECTIVES.get(&self.objective)?;
        self.soft_q.check()?;
        self.adjoint.check()?;
        self.replay.check()?;
        self.balance.check()?;
        self.escort.check()?;
        self.tilt.check()?;
        let (kept, staged) = (self.replay.capacity.unwrap_or(0), !self.tilt.recentred);
        if kept > 0 && staged {
            let message =
                format!("`replay.capacity` is {kept} and `tilt.recentred` false: kept ends are of other laws");
            return Err(Error::usage(message).hint("leave one of them out"));
        }
        if self.lookahead == Some(0) {
            return Err(Error::usage("`lookahead` is 0; at least 1 step is needed"));
        }
        if self.truncate == Some(0) {
            return Err(Error::usage("`truncate` is 0; at least 1 step is needed for a gradient of the reward"));
        }
        self.control.check()
    }

    /// alpha at a step: annealed from `anneal · alpha`.
    #[must_use]
    pub fn alpha_at(&self, step: u64) -> f64 {
        let share = (step as f64 / (self.anneal_share * self.steps as f64).max(1e-9)).min(1.0);
        self.alpha * self.anneal.powf(1.0 - share)
    }

    /// Steps of `chain` that paths walk at a step: the end is brought in early, by the ramp.
    #[must_use]
    pub fn steps_at(&self, chain: &DiffusionChain, step: u64) -> usize {
        let share = (step as f64 / (self.ramp_share * self.steps as f64).max(1e-9)).min(1.0);
        let last = chain.prior().config().decode_log_snr - self.ramp_short;
        let from = self.ramp_from.min(last);
        chain.steps_to(from + share * (last - from)).min(chain.steps())
    }
}

/// The default method.
pub const CONTROL: &str = "control";

/// The method that matches adjoints.
pub const ADJOINT_MATCHING: &str = "adjoint-matching";

/// The reward that a run sees: as decoded, and with a gradient where it has one.
#[derive(Clone, Copy)]
pub struct Feedback<'a> {
    /// As decoded.
    pub values: &'a dyn Valued,
    /// With a gradient.
    pub terminal: Option<&'a dyn Terminal>,
}

impl<'a, T: Terminal + Valued> From<&'a T> for Feedback<'a> {
    fn from(reward: &'a T) -> Self {
        Self { values: reward, terminal: Some(reward as &dyn Terminal).filter(|reward| reward.is_differentiable()) }
    }
}

/// A fine-tuning run over a sequence chain.
pub struct Finetuning<'a> {
    config: FinetuneConfig,
    chain: &'a DiffusionChain,
    reward: Feedback<'a>,
    seed: Seed,
    pool: &'a Pool,
    device: Device,
    learner: Learner,
    objective: Box<dyn Objective>,
    anchor: Option<(TokenControl<'a>, f64)>,
    glimpse: Option<Box<dyn Glimpse + 'a>>,
    keep: usize,
    /// Whether the shards of a step, with the noise that is theirs, share one graph: a device wants large ones.
    pub(super) joined: bool,
}

impl<'a> Finetuning<'a> {
    /// A run at step 0, where the control is what [`ControlStart`] says.
    ///
    /// # Errors
    /// When the configuration is out of range, the method needs a gradient that the reward does not have, or the chain is not
    /// memoryless: with `eta` below 1 the initial law has to be learned too ([`Elegant`](super::initial::Elegant)).
    pub fn new(
        config: FinetuneConfig,
        chain: &'a DiffusionChain,
        reward: impl Into<Feedback<'a>>,
        seed: Seed,
        pool: &'a Pool,
    ) -> Result<Self> {
        config.check()?;
        if chain.eta() < 1.0 {
            let message =
                format!("at `eta` {} the end remembers its start, which this method leaves as it is", chain.eta());
            return Err(Error::usage(message).hint("learn the initial law too, or take `eta` 1"));
        }
        let reward = reward.into();
        let objective = (OBJECTIVES.get(&config.objective)?.make)(&config);
        if objective.needs() == Needs::Gradient && reward.terminal.is_none() {
            let message = format!("objective `{}` needs a reward with a gradient", config.objective);
            let able = objectives_that(|objective| objective.needs() == Needs::Score).join("`, `");
            return Err(Error::usage(message).hint(format!("these need its values only: `{able}`")));
        }
        if config.replay.capacity.is_some_and(|capacity| capacity > 0) && !objective.replays() {
            let message = format!(
                "objective `{}` learns from paths of its present control; a replay buffer holds older ones",
                config.objective
            );
            let able = objectives_that(|objective| objective.replays()).join("`, `");
            return Err(Error::usage(message).hint(format!("these can learn from those: `{able}`")));
        }
        if config.balance.exploration > 1.0 && !objective.explores() {
            let message = format!(
                "objective `{}` takes paths for draws of the chain's own noise, and explores none",
                config.objective
            );
            let able = objectives_that(|objective| objective.explores()).join("`, `");
            return Err(Error::usage(message).hint(format!("these can: `{able}`")));
        }
        let device = chain.prior().device().clone();
        let params = Params::trainable(seed.child("weights"), chain.prior().codec().table().dtype(), &device);
        TokenControl::new(chain, &config.control, &params)?;
        if config.control.start == ControlStart::Tilt {
            let words = reward.terminal.and_then(Terminal::words);
            let words = words.ok_or_else(|| Error::usage("`control.start` tilt needs a reward that is a table"))?;
            WordTable::start(&params, &words.iter().map(|reward| reward / config.alpha).collect::<Vec<_>>())?;
        }
        let learner = learner(&config, params)?;
        let joined = !device.is_cpu();
        let glimpse: Option<Box<dyn Glimpse + 'a>> = match config.soft_q.glimpse {
            GlimpseKind::Ddim(steps) => Some(Box::new(Ddim::new(chain, steps))),
            GlimpseKind::Tweedie | GlimpseKind::Consistency | GlimpseKind::Soft => None,
        };
        Ok(Self {
            config,
            chain,
            reward,
            seed,
            pool,
            device,
            learner,
            objective,
            anchor: None,
            glimpse,
            keep: 0,
            joined,
        })
    }

    /// The same run from these weights on instead of from the control's start: what [`Training::weights`] of an earlier round answered.
    /// Optimiser, averages and replay buffer begin anew.
    ///
    /// # Errors
    /// When a weight is missing or has another shape.
    pub fn continuing(self, weights: &Tensors) -> Result<Self> {
        self.learner.params().restore(weights)?;
        let learner = learner(&self.config, self.learner.params().clone())?;
        Ok(Self { learner, ..self })
    }

    /// The same run with a guess at the ends of paths in place of the one that its settings name: where these say
    /// [`GlimpseKind::Consistency`] it has to be given, such as a [`Consistent`](super::Consistent) one.
    #[must_use]
    pub fn glimpsing(self, glimpse: Box<dyn Glimpse + 'a>) -> Self {
        Self { glimpse: Some(glimpse), ..self }
    }

    /// The same run keeping the activations of so many blocks of steps ([`BackProp::keep`]): less time, more memory, the
    /// same bytes.
    #[must_use]
    pub fn keeping(self, keep: usize) -> Self {
        Self { keep, ..self }
    }

    /// The same run with a price `beta` a nat on leaving the control of these weights, of the same configuration, on top of alpha
    /// on leaving the prior ([`Anchor`]): what [`Training::weights`] of an earlier round answered.
    ///
    /// # Errors
    /// When `beta` is not a finite number from 0 on, the weights have other names or shapes, or the objective cannot pay for it.
    pub fn anchored(self, weights: Tensors, beta: f64) -> Result<Self> {
        if !(beta >= 0.0 && beta.is_finite()) {
            return Err(Error::usage(format!("`beta` is {beta}; a finite number from 0 on is accepted")));
        }
        if !self.objective.anchors() {
            let message = format!("objective `{}` cannot pay for leaving an earlier control", self.config.objective);
            return Err(Error::usage(message).hint("`control` and `sqdf` can"));
        }
        let control = TokenControl::new(self.chain, &self.config.control, &Params::frozen(weights, &self.device))?;
        Ok(Self { anchor: Some((control, beta)), ..self })
    }

    /// Steps that paths walk at present: for some methods the end is brought in early in training.
    fn steps_now(&self) -> usize {
        if !self.objective.ramps() {
            return self.chain.steps();
        }
        self.config.steps_at(self.chain, self.done())
    }

    /// The control with the averaged weights so far.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn control(&self) -> Result<TokenControl<'a>> {
        TokenControl::new(self.chain, &self.config.control, &Params::frozen(self.weights(), &self.device))
    }
}

/// Parameters with their optimiser at step 0.
fn learner(config: &FinetuneConfig, params: Params) -> Result<Learner> {
    let settings = AdamWConfig {
        lr: config.learning_rate,
        weight_decay: 0.0,
        beta2: 0.99,
        clip_norm: Some(1.0),
        ..AdamWConfig::default()
    };
    Learner::new(params, settings, config.ema, config.steps)
}

/// What an objective's own state is filed under.
const OWN: &str = "objective/";

impl Training for Finetuning<'_> {
    fn total(&self) -> u64 {
        self.config.steps
    }

    fn done(&self) -> u64 {
        self.learner.done()
    }

    fn step(&mut self) -> Result<Figures> {
        let (alpha, steps, next) = (self.config.alpha_at(self.done()), self.steps_now(), self.done() + 1);
        let (chain, config) = (self.chain, &self.config);
        let control = |params: &Params| -> Result<Box<dyn Control>> {
            Ok(Box::new(TokenControl::new(chain, &config.control, params)?))
        };
        let FinetuneConfig { estimator, truncate, lookahead, .. } = *config;
        let run = Run {
            chain,
            terminal: self.reward.terminal,
            values: self.reward.values,
            config,
            learner: &self.learner,
            control: &control,
            anchor: self.anchor.as_ref().map(|(control, beta)| Anchor { control, beta: *beta }),
            glimpse: self.glimpse.as_deref(),
            alpha,
            steps,
            seed: self.seed,
            pool: self.pool,
            method: BackProp { estimator, truncate, lookahead, keep: self.keep },
            joined: self.joined,
        };
        let Update { sums, rows, known, figures: more } = self.objective.update(&run)?;
        let (rows, batch): (Vec<&Tensor>, _) = (rows.iter().collect(), config.batch);
        let Learnt { figures: (value, cost), norm, rate } = self.learner.learn(&sums, self.pool, &rows, |rows| {
            let (value, cost) = known.unwrap_or_else(|| means(&rows, batch));
            if value.is_finite() && cost.is_finite() {
                return Ok((value, cost));
            }
            Err(Error::device(format!("value {value} or divergence {cost} is not finite at step {next}"))
                .hint("lower the learning rate or raise alpha"))
        })?;
        let mut figures = vec![
            ("value", value),
            ("path_kl", cost),
            ("objective", value - alpha * cost),
            ("alpha", alpha),
            ("steps", steps as f64),
            ("gradient_norm", norm),
            ("learning_rate", rate),
        ];
        figures.extend(more);
        Ok(figures)
    }

    fn state(&self) -> Result<Tensors> {
        let mut state = self.learner.state()?;
        state.extend(self.objective.state()?.into_iter().map(|(name, tensor)| (format!("{OWN}{name}"), tensor)));
        Ok(state)
    }

    fn restore(&mut self, done: u64, state: &Tensors) -> Result<()> {
        let own = state.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(OWN)?.to_owned(), tensor.clone())));
        self.objective.restore(own.collect())?;
        self.learner.restore(done, state)
    }

    fn weights(&self) -> Tensors {
        self.learner.weights().clone()
    }
}
