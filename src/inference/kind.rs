//! The methods by name.

use crate::registry::registry;
use crate::reward::Needs;
use serde::{Deserialize, Serialize};

/// A method of steering.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SteeringKind {
    /// [`BestOfN`](super::BestOfN).
    BestOfN,
    /// [`Svdd`](super::Svdd).
    Svdd,
    /// [`Smc`](super::Smc).
    #[default]
    Smc,
    /// [`Guided`](super::Guided).
    Guidance,
}

registry! {
    /// The methods by name.
    pub STEERINGS: SteeringKind, "steering", "steerings";
    "best-of-n" => SteeringKind::BestOfN, "of several prior samples one by exp(r/alpha), or the best; any oracle";
    "svdd" => SteeringKind::Svdd, "in every block of steps one of several candidates by what its belief is worth; any oracle";
    "smc" => SteeringKind::Smc, "particles weighted and resampled on the way, with an unbiased estimate of Z; any oracle";
    "guidance" => SteeringKind::Guidance,
        "drift by the slope of the reward's soft value, with a certificate; wants a reward with a gradient";
}

impl SteeringKind {
    /// The method of a name.
    ///
    /// # Errors
    /// When there is no such method.
    pub fn named(name: &str) -> crate::Result<Self> {
        Ok(STEERINGS.get(name)?.make)
    }

    /// What it asks of the reward at least.
    #[must_use]
    pub fn needs(self) -> Needs {
        match self {
            Self::BestOfN | Self::Svdd | Self::Smc => Needs::Score,
            Self::Guidance => Needs::Gradient,
        }
    }
}
