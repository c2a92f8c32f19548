//! A number with its standard error.

use serde::{Deserialize, Serialize};
use std::fmt;

/// A sampled number and its standard error.
///
/// ```
/// use seqtilt::eval::Estimate;
/// let e = Estimate::mean(&[1.0, 2.0, 3.0, 4.0]);
/// assert_eq!(e.value, 2.5);
/// assert!((e.se - (5.0_f64 / 12.0).sqrt()).abs() < 1e-15);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Its standard error.
    pub se: f64,
}

impl Estimate {
    /// The mean of independent samples with its standard error.
    ///
    /// ```text
    /// x̄ = Σ xᵢ / n        se = √( Σ (xᵢ − x̄)² / (n (n − 1)) )
    /// ```
    ///
    /// Of one sample the standard error is infinite; of none both are NaN.
    #[must_use]
    pub fn mean(samples: &[f64]) -> Self {
        Self::of(samples.iter().copied())
    }

    /// [`Self::mean`] of an iterator, in one pass (Welford 1962).
    #[must_use]
    pub fn of(samples: impl IntoIterator<Item = f64>) -> Self {
        let (mut n, mut mean, mut squares) = (0.0, 0.0, 0.0);
        for x in samples {
            n += 1.0;
            let step = x - mean;
            mean += step / n;
            squares += step * (x - mean);
        }
        match n {
            0.0 => Self { value: f64::NAN, se: f64::NAN },
            1.0 => Self { value: mean, se: f64::INFINITY },
            _ => Self { value: mean, se: (squares / (n * (n - 1.0))).sqrt() },
        }
    }

    /// How many standard errors the number lies above `reference`; 0 when both agree exactly.
    #[must_use]
    pub fn z(&self, reference: f64) -> f64 {
        let difference = self.value - reference;
        if difference == 0.0 { 0.0 } else { difference / self.se }
    }
}

impl fmt::Display for Estimate {
    /// `0.1234 ± 0.0056`, or with the precision asked for, `{:.2}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(4);
        write!(f, "{:.digits$} ± {:.digits$}", self.value, self.se)
    }
}
