//! What a search climbs instead of a mean.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How mean and uncertainty of a [`Surrogate`](super::Surrogate) become one number to climb.
///
/// Written as text: `mean`, `ucb:1.5`, `thompson`, `bootstrap-max`.
///
/// ```
/// use seqtilt::reward::Acquisition;
/// assert_eq!("ucb:0.5".parse::<Acquisition>()?, Acquisition::Ucb { bonus: 0.5 });
/// assert_eq!(Acquisition::Ucb { bonus: -1.0 }.to_string(), "ucb:-1");
/// let error = "ubc:1".parse::<Acquisition>().unwrap_err();
/// assert_eq!(error.message(), "unknown acquisition `ubc`; accepted: `mean`, `ucb:K`, `thompson`, `bootstrap-max`");
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Acquisition {
    /// The mean: greedy.
    #[default]
    Mean,
    /// Upper confidence bound: `mean + bonus · sd`; below the mean with a negative bonus (cautious).
    Ucb {
        /// Standard deviations added to the mean.
        bonus: f64,
    },
    /// One function drawn from the posterior (Thompson 1933): a member of an ensemble, a draw of a process.
    Thompson,
    /// The greatest of an ensemble's members.
    BootstrapMax,
}

impl FromStr for Acquisition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, argument) = text.split_once(':').map_or((text, None), |(name, argument)| (name, Some(argument)));
        let bonus = match argument {
            None => 1.0,
            Some(number) => number.parse::<f64>().ok().filter(|bonus| bonus.is_finite()).ok_or_else(|| {
                Error::usage(format!("acquisition `{text}` has no number after its colon; `ucb:1.5` is accepted"))
            })?,
        };
        match (name, argument) {
            ("ucb", _) => Ok(Self::Ucb { bonus }),
            ("mean", None) => Ok(Self::Mean),
            ("thompson", None) => Ok(Self::Thompson),
            ("bootstrap-max", None) => Ok(Self::BootstrapMax),
            ("mean" | "thompson" | "bootstrap-max", Some(_)) => {
                Err(Error::usage(format!("acquisition `{text}`: `{name}` takes no number")))
            }
            _ => Err(Error::usage(format!(
                "unknown acquisition `{name}`; accepted: `mean`, `ucb:K`, `thompson`, `bootstrap-max`"
            ))),
        }
    }
}

impl fmt::Display for Acquisition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mean => f.write_str("mean"),
            Self::Ucb { bonus } => write!(f, "ucb:{bonus}"),
            Self::Thompson => f.write_str("thompson"),
            Self::BootstrapMax => f.write_str("bootstrap-max"),
        }
    }
}

impl TryFrom<String> for Acquisition {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<Acquisition> for String {
    fn from(acquisition: Acquisition) -> Self {
        acquisition.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_acquisition_reads_its_own_name() {
        for text in ["mean", "ucb:1.5", "ucb:-2", "thompson", "bootstrap-max"] {
            assert_eq!(text.parse::<Acquisition>().unwrap().to_string(), text);
        }
        assert_eq!("ucb".parse::<Acquisition>().unwrap(), Acquisition::Ucb { bonus: 1.0 });
        for bad in ["mean:2", "ucb:", "ucb:NaN", "", "Mean"] {
            assert_eq!(bad.parse::<Acquisition>().unwrap_err().kind(), crate::Kind::Usage, "{bad}");
        }
    }
}
