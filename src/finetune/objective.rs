//! Methods that train a control, one file each.

mod adjoint;
mod backprop;
mod clipped;
mod cmcd;
mod log_variance;
mod mirror;
mod nets;
mod paths;
mod score;
mod soft_q;
mod tilt_matching;
mod trajectory_balance;
mod weighted;

#[cfg(test)]
pub(super) use adjoint::{Counts, Drawing, Matched, chosen};
pub use clipped::ClippedRatio;
pub use log_variance::LogVariance;
pub use mirror::MirrorDescent;
pub use paths::{Ledger, PathLoss, PathObjective, Weighed};
pub(super) use score::MOST;
pub use score::ScoreFunction;
pub(super) use soft_q::capacity as soft_q_capacity;
pub use tilt_matching::ImplicitTilt;
#[cfg(test)]
pub(super) use tilt_matching::{cross_entropy, labels};
pub use trajectory_balance::TrajectoryBalance;
pub use weighted::WeightedLikelihood;

use super::{Anchor, BackProp, Control, FinetuneConfig, Glimpse, Terminal, Valued};
use crate::diffusion::Chain;
use crate::error::Result;
use crate::nn::{Figures, Gradients, Learner, Params, Pool, Tensors};
use crate::random::Seed;
use crate::registry::registry;
use crate::reward::Needs;
use candle_core::Tensor;

registry! {
    /// The objectives by name.
    pub OBJECTIVES: fn(&FinetuneConfig) -> Box<dyn Objective>, "objective", "objectives";
    "control" => backprop::control, "entropy-regularised control by back-propagation through the sampler";
    "no-kl" => backprop::no_kl, "the same without the divergence (ablation: expect reward collapse)";
    "draft" => backprop::draft, "DRaFT-K: no divergence, back-propagation through the last --truncate steps";
    "alignprop" => backprop::alignprop, "AlignProp: no divergence, back-propagation through a random number of last steps";
    "refl" => backprop::refl, "ReFL: no divergence, back-propagation through one block that ends at a random step";
    "ppo" => clipped::make, "proximal policy optimisation with the sampled log-ratio as penalty; needs no gradient of the reward";
    "score" => score::make, "score-function policy gradient; needs no gradient of the reward";
    "path-divergence" => backprop::path_divergence, "any divergence of the paths, by back-propagation through reward and log-ratio";
    "log-variance" => log_variance::make, "variance of log-ratio minus reward over kept paths; needs no gradient of the reward";
    "sqdf" => soft_q::make, "SQDF: soft values guessed by the frozen prior, one step of kept paths at a time";
    "adjoint-matching" => adjoint::make, "adjoint matching: the control is regressed on adjoints of the base chain along its own paths";
    "mirror-descent" => mirror::make, "mirror descent on the first variation of any divergence; needs no gradient of the reward";
    "weighted-likelihood" => weighted::make, "reward-weighted maximum likelihood; needs no gradient of the reward";
    "trajectory-balance" => trajectory_balance::make, "relative trajectory balance with a learned log Z; needs no gradient of the reward";
    "cmcd" => cmcd::make, "CMCD: variance of the works of paths against their reversal by tilt and escort; control read as both";
    "nets" => nets::make, "NETS: residual of the equation that the escort of a tilted path solves, at states of the control's own paths";
    "implicit-tilt-matching" => tilt_matching::make, "tilted posteriors of letters at renoised ends of paths; needs no gradient of the reward";
}

/// Names of the objectives for which something holds, such as that they can learn from kept paths.
///
/// ```
/// use seqtilt::finetune::{Objective, objectives_that};
/// assert!(objectives_that(|objective| objective.replays()).contains(&"trajectory-balance"));
/// assert!(!objectives_that(|objective| objective.replays()).contains(&"control"));
/// ```
pub fn objectives_that(holds: impl Fn(&dyn Objective) -> bool) -> Vec<&'static str> {
    let config = FinetuneConfig::default();
    OBJECTIVES.entries().iter().filter(|entry| holds((entry.make)(&config).as_ref())).map(|entry| entry.name).collect()
}

/// How a method meets a divergence other than KL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Route {
    /// It solves KL control towards the reward that stands in for it ([`Surrogate`](crate::finetune::Surrogate)).
    #[default]
    Surrogate,
    /// It takes the reward as it is, and prices the divergence of the paths.
    Direct,
}

/// A method: from the state of a run to the gradient of its next optimiser step.
pub trait Objective: Send + Sync {
    /// What it asks of the reward.
    fn needs(&self) -> Needs;

    /// How it meets a divergence other than KL.
    fn route(&self) -> Route {
        Route::Surrogate
    }

    /// Whether the paths of early steps end before the decode ([`FinetuneConfig::ramp_from`]).
    fn ramps(&self) -> bool {
        false
    }

    /// Whether it can pay for leaving an earlier control as well ([`Anchor`]).
    fn anchors(&self) -> bool {
        false
    }

    /// Whether it can learn from paths of earlier controls ([`Replay`](super::Replay)).
    fn replays(&self) -> bool {
        false
    }

    /// States that a step of a path of its batch keeps; 0 where a path is forgotten once it is walked.
    fn kept_states(&self) -> usize {
        if self.needs() == Needs::Score { 3 } else { 0 }
    }

    /// Copies of a state that share the graph of a step.
    fn copies(&self) -> usize {
        1
    }

    /// Whether it reads values of states on the way, which are best known in closed form ([`Terminal::value`]).
    fn values_states(&self) -> bool {
        false
    }

    /// Whether paths with more noise than the chain's will do ([`BalanceConfig::exploration`](super::BalanceConfig::exploration)).
    fn explores(&self) -> bool {
        false
    }

    /// The gradient of the step that `run` stands at.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn update(&mut self, run: &Run<'_>) -> Result<Update>;

    /// What has to be kept between steps to go on with the same bytes.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    fn state(&self) -> Result<Tensors> {
        Ok(Tensors::default())
    }

    /// Takes over a [`state`](Self::state).
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    fn restore(&mut self, state: Tensors) -> Result<()> {
        let _ = state;
        Ok(())
    }
}

/// Where a run stands, and what it is made of.
pub struct Run<'a> {
    /// The base chain.
    pub chain: &'a dyn Chain,
    /// The reward with its gradient, where it has one.
    pub terminal: Option<&'a dyn Terminal>,
    /// The reward as decoded.
    pub values: &'a dyn Valued,
    /// Settings.
    pub config: &'a FinetuneConfig,
    /// The control being trained.
    pub learner: &'a Learner,
    /// Makes the control of some parameters.
    pub control: &'a (dyn Fn(&Params) -> Result<Box<dyn Control + 'a>> + Sync),
    /// An earlier control that it costs to leave.
    pub anchor: Option<Anchor<'a>>,
    /// A guess at the ends of paths, where the settings ask for one that the reward does not make itself.
    pub glimpse: Option<&'a dyn Glimpse>,
    /// Price of a nat at this step.
    pub alpha: f64,
    /// Steps that a path walks at this step.
    pub steps: usize,
    /// Seed of the run.
    pub seed: Seed,
    /// Threads.
    pub pool: &'a Pool,
    /// How whole paths are differentiated.
    pub method: BackProp,
    /// Whether the shards of a step share one graph.
    pub joined: bool,
}

/// What a method makes of a step.
pub struct Update {
    /// Gradients of the loss, in sums whose number does not depend on the threads.
    pub sums: Vec<Gradients>,
    /// Value and cost rows of every shard in turn, still where they were computed; or nothing where `known` is.
    pub rows: Vec<Tensor>,
    /// Mean value and divergence, where they are on the host already.
    pub known: Option<(f64, f64)>,
    /// Further figures.
    pub figures: Figures,
}

impl Run<'_> {
    /// Optimiser steps taken.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.learner.done()
    }

    /// The seed of an optimiser step.
    #[must_use]
    pub fn seed_at(&self, step: u64) -> Seed {
        self.seed.child("step").index(step)
    }

    /// Seeds and rows of a step's shards.
    pub(super) fn draws(&self, step: u64) -> Vec<(Seed, usize)> {
        let (seed, batch, shard) = (self.seed_at(step), self.config.batch, self.config.shard);
        (0..batch.div_ceil(shard)).map(|i| (seed.index(i as u64), shard.min(batch - i * shard))).collect()
    }
}
