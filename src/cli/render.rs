//! Errors for people.

use super::printer;
use crate::error::{Error, Kind};
use std::error::Error as _;
use std::fmt::Write;

/// Writes an error to standard error.
pub(super) fn to_stderr(error: &Error, verbose: bool) {
    printer::note(render(error, verbose));
}

/// `error: …`, then each cause, then the hint. Of a cause only the first line is shown unless `verbose`: candle adds a
/// backtrace to its own.
fn render(error: &Error, verbose: bool) -> String {
    let word = if error.kind() == Kind::Interrupted { "interrupted" } else { "error" };
    let mut text = format!("{word}: {error}");
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        let whole = next.to_string();
        let shown = if verbose { whole.trim_end() } else { whole.lines().next().unwrap_or_default().trim_end() };
        if !shown.is_empty() && !said.contains(shown) {
            let _ = write!(text, "\ncause: {shown}");
        }
        said = whole;
        cause = next.source();
    }
    if let Some(hint) = error.hint_text() {
        let _ = write!(text, "\nhint: {hint}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_cut_to_their_first_line_unless_verbose() {
        let error =
            Error::device("tensor operation failed").because("shape mismatch\n  0: candle::backtrace").hint("x");
        assert_eq!(render(&error, false), "error: tensor operation failed\ncause: shape mismatch\nhint: x");
        assert!(render(&error, true).contains("candle::backtrace\nhint"));
    }

    #[test]
    fn a_cause_that_only_repeats_is_left_out() {
        let inner = Error::data("no such column").at("a.csv");
        let outer = Error::data("a.csv: no such column in the table").because(inner);
        assert_eq!(render(&outer, false), "error: a.csv: no such column in the table");
    }

    #[test]
    fn a_stop_on_request_is_not_called_an_error() {
        let stopped = Error::interrupted("checkpoint written").hint("the same command resumes");
        assert_eq!(render(&stopped, false), "interrupted: checkpoint written\nhint: the same command resumes");
    }
}
