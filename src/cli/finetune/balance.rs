//! Arguments of methods that learn from values alone, and what they amount to.

use crate::cli::check::within;
use crate::error::{Error, Result};
use crate::finetune::analytic::EscortLoss;
use crate::finetune::{FinetuneConfig, objectives_that};
use serde::{Deserialize, Serialize};

/// How log Z is learned, paths explored and ends tilted.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct BalanceArgs {
    /// Share of the way to a batch's own estimate that the log Z of `trajectory-balance`, that of `cmcd` with this loss and those of `nets` go at
    /// every optimiser step [default: 0.2]
    #[arg(long, value_name = "RATE")]
    pub(in crate::cli) log_z_rate: Option<f64>,
    /// Draw paths with so many times the noise at first, falling to 1 over the run: for `trajectory-balance` and `log-variance`
    /// [default: 1]
    #[arg(long, value_name = "STD")]
    pub(in crate::cli) exploration: Option<f64>,
    /// Tilts that `implicit-tilt-matching` cuts the reward into [default: 4]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) tilts: Option<u64>,
    /// States that it noises every end to at every optimiser step [default: 4]
    #[arg(long, value_name = "N")]
    pub(in crate::cli) noisings: Option<usize>,
    /// Share of the control's own posterior that it takes off the weights: 1 where the control tilts by one law of sequences, 0 for
    /// plain weighted likelihood [default: 1 for product-mixture and word-table, else 0; 1 with --staged-tilts]
    #[arg(long, value_name = "SHARE")]
    pub(in crate::cli) tilt_baseline: Option<f64>,
    /// Learn each of its tilts from ends of the control that the tilt started from, without their densities, as published
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::cli) staged_tilts: bool,
}

/// The method that tilts ends.
const TILTS: &str = "implicit-tilt-matching";
/// The method with a log Z of its own.
const BALANCES: &str = "trajectory-balance";
/// The method with one at every step.
const RESIDUALS: &str = "nets";

impl BalanceArgs {
    /// Whether nothing was given.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Writes what was given into a configuration whose control is known.
    ///
    /// # Errors
    /// When a value is out of range, or the objective does not read a setting.
    pub(super) fn apply(&self, config: &mut FinetuneConfig) -> Result<()> {
        let unread = |key: &str, by: &str| {
            Error::usage(format!("objective `{}` does not read `{key}`", config.objective))
                .hint(format!("leave it out, or take --objective {by}"))
        };
        // `cmcd` has a log Z where it balances works
        let balances = [BALANCES, RESIDUALS].contains(&config.objective.as_str())
            || config.escort.loss == EscortLoss::TrajectoryBalance;
        if self.log_z_rate.is_some() && !balances {
            return Err(unread("log-z-rate", BALANCES));
        }
        let explorers = objectives_that(|objective| objective.explores());
        if self.exploration.is_some() && !explorers.contains(&config.objective.as_str()) {
            return Err(unread("exploration", &explorers.join(" or ")));
        }
        let given = [
            ("tilts", self.tilts.is_some()),
            ("noisings", self.noisings.is_some()),
            ("tilt-baseline", self.tilt_baseline.is_some()),
            ("staged-tilts", self.staged_tilts),
        ];
        if let Some((key, _)) = given.into_iter().find(|(_, given)| *given)
            && config.objective != TILTS
        {
            return Err(unread(key, TILTS));
        }
        let balance = &mut config.balance;
        balance.log_z_rate = within("log-z-rate", self.log_z_rate.unwrap_or(balance.log_z_rate), 1e-12..=1.0)?;
        balance.exploration = within("exploration", self.exploration.unwrap_or(balance.exploration), 1.0..=10.0)?;
        if config.objective != TILTS {
            return Ok(());
        }
        let tilt = &mut config.tilt;
        tilt.recentred = !self.staged_tilts;
        tilt.tilts = within("tilts", self.tilts.unwrap_or(tilt.tilts), 1..=1000)?;
        tilt.noisings = within("noisings", self.noisings.unwrap_or(tilt.noisings), 1..=1000)?;
        let kept = config.replay.capacity.is_some_and(|capacity| capacity > 0);
        if kept && self.tilt_baseline.is_some_and(|share| share > 0.0) {
            return Err(Error::usage(
                "`tilt-baseline` is above 0 and `replay` too: kept ends are not the control's own",
            )
            .hint("leave one of them out"));
        }
        let one_law = config.control.kind.is_of_one_law();
        let baseline = if (one_law && !kept) || self.staged_tilts { 1.0 } else { 0.0 };
        tilt.baseline = within("tilt-baseline", self.tilt_baseline.unwrap_or(baseline), 0.0..=1.0)?;
        Ok(())
    }
}
