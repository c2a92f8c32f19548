//! Options in front of an oracle's argument: `key=value,key=value`.

use crate::error::{Error, Result};
use std::str::FromStr;

/// The options of a text, in order; one without `=` has an empty value.
pub(super) fn pairs(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split(',').filter(|option| !option.is_empty()).map(|option| option.split_once('=').unwrap_or((option, "")))
}

/// The options in front of an argument, and the argument: `a=1,b=2:FILE`, or `FILE` alone.
pub(super) fn split(argument: &str) -> (&str, &str) {
    argument.split_once(':').filter(|(front, _)| front.contains('=')).unwrap_or(("", argument))
}

/// The value of an option; `what` says in words what it accepts.
pub(super) fn value<T: FromStr>(kind: &str, key: &str, value: &str, what: &str) -> Result<T> {
    value.parse().map_err(|_| Error::usage(format!("`{key}` of `{kind}` is `{value}`; {what} is accepted")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_stand_before_the_first_colon_where_there_is_an_equals_sign() {
        assert_eq!(split("a=1,b:c.csv"), ("a=1,b", "c.csv"));
        assert_eq!((split("c.csv"), split("d:c.csv")), (("", "c.csv"), ("", "d:c.csv")));
        assert_eq!(pairs("a=1,,b").collect::<Vec<_>>(), [("a", "1"), ("b", "")]);
        assert_eq!(value::<usize>("k", "n", "3", "a number").unwrap(), 3);
        let error = value::<usize>("k", "n", "x", "a whole number").unwrap_err();
        assert_eq!(error.message(), "`n` of `k` is `x`; a whole number is accepted");
    }
}
