//! The report of `bench tfbind8-online`.

use super::cell;
use crate::cli::bench::folder::BenchFolder;
use crate::cli::bench::results::{Group, Results, Spread};
use crate::error::Result;
use crate::eval::report::{Axis, Bar, BarGroup, Bars, Dot, LinePlot, Report, Scatter, ScatterGroup, Series, Topic};

const COLUMNS: [(&str, u8); 15] = [
    ("labels", 0),
    ("top_128_mean", 4),
    ("top_128_median", 4),
    ("top_100_mean", 4),
    ("max", 4),
    ("new_top_128_mean", 4),
    ("area_top_128_mean", 4),
    ("diversity", 3),
    ("novelty_mean", 3),
    ("novelty_median", 1),
    ("found", 0),
    ("recall", 4),
    ("modes", 0),
    ("naturalness", 4),
    ("surrogate_calls", 0),
];

/// The page: who is how good after how many labels, what it costs in variety, what was found, and the table.
///
/// # Errors
/// When a cell's curve cannot be read.
pub(super) fn report(results: &Results, folder: &BenchFolder) -> Result<Report> {
    let asked = "How good does each method become, label by label, from a poor start?";
    let mut report = Report::new("seqtilt bench tfbind8-online", asked);
    let best = results.summary.iter().filter_map(|group| Some((group, group.metrics.get("top_128_mean")?)));
    if let Some((group, spread)) = best.max_by(|a, b| a.1.mean.total_cmp(&b.1.mean)) {
        let seeds = format!("{}, {} seeds", group.method, group.seeds.len());
        report.headline("best mean of the top 128", spread.text(4), Some(seeds));
    }
    let section = report.section(
        Topic::Progress,
        "Means over seeds; bands and bars are one standard deviation. The start set counts, and costs no labels.",
    );
    section.add(curves(results, folder)?).add(variety(results));
    if results.summary.iter().any(|group| group.metrics.contains_key("recall")) {
        section.add(bars(results, "recall", "Recall", "share of the sequences above the threshold that were measured"));
    }
    section.add(bars(results, "modes", "Modes", "clusters among the measured sequences above the threshold"));
    section.add(results.table([], &COLUMNS));
    report.origin("command", results.command.clone());
    for (name, version) in &results.versions {
        report.origin(name, version.clone());
    }
    Ok(report)
}

/// The mean of the best 128 against labels.
fn curves(results: &Results, folder: &BenchFolder) -> Result<LinePlot> {
    let mut series = Vec::new();
    for group in &results.summary {
        let cells = group.seeds.iter().map(|seed| folder.join(&super::cell_name(&group.method, *seed)));
        let curves = cells.map(|path| cell::curve(&path, "top_128_mean")).collect::<Result<Vec<_>>>()?;
        let (mut points, mut band) = (Vec::new(), Vec::new());
        for round in 0..curves.iter().map(Vec::len).min().unwrap_or(0) {
            let values: Vec<f64> = curves.iter().map(|curve| curve[round].1).collect();
            if let Some(spread) = Spread::of(&values) {
                points.push((curves[0][round].0, spread.mean));
                band.push(spread.sd.unwrap_or(0.0));
            }
        }
        series.push(Series { band, ..Series::line(&group.method, points) });
    }
    Ok(LinePlot {
        title: "Mean of the best 128 against labels".to_owned(),
        caption: "Up and to the left is better.".to_owned(),
        x: Axis::new("labels spent"),
        y: Axis::new("mean value of the top 128"),
        series,
        rules: Vec::new(),
    })
}

/// Diversity against score, a dot for each seed.
fn variety(results: &Results) -> Scatter {
    let group = |group: &Group| {
        let rows = results.rows.iter().filter(|row| row.method == group.method && row.parameters == group.parameters);
        let dots = rows.filter_map(|row| {
            let (x, y) = (row.metrics.get("diversity")?, row.metrics.get("top_128_mean")?);
            Some(Dot::new(*x, *y).named(format!("{}, seed {}", row.method, row.seed)))
        });
        ScatterGroup { name: group.method.clone(), dots: dots.collect() }
    };
    Scatter {
        title: "Score against diversity of the best 128".to_owned(),
        caption: "Up and to the right is better: values that are not bought with sameness. One dot for each seed."
            .to_owned(),
        x: Axis::new("diversity (mean pairwise Hamming distance, letters)"),
        y: Axis::new("mean value of the top 128"),
        groups: results.summary.iter().map(group).collect(),
        ..Scatter::default()
    }
}

fn bars(results: &Results, metric: &str, title: &str, axis: &str) -> Bars {
    let known = results.summary.iter().filter_map(|group| {
        let spread = group.metrics.get(metric)?;
        Some((group.method.clone(), Bar::new(spread.mean, spread.sd)))
    });
    let (categories, bars) = known.unzip();
    Bars {
        title: title.to_owned(),
        caption: "Bars end in one standard deviation over seeds.".to_owned(),
        axis: Axis::new(axis),
        categories,
        groups: vec![BarGroup { name: title.to_owned(), bars }],
    }
}
