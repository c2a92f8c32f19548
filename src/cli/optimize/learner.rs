//! Settings of a surrogate.

use crate::error::Result;
use crate::reward::{SURROGATES, SurrogateConfig, Tuned};
use serde::{Deserialize, Serialize};

/// Settings of a surrogate; each kind reads its own.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Surrogate")]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct Learner {
    /// A sequence and its reverse complement are the same molecule; DNA and RNA only
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    both_strands: bool,
    /// Letters within which sequences are alike, or auto [default: 2.5]
    #[arg(long, value_name = "LETTERS")]
    length_scale: Option<Tuned>,
    /// Variance of a label's error, in units of the amplitude, or auto [default: 0.001]
    #[arg(long, value_name = "VARIANCE")]
    label_noise: Option<Tuned>,
    /// Variance before any label, in units of the variance of the labels, or auto [default: 1]
    #[arg(long, value_name = "VARIANCE")]
    amplitude: Option<Tuned>,
    /// By how many letters what matters may be moved either way [default: 0]
    #[arg(long, value_name = "N")]
    shifts: Option<usize>,
    /// Labels that a Gaussian process keeps, 0 for all [default: 2000]
    #[arg(long, value_name = "N")]
    max_points: Option<usize>,
    /// Networks of `bootstrap` and `ensemble` [default: 5]
    #[arg(long, value_name = "N")]
    members: Option<usize>,
    /// Optimiser steps of a network of `bootstrap`, `ensemble` and `linear-ucb` [default: 600]
    #[arg(long, value_name = "N")]
    network_steps: Option<u64>,
    /// Factor of the bonus of `linear-ucb` [default: 1]
    #[arg(long, value_name = "FACTOR")]
    bonus_scale: Option<f64>,
    /// Give the bonus of `linear-ucb` the covariance of the features in the place of their Gram matrix, as released with SEIKO
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    covariance: bool,
}

impl Learner {
    /// The same with a length within which sequences are alike, unless one was given.
    pub(in crate::cli) fn within(self, letters: f64) -> Self {
        Self { length_scale: self.length_scale.or(Some(Tuned::Fixed(letters))), ..self }
    }

    /// The settings of a kind, checked.
    ///
    /// # Errors
    /// When the kind is unknown or a setting is out of range.
    pub(in crate::cli) fn config(&self, kind: Option<&str>) -> Result<SurrogateConfig> {
        let default = SurrogateConfig::default();
        let kind = match kind {
            Some(kind) => SURROGATES.get(kind)?.name.to_owned(),
            None => default.kind.clone(),
        };
        let config = SurrogateConfig {
            kind,
            both_strands: self.both_strands,
            length_scale: self.length_scale.unwrap_or(default.length_scale),
            noise: self.label_noise.unwrap_or(default.noise),
            amplitude: self.amplitude.unwrap_or(default.amplitude),
            shifts: self.shifts.unwrap_or(default.shifts),
            max_points: self.max_points.unwrap_or(default.max_points),
            members: self.members.unwrap_or(default.members),
            steps: self.network_steps.unwrap_or(default.steps),
            bonus_scale: self.bonus_scale.unwrap_or(default.bonus_scale),
            covariance: self.covariance,
            ..default
        };
        config.check()?;
        Ok(config)
    }
}
