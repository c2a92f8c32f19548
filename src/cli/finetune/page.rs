//! The report of a fine-tune, and the panels that other reports take from it.

use super::job::{Outcome, Point};
use crate::eval::report::{Axis, Facts, FrontierPlot, LinePlot, PathStep, Report, Series, Style, Topic};
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

/// Reward, and divergence, against steps.
pub(in crate::cli) fn progress_plots(outcome: &Outcome) -> [LinePlot; 2] {
    let plot = |title: &str, unit: &str, value: fn(&Point) -> f64| LinePlot {
        title: title.to_owned(),
        caption: "Hard-decoded samples of the averaged weights.".to_owned(),
        x: Axis::new("optimiser step"),
        y: Axis::new(unit),
        series: vec![Series::line(title, outcome.path.iter().map(|p| (p.step as f64, value(p)))).styled(Style::Marked)],
        rules: Vec::new(),
    };
    [
        plot("Mean reward", "reward, hard decode", |p| p.reward),
        plot("Path KL to the prior", "nats per sequence", |p| p.kl),
    ]
}

/// The page of one fine-tune.
pub(super) fn report(outcome: &Outcome, info: &RunInfo) -> Report {
    let c = &outcome.verdict.certificate;
    let asked =
        format!("Tilt {} towards {} at alpha {} ({}).", outcome.prior, outcome.reward, c.alpha, outcome.objective);
    let mut report = Report::new("seqtilt fine-tune", asked);
    let interval = |se: f64| Some(format!("± {:.4}", 2.0 * se));
    report.headline("KL to the exact optimum (nats)", format!("{:.3}", c.gap.value), interval(c.gap.se));
    let mean_reward = outcome.verdict.mean_reward();
    report.headline("mean reward", format!("{:.4}", mean_reward.value), interval(mean_reward.se));
    report.headline("path KL (nats)", format!("{:.3}", c.path_kl.value), interval(c.path_kl.se));
    if let Some(exact) = &outcome.verdict.exact {
        report.headline("distance to the frontier", format!("{:.4}", exact.frontier_distance), None);
    }
    report.answer.verdict.push(c.verdict());
    report.answer.verdict.extend(outcome.verdict.weights.map(|weights| weights.verdict.to_string()));
    let mut trust = Vec::new();
    if let Some(weights) = outcome.verdict.weights {
        let mut items = vec![("Var W over tuned paths (nats²)".to_owned(), format!("{:.4}", weights.forward.variance))];
        items.push(("log Z is at least".to_owned(), weights.forward.lower.to_string()));
        if let Some(base) = weights.base {
            items.push(("and at most, by base paths".to_owned(), base.upper.to_string()));
            items.push(("log Z by Bennett's ratio".to_owned(), base.bennett.to_string()));
        }
        trust.push(Facts { title: "Path weights".to_owned(), items });
    }
    if let Some(start) = &outcome.start {
        if let Some(cost) = start.cost.filter(|_| !start.fitted) {
            report.headline("a frozen start costs (nats)", format!("{:.3}", cost.value), interval(cost.se));
        }
        if let Some(worth) = start.learned.as_ref().and_then(|learned| learned.worth) {
            report.headline("worth of the initial law (nats)", format!("{:.3}", worth.value), interval(worth.se));
        }
        let lines = start.to_string();
        let items = lines.lines().filter_map(|line| line.split_once("  "));
        let items = items.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        trust.push(Facts { title: "Initial law".to_owned(), items });
    }
    if let Some(learned) = &outcome.learned {
        report.answer.verdict.push(learned.route.clone());
        let items = learned.rows().into_iter().map(|[name, value]| (name, value)).collect();
        trust.push(Facts { title: "Learned reward against the oracle".to_owned(), items });
    }
    if let Some(evaluations) = outcome.evaluations {
        report.headline("oracle evaluations", evaluations.to_string(), None);
    }
    if !trust.is_empty() {
        let section = report.section(Topic::Sampler, "");
        for facts in trust {
            section.add(facts);
        }
    }
    if !c.is_reliable() {
        report.answer.main_warning =
            Some(format!("log Z rests on {:.0} effective base samples: the certificate is not reliable.", c.ess_base));
    }
    if let Some(priced) = &outcome.verdict.priced {
        report.headline(
            &format!("path {}", priced.divergence),
            format!("{:.4}", priced.path.value),
            interval(priced.path.se),
        );
        if let (None, Some(warning)) = (&report.answer.main_warning, priced.warnings.first()) {
            report.answer.main_warning = Some(warning.clone());
        }
    }
    let [reward, divergence] = progress_plots(outcome);
    report.section(Topic::Progress, "").add(reward).add(divergence);
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
