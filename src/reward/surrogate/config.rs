//! Surrogates by name, and their settings.

use super::Surrogate;
use super::gp::GaussianProcess;
use super::tuned::Tuned;
use crate::error::{Error, Result};
use crate::nn::Pool;
use crate::random::Seed;
use crate::registry::registry;
use crate::reward::TrainingSet;
use serde::{Deserialize, Serialize};

/// How a kind of surrogate is fitted.
pub type FitSurrogate = fn(&SurrogateConfig, &TrainingSet, Seed, &Pool) -> Result<Box<dyn Surrogate>>;

registry! {
    /// The kinds of surrogate.
    pub SURROGATES: FitSurrogate, "surrogate", "surrogates";
    "gp" => |config, set, seed, pool| Ok(Box::new(GaussianProcess::fit(config, set, seed, pool)?)),
        "Gaussian process with covariance exp(-Hamming/l), strands and shifts; for up to a few thousand labels";
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
        let counts = [
            ("max-points", self.max_points, 2),
            ("evidence-points", self.evidence_points, 2),
            ("features", self.features, 1),
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
