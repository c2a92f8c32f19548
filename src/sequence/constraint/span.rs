//! Positions and spans of positions.

use crate::error::{Error, Result};
use crate::sequence::Numbering;

/// Positions such as `65` and spans such as `65-67`, both ends included.
pub(super) struct Spans(Vec<(usize, usize)>);

impl Spans {
    pub(super) fn parse(rule: &str, texts: &[String], numbering: Numbering, length: usize) -> Result<Self> {
        let spans = texts.iter().map(|text| {
            let wrong = || {
                let (first, last) = (numbering.first, numbering.number(length.saturating_sub(1)));
                Error::usage(format!("`{rule}`: `{text}` is no position or span of {first} to {last}"))
                    .hint("for example `65` or `65-67`; `first-position` sets the number of the first letter")
            };
            // a minus in front is a sign
            let cut = text.get(1..).and_then(|rest| rest.find('-')).map(|at| at + 1);
            let (from, to) = cut.map_or((text.as_str(), text.as_str()), |at| (&text[..at], &text[at + 1..]));
            let index = |number: &str| -> Result<usize> {
                let number: i64 = number.trim().parse().map_err(|_| wrong())?;
                numbering.index(number, length).ok_or_else(wrong)
            };
            let (from, to) = (index(from)?, index(to)?);
            if from <= to { Ok((from, to)) } else { Err(wrong()) }
        });
        Ok(Self(spans.collect::<Result<_>>()?))
    }

    pub(super) fn indices(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().flat_map(|(from, to)| *from..=*to)
    }
}
