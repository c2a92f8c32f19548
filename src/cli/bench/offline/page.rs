//! The report of `bench tfbind8-offline`.

use crate::cli::bench::results::Results;
use crate::eval::report::{Axis, Bar, BarGroup, Bars, Report, Topic};

const COLUMNS: [(&str, u8); 12] = [
    ("percentile_50", 4),
    ("percentile_100", 4),
    ("mean", 4),
    ("strands_percentile_50", 4),
    ("raw_percentile_50", 4),
    ("optimism", 4),
    ("rmse_on_designs", 4),
    ("reward_held_out_spearman", 3),
    ("diversity", 3),
    ("novelty_mean", 3),
    ("unique", 0),
    ("strand_pairs", 0),
];

/// The page: percentiles beside published ones, and the table.
pub(super) fn report(results: &Results) -> Report {
    let asked = "How good are 128 sequences proposed once, from the lower half of the values?";
    let mut report = Report::new("seqtilt bench tfbind8-offline", asked);
    for group in &results.summary {
        let seeds = Some(format!("{} seeds", group.seeds.len()));
        for (metric, label) in [("percentile_50", "50th percentile"), ("percentile_100", "100th percentile")] {
            report.headline(label, group.text(metric, 3), seeds.clone());
        }
    }
    let section =
        report.section(Topic::Other, "Published numbers are those of their authors; they were not measured here.");
    for (metric, title) in [("percentile_50", "50th percentile"), ("percentile_100", "100th percentile")] {
        section.add(bars(results, metric, title));
    }
    section.add(results.table([], &COLUMNS));
    report.origin("command", results.command.clone());
    for (name, version) in &results.versions {
        report.origin(name, version.clone());
    }
    report
}

fn bars(results: &Results, metric: &str, title: &str) -> Bars {
    let ours = results.summary.iter().filter_map(|group| {
        let spread = group.metrics.get(metric)?;
        Some(("seqtilt".to_owned(), Bar::new(spread.mean, spread.sd)))
    });
    let theirs = results.published.iter().filter(|p| p.metric == metric);
    let theirs = theirs.map(|p| (format!("{} (published)", p.method), Bar::new(p.mean, p.sd)));
    let (categories, bars) = ours.chain(theirs).unzip();
    Bars {
        title: format!("{title} of the true values"),
        caption: "Bars end in one standard deviation over seeds, where it is known.".to_owned(),
        axis: Axis::new("normalised value"),
        categories,
        groups: vec![BarGroup { name: title.to_owned(), bars }],
    }
}
