//! Settings of a training run.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// How the networks of an ensemble are trained.
///
/// ```
/// use seqtilt::reward::TrainConfig;
/// let config: TrainConfig = serde_json::from_str(r#"{"epochs": 3, "batch": 100}"#).unwrap();
/// assert_eq!(config.steps(1_050), 3 * 11);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TrainConfig {
    /// Passes over the data; default 20.
    pub epochs: u64,
    /// Sequences in a step; default 256.
    pub batch: usize,
    /// The greatest learning rate; default 0.005. It rises over the first steps and falls along a cosine.
    pub learning_rate: f64,
    /// The share of the steps in which the rate rises, 0 to 1; default 0.05.
    pub warmup: f64,
    /// Decoupled weight decay; default 0.01.
    pub weight_decay: f64,
    /// The longest gradient that is not scaled down; default 1.
    pub clip_norm: f64,
    /// Whether each member sees its own draw with replacement; default false: all data, in its own order.
    pub bootstrap: bool,
    /// What is minimised; default squared error.
    pub loss: Loss,
    /// Weight of a pairwise logistic ranking loss within the batch, added to the loss; default 0.
    pub ranking: f64,
    /// How much more high values weigh: exp(emphasis · z) for a standardised value z, on average 1; default 0.
    pub emphasis: f64,
    /// Softening of the inputs: fine-tuning will feed relaxed sequences.
    pub noise: InputNoise,
    /// Decay of the running average of the weights, which is what is kept; 0 (the default) keeps the last ones.
    pub average: f64,
    /// Steps between reports, and between chances to stop; default 50.
    pub report_every: u64,
    /// Steps between checkpoints, a multiple of `report_every`; default 500.
    pub checkpoint_every: u64,
}

/// The loss of one standardised prediction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Loss {
    /// ½ e².
    #[default]
    Squared,
    /// ½ e² up to this |e|, linear beyond.
    Huber(f64),
}

/// How training inputs are softened.
///
/// ```text
/// p ← (1 − m) · onehot + m · d,   m ~ U(0, most),   rows of d ~ Dirichlet(1, …, 1)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InputNoise {
    /// The share of the sequences that is softened, 0 to 1; default 0.5.
    pub share: f64,
    /// The greatest mixing weight, 0 to 1; default 0.3.
    pub most: f64,
}

impl Default for InputNoise {
    fn default() -> Self {
        Self { share: 0.5, most: 0.3 }
    }
}

impl Default for TrainConfig {
    fn default() -> Self {
        Self {
            epochs: 20,
            batch: 256,
            learning_rate: 5e-3,
            warmup: 0.05,
            weight_decay: 0.01,
            clip_norm: 1.0,
            bootstrap: false,
            loss: Loss::Squared,
            ranking: 0.0,
            emphasis: 0.0,
            noise: InputNoise::default(),
            average: 0.0,
            report_every: 50,
            checkpoint_every: 500,
        }
    }
}

impl TrainConfig {
    /// Steps for a set of so many rows: the last batch of an epoch may be short.
    #[must_use]
    pub fn steps(&self, rows: usize) -> u64 {
        self.epochs * rows.div_ceil(self.batch.max(1)) as u64
    }

    /// The learning rate of a step, counted from 0.
    #[must_use]
    pub fn rate(&self, step: u64, total: u64) -> f64 {
        let rising = (self.warmup * total as f64).floor();
        let step = step as f64;
        if step < rising {
            return self.learning_rate * (step + 1.0) / rising;
        }
        let share = (step - rising) / (total as f64 - rising).max(1.0);
        self.learning_rate * 0.5 * (1.0 + (std::f64::consts::PI * share).cos())
    }

    /// Checks every range.
    ///
    /// # Errors
    /// A usage error that names the setting, what was got and what is accepted.
    pub fn check(&self) -> Result<()> {
        let counts = [("epochs", self.epochs), ("batch", self.batch as u64), ("report_every", self.report_every)];
        for (key, value) in counts {
            if value == 0 {
                return Err(Error::usage(format!("`{key}` is 0; 1 or more is accepted")));
            }
        }
        let shares = [
            ("warmup", self.warmup),
            ("noise.share", self.noise.share),
            ("noise.most", self.noise.most),
            ("average", self.average),
        ];
        for (key, value) in shares {
            if !(0.0..=1.0).contains(&value) {
                return Err(Error::usage(format!("`{key}` is {value}; 0 to 1 is accepted")));
            }
        }
        let delta = if let Loss::Huber(delta) = self.loss { delta } else { 1.0 };
        let positive = [("learning_rate", self.learning_rate), ("clip_norm", self.clip_norm), ("loss.huber", delta)];
        for (key, value) in positive {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::usage(format!("`{key}` is {value}; a number above 0 is accepted")));
            }
        }
        let amounts = [("weight_decay", self.weight_decay), ("ranking", self.ranking), ("emphasis", self.emphasis)];
        for (key, value) in amounts {
            if !(value >= 0.0 && value.is_finite()) {
                return Err(Error::usage(format!("`{key}` is {value}; 0 or more is accepted")));
            }
        }
        if !self.checkpoint_every.is_multiple_of(self.report_every) {
            return Err(Error::usage(format!(
                "`checkpoint_every` is {}; a multiple of `report_every`, {}, is accepted",
                self.checkpoint_every, self.report_every
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_rises_to_its_greatest_value_and_falls_to_nothing() {
        let config = TrainConfig { warmup: 0.1, learning_rate: 0.5, ..TrainConfig::default() };
        assert_eq!(config.rate(0, 100), 0.05);
        assert_eq!(config.rate(9, 100), 0.5);
        assert_eq!(config.rate(10, 100), 0.5);
        assert!((config.rate(55, 100) - 0.25).abs() < 1e-12);
        assert!(config.rate(99, 100) < 0.001);
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        let config = TrainConfig { noise: InputNoise { share: 1.5, most: 0.1 }, ..TrainConfig::default() };
        assert_eq!(config.check().unwrap_err().message(), "`noise.share` is 1.5; 0 to 1 is accepted");
        let config = TrainConfig { loss: Loss::Huber(0.0), ..TrainConfig::default() };
        assert_eq!(config.check().unwrap_err().message(), "`loss.huber` is 0; a number above 0 is accepted");
        let config = TrainConfig { checkpoint_every: 70, ..TrainConfig::default() };
        assert!(config.check().is_err());
        TrainConfig::default().check().unwrap();
    }
}
