//! The report of `bench gfp-offline`.

use crate::cli::bench::results::{Group, Results};
use crate::eval::report::{Axis, Bar, BarGroup, Bars, Report, Topic};

const COLUMNS: [(&str, u8); 14] = [
    ("judge_percentile_50", 3),
    ("judge_percentile_100", 3),
    ("judge_mean", 3),
    ("beside_percentile_50", 3),
    ("measured", 0),
    ("measured_mean", 3),
    ("judge_mean_on_measured", 3),
    ("wild_type_distance_mean", 2),
    ("start_distance_mean", 2),
    ("start_distance_median", 1),
    ("diversity", 2),
    ("known_substitutions", 3),
    ("naturalness", 4),
    ("surrogate_held_out_spearman", 3),
];

/// The name of a group where several stand side by side.
fn label(group: &Group) -> String {
    let start = group.parameters["difficulty"].as_str().unwrap_or_default();
    match group.parameters.get("max_mutations") {
        Some(most) => format!("{start}: {} within {most}", group.method),
        None => format!("{start}: {}", group.method),
    }
}

/// The page: medians by both oracles beside distances, and the table.
pub(super) fn report(results: &Results) -> Report {
    let asked = "How good are sequences proposed once, from poor variants far from the best?";
    let mut report = Report::new("seqtilt bench gfp-offline", asked);
    for group in results.summary.iter().filter(|group| group.method == "tilted") {
        let seeds = Some(format!("{} seeds", group.seeds.len()));
        report.headline(&label(group), group.text("judge_percentile_50", 3), seeds);
    }
    let section = report.section(
        Topic::Other,
        "Scores are those of models that no method saw; far from measured sequences a high one is an exploited oracle, not a success. \
         Published figures of this protocol are of other oracles and are not compared with.",
    );
    section.add(bars(
        results,
        "Median of the designs",
        "normalised value",
        &[("judge", "judge_percentile_50"), ("beside", "beside_percentile_50"), ("measured, mean", "measured_mean")],
    ));
    section.add(bars(
        results,
        "Distances",
        "substitutions",
        &[("to the wild type", "wild_type_distance_mean"), ("to the start set", "start_distance_mean")],
    ));
    section.add(results.table(["difficulty", "max_mutations"], &COLUMNS));
    report.origin("command", results.command.clone());
    for (name, version) in &results.versions {
        report.origin(name, version.clone());
    }
    report
}

fn bars(results: &Results, title: &str, axis: &str, metrics: &[(&str, &str)]) -> Bars {
    let bar = |group: &Group, metric: &str| {
        group.metrics.get(metric).map_or_else(|| Bar::new(f64::NAN, None), |spread| Bar::new(spread.mean, spread.sd))
    };
    let group = |(name, metric): &(&str, &str)| BarGroup {
        name: (*name).to_owned(),
        bars: results.summary.iter().map(|group| bar(group, metric)).collect(),
    };
    Bars {
        title: title.to_owned(),
        caption: "Bars end in one standard deviation over seeds.".to_owned(),
        axis: Axis::new(axis),
        categories: results.summary.iter().map(label).collect(),
        groups: metrics.iter().map(group).collect(),
    }
}
