//! The report of `bench divergences`.

use super::cell::Study;
use super::text::Part;
use crate::cli::bench::results::{Group, Results};
use crate::eval::report::{Axis, Bar, BarGroup, Bars, LinePlot, Report, Series, Style, Topic, picture as draw};
use serde_json::Value;

const COLUMNS: [(&str, u8); 12] = [
    ("truth", 4),
    ("reward", 4),
    ("below_kl", 4),
    ("truth_below_kl", 4),
    ("kl", 3),
    ("effective", 0),
    ("distance", 3),
    ("max_weight", 4),
    ("dropped", 3),
    ("floor", 4),
    ("good_mass", 3),
    ("plate_good", 1),
];

/// The page: fronts and prices of both cases, coverage, what λ costs to find, tables.
pub(super) fn report(results: &Results, study: &Study) -> Report {
    let asked = "What does each divergence buy, at its exact optimum and without any training?";
    let mut report = Report::new("seqtilt bench divergences", asked);
    for (case, reward) in [("truth", "the truth"), ("model", "a model")] {
        let Some((best, worth)) = best_on_plate(results, case) else { continue };
        let label = format!("good sequences on a plate of {}, {reward} as the reward", study.plate);
        report.headline(&label, format!("{worth:.1}"), Some(format!("{best}, at its best price")));
        report.answer.verdict.extend(loss(results, case, study, reward));
    }
    let lead = "Left to right further from the prior; the higher the better. By construction nothing lies above KL at equal KL \
                where the truth is the reward.";
    let section = report.section(Topic::Frontier, lead);
    for case in cases(results) {
        for front in ["kl", "effective", "distance"] {
            section.add(against(results, case, front));
        }
    }
    let lead = "How much is lost where the price is not the best one; every divergence at the price that costs what KL costs for \
                small departures.";
    let section = report.section(Topic::Hacking, lead);
    section.title = String::from("How much does the price matter?");
    for case in cases(results) {
        section.add(priced(results, case, "plate_good")).add(priced(results, case, "max_weight"));
    }
    let section =
        report.section(Topic::Trust, "The constant of the optimum is found on draws of the prior in practice.");
    section.title = String::from("Can the optimum be found from samples?");
    for case in cases(results) {
        section.add(sampled(results, case, study));
    }
    let section = report.section(Topic::Other, "");
    for case in cases(results) {
        let is = |part: &Value| part == "at-kl";
        let kept = results.rows.iter().filter(|row| row.parameters["case"] == case && is(&row.parameters["part"]));
        let rows = Results { rows: kept.cloned().collect(), ..results.clone() };
        let mut table = rows.table(Some("level"), &COLUMNS);
        table.title = format!("At the same KL, {}", of(case));
        section.add(table);
    }
    report.origin("command", results.command.clone());
    for (name, version) in &results.versions {
        report.origin(name, version.clone());
    }
    report
}

/// Four plots that say most.
pub(super) fn picture(results: &Results) -> String {
    let mut plots = Vec::new();
    for case in cases(results) {
        plots.push(against(results, case, "kl"));
        plots.push(against(results, case, "effective"));
        plots.push(priced(results, case, "plate_good"));
    }
    draw(&plots, 3)
}

fn of(case: &str) -> &'static str {
    if case == "truth" { "the truth is the reward" } else { "a model is the reward" }
}

fn cases(results: &Results) -> impl Iterator<Item = &'static str> {
    ["truth", "model"].into_iter().filter(|case| !Part::of(results, case, "front").is_empty())
}

fn number(group: &Group, name: &str) -> f64 {
    let known = group.metrics.get(name).map(|spread| spread.mean);
    known.or_else(|| group.parameters[name].as_f64()).unwrap_or(f64::NAN)
}

/// Every law of a case by method, the furthest from the prior last.
fn laws(results: &Results, case: &str, x: &str, y: &str, style: Style) -> Vec<Series> {
    let parts = ["front", "at-kl", "at-effective", "at-distance"].map(|part| Part::of(results, case, part));
    let methods = parts[0].methods();
    let series = methods.iter().map(|method| {
        let mut points: Vec<(f64, f64, f64)> = parts
            .iter()
            .flat_map(|part| part.method(method))
            .map(|group| (number(group, "price"), number(group, x), number(group, y)))
            .collect();
        points.sort_by(|a, b| b.0.total_cmp(&a.0));
        Series::line(method, points.into_iter().map(|(_, x, y)| (x, y))).styled(style)
    });
    series.collect()
}

fn against(results: &Results, case: &str, front: &str) -> LinePlot {
    let (title, x, caption) = match front {
        "kl" => ("KL", Axis::new("KL to the prior (nats)"), "KL is the price that every sampler can be compared by."),
        "effective" => (
            "number of sequences",
            Axis::log("effective number of sequences, 1/Σq²"),
            "Read from right to left: fewer sequences share the law. At an equal number the higher line is the better buy.",
        ),
        _ => (
            "diversity",
            Axis::new("letters in which two draws differ"),
            "A law of one heavy sequence and a broad rest has a large mean distance and a small mean value.",
        ),
    };
    LinePlot {
        title: format!("True mean against {title}, {}", of(case)),
        caption: caption.to_owned(),
        x,
        y: Axis::new("true mean of the optimum"),
        series: laws(results, case, front, "truth", Style::Line),
        rules: Vec::new(),
    }
}

fn priced(results: &Results, case: &str, metric: &str) -> LinePlot {
    let (title, y, caption) = match metric {
        "plate_good" => (
            "Good sequences on a plate",
            Axis::new("different good ones expected"),
            "A wide hill forgives a wrong price. Draws as they come; the second copy of a sequence is worth nothing.",
        ),
        _ => (
            "The heaviest sequence",
            Axis::new("largest probability"),
            "Where a line is level at its height, the law has condensed on the few sequences that share the best reward.",
        ),
    };
    LinePlot {
        title: format!("{title}, {}", of(case)),
        caption: caption.to_owned(),
        x: Axis::log("price of a nat of KL (reward units)"),
        y,
        series: laws(results, case, "price", metric, Style::Line),
        rules: Vec::new(),
    }
}

fn sampled(results: &Results, case: &str, study: &Study) -> Bars {
    let part = Part::of(results, case, "sampled");
    let level = study.kl[study.kl.len() / 2];
    let groups = study.samples.iter().map(|samples| {
        let with = [("level", Value::from(level)), ("samples", Value::from(*samples as f64))];
        let bar = |method: &&str| {
            let found = part.find(method, &with).and_then(|group| group.metrics.get("total_variation"));
            found.map_or_else(Bar::default, |spread| Bar::new(spread.mean, spread.sd))
        };
        BarGroup { name: format!("{samples} draws"), bars: part.methods().iter().map(bar).collect() }
    });
    Bars {
        title: format!("Total variation to the exact optimum at {level} nats, {}", of(case)),
        caption: "0 is exact, 1 shares nothing. KL needs no constant: its optimum is exact whatever the draws. Bars end in one standard deviation over seeds."
            .to_owned(),
        axis: Axis::new("total variation").within(0.0, 1.0),
        groups: groups.collect(),
        categories: part.methods().iter().map(|method| (*method).to_owned()).collect(),
    }
}

/// Who has most good sequences on a plate, at the best price.
fn best_on_plate(results: &Results, case: &str) -> Option<(String, f64)> {
    let part = Part::of(results, case, "robust");
    let with = [("objective", Value::from("plate_good"))];
    let found = part.methods().into_iter().filter_map(|method| part.find(method, &with));
    let worth = found.map(|group| (group.method.clone(), number(group, "best")));
    worth.max_by(|a, b| a.1.total_cmp(&b.1))
}

/// What is lost to KL at the same KL, in a sentence.
fn loss(results: &Results, case: &str, study: &Study, reward: &str) -> Option<String> {
    let level = study.kl[study.kl.len() / 2];
    let part = Part::of(results, case, "at-kl");
    let with = [("level", Value::from(level))];
    let lost = |method: &str| Some((method.to_owned(), number(part.find(method, &with)?, "truth_below_kl")));
    let mut lost: Vec<(String, f64)> =
        part.methods().into_iter().filter(|method| *method != "kl").filter_map(lost).collect();
    lost.sort_by(|a, b| a.1.total_cmp(&b.1));
    let (least, most) = (lost.first()?, lost.last()?);
    Some(format!(
        "With {reward} as the reward, at {level} nats, {} has a true mean {:.3} below that of KL, and {}, the last, {:.3}.",
        least.0, least.1, most.0, most.1
    ))
}
