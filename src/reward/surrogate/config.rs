//! Surrogates by name, and their settings.

use super::Surrogate;
use super::gp::GaussianProcess;
use super::linear::{LinearFeatures, LinearUcb};
use super::networks::Networks;
use super::tuned::Tuned;
use crate::error::{Error, Result};
use crate::nn::Pool;
use crate::random::Seed;
use crate::registry::registry;
use crate::reward::{Architecture, CnnConfig, TrainingSet};
use serde::{Deserialize, Serialize};

/// How a kind of surrogate is fitted.
pub type FitSurrogate = fn(&SurrogateConfig, &TrainingSet, Seed, &Pool) -> Result<Box<dyn Surrogate>>;

registry! {
    /// The kinds of surrogate.
    pub SURROGATES: FitSurrogate, "surrogate", "surrogates";
    "gp" => |config, set, seed, pool| Ok(Box::new(GaussianProcess::fit(config, set, seed, pool)?)),
        "Gaussian process with covariance exp(-Hamming/l), strands and shifts; for up to a few thousand labels";
    "bootstrap" => |config, set, seed, pool| Ok(Box::new(Networks::fit(config, true, set, seed, pool)?)),
        "networks that each see their own draw of the labels, with replacement";
    "ensemble" => |config, set, seed, pool| Ok(Box::new(Networks::fit(config, false, set, seed, pool)?)),
        "networks that see all labels and differ in their initial weights";
    "linear-ucb" => |config, set, seed, pool| Ok(Box::new(LinearUcb::fit(config, set, seed, pool)?)),
        "linear model of a network's features, or of letters and pairs, with the bonus of SEIKO";
}

/// The kind of a surrogate and the settings of all kinds; a kind reads its own.
///
/// ```
/// use seqtilt::reward::{SurrogateConfig, Tuned};
/// let config: SurrogateConfig = serde_json::from_str(r#"{"kind": "gp", "length-scale": "auto"}"#).unwrap();
/// assert_eq!((config.length_scale, config.noise), (Tuned::Auto, Tuned::Fixed(1e-3)));
/// let wrong = SurrogateConfig { kind: "pg".into(), ..config };
/// assert_eq!(wrong.check().unwrap_err().hint_text(), Some("did you mean `gp`?"));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct SurrogateConfig {
    /// One of [`SURROGATES`]; default `gp`.
    pub kind: String,
    /// Whether a sequence and its reverse complement are the same molecule, DNA and RNA only; default false.
    pub both_strands: bool,
    /// `gp`: labels kept, the best half and a random half of the others; 0 keeps all; default 2000.
    pub max_points: usize,
    /// `gp`: ℓ in letters, above 0, or `auto`; default 2.5. Sequences ℓ letters apart have covariance 1/e.
    pub length_scale: Tuned,
    /// `gp`: whether every position has an ℓ of its own, found by the evidence; default false.
    pub per_position: bool,
    /// `gp`: σ², the variance of a label's error in units of the amplitude, 0 or more, or `auto`; default 0.001. With
    /// amplitude 1 the unit is the variance of the labels.
    pub noise: Tuned,
    /// `gp`: s², prior variance in units of the variance of the labels, above 0, or `auto`; default 1.
    pub amplitude: Tuned,
    /// `gp`: by how many letters what matters may be moved either way; default 0.
    pub shifts: usize,
    /// `gp`: the weight of a view moved by one letter, of that of one not moved, 0 to 1, or `auto`; default 0.5.
    pub shift_decay: Tuned,
    /// `gp`: labels that `auto` settings are found on, drawn at random, 2 or more; default 600.
    pub evidence_points: usize,
    /// `gp`: random features of a Thompson draw, 1 or more; default 1024.
    pub features: usize,
    /// `bootstrap`, `ensemble`: networks, 1 or more; default 5. One alone has no spread.
    pub members: usize,
    /// `bootstrap`, `ensemble`, `linear-ucb`: what a network is made of; default a `cnn` of 32 channels whose head has a
    /// hidden layer of 16.
    pub architecture: Architecture,
    /// `bootstrap`, `ensemble`, `linear-ucb`: optimiser steps of a network, 1 or more, rounded up to whole passes over the
    /// labels; default 600.
    pub steps: u64,
    /// `bootstrap`, `ensemble`, `linear-ucb`: labels in a step, 1 or more; default 64.
    pub batch: usize,
    /// `bootstrap`, `ensemble`, `linear-ucb`: the greatest learning rate, above 0; default 0.005.
    pub learning_rate: f64,
    /// `linear-ucb`: what the linear model reads; default `network`.
    pub linear_features: LinearFeatures,
    /// `linear-ucb`: λ, above 0, in units of squared features; default 0.001.
    pub ridge: f64,
    /// `linear-ucb`: a, a factor of the bonus, above 0; default 1; 0.01 in the released form.
    pub bonus_scale: f64,
    /// `linear-ucb`: whether the bonus has the covariance of the features in the place of their Gram matrix, as released
    /// with SEIKO; default false.
    pub covariance: bool,
}

impl Default for SurrogateConfig {
    fn default() -> Self {
        Self {
            kind: "gp".to_owned(),
            both_strands: false,
            max_points: 2000,
            length_scale: Tuned::Fixed(2.5),
            per_position: false,
            noise: Tuned::Fixed(1e-3),
            amplitude: Tuned::Fixed(1.0),
            shifts: 0,
            shift_decay: Tuned::Fixed(0.5),
            evidence_points: 600,
            features: 1024,
            members: 5,
            architecture: Architecture::Cnn(CnnConfig { channels: 32, hidden: 16, ..CnnConfig::default() }),
            steps: 600,
            batch: 64,
            learning_rate: 5e-3,
            linear_features: LinearFeatures::Network,
            ridge: 1e-3,
            bonus_scale: 1.0,
            covariance: false,
        }
    }
}

impl SurrogateConfig {
    /// Checks kind and ranges.
    ///
    /// # Errors
    /// A usage error that names the setting, what was got and what is accepted.
    pub fn check(&self) -> Result<()> {
        SURROGATES.get(&self.kind)?;
        let positive = [("length-scale", self.length_scale), ("amplitude", self.amplitude)];
        for (key, value) in positive {
            if let Some(value) = value.fixed().filter(|value| !(*value > 0.0 && value.is_finite())) {
                return Err(Error::usage(format!("`{key}` is {value}; a number above 0 or `auto` is accepted")));
            }
        }
        if let Some(noise) = self.noise.fixed().filter(|noise| !(*noise >= 0.0 && noise.is_finite())) {
            return Err(Error::usage(format!("`noise` is {noise}; 0 or more, or `auto`, is accepted")));
        }
        if let Some(decay) = self.shift_decay.fixed().filter(|decay| !(0.0..=1.0).contains(decay)) {
            return Err(Error::usage(format!("`shift-decay` is {decay}; 0 to 1, or `auto`, is accepted")));
        }
        let positive =
            [("learning-rate", self.learning_rate), ("ridge", self.ridge), ("bonus-scale", self.bonus_scale)];
        for (key, value) in positive {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::usage(format!("`{key}` is {value}; a number above 0 is accepted")));
            }
        }
        let counts = [
            ("max-points", self.max_points, 2),
            ("evidence-points", self.evidence_points, 2),
            ("features", self.features, 1),
            ("members", self.members, 1),
            ("steps", self.steps as usize, 1),
            ("batch", self.batch, 1),
        ];
        for (key, value, least) in counts {
            if value < least && (key, value) != ("max-points", 0) {
                return Err(Error::usage(format!("`{key}` is {value}; {least} or more is accepted")));
            }
        }
        Ok(())
    }

    /// Fits a surrogate of this kind to labels.
    ///
    /// # Errors
    /// When a setting is out of range, or the fit fails.
    pub fn fit(&self, set: &TrainingSet, seed: Seed, pool: &Pool) -> Result<Box<dyn Surrogate>> {
        self.check()?;
        (SURROGATES.get(&self.kind)?.make)(self, set, seed, pool)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reward::{Acquisition, one_hot};
    use crate::sequence::{Alphabet, Sequence};
    use candle_core::Device;

    fn set() -> TrainingSet {
        let dna = Alphabet::dna();
        let words = ["ACGT", "ACGA", "TTGA", "CCCC", "GATT", "GATC", "AAAA", "TGCA"];
        let words: Vec<Sequence> = words.iter().map(|text| Sequence::parse(text, &dna).unwrap()).collect();
        TrainingSet::new(dna, words.into_iter().zip((0..8).map(f64::from))).unwrap()
    }

    #[test]
    fn every_kind_fits_predicts_and_acquires_the_same_twice() {
        let set = set();
        let probs = one_hot(set.sequences(), 4, &Device::Cpu).unwrap();
        for entry in SURROGATES.entries() {
            let config = SurrogateConfig { kind: entry.name.to_owned(), steps: 10, ..SurrogateConfig::default() };
            let fit = || config.fit(&set, Seed::root(2), Pool::inline()).unwrap();
            let (first, second) = (fit(), fit());
            assert_eq!(first.domain(), set.domain(), "{}", entry.name);
            let predictions = first.predict(set.sequences()).unwrap();
            assert_eq!(predictions, second.predict(set.sequences()).unwrap(), "{}", entry.name);
            assert!(predictions.iter().all(|p| p.mean.is_finite() && p.sd.unwrap() > 0.0), "{}", entry.name);
            for acquisition in [Acquisition::Mean, Acquisition::Ucb { bonus: 1.0 }, Acquisition::Thompson] {
                let value = |surrogate: &dyn Surrogate| {
                    let value = surrogate.acquire(&probs, acquisition, Seed::root(5)).unwrap();
                    value.to_vec1::<f32>().unwrap()
                };
                let values = value(first.as_ref());
                assert_eq!(values, value(first.as_ref()), "{} {acquisition}", entry.name);
                assert_eq!(values, value(second.as_ref()), "{} {acquisition}", entry.name);
            }
            let short = Sequence::parse("ACG", &Alphabet::dna()).unwrap();
            assert_eq!(first.predict(&[short]).unwrap_err().kind(), crate::Kind::Data, "{}", entry.name);
            assert!(first.predict(&[]).unwrap().is_empty(), "{}", entry.name);
        }
    }

    #[test]
    fn a_setting_out_of_range_is_named() {
        let message = |config: SurrogateConfig| config.check().unwrap_err().message().to_owned();
        let default = SurrogateConfig::default;
        let config = SurrogateConfig { length_scale: Tuned::Fixed(0.0), ..default() };
        assert_eq!(message(config), "`length-scale` is 0; a number above 0 or `auto` is accepted");
        assert_eq!(message(SurrogateConfig { max_points: 1, ..default() }), "`max-points` is 1; 2 or more is accepted");
        assert_eq!(message(SurrogateConfig { batch: 0, ..default() }), "`batch` is 0; 1 or more is accepted");
        let config = SurrogateConfig { shift_decay: Tuned::Fixed(1.5), ..default() };
        assert_eq!(message(config), "`shift-decay` is 1.5; 0 to 1, or `auto`, is accepted");
        SurrogateConfig { max_points: 0, ..default() }.check().unwrap();
        assert!(serde_json::from_str::<SurrogateConfig>(r#"{"lengthscale": 2}"#).is_err());
        let text = serde_json::to_string(&default()).unwrap();
        assert_eq!(serde_json::from_str::<SurrogateConfig>(&text).unwrap(), default());
    }
}
