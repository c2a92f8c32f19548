//! Arguments of `finetune`, and what they amount to.

use super::adjoint::AdjointArgs;
use super::auto::{AUTO, Choice, Situation};
use super::balance::BalanceArgs;
use super::escort::EscortArgs;
use super::initial::InitialArgs;
use super::labelling::Labelling;
use super::soft_q::SoftQArgs;
use crate::cli::asking::Asking;
use crate::cli::check::within;
use crate::cli::constraining::{Constraining, Origin};
use crate::cli::drive::CHECKPOINT_EVERY;
use crate::cli::tilted::{ChainConfig, InitialLaw};
use crate::diffusion::{Grid, PriorConfig, SolverKind, shard_rows};
use crate::error::{Error, Result};
use crate::finetune::divergence::{DivergenceKind, curvature_matched};
use crate::finetune::{
    ADJOINT_MATCHING, CONTROL, CONTROLS, ControlKind, ControlStart, Estimator, FinetuneConfig, OBJECTIVES,
};
use crate::reward::enumerable;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  seqtilt finetune --prior tfbind8-prior --reward model:tfbind8-reward --out tilted
  seqtilt finetune --prior prior --reward model:reward --alpha 0.05 --out tilted
  seqtilt finetune --prior tfbind8-prior-full --reward table:tfbind8 --alpha 0.1 --out exact
                                    a complete table: the certificate is checked against the exact tilt
  seqtilt finetune --prior prior --reward model:reward --divergence pearson --match-curvature --out linear
                                    linear instead of exponential weights
  seqtilt finetune --prior prior --reward model:reward --objective no-kl --out collapsed
                                    the ablation: what happens without the divergence
  seqtilt finetune --prior prior --reward model:reward --objective sqdf --discount 0.95 --out guessed
                                    soft-Q: one step of kept paths at a time, by the prior's guess at their ends
  seqtilt finetune --prior prior --reward model:reward --objective adjoint-matching --out matched
                                    a regression on adjoints of the base chain, without back-propagation through the control
  seqtilt finetune --prior prior --reward model:reward --eta 0.5 --initial staged-v2 --out started
                                    a chain with less noise, whose initial law is learned too
  seqtilt sample --control tilted --count 1000

alpha is the price of one nat of departure from the prior, for the whole sequence, in reward units: the tuned sampler
approaches p(x) exp(r(x)/alpha). The same command again after an interruption ends in the same bytes.";

/// Tilt a prior towards a reward at the price of a divergence
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct Args {
    /// Prior: a folder, or a built-in one by name
    #[arg(long, value_name = "NAME|FOLDER")]
    pub(super) prior: Option<String>,
    /// Reward, as KIND:ARGUMENT (see `seqtilt oracle list`); one without a gradient is asked by objectives that need values only, and
    /// learned from labels by the others, unless --missing is given and all sequences can be enumerated
    #[arg(long, value_name = "ORACLE")]
    pub(super) reward: Option<String>,
    /// Reward of sequences that an oracle without a gradient has no value for [default: stop]
    #[arg(long, value_name = "REWARD", allow_negative_numbers = true)]
    pub(super) missing: Option<f64>,
    /// Folder of the run and the tuned sampler
    #[arg(long, value_name = "FOLDER")]
    pub(super) out: Option<PathBuf>,
    /// Evaluate at most so many sequences of an oracle without a gradient: those that are learned from and those of the certificate
    /// [default: as many as there are]
    #[arg(long, value_name = "N")]
    pub(super) max_evals: Option<u64>,
    #[command(flatten)]
    pub(super) asking: Asking,
    #[command(flatten)]
    pub(super) labelling: Labelling,
    #[command(flatten)]
    pub(super) tuning: Tuning,
    #[command(flatten)]
    pub(super) constraining: Constraining,
    #[command(flatten)]
    pub(super) origin: Origin,
}

/// How a control is trained and certified.
#[derive(Clone, Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Fine-tuning")]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct Tuning {
    /// Price of a nat, in reward units [default: 0.1]
    #[arg(long, value_name = "ALPHA", allow_negative_numbers = true, value_parser = one_price)]
    pub(in crate::cli) alpha: Option<f64>,
    /// Method: one of `seqtilt list objectives`, or auto, which chooses by what the reward can do and says why [default: control]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) objective: Option<String>,
    /// What departure from the prior is measured by: one of `seqtilt list divergences` [default: kl]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) divergence: Option<String>,
    /// Divide alpha by the divergence's curvature at the prior, f''(1), so that small departures cost what they cost in KL
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::cli) match_curvature: bool,
    /// Optimiser steps [default: 260; fewer of more than 32 letters, 80 at least]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) tuning_steps: Option<u64>,
    /// Paths a step [default: 256; fewer of more than 32 letters, 64 at least]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) paths: Option<usize>,
    /// Peak learning rate of the control [default: 0.1 for product-mixture, else 0.005]
    #[arg(long, value_name = "RATE")]
    pub(in crate::cli) tuning_rate: Option<f64>,
    /// Steps of the chain, K [default: the prior's; fewer of more than 32 letters, 32 at least]
    #[arg(long, value_name = "K")]
    pub(in crate::cli) chain_steps: Option<usize>,
    /// Steps between two calls of the networks [default: the prior's]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) hold: Option<usize>,
    /// Share of the chain's noise, above 0 to 1: with less than 1 its end remembers its start, see --initial [default: 1]
    #[arg(long, value_name = "ETA", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) eta: Option<f64>,
    #[command(flatten)]
    #[serde(skip_serializing_if = "InitialArgs::is_empty")]
    pub(in crate::cli) initial_law: InitialArgs,
    /// Back-propagate through the last so many steps only, an approximation: earlier steps feel their own cost alone
    #[arg(long, value_name = "N")]
    pub(in crate::cli) truncate: Option<usize>,
    /// Cut the path into stretches of so many steps that end in their last state's soft value [default: two blocks of --hold
    /// where the reward has them in closed form or all sequences can be enumerated, else whole paths]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) lookahead: Option<usize>,
    /// Optimiser steps that methods of kept paths take on one batch of them [default: 4]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) reuse: Option<u64>,
    #[command(flatten)]
    #[serde(skip_serializing_if = "SoftQArgs::is_empty")]
    pub(in crate::cli) soft_q: SoftQArgs,
    #[command(flatten)]
    #[serde(skip_serializing_if = "AdjointArgs::is_empty")]
    pub(in crate::cli) adjoint: AdjointArgs,
    #[command(flatten)]
    #[serde(skip_serializing_if = "BalanceArgs::is_empty")]
    pub(in crate::cli) balance: BalanceArgs,
    #[command(flatten)]
    #[serde(skip_serializing_if = "EscortArgs::is_empty")]
    pub(in crate::cli) escort: EscortArgs,
    /// How far a step's density ratio may leave 1 before `ppo` ignores the path [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    pub(in crate::cli) clip: Option<f64>,
    /// Gradient of the divergence: landing or cost [default: landing]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) estimator: Option<String>,
    /// Control network: one of `seqtilt list` [default: product-mixture]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) control: Option<String>,
    /// What the control starts from: zero, or, for a word-table, tilt [default: tilt for word-table]
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) control_start: Option<String>,
    /// Width of the control network: products of a product-mixture, units of the others [default: 128]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) control_dim: Option<usize>,
    /// Residual blocks of the control network [default: 2]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) control_layers: Option<usize>,
    /// Paths of the tuned chain behind the certificate [default: 20000; fewer of more than 32 letters]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) certificate_paths: Option<usize>,
    /// Paths of the base chain behind log Z [default: 100000; fewer of more than 32 letters]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) base_paths: Option<usize>,
    /// Compute the activations of whole paths twice instead of keeping what fits into a quarter of the free memory: less
    /// memory, more time, the same bytes
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::cli) recompute: bool,
    /// Optimiser steps between two checkpoints [default: 100]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) tuning_checkpoint: Option<u64>,
}

/// Reads a price; several are told where they belong.
fn one_price(text: &str) -> std::result::Result<f64, String> {
    if text.contains(',') {
        return Err(format!(
            "one number is accepted; to sweep prices run `seqtilt bench frontier --alphas {text}` with the same options"
        ));
    }
    text.trim().parse().map_err(|error: std::num::ParseFloatError| error.to_string())
}

/// Refuses several names where one is meant.
fn one(key: &str, value: Option<&str>, several: &str) -> Result<()> {
    match value.filter(|value| value.contains(',')) {
        None => Ok(()),
        Some(value) => Err(Error::usage(format!("`{key}` is `{value}`; one name is accepted"))
            .hint(format!("to compare them run `seqtilt bench frontier --{several} {value}` with the same options"))),
    }
}

/// Blocks of a stretch by default.
const STRETCH: usize = 2;

/// Everything that decides a fine-tune's result.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(in crate::cli) struct Plan {
    pub(in crate::cli) chain: ChainConfig,
    pub(in crate::cli) finetune: FinetuneConfig,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) initial: Option<InitialLaw>,
    /// Consistency model that ends of paths are guessed with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) consistency: Option<String>,
    pub(in crate::cli) certificate_paths: usize,
    pub(in crate::cli) base_paths: usize,
    #[serde(skip)]
    pub(in crate::cli) recompute: bool,
    #[serde(skip)]
    pub(in crate::cli) checkpoint: u64,
}

/// Letters up to which a path costs what defaults are meant for.
const SHORT: usize = 32;
/// Paths that figures are drawn from however long they are.
const FEWEST: usize = 2_000;

/// Optimiser steps, paths a step and steps of a chain that long sequences get unless told otherwise.
const LEAST_STEPS: usize = 80;
const LEAST_PATHS: usize = 64;
const LEAST_CHAIN: usize = 32;

/// As many paths of so many letters as take about the time of `count` short ones, but not fewer than `fewest`.
pub(super) fn affordable(count: usize, length: usize, fewest: usize) -> usize {
    if length <= SHORT { count } else { (count * SHORT / length).max(fewest).min(count) }
}

impl Plan {
    /// With as many certified paths as a budget leaves after so many labels, unless their numbers were given.
    ///
    /// # Errors
    /// When too few are left, or fewer than were given.
    pub(super) fn affording(self, max_evals: Option<u64>, labels: usize, tuning: &Tuning) -> Result<Self> {
        let Some(most) = max_evals else { return Ok(self) };
        let left = usize::try_from(most).unwrap_or(usize::MAX).saturating_sub(labels);
        let half = left / 2;
        let certificate_paths = tuning.certificate_paths.unwrap_or(self.certificate_paths.min(half));
        let base_paths = tuning.base_paths.unwrap_or(self.base_paths.min(half));
        if certificate_paths.min(base_paths) < LEAST || certificate_paths + base_paths > left {
            let message = format!(
                "`max-evals` is {most}: {left} are left for the certificate after {labels} labels; it takes one for each of its paths, \
                 {LEAST} or more tuned ones and as many of the base chain"
            );
            return Err(Error::usage(message)
                .hint("raise it, or ask for fewer with --labels, --certificate-paths or --base-paths"));
        }
        Ok(Self { certificate_paths, base_paths, ..self })
    }
}

/// Paths of either kind behind a certificate, at least.
const LEAST: usize = 100;

impl Tuning {
    /// Settings for a demonstration: small enough for half a minute on four cores.
    pub(in crate::cli) fn quick(alpha: f64) -> Self {
        Self {
            alpha: Some(alpha),
            tuning_steps: Some(140),
            tuning_rate: Some(0.2),
            paths: Some(192),
            certificate_paths: Some(10_000),
            base_paths: Some(20_000),
            ..Self::default()
        }
    }

    /// Sets the price of a nat where none was given.
    pub(in crate::cli) fn price(&mut self, alpha: f64) {
        self.alpha = self.alpha.or(Some(alpha));
    }

    /// Defaults, the prior's own, and what was given, for a reward whose soft values are known where all sequences can be enumerated.
    ///
    /// # Errors
    /// When a value is out of range.
    pub(in crate::cli) fn plan(&self, prior: &PriorConfig) -> Result<Plan> {
        self.plan_for(prior, false)
    }

    /// As [`plan`](Self::plan), for a reward that may have soft values in closed form at any length.
    ///
    /// # Errors
    /// When a value is out of range.
    pub(in crate::cli) fn plan_for(&self, prior: &PriorConfig, has_soft_value: bool) -> Result<Plan> {
        if self.objective.as_deref() == Some(AUTO) {
            // who asks an oracle of values alone has chosen before
            return Choice::of(Situation::new(prior, true)).apply(self).plan_for(prior, has_soft_value);
        }
        let mut config = FinetuneConfig::default();
        one("objective", self.objective.as_deref(), "methods")?;
        one("divergence", self.divergence.as_deref(), "divergences")?;
        if let Some(name) = &self.objective {
            OBJECTIVES.get(name)?.name.clone_into(&mut config.objective);
        }
        if let Some(name) = &self.control {
            config.control.kind = CONTROLS.get(name)?.make;
        }
        let eta = self.eta.unwrap_or(1.0);
        if !(eta > 0.0 && eta <= 1.0) {
            let none = if eta == 0.0 { ": a chain without noise has nothing to control" } else { "" };
            return Err(Error::usage(format!("`eta` is {eta}{none}; above 0 to 1 is accepted")));
        }
        let law = self.initial_law.law(self, eta)?;
        let table = config.control.kind == ControlKind::WordTable && law.is_none();
        config.control.start = match self.control_start.as_deref() {
            None if table => ControlStart::Tilt,
            None | Some("zero") => ControlStart::Zero,
            Some("tilt") => ControlStart::Tilt,
            Some(name) => {
                return Err(Error::usage(format!("unknown start `{name}`; accepted: `zero`, `tilt`")));
            }
        };
        config.estimator = match self.estimator.as_deref() {
            None | Some("landing") => Estimator::Landing,
            Some("cost") => Estimator::Cost,
            Some(name) => {
                return Err(Error::usage(format!("unknown estimator `{name}`; accepted: `landing`, `cost`")));
            }
        };
        config.alpha = self.alpha.unwrap_or(config.alpha);
        if let Some(name) = &self.divergence {
            config.divergence = name.parse()?;
        }
        if self.match_curvature {
            config.alpha = curvature_matched(config.alpha, config.divergence.get());
        }
        self.soft_q.apply(&mut config)?;
        self.adjoint.apply(&mut config)?;
        self.escort.apply(&mut config)?;
        self.balance.apply(&mut config)?;
        config.reuse = self.reuse.unwrap_or(config.reuse);
        config.clip = self.clip.unwrap_or(config.clip);
        config.steps = within(
            "tuning-steps",
            self.tuning_steps.unwrap_or(affordable(config.steps as usize, prior.length, LEAST_STEPS) as u64),
            1..=10_000_000,
        )?;
        config.batch =
            within("paths", self.paths.unwrap_or(affordable(config.batch, prior.length, LEAST_PATHS)), 1..=1 << 20)?;
        config.shard = config.shard.min(shard_rows(prior.length));
        if config.control.kind != ControlKind::ProductMixture {
            (config.learning_rate, config.ramp_short) = (5e-3, 0.0);
        }
        config.learning_rate = within("tuning-rate", self.tuning_rate.unwrap_or(config.learning_rate), 1e-12..=1.0)?;
        config.truncate = self.truncate;
        config.control.dim = self.control_dim.unwrap_or(config.control.dim);
        config.control.layers = self.control_layers.unwrap_or(config.control.layers);
        let steps = within(
            "chain-steps",
            self.chain_steps.unwrap_or(affordable(prior.steps, prior.length, LEAST_CHAIN)),
            1..=10_000,
        )?;
        let fitting = (1..=prior.hold).rev().find(|hold| steps.is_multiple_of(*hold)).unwrap_or(1);
        let hold = self.hold.unwrap_or(fitting);
        if hold == 0 || !steps.is_multiple_of(hold) {
            return Err(Error::usage(format!("`hold` is {hold}; a divisor of the chain's {steps} steps is accepted")));
        }
        let stretches = [CONTROL, ADJOINT_MATCHING].contains(&config.objective.as_str()) && law.is_none();
        // the reward that stands in under another divergence has none of its own
        let closed = has_soft_value && config.divergence == DivergenceKind::Kl;
        let soft = stretches && (closed || enumerable(prior.letters.len(), prior.length));
        config.lookahead = self.lookahead.or(soft.then_some(STRETCH * hold));
        if config.lookahead.is_some() {
            config.ramp_short = 0.0;
        }
        config.check()?;
        let solver = if prior.solver == SolverKind::Heun { SolverKind::Ancestral } else { prior.solver };
        let grid: Grid = prior.grid;
        Ok(Plan {
            chain: ChainConfig { steps, hold, grid, solver, eta },
            finetune: config,
            initial: law,
            consistency: self.soft_q.consistency.clone(),
            certificate_paths: within(
                "certificate-paths",
                self.certificate_paths.unwrap_or_else(|| affordable(20_000, prior.length, FEWEST)),
                LEAST..=50_000_000,
            )?,
            base_paths: within(
                "base-paths",
                self.base_paths.unwrap_or_else(|| affordable(100_000, prior.length, FEWEST)),
                LEAST..=100_000_000,
            )?,
            recompute: self.recompute,
            checkpoint: within("tuning-checkpoint", self.tuning_checkpoint.unwrap_or(CHECKPOINT_EVERY), 1..=u64::MAX)?,
        })
    }
}
