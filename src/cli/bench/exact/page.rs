//! The report of `bench exact`.

use crate::cli::bench::results::Results;
use crate::cli::bench::rows::Row;
use crate::cli::finetune::Outcome;
use crate::eval::exact::FrontierPoint;
use crate::eval::report::{Axis, Dot, Report, Scatter, ScatterGroup, Topic};
use serde_json::Value;

const COLUMNS: [(&str, u8); 10] = [
    ("gap_nats", 4),
    ("gap_se", 4),
    ("mean_reward", 4),
    ("optimum_reward", 4),
    ("path_kl", 4),
    ("sequence_kl", 4),
    ("frontier_distance", 4),
    ("total_variation_corrected", 4),
    ("ess_tuned_share", 3),
    ("diversity", 3),
];

/// Distances that stand at the top of the page.
const HEADLINES: usize = 10;

/// The page: cells on the frontier, path against sequence KL, the table.
pub(super) fn report(results: &Results, outcomes: &[Outcome], curve: &[FrontierPoint]) -> Report {
    let named = |key: &str| results.rows.first().and_then(|row| row.parameters[key].as_str()).unwrap_or("").to_owned();
    let from = format!("{} tilted towards {}", named("prior"), named("reward"));
    let mut report =
        Report::new("seqtilt bench exact", format!("How far is {from} from the exact optimum, by method and price?"));
    for group in results.summary.iter().filter(|group| group.metrics.contains_key("gap_nats")).take(HEADLINES) {
        let label = format!("KL to the optimum (nats), {} at {}", group.method, group.parameters["alpha"]);
        let seeds = format!("{} seed{}", group.seeds.len(), if group.seeds.len() == 1 { "" } else { "s" });
        report.headline(&label, group.text("gap_nats", 3), Some(seeds));
    }
    let unreliable = outcomes.iter().filter(|o| !o.verdict.certificate.is_reliable()).count();
    if unreliable > 0 {
        report.answer.main_warning = Some(format!(
            "In {unreliable} of {} cells log Z rests on too few effective base samples; raise --base-paths.",
            outcomes.len()
        ));
    }
    let section = report.section(Topic::Frontier, "Every mark is a cell; the line is exact for the prior's own law.");
    section.add(frontier(&results.rows, curve)).add(diversity(&results.rows)).add(divergences(&results.rows));
    report.section(Topic::Other, "").add(results.table(Some("alpha"), &COLUMNS));
    report.origin("command", results.command.clone());
    for (name, version) in &results.versions {
        report.origin(name, version.clone());
    }
    report
}

fn number(row: &Row, metric: &str) -> f64 {
    row.metrics.get(metric).copied().unwrap_or(f64::NAN)
}

fn name(row: &Row) -> String {
    format!("{} {}", row.method, row.parameters.get("alpha").map_or_else(String::new, Value::to_string))
}

/// KL of the sequences; that of their paths, which bounds it, where the histogram's estimate is beyond.
fn kl(row: &Row) -> f64 {
    number(row, "sequence_kl").min(number(row, "path_kl"))
}

/// One group a method, one dot a cell.
fn by_method<'a>(rows: impl Iterator<Item = &'a Row>, dot: impl Fn(&Row) -> Dot) -> Vec<ScatterGroup> {
    let mut groups: Vec<ScatterGroup> = Vec::new();
    for row in rows {
        let dot = dot(row).named(format!("{}, seed {}", name(row), row.seed));
        match groups.iter_mut().find(|group| group.name == row.method) {
            Some(group) => group.dots.push(dot),
            None => groups.push(ScatterGroup { name: row.method.clone(), dots: vec![dot] }),
        }
    }
    groups
}

fn frontier(rows: &[Row], curve: &[FrontierPoint]) -> Scatter {
    Scatter {
        title: "Mean reward against KL of the sequences".to_owned(),
        caption: "No sampler can lie above the line, up to the error of its samples.".to_owned(),
        x: Axis::new("KL of the sequences to the prior (nats)"),
        y: Axis::new("mean reward, hard decode"),
        groups: by_method(rows.iter(), |row| Dot::new(kl(row), number(row, "mean_reward"))),
        bound: curve.iter().map(|p| (p.kl, p.reward).into()).collect(),
        ..Scatter::default()
    }
}

fn diversity(rows: &[Row]) -> Scatter {
    Scatter {
        title: "Mean reward against diversity".to_owned(),
        caption: "What a price on departure buys: without one, reward is bought with sameness.".to_owned(),
        x: Axis::new("letters in which two samples differ"),
        y: Axis::new("mean reward, hard decode"),
        groups: by_method(rows.iter(), |row| Dot::new(number(row, "diversity"), number(row, "mean_reward"))),
        ..Scatter::default()
    }
}

fn divergences(rows: &[Row]) -> Scatter {
    let walked = rows.iter().filter(|row| row.metrics.contains_key("path_kl"));
    let groups = by_method(walked, |row| {
        Dot::new(number(row, "sequence_kl"), number(row, "path_kl")).with_error(number(row, "path_kl_se"))
    });
    Scatter {
        title: "KL of the paths against KL of the sequences".to_owned(),
        caption:
            "What lies above the line of equality is spent on paths without changing what is sampled; at the optimum \
                  nothing is."
                .to_owned(),
        x: Axis::new("KL of the sequences (nats)"),
        y: Axis::new("KL of the paths (nats)"),
        groups,
        identity: true,
        ..Scatter::default()
    }
}
