//! The settings of `seqtilt oracle train`.

use crate::cli::input::Reading;
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::reward::{
    Architecture, CnnConfig, EnsembleConfig, InputNoise, Loss, Pooling, ResidualConfig, TrainConfig, TrainingSet,
};
use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  seqtilt oracle train variants.csv --out reward
  seqtilt oracle train tfbind8 --lower-share 0.5 --out reward        only the lower half of the values
  seqtilt oracle train gfp --architecture cnn --pooling global --members 8 --out reward
  seqtilt oracle train variants.csv --hold-out 0 --out reward        train on everything, no report

Interrupted? Run the same command again: it goes on from the last checkpoint and ends with the same bytes.";

/// Train a reward: an ensemble of networks that predicts measured values, with its uncertainty
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct Args {
    /// Measured sequences: a data set by name, or a CSV, TSV or k-mer table
    #[arg(value_name = "INPUT")]
    #[serde(skip)]
    pub(super) input: String,
    /// Folder for the trained reward
    #[arg(long, value_name = "DIR")]
    pub(super) out: Option<PathBuf>,
    /// Train on values at most this one
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true, conflicts_with = "lower_share")]
    pub(super) value_below: Option<f64>,
    /// Train on this share of the sequences, those of lowest value [default: 1]
    #[arg(long, value_name = "SHARE")]
    pub(super) lower_share: Option<f64>,
    /// Share of the sequences held out to report on; both strands of DNA together [default: 0.1]
    #[arg(long, value_name = "SHARE")]
    pub(super) hold_out: Option<f64>,
    #[command(flatten)]
    pub(super) network: Network,
    #[command(flatten)]
    pub(super) training: Training,
    #[command(flatten)]
    pub(super) reading: Reading,
}

/// The ensemble and its networks.
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Network")]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct Network {
    /// Networks in the ensemble [default: 5]
    #[arg(long, value_name = "N")]
    members: Option<usize>,
    /// cnn (convolutions) or mlp (a perceptron on all positions; for short sequences) [default: cnn]
    #[arg(long, value_name = "NAME")]
    architecture: Option<Family>,
    /// Channels of a cnn, or width of an mlp [default: 64, or 128]
    #[arg(long, value_name = "N")]
    width: Option<usize>,
    /// Residual blocks [default: 0 for a cnn, 2 for an mlp]
    #[arg(long, value_name = "N")]
    blocks: Option<usize>,
    /// Taps of a cnn's convolutions [default: 5]
    #[arg(long, value_name = "N")]
    kernel: Option<usize>,
    /// max or global (a cnn knows only whether a motif is there) or flat (also where) [default: max]
    #[arg(long, value_name = "NAME")]
    pooling: Option<Pool>,
    /// Treat a DNA sequence and its reverse complement as different molecules
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    one_strand: bool,
    /// As a reward for fine-tuning, lie this many standard deviations below the mean [default: 0]
    #[arg(long, value_name = "K")]
    pessimism: Option<f64>,
}

/// How the networks are trained.
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Training")]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct Training {
    /// Passes over the data [default: 20]
    #[arg(long, value_name = "N")]
    epochs: Option<u64>,
    /// Sequences in a step [default: 256]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Greatest learning rate; it warms up and falls along a cosine [default: 0.005]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Decoupled weight decay [default: 0.01]
    #[arg(long, value_name = "X")]
    weight_decay: Option<f64>,
    /// Give each network its own draw of the data, with replacement
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    bootstrap: bool,
    /// Errors beyond this many standard deviations of the values count linearly [default: squared error throughout]
    #[arg(long, value_name = "Z")]
    huber: Option<f64>,
    /// Weight of a loss for pairs in the wrong order [default: 0]
    #[arg(long, value_name = "X")]
    ranking: Option<f64>,
    /// Weigh high values more: exp(X) times for each standard deviation [default: 0]
    #[arg(long, value_name = "X")]
    emphasis: Option<f64>,
    /// Share of the training sequences that is softened, as fine-tuning will feed them [default: 0.5]
    #[arg(long, value_name = "SHARE")]
    noise_share: Option<f64>,
    /// How far they are softened, at most [default: 0.3]
    #[arg(long, value_name = "SHARE")]
    noise_most: Option<f64>,
    /// Decay of the running average of the weights; 0 keeps the last weights [default: 0]
    #[arg(long, value_name = "DECAY")]
    average: Option<f64>,
    /// Steps between checkpoints, a multiple of 50 [default: 500]
    #[arg(long, value_name = "N")]
    checkpoint_every: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Family {
    Cnn,
    Mlp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Pool {
    Max,
    Flat,
    Global,
}

/// Settings with their defaults filled in.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Plan {
    value_below: Option<f64>,
    lower_share: f64,
    pub(super) hold_out: f64,
    pub(super) ensemble: EnsembleConfig,
    pub(super) training: TrainConfig,
}

impl Args {
    pub(in crate::cli) fn input(&self) -> &str {
        &self.input
    }

    /// Fills the defaults in and checks what belongs together.
    ///
    /// # Errors
    /// When a setting is out of range or does not belong to the architecture.
    pub(super) fn plan(&self) -> Result<Plan> {
        let share = |key: &str, value: Option<f64>, default: f64| {
            let value = value.unwrap_or(default);
            if (0.0..=1.0).contains(&value) {
                return Ok(value);
            }
            Err(Error::usage(format!("`{key}` is {value}; 0 to 1 is accepted")))
        };
        let hold_out = share("hold-out", self.hold_out, 0.1)?;
        let lower_share = share("lower-share", self.lower_share, 1.0)?;
        if let (Some(_), Some(_)) = (self.value_below, self.lower_share) {
            return Err(Error::usage(
                "`value-below` and `lower-share` both choose the values; one of them is accepted",
            ));
        }
        let training = self.training.config();
        training.check()?;
        Ok(Plan { value_below: self.value_below, lower_share, hold_out, ensemble: self.network.config()?, training })
    }
}

impl Plan {
    /// The part of the data that may be seen at all.
    ///
    /// # Errors
    /// When too little is left.
    pub(super) fn filter(&self, set: &TrainingSet) -> Result<TrainingSet> {
        match self.value_below {
            Some(limit) => set.at_most(limit),
            None if self.lower_share < 1.0 => set.at_most(set.quantile(self.lower_share)),
            None => Ok(set.clone()),
        }
    }

    /// What is held out, if anything, and what is trained on; `seed` is the root of the run's.
    ///
    /// # Errors
    /// When one of the two would be too small.
    pub(super) fn hold_out(&self, kept: &TrainingSet, seed: Seed) -> Result<(Option<TrainingSet>, TrainingSet)> {
        if self.hold_out <= 0.0 {
            return Ok((None, kept.clone()));
        }
        let (held, rest) = kept.hold_out(self.hold_out, seed.child("hold-out"))?;
        Ok((Some(held), rest))
    }
}

impl Network {
    fn config(&self) -> Result<EnsembleConfig> {
        let family = self.architecture.unwrap_or(Family::Cnn);
        let architecture = match family {
            Family::Cnn => {
                let base = CnnConfig::default();
                Architecture::Cnn(CnnConfig {
                    channels: self.width.unwrap_or(base.channels),
                    kernel: self.kernel.unwrap_or(base.kernel),
                    blocks: self.blocks.unwrap_or(base.blocks),
                    hidden: self.width.unwrap_or(base.hidden),
                    pooling: match self.pooling {
                        Some(Pool::Global) => Pooling::Global,
                        Some(Pool::Flat) => Pooling::Flat,
                        Some(Pool::Max) => Pooling::Max,
                        None => base.pooling,
                    },
                    margin: base.margin,
                })
            }
            Family::Mlp => {
                for (key, given) in [("kernel", self.kernel.is_some()), ("pooling", self.pooling.is_some())] {
                    if given {
                        return Err(Error::usage(format!("`{key}` belongs to the architecture `cnn`, not `mlp`"))
                            .hint(format!("leave out --{key}, or pass --architecture cnn")));
                    }
                }
                let base = ResidualConfig::default();
                let width = self.width.unwrap_or(base.width);
                Architecture::Mlp(ResidualConfig { width, blocks: self.blocks.unwrap_or(base.blocks) })
            }
        };
        let base = EnsembleConfig::default();
        let (members, pessimism) = (self.members.unwrap_or(base.members), self.pessimism.unwrap_or(base.pessimism));
        if !(1..=1000).contains(&members) {
            return Err(Error::usage(format!("`members` is {members}; 1 to 1000 is accepted")));
        }
        if !(pessimism >= 0.0 && pessimism.is_finite()) {
            return Err(Error::usage(format!("`pessimism` is {pessimism}; 0 or more is accepted")));
        }
        Ok(EnsembleConfig { members, architecture, both_strands: !self.one_strand, pessimism })
    }
}

impl Training {
    fn config(&self) -> TrainConfig {
        let base = TrainConfig::default();
        TrainConfig {
            epochs: self.epochs.unwrap_or(base.epochs),
            batch: self.batch.unwrap_or(base.batch),
            learning_rate: self.learning_rate.unwrap_or(base.learning_rate),
            weight_decay: self.weight_decay.unwrap_or(base.weight_decay),
            bootstrap: self.bootstrap,
            loss: self.huber.map_or(Loss::Squared, Loss::Huber),
            ranking: self.ranking.unwrap_or(base.ranking),
            emphasis: self.emphasis.unwrap_or(base.emphasis),
            noise: InputNoise {
                share: self.noise_share.unwrap_or(base.noise.share),
                most: self.noise_most.unwrap_or(base.noise.most),
            },
            average: self.average.unwrap_or(base.average),
            checkpoint_every: self.checkpoint_every.unwrap_or(base.checkpoint_every),
            ..base
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_those_of_the_library() {
        let plan = Args::default().plan().unwrap();
        assert_eq!((plan.ensemble, plan.training), (EnsembleConfig::default(), TrainConfig::default()));
        assert_eq!(plan.hold_out, 0.1);
    }

    #[test]
    fn settings_that_do_not_belong_together_are_refused() {
        let network = Network { architecture: Some(Family::Mlp), kernel: Some(3), ..Network::default() };
        let error = Args { network, ..Args::default() }.plan().unwrap_err();
        assert_eq!(error.message(), "`kernel` belongs to the architecture `cnn`, not `mlp`");
        let both = Args { value_below: Some(1.0), lower_share: Some(0.5), ..Args::default() };
        assert_eq!(both.plan().unwrap_err().kind(), crate::Kind::Usage);
        let wide = Args { hold_out: Some(f64::NAN), ..Args::default() };
        assert_eq!(wide.plan().unwrap_err().message(), "`hold-out` is NaN; 0 to 1 is accepted");
    }
}
