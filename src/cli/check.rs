//! Checks of numbers, whether they came from a flag or a file.

use crate::error::{Error, Result};
use std::fmt::Display;
use std::ops::RangeInclusive;

/// A value within limits.
///
/// # Errors
/// A usage error that says what was got and what is accepted.
pub(super) fn within<T: PartialOrd + Display>(key: &str, value: T, accepted: RangeInclusive<T>) -> Result<T> {
    if accepted.contains(&value) {
        return Ok(value);
    }
    Err(Error::usage(format!("`{key}` is {value}; {} to {} is accepted", accepted.start(), accepted.end())))
}

/// A finite number above 0.
///
/// # Errors
/// A usage error that says what was got and what is accepted.
pub(super) fn positive(key: &str, value: f64) -> Result<f64> {
    if value.is_finite() && value > 0.0 {
        return Ok(value);
    }
    Err(Error::usage(format!("`{key}` is {value}; a finite number above 0 is accepted")))
}

/// A setting that has no default.
///
/// # Errors
/// A usage error that says how to give it.
pub(super) fn required<T>(verb: &str, key: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| {
        Error::usage(format!("`{verb}` needs `--{key}`"))
            .hint(format!("pass --{key}, or write `{key} = …` under `[{verb}]` in the file passed with --config"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_accepted_and_nothing_beyond() {
        assert_eq!(within("batch", 1, 1..=4).unwrap(), 1);
        assert_eq!(within("batch", 4, 1..=4).unwrap(), 4);
        assert_eq!(within("batch", 0, 1..=4).unwrap_err().to_string(), "`batch` is 0; 1 to 4 is accepted");
        assert!(within("share", f64::NAN, 0.0..=1.0).is_err());
    }

    #[test]
    fn a_price_is_finite_and_above_zero() {
        assert_eq!(positive("alpha", 0.1).unwrap(), 0.1);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(positive("alpha", bad).unwrap_err().kind(), crate::Kind::Usage);
        }
    }

    #[test]
    fn a_missing_setting_says_both_ways_to_give_it() {
        let error = required::<u8>("pretrain", "data", None).unwrap_err();
        assert_eq!(error.message(), "`pretrain` needs `--data`");
        assert!(error.hint_text().unwrap().contains("[pretrain]"));
        assert_eq!(required("pretrain", "data", Some(3)).unwrap(), 3);
    }
}
