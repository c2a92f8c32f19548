//! The report of the benchmark on Ehrlich functions.

use super::cell;
use crate::cli::bench::folder::BenchFolder;
use crate::cli::bench::results::{Results, Spread};
use crate::error::Result;
use crate::eval::report::{Axis, LinePlot, Report, Series, Topic};

const COLUMNS: [(&str, u8); 8] = [
    ("labels", 0),
    ("start_best", 4),
    ("best", 4),
    ("new_best", 4),
    ("area_best", 4),
    ("feasible_share", 3),
    ("feasible_share_last", 3),
    ("labels_to_optimum", 0),
];

/// What a curve shows of a round: labels, best value, feasible labels in; height out.
type Height = fn([f64; 3]) -> Option<f64>;

/// The page: best value and feasible share against labels for every function, and the table.
///
/// # Errors
/// When a cell's curve cannot be read.
pub(super) fn report(results: &Results, folder: &BenchFolder) -> Result<Report> {
    let question = "How good does each method become, label by label, where most sequences are infeasible?";
    let mut report = Report::new("seqtilt bench ehrlich", question);
    let section = report.section(
        Topic::Progress,
        "Means over seeds; bands are one standard deviation. The greatest value is 1. Infeasible labels are spent.",
    );
    let mut sets: Vec<&str> = results.summary.iter().filter_map(|group| group.parameters["set"].as_str()).collect();
    sets.dedup();
    for set in sets {
        section.add(plot(results, folder, set, ("Best value", "greatest value measured", |turn| Some(turn[1])))?);
        let share: Height = |[labels, _, feasible]| (labels > 0.0).then(|| feasible / labels);
        section.add(plot(results, folder, set, ("Feasible share", "share of labels with a value", share))?);
    }
    section.add(results.table(["set"], &COLUMNS));
    report.origin("command", results.command.clone());
    for (name, version) in &results.versions {
        report.origin(name, version.clone());
    }
    Ok(report)
}

/// One figure of one function against labels, a line for each method.
fn plot(
    results: &Results,
    folder: &BenchFolder,
    set: &str,
    (title, axis, height): (&str, &str, Height),
) -> Result<LinePlot> {
    let mut series = Vec::new();
    for group in results.summary.iter().filter(|group| group.parameters["set"] == *set) {
        let cells = group.seeds.iter().map(|seed| folder.join(&super::cell_name(set, &group.method, *seed)));
        let curves = cells.map(|path| cell::curve(&path)).collect::<Result<Vec<_>>>()?;
        let (mut points, mut band) = (Vec::new(), Vec::new());
        for round in 0..curves.iter().map(Vec::len).min().unwrap_or(0) {
            let values: Vec<f64> = curves.iter().filter_map(|curve| height(curve[round])).collect();
            if let Some(spread) = Spread::of(&values) {
                points.push((curves[0][round][0], spread.mean));
                band.push(spread.sd.unwrap_or(0.0));
            }
        }
        series.push(Series { band, ..Series::line(&group.method, points) });
    }
    Ok(LinePlot {
        title: format!("{title}, {set}"),
        caption: "Up and to the left is better.".to_owned(),
        x: Axis::new("labels spent"),
        y: Axis::new(axis),
        series,
        rules: Vec::new(),
    })
}
