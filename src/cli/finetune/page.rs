//! The report of a fine-tune, and the panels that other reports take from it.

use super::job::Outcome;
use crate::eval::report::{Axis, FrontierPlot, LinePlot, PathStep, Report, Series, Style, Topic};
use crate::store::RunInfo;

/// Mean reward against KL: the exact frontier where it is known, and the run's path on it.
pub(in crate::cli) fn frontier_plot(outcome: &Outcome) -> FrontierPlot {
    let exact = outcome.verdict.exact.is_some();
    FrontierPlot {
        title: "Mean reward against KL to the prior".to_owned(),
        caption: if exact {
            "The line is exact: no sampler with that KL of sequences can lie above it. The run's points pay their path KL, \
             which is at least the KL of their sequences."
        } else {
            "Sequences are too many to enumerate, so the exact frontier is not known; the points are the run's own."
        }
        .to_owned(),
        x: Axis::new("path KL to the prior (nats per sequence)"),
        y: Axis::new("mean reward, hard decode"),
        curve: outcome.frontier.iter().map(|point| (point.kl, point.reward).into()).collect(),
        path: outcome.path.iter().map(|p| PathStep { step: p.step, at: (p.kl, p.reward).into() }).collect(),
        chosen: outcome.path.len().checked_sub(1),
        marks: Vec::new(),
    }
}

/// Reward and divergence against steps.
pub(in crate::cli) fn progress_plot(outcome: &Outcome) -> LinePlot {
    LinePlot {
        title: "Reward and divergence against steps".to_owned(),
        caption: "Hard-decoded samples of the averaged weights.".to_owned(),
        x: Axis::new("optimiser step"),
        y: Axis::new("mean reward; path KL in nats"),
        series: vec![
            Series::line("mean reward", outcome.path.iter().map(|p| (p.step as f64, p.reward))),
            Series::line("path KL", outcome.path.iter().map(|p| (p.step as f64, p.kl))).styled(Style::Dashed),
        ],
        rules: Vec::new(),
    }
}

/// The page of one fine-tune.
pub(super) fn report(outcome: &Outcome, info: &RunInfo) -> Report {
    let c = &outcome.verdict.certificate;
    let asked =
        format!("Tilt {} towards {} at alpha {} ({}).", outcome.prior, outcome.reward, c.alpha, outcome.objective);
    let mut report = Report::new("seqtilt fine-tune", asked);
    let interval = |se: f64| Some(format!("± {:.4}", 2.0 * se));
    report.headline("KL to the exact optimum (nats)", format!("{:.3}", c.gap.value), interval(c.gap.se));
    report.headline("mean reward", format!("{:.4}", c.mean_reward.value), interval(c.mean_reward.se));
    report.headline("path KL (nats)", format!("{:.3}", c.path_kl.value), interval(c.path_kl.se));
    if let Some(exact) = &outcome.verdict.exact {
        report.headline("distance to the frontier", format!("{:.4}", exact.frontier_distance), None);
    }
    report.answer.verdict.push(c.verdict());
    if !c.is_reliable() {
        report.answer.main_warning =
            Some(format!("log Z rests on {:.0} effective base samples: the certificate is not reliable.", c.ess_base));
    }
    report.section(Topic::Progress, "").add(progress_plot(outcome));
    report.section(Topic::Frontier, "").add(frontier_plot(outcome));
    for (name, value) in provenance(info) {
        report.origin(&name, value);
    }
    report
}

/// What a run was made from.
pub(in crate::cli) fn provenance(info: &RunInfo) -> Vec<(String, String)> {
    let mut rows = vec![("verb".to_owned(), info.verb.clone()), ("seed".to_owned(), info.seed.to_string())];
    rows.extend(info.versions.iter().map(|(what, version)| (what.clone(), version.clone())));
    rows.push(("configuration".to_owned(), info.config.to_string()));
    rows
}
