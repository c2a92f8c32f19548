//! A fine-tuning run.

use super::backprop::means;
use super::objective::{OBJECTIVES, Objective, Run, Update, objectives_that};
use super::word_table::WordTable;
use super::{
    Anchor, BackProp, Control, ControlStart, Ddim, FinetuneConfig, Glimpse, GlimpseKind, Terminal, TokenControl, Valued,
};
use crate::diffusion::{Chain as _, DiffusionChain};
use crate::error::{Error, Result};
use crate::nn::{AdamWConfig, Figures, Learner, Learnt, Params, Pool, Tensors, Training};
use crate::random::Seed;
use crate::reward::Needs;
use candle_core::{Device, Tensor};

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
