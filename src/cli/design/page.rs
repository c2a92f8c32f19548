//! The report of a design job.

use super::pick::{Picked, Row};
use super::prepare::Parts;
use super::settings::Plan;
use super::summary::Summary;
use super::table::id;
use crate::cli::data::advice::model_line;
use crate::cli::finetune::{Outcome, frontier_plot, progress_plots, provenance};
use crate::error::Result;
use crate::eval::Metric;
use crate::eval::logo::Profile;
use crate::eval::report::{
    Axis, Cell, Column, Dot, Facts, Funnel, HeatMap, HistogramPlot, Logo, Logos, Report, Scatter, ScatterGroup, Stage,
    Table, Topic,
};
use crate::sequence::Sequence;
use crate::store::RunInfo;
use std::collections::BTreeMap;

/// Positions in the picture of mutations, at most.
const POSITIONS: usize = 60;

/// Pairs of designs whose distances are drawn, at most.
const PAIRS: usize = 20_000;

/// The page.
///
/// # Errors
/// When a profile cannot be made.
pub(super) fn report(
    plan: &Plan,
    parts: &Parts,
    outcome: &Outcome,
    picked: &Picked,
    summary: &Summary,
    info: &RunInfo,
) -> Result<Report> {
    let asked = format!(
        "{} new sequences of {} letters with a high {}, close to what {} knows.",
        plan.count,
        parts.prior.config().length,
        parts.reward_name,
        parts.prior_name
    );
    let mut report = Report::new("seqtilt design", asked);
    answer(&mut report, summary, picked);
    let [reward, divergence] = progress_plots(outcome);
    report.section(Topic::Progress, "").add(reward).add(divergence);
    report.section(Topic::Frontier, "").add(frontier_plot(outcome)).add(certificate(outcome));
    trade_offs(&mut report, parts, picked);
    trust(&mut report, parts, picked, summary);
    hacking(&mut report, picked);
    diversity(&mut report, picked, parts.metric());
    novelty(&mut report, picked, parts.metric());
    logos(&mut report, parts, picked)?;
    mutations(&mut report, parts, picked);
    report.section(Topic::Funnel, "").add(funnel(plan, picked));
    report.section(Topic::Sequences, "").add(table(parts, picked));
    for (name, value) in provenance(info) {
        report.origin(&name, value);
    }
    report.origin("method", "entropy-regularised control, Uehara et al. 2024, arXiv 2402.15194");
    Ok(report)
}

fn answer(report: &mut Report, summary: &Summary, picked: &Picked) {
    if let Some(best) = picked.rows.first() {
        let interval = best.sd.map(|sd| format!("± {:.3} (2 sd of the ensemble)", 2.0 * sd));
        report.headline("best predicted", format!("{:.3}", best.mean), interval);
    }
    if let Some(view) = &summary.by_measurement {
        report.headline("median measured", format!("{:.3}", view.median), Some(format!("best {:.3}", view.best)));
    } else if let Some(view) = &summary.by_judge {
        report.headline("median by the judge", format!("{:.3}", view.median), Some(format!("best {:.3}", view.best)));
    }
    let gap = summary.verdict.certificate.gap;
    report.headline(
        "KL to the exact optimum (nats)",
        format!("{:.3}", gap.value),
        Some(format!("± {:.3}", 2.0 * gap.se)),
    );
    report.headline("designs", summary.designs.to_string(), Some(format!("of {} unique samples", summary.unique)));
    report.answer.main_warning = summary.warning();
    report.answer.verdict.push(summary.verdict.certificate.verdict());
    if picked.kept_distance < picked.asked_distance {
        report.answer.verdict.push(format!(
            "The least distance between designs was relaxed from {} to {} to fill the list.",
            picked.asked_distance, picked.kept_distance
        ));
    }
}

/// The reward against every further goal: candidates, designs, the front of all goals.
fn trade_offs(report: &mut Report, parts: &Parts, picked: &Picked) {
    if parts.goals.is_empty() {
        return;
    }
    let section = report.section(Topic::TradeOffs, "");
    for (place, goal) in parts.goals.iter().enumerate() {
        let group = |name: &str, front: bool| ScatterGroup {
            name: name.to_owned(),
            dots: picked
                .points
                .iter()
                .filter(|(.., on_front)| *on_front == front)
                .filter_map(|(mean, goals, _)| Some(Dot::new(goals[place]?, *mean)))
                .collect(),
        };
        let designs = picked.rows.iter().filter_map(|row| Some(Dot::new(row.goals[place].0?, row.mean).named(id(row))));
        let designs = ScatterGroup { name: "designs".to_owned(), dots: designs.collect() };
        section.add(Scatter {
            title: format!("Reward against {}", goal.name),
            caption:
                "Nothing that was drawn and keeps all bounds beats the front in one value without losing in another. \
                      Designs are picked front first."
                    .to_owned(),
            x: Axis::new(&goal.name),
            y: Axis::new("predicted by the reward"),
            groups: vec![group("other candidates", false), designs, group("Pareto front of all goals", true)],
            ..Scatter::default()
        });
    }
}

/// How often designs change which letter, at the positions that they change most.
fn mutations(report: &mut Report, parts: &Parts, picked: &Picked) {
    let Some((wild_type, numbering)) = &parts.origin else { return };
    let mut counts = BTreeMap::<i64, BTreeMap<u8, usize>>::new();
    for mutation in picked.rows.iter().filter_map(|row| parts.mutations(&row.sequence)).flatten() {
        *counts.entry(mutation.number).or_default().entry(mutation.to).or_default() += 1;
    }
    let mut often: Vec<(usize, i64)> =
        counts.iter().map(|(number, letters)| (letters.values().sum(), *number)).collect();
    often.sort_unstable_by(|a, b| b.cmp(a));
    let mut positions: Vec<i64> = often.into_iter().take(POSITIONS).map(|(_, number)| number).collect();
    positions.sort_unstable();
    if positions.is_empty() {
        return;
    }
    let alphabet = parts.prior.alphabet().plain();
    let before = |number: &i64| {
        usize::try_from(number - numbering.first).ok().and_then(|index| wild_type.as_bytes().get(index).copied())
    };
    let share =
        |letter: u8, number: &i64| counts[number].get(&letter).map(|count| *count as f64 / picked.rows.len() as f64);
    report.section(Topic::Mutations, "").add(HeatMap {
        title: "Letters that designs change".to_owned(),
        caption: format!("The {} positions that are changed most; dots are the wild type's letters.", positions.len()),
        unit: "share of designs".to_owned(),
        rows: alphabet.letters().iter().map(|letter| char::from(*letter).to_string()).collect(),
        columns: positions.iter().map(i64::to_string).collect(),
        values: alphabet.letters().iter().map(|letter| positions.iter().map(|p| share(*letter, p)).collect()).collect(),
        marks: positions
            .iter()
            .map(|p| alphabet.letters().iter().position(|letter| Some(*letter) == before(p)))
            .collect(),
        mark_name: "wild type".to_owned(),
        ..HeatMap::default()
    });
}

fn certificate(outcome: &Outcome) -> Facts {
    let text = outcome.verdict.to_string();
    let items = text.lines().filter_map(|line| line.split_once("  ")).map(|(a, b)| (a.to_owned(), b.trim().to_owned()));
    Facts { title: "Certificate".to_owned(), items: items.collect() }
}

/// A second value of a design beside the predicted one.
type View = fn(&Row) -> Option<f64>;

fn trust(report: &mut Report, parts: &Parts, picked: &Picked, summary: &Summary) {
    let section = report.section(Topic::Trust, "");
    let mut groups = Vec::new();
    if !parts.held_points.is_empty() {
        let dots = parts.held_points.iter().take(1000).map(|(predicted, measured)| Dot::new(*measured, *predicted));
        groups.push(ScatterGroup { name: "held-out rows of the table (measured)".to_owned(), dots: dots.collect() });
    }
    let views: [(String, View); 2] = [
        (format!("designs ({})", parts.judge_name), |row| row.judge),
        ("designs (measured)".to_owned(), |row| row.truth),
    ];
    for (name, view) in views {
        let dots: Vec<Dot> = picked
            .rows
            .iter()
            .filter_map(|row| {
                let dot = Dot::new(view(row)?, row.mean).named(id(row));
                Some(row.sd.map_or_else(|| dot.clone(), |sd| dot.clone().with_error(sd)))
            })
            .collect();
        if !dots.is_empty() {
            groups.push(ScatterGroup { name, dots });
        }
    }
    let mut figures = Vec::new();
    if let Some(held) = &summary.held_out {
        let spearman = held.spearman.map_or_else(|| "-".to_owned(), |s| format!("{s:.3}"));
        figures.push(format!("held out: Spearman {spearman}, RMSE {:.3}", held.rmse));
    }
    for view in [&summary.by_judge, &summary.by_measurement].into_iter().flatten() {
        figures.push(format!("{}: predicted - this {:+.3}", view.name, view.optimism));
    }
    section.add(Scatter {
        title: "Predicted against judged and measured".to_owned(),
        caption: "Bars are one standard deviation of the reward's ensemble; the line is equality.".to_owned(),
        x: Axis::new("judge, or measured"),
        y: Axis::new("predicted by the reward"),
        groups,
        identity: true,
        figures,
        ..Scatter::default()
    });
    if !parts.trials.is_empty() {
        let items = parts.trials.iter().map(model_line).map(|[name, line]| (name, line)).collect();
        section.add(Facts { title: "Models on the measured sequences, cross-validated".to_owned(), items });
    }
}

fn hacking(report: &mut Report, picked: &Picked) {
    let dots = picked.rows.iter().map(|row| Dot::new(row.naturalness, row.mean).named(id(row))).collect();
    report.section(Topic::Hacking, "").add(Scatter {
        title: "Score against naturalness".to_owned(),
        caption:
            "Naturalness is a lower bound on the log probability under the prior, in nats. High scores that are all \
                  unnatural point to an exploited reward."
                .to_owned(),
        x: Axis::new("naturalness (nats)"),
        y: Axis::new("predicted by the reward"),
        groups: vec![ScatterGroup { name: "designs".to_owned(), dots }],
        ..Scatter::default()
    });
}

/// What a distance is called.
fn distance(metric: Metric) -> &'static str {
    match metric {
        Metric::Hamming => "Hamming distance",
        Metric::Edit => "edit distance",
    }
}

fn diversity(report: &mut Report, picked: &Picked, metric: Metric) {
    let pairs = |set: &[Sequence]| -> Vec<usize> {
        let step = (set.len() * set.len().saturating_sub(1) / 2 / PAIRS).max(1);
        let all = (0..set.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        all.step_by(step).map(|(i, j)| metric.distance(&set[i], &set[j])).collect()
    };
    let designs: Vec<Sequence> = picked.rows.iter().map(|row| row.sequence.clone()).collect();
    let (prior, tuned, kept) =
        (pairs(&picked.prior_samples), pairs(&picked.samples[..picked.samples.len().min(1000)]), pairs(&designs));
    report.section(Topic::Diversity, "").add(HistogramPlot::whole(
        "Letters between two sequences",
        Axis::new(distance(metric)),
        &[("prior", &prior), ("tuned sampler", &tuned), ("designs", &kept)],
    ));
}

fn novelty(report: &mut Report, picked: &Picked, metric: Metric) {
    let distances: Vec<usize> = picked.rows.iter().filter_map(|row| row.nearest.as_ref().map(|near| near.1)).collect();
    if distances.is_empty() {
        return;
    }
    report.section(Topic::Novelty, "").add(HistogramPlot::whole(
        "Letters to the nearest sequence of the table",
        Axis::new(distance(metric)),
        &[("designs", &distances)],
    ));
}

fn logos(report: &mut Report, parts: &Parts, picked: &Picked) -> Result<()> {
    let alphabet = parts.prior.alphabet();
    let known: Vec<Sequence> = parts.known.keys().cloned().collect();
    let designs: Vec<Sequence> = picked.rows.iter().map(|row| row.sequence.clone()).collect();
    let sets = [
        ("table", &known),
        ("prior", &picked.prior_samples),
        ("tuned sampler", &picked.samples),
        ("designs", &designs),
    ];
    let (mut logos, length) = (Vec::new(), parts.prior.config().length);
    for (name, set) in sets {
        if !set.is_empty() {
            logos.push(Logo {
                name: format!("{name} ({})", set.len()),
                profile: Profile::padded(set, alphabet, length)?,
            });
        }
    }
    report.section(Topic::Logos, "").add(Logos {
        title: "Information per position".to_owned(),
        caption: "Letter heights in bits, with the small-sample correction.".to_owned(),
        letters: String::from_utf8_lossy(alphabet.letters()).into_owned(),
        first: 1,
        logos,
    });
    Ok(())
}

fn funnel(plan: &Plan, picked: &Picked) -> Funnel {
    let stage = |rule: &str, passed: usize| Stage { rule: rule.to_owned(), passed: passed as u64, nearest_miss: None };
    let mut stages: Vec<Stage> = picked.funnel.iter().map(|(rule, passed)| stage(rule, *passed)).collect();
    stages.push(stage(
        &format!("best {}, at least {} letters apart", plan.count, picked.kept_distance),
        picked.rows.len(),
    ));
    Funnel {
        title: "From samples to designs".to_owned(),
        caption: String::new(),
        start_name: "samples".to_owned(),
        start: picked.samples.len() as u64,
        stages,
    }
}

fn table(parts: &Parts, picked: &Picked) -> Table {
    let columns = vec![
        Column::text("id"),
        Column::sequence("sequence"),
        Column::number("predicted", 3).meaning("mean of the reward's ensemble"),
        Column::number("sd", 3).meaning("spread of the reward's ensemble"),
        Column::number("judge", 3).meaning("by the independent judge"),
        Column::number("measured", 3).meaning("where a measurement exists"),
        Column::number("naturalness", 2).meaning("lower bound on the log probability under the prior, nats"),
        Column::number("nearest", 0).meaning("letters to the nearest sequence of the table"),
        Column::number("apart", 0).meaning("letters to the nearest other design"),
        Column::number("cluster", 0).meaning("designs within two letters share a cluster"),
        Column::number("drawn", 0).meaning("times among the samples"),
    ];
    let number = |value: Option<f64>| Cell::from(value);
    let rows = picked.rows.iter().map(|row| {
        vec![
            Cell::from(id(row)),
            Cell::from(row.sequence.text(parts.prior.alphabet())),
            number(Some(row.mean)),
            number(row.sd),
            number(row.judge),
            number(row.truth),
            number(Some(row.naturalness)),
            number(row.nearest.as_ref().map(|near| near.1 as f64)),
            number(row.batch_distance.map(|d| d as f64)),
            number(Some((row.cluster + 1) as f64)),
            number(Some(row.times_drawn as f64)),
        ]
    });
    Table {
        title: "Designs".to_owned(),
        caption: "Click a heading to sort.".to_owned(),
        columns,
        rows: rows.collect(),
        reference: None,
    }
}
