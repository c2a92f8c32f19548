//! Divergences by name.

use super::{
    Divergence, ForwardKl, Hellinger, Jeffreys, JensenShannon, KlChi2, Neyman, Order, Pearson, ReverseKl, SoftChi,
};
use crate::error::{Error, Result};
use crate::registry::registry;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Which divergence is paid for, as a setting holds it; written `kl`, `js`, `order:1.5` and so on.
///
/// ```
/// use seqtilt::finetune::divergence::DivergenceKind;
/// let kind: DivergenceKind = "order:1.5".parse()?;
/// assert_eq!(kind.to_string(), "order:1.5");
/// assert_eq!(kind.get().slope_at_zero(), -2.0);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum DivergenceKind {
    /// [`ReverseKl`].
    #[default]
    Kl,
    /// [`ForwardKl`].
    ForwardKl,
    /// [`Jeffreys`].
    Jeffreys,
    /// [`JensenShannon`].
    JensenShannon,
    /// [`Pearson`].
    Pearson,
    /// [`Neyman`].
    Neyman,
    /// [`Hellinger`].
    Hellinger,
    /// [`Order`].
    Order(Order),
    /// [`KlChi2`].
    KlChi2,
    /// [`SoftChi`].
    SoftChi,
}

/// Makes a kind from the name that the user typed and the number after its colon.
pub type MakeDivergence = fn(&str, Option<f64>) -> Result<DivergenceKind>;

macro_rules! plain {
    ($kind:ident) => {
        |name, parameter| match parameter {
            None => Ok(DivergenceKind::$kind),
            Some(number) => Err(Error::usage(format!("divergence `{name}` takes no number, got {number}"))),
        }
    };
}

registry! {
    /// The divergences by name. Total variation is a metric only: [`TotalVariation`](super::TotalVariation).
    pub DIVERGENCES: MakeDivergence, "divergence", "divergences";
    "kl" => plain!(Kl), "KL(q‖p), exponential weights: the price of control";
    "forward-kl" => plain!(ForwardKl), "KL(p‖q): keeps a floor of mass everywhere; condenses at small alpha";
    "jeffreys" => plain!(Jeffreys), "KL(q‖p) + KL(p‖q): full support, no pole";
    "js" => plain!(JensenShannon), "Jensen-Shannon, at most ln 2; condenses at small alpha";
    "pearson" => plain!(Pearson), "chi-squared E_p[(q/p - 1)²]: linear weights, drops the worst of the prior";
    "neyman" => plain!(Neyman), "chi-squared with q and p exchanged; condenses at small alpha";
    "hellinger" => plain!(Hellinger), "squared Hellinger, at most 2; condenses at small alpha";
    "order" => |_, parameter| match parameter {
        Some(a) => Ok(DivergenceKind::Order(Order::new(a)?)),
        None => Err(Error::usage("divergence `order` needs its number, such as `order:1.5`")),
    }, "order:A, A from -5 to 5 but 0 and 1: drops the worst above 1, condenses at small alpha below";
    "kl-chi2" => plain!(KlChi2), "KL(q‖p) + ½ chi-squared: near-linear weights, full support";
    "soft-chi" => plain!(SoftChi), "KL below the prior and ½ chi-squared above: linear weights, full support";
}

impl DivergenceKind {
    /// The generator.
    #[must_use]
    pub fn get(&self) -> &dyn Divergence {
        match self {
            Self::Kl => &ReverseKl,
            Self::ForwardKl => &ForwardKl,
            Self::Jeffreys => &Jeffreys,
            Self::JensenShannon => &JensenShannon,
            Self::Pearson => &Pearson,
            Self::Neyman => &Neyman,
            Self::Hellinger => &Hellinger,
            Self::Order(order) => order,
            Self::KlChi2 => &KlChi2,
            Self::SoftChi => &SoftChi,
        }
    }
}

impl fmt::Display for DivergenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.get().name())
    }
}

impl FromStr for DivergenceKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if ["tv", "total-variation"].contains(&text) {
            return Err(Error::usage(format!(
                "`{text}` is a metric, not a divergence to train with: its optimum moves all mass below max r - alpha to the \
                 best sequence, and it has no gradient"
            ))
            .hint("for a bounded price take `js` or `hellinger`"));
        }
        let (name, parameter) = match text.split_once(':') {
            None => (text, None),
            Some((name, number)) => match number.parse() {
                Ok(number) => (name, Some(number)),
                Err(_) => return Err(Error::usage(format!("`{number}` after divergence `{name}` is not a number"))),
            },
        };
        (DIVERGENCES.get(name)?.make)(name, parameter)
    }
}

impl TryFrom<String> for DivergenceKind {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<DivergenceKind> for String {
    fn from(kind: DivergenceKind) -> Self {
        kind.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_and_written_alike() {
        for entry in DIVERGENCES.entries() {
            let text = if entry.name == "order" { "order:-0.5" } else { entry.name };
            let kind: DivergenceKind = text.parse().unwrap();
            assert_eq!(kind.to_string(), text);
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{text}\""));
            assert_eq!(serde_json::from_str::<DivergenceKind>(&json).unwrap(), kind);
        }
        assert_eq!(DivergenceKind::default().to_string(), "kl");
    }

    #[test]
    fn what_is_no_divergence_is_refused_with_the_reason() {
        let error = |text: &str| text.parse::<DivergenceKind>().unwrap_err();
        assert!(error("tv").message().contains("a metric, not a divergence"));
        assert_eq!(error("hellinge").hint_text(), Some("did you mean `hellinger`?"));
        assert!(error("kl:2").message().contains("takes no number"));
        assert!(error("order").message().contains("needs its number"));
        assert!(error("order:x").message().contains("is not a number"));
        assert_eq!(error("order:1").hint_text(), Some("the divergence of order 1 is `kl`"));
        assert_eq!(error("order:0.0001").hint_text(), Some("the divergence of order 0 is `forward-kl`"));
        for outside in ["order:5.5", "order:NaN", "order:-inf"] {
            assert!(error(outside).message().contains("-5 to 5 is accepted"), "{outside}");
        }
        assert!(serde_json::from_str::<DivergenceKind>("\"tv\"").is_err());
    }
}
