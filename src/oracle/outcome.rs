//! What came of one evaluation.

use std::fmt;

/// What an oracle says about one sequence.
///
/// Only [`Value`](Self::Value) is a number: none of the others is ever read as 0 or −∞.
///
/// ```
/// use seqtilt::oracle::Outcome;
/// let outcome = Outcome::Failed { reason: "out of memory".to_owned() };
/// assert_eq!((outcome.status(), outcome.value(), outcome.reason()), ("failed", None, Some("out of memory")));
/// ```
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A value; higher is better.
    Value {
        /// The value, or the mean of several.
        mean: f64,
        /// How far the value may be off, one standard deviation, where known.
        sd: Option<f64>,
    },
    /// The sequence can never work.
    Infeasible {
        /// Why, such as `premature stop`.
        reason: String,
    },
    /// The value is unknown because the evaluation did not work.
    Failed {
        /// Why, such as `out of memory`.
        reason: String,
    },
    /// The value is beyond what can be measured.
    Censored {
        /// On which side of what.
        bound: Bound,
    },
    /// Not evaluated, for example because the budget was spent.
    Skipped,
}

/// What is known of a censored value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The value is below this one.
    Below(f64),
    /// The value is above this one.
    Above(f64),
}

impl Outcome {
    /// A value without a standard deviation.
    #[must_use]
    pub const fn exact(mean: f64) -> Self {
        Self::Value { mean, sd: None }
    }

    /// One word: `ok`, `infeasible`, `failed`, `censored` or `skipped`.
    #[must_use]
    pub const fn status(&self) -> &'static str {
        match self {
            Self::Value { .. } => "ok",
            Self::Infeasible { .. } => "infeasible",
            Self::Failed { .. } => "failed",
            Self::Censored { .. } => "censored",
            Self::Skipped => "skipped",
        }
    }

    /// The value, if there is one.
    #[must_use]
    pub const fn value(&self) -> Option<f64> {
        match self {
            Self::Value { mean, .. } => Some(*mean),
            _ => None,
        }
    }

    /// The standard deviation of the value, if known.
    #[must_use]
    pub const fn sd(&self) -> Option<f64> {
        match self {
            Self::Value { sd, .. } => *sd,
            _ => None,
        }
    }

    /// Why there is no value, if the oracle said so.
    #[must_use]
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Infeasible { reason } | Self::Failed { reason } => Some(reason),
            _ => None,
        }
    }

    /// Whether another evaluation of the same sequence could say more.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        !matches!(self, Self::Failed { .. } | Self::Skipped)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Below(bound) => write!(f, "< {bound}"),
            Self::Above(bound) => write!(f, "> {bound}"),
        }
    }
}
