//! The report of the online benchmarks.

use super::cell;
use crate::cli::bench::folder::BenchFolder;
use crate::cli::bench::results::{Group, Results, Spread};
use crate::error::Result;
use crate::eval::report::{Axis, Bar, BarGroup, Bars, Dot, LinePlot, Report, Scatter, ScatterGroup, Series, Topic};

const COLUMNS: [(&str, u8); 17] = [
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
    ("judge_mean", 4),
    ("wild_type_distance_mean", 2),
    ("gradient_steps", 0),
];

/// The page: who is how good after how many labels, what it costs in variety, what was found, and the table.
///
/// # Errors
/// When a cell's curve cannot be read.
pub(super) fn report(question: &str, results: &Results, folder: &BenchFolder) -> Result<Report> {
    let mut report = Report::new(format!("seqtilt bench {}", results.benchmark), question);
    let best = results.summary.iter().filter_map(|group| Some((group, group.metrics.get("top_128_mean")?)));
    if let Some((group, spread)) = best.max_by(|a, b| a.1.mean.total_cmp(&b.1.mean)) {
        let seeds = format!("{}, {} seeds", group.method, group.seeds.len());
        report.headline("best mean of the top 128", spread.text(4), Some(seeds));
    }
    let section = report.section(
        Topic::Progress,
        "Means over seeds; bands and bars are one standard deviation. The start set counts, and costs no labels.",
    );
    section.add(curves(results, folder)?);
    let beside = [
        ("diversity", "Score against diversity", "mean pairwise Hamming distance of the top 128, letters"),
        (
            "naturalness",
            "Score against naturalness",
            "evidence lower bound of the top 128 under the prior, nats a letter",
        ),
    ];
    for (metric, title, axis) in beside {
        if results.summary.iter().any(|group| group.metrics.contains_key(metric)) {
            section.add(against(results, metric, title, axis));
        }
    }
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

/// What a method is called, whatever its price.
fn name(group: &Group) -> &str {
    group.parameters["name"].as_str().unwrap_or_default()
}

/// The names of the methods, once each, in order.
fn names(results: &Results) -> Vec<&str> {
    let mut names: Vec<&str> = Vec::new();
    for name in results.summary.iter().map(name) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Each method at the price where its score is highest.
fn best(results: &Results) -> Vec<&Group> {
    let score = |group: &Group| group.metrics.get("top_128_mean").map_or(f64::NEG_INFINITY, |spread| spread.mean);
    let of = |wanted| results.summary.iter().filter(move |group| name(group) == wanted);
    names(results).into_iter().filter_map(|name| of(name).max_by(|a, b| score(a).total_cmp(&score(b)))).collect()
}

/// The mean of the best 128 against labels.
fn curves(results: &Results, folder: &BenchFolder) -> Result<LinePlot> {
    let mut series = Vec::new();
    let shown = best(results);
    for group in &shown {
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
        caption: if shown.len() < results.summary.len() {
            "Up and to the left is better. Each method at its best price.".to_owned()
        } else {
            "Up and to the left is better.".to_owned()
        },
        x: Axis::new("labels spent"),
        y: Axis::new("mean value of the top 128"),
        series,
        rules: Vec::new(),
    })
}

/// Score against something else of the best 128: a dot for each seed, or, where methods are run at several prices, the mean at each,
/// joined.
fn against(results: &Results, metric: &str, title: &str, axis: &str) -> Scatter {
    let names = names(results);
    let swept = names.len() < results.summary.len();
    let of_seeds = |wanted: &str| {
        let rows = results.rows.iter().filter(|row| row.parameters["name"] == *wanted);
        let dots = rows.filter_map(|row| {
            let (x, y) = (row.metrics.get(metric)?, row.metrics.get("top_128_mean")?);
            Some(Dot::new(*x, *y).named(format!("{}, seed {}", row.method, row.seed)))
        });
        ScatterGroup { name: wanted.to_owned(), dots: dots.collect() }
    };
    let of_prices = |wanted: &str| {
        let groups = results.summary.iter().filter(|group| name(group) == wanted);
        let dots = groups.filter_map(|group| {
            let (x, y) = (group.metrics.get(metric)?, group.metrics.get("top_128_mean")?);
            Some(Dot { error: y.sd, ..Dot::new(x.mean, y.mean).named(group.method.clone()) })
        });
        ScatterGroup { name: wanted.to_owned(), dots: dots.collect() }
    };
    let caption = if swept {
        "Up and to the right is better. One dot for each price, from the highest on; bars are one standard deviation over seeds."
    } else {
        "Up and to the right is better. One dot for each seed."
    };
    Scatter {
        title: title.to_owned(),
        caption: caption.to_owned(),
        x: Axis::new(axis),
        y: Axis::new("mean value of the top 128"),
        groups: names.iter().map(|name| if swept { of_prices(name) } else { of_seeds(name) }).collect(),
        joined: swept,
        ..Scatter::default()
    }
}

fn bars(results: &Results, metric: &str, title: &str, axis: &str) -> Bars {
    let known = best(results).into_iter().filter_map(|group| {
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
