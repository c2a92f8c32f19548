//! The report of `bench divergences`.

use super::cell::Study;
use crate::cli::bench::results::Results;
use crate::eval::report::{LinePlot, Report};

/// The page.
pub(super) fn report(results: &Results, study: &Study) -> Report {
    let _ = study;
    let mut report = Report::new("seqtilt bench divergences", "Which divergence buys what?");
    report.origin("command", results.command.clone());
    report
}

/// The fronts.
pub(super) fn picture(results: &Results) -> String {
    let _ = (results, LinePlot::default());
    String::new()
}
