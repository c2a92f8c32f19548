//! The loss of a training run, from the lines that it wrote.

use crate::error::Result;
use crate::eval::report::{Axis, LinePlot, Series};
use crate::store::RunRecord;
use serde::Deserialize;

/// Points that are drawn, at most about; each is the mean of the steps up to it.
const POINTS: usize = 300;

#[derive(Deserialize)]
struct Line {
    step: u64,
    loss: f64,
}

/// The loss against steps; `None` where the run wrote none.
///
/// # Errors
/// When `metrics.jsonl` cannot be read or is not the one that the run wrote.
pub(in crate::cli) fn loss_plot(record: &RunRecord, unit: &str) -> Result<Option<LinePlot>> {
    let bytes = record.read("metrics.jsonl")?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<Line> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    if lines.is_empty() {
        return Ok(None);
    }
    let width = lines.len().div_ceil(POINTS);
    let points = lines.chunks(width).filter_map(|part| {
        let mean = part.iter().map(|line| line.loss).sum::<f64>() / part.len() as f64;
        Some((part.last()?.step as f64, mean))
    });
    Ok(Some(LinePlot {
        title: "Loss by optimiser step".to_owned(),
        caption: if width > 1 { format!("Means of {width} lines of metrics.jsonl.") } else { String::new() },
        x: Axis::new("optimiser step"),
        y: Axis::new(unit),
        series: vec![Series::line("loss", points)],
        rules: Vec::new(),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{RunFolder, RunInfo};
    use serde_json::json;

    #[test]
    fn long_runs_are_thinned_to_means_and_other_lines_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = RunFolder::open(folder.path(), &RunInfo::new("pretrain", 0, &1).unwrap()).unwrap();
        run.metric(&json!({ "note": "begun" })).unwrap();
        for step in 1..=600_u32 {
            run.metric(&json!({ "step": step, "loss": step })).unwrap();
        }
        let record = RunRecord::open(folder.path()).unwrap().unwrap();
        let plot = loss_plot(&record, "nats").unwrap().unwrap();
        let points = &plot.series[0].points;
        assert_eq!((points.len(), points[0].x, points[0].y, points[299].y), (300, 2.0, 1.5, 599.5));
    }
}
