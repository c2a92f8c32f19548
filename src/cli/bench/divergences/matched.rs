//! The price at which a law has a given KL, number of sequences or diversity.

use super::law::Law;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// What two divergences can be brought to agree in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Quantity {
    /// KL from the prior, in nats.
    Kl,
    /// How many sequences share the law.
    Effective,
    /// Mean number of letters in which two draws differ.
    Distance,
}

impl Quantity {
    pub(super) const ALL: [Self; 3] = [Self::Kl, Self::Effective, Self::Distance];

    /// As the metric of a law is called.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Kl => "kl",
            Self::Effective => "effective",
            Self::Distance => "distance",
        }
    }

    /// Of a law.
    pub(super) fn of(self, law: &Law<'_>) -> f64 {
        match self {
            Self::Kl => law.tilting.kl,
            Self::Effective => law.effective(),
            Self::Distance => law.distance(),
        }
    }
}

/// How near a level is met, as a share of it.
const NEAR: f64 = 1e-5;

/// The first crossing of a level, of a curve that is known at some x in order: between the two that enclose it by the method of
/// Illinois, a false position that halves the weight of an end that stays. `None` where no two enclose it.
///
/// # Errors
/// When the curve cannot be evaluated.
pub(super) fn crossing(
    known: &[(f64, f64)],
    level: f64,
    mut curve: impl FnMut(f64) -> Result<f64>,
) -> Result<Option<f64>> {
    let encloses = |pair: &&[(f64, f64)]| (pair[0].1 - level) * (pair[1].1 - level) <= 0.0;
    let Some(pair) = known.windows(2).find(encloses) else { return Ok(None) };
    let ((mut a, mut b), (mut at_a, mut at_b)) = ((pair[0].0, pair[1].0), (pair[0].1 - level, pair[1].1 - level));
    let near = NEAR * level.abs();
    for _ in 0..60 {
        if at_a.abs() <= near {
            return Ok(Some(a));
        }
        if at_b.abs() <= near {
            return Ok(Some(b));
        }
        let x = b - at_b * (b - a) / (at_b - at_a);
        let at = curve(x)? - level;
        if at * at_b <= 0.0 {
            (a, at_a) = (b, at_b);
        } else {
            at_a *= 0.5;
        }
        (b, at_b) = (x, at);
        if (b - a).abs() <= 1e-12 * b.abs().max(1.0) {
            break;
        }
    }
    Ok(Some(b))
}
