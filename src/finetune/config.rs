//! How a control is trained.

use super::divergence::DivergenceKind;
use super::objective::OBJECTIVES;
use super::{
    AdjointConfig, BalanceConfig, ControlConfig, EscortConfig, Estimator, ReplayConfig, SoftQConfig, TiltConfig,
};
use crate::diffusion::{Chain as _, DiffusionChain};
use crate::error::{Error, Result};
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
