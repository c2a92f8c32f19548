//! A number that is given, or found in the data.

use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A setting that is a number or `auto`.
///
/// ```
/// use seqtilt::reward::Tuned;
/// assert_eq!("auto".parse::<Tuned>()?, Tuned::Auto);
/// assert_eq!("2.5".parse::<Tuned>()?, Tuned::Fixed(2.5));
/// assert_eq!(serde_json::from_str::<Tuned>("0.5").unwrap(), Tuned::Fixed(0.5));
/// let error = "automatic".parse::<Tuned>().unwrap_err();
/// assert_eq!(error.message(), "`automatic` is neither a number nor `auto`");
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written", into = "Written")]
pub enum Tuned {
    /// Found by the log evidence of the data.
    Auto,
    /// This number.
    Fixed(f64),
}

impl Tuned {
    /// The number that was given, if one was.
    #[must_use]
    pub const fn fixed(self) -> Option<f64> {
        match self {
            Self::Auto => None,
            Self::Fixed(number) => Some(number),
        }
    }
}

/// As it stands in a file.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Number(f64),
    Word(Word),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Word {
    Auto,
}

impl From<Written> for Tuned {
    fn from(written: Written) -> Self {
        match written {
            Written::Number(number) => Self::Fixed(number),
            Written::Word(Word::Auto) => Self::Auto,
        }
    }
}

impl From<Tuned> for Written {
    fn from(tuned: Tuned) -> Self {
        tuned.fixed().map_or(Self::Word(Word::Auto), Self::Number)
    }
}

impl FromStr for Tuned {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text {
            "auto" => Ok(Self::Auto),
            _ => match text.parse::<f64>() {
                Ok(number) if number.is_finite() => Ok(Self::Fixed(number)),
                _ => Err(Error::usage(format!("`{text}` is neither a number nor `auto`"))),
            },
        }
    }
}

impl fmt::Display for Tuned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Fixed(number) => write!(f, "{number}"),
        }
    }
}
