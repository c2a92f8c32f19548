//! The report of `bench frontier`.

use super::Report as Fronts;
use super::cell::series;
use super::fronts::{Enumerated, Optimum};
use crate::cli::bench::results::Group;
use crate::cli::finetune::Outcome;
use crate::eval::report::{Axis, Curve, Dot, Mark, Report, Scatter, ScatterGroup, Topic};
use std::collections::BTreeSet;

const COLUMNS: [(&str, u8); 11] = [
    ("mean_reward", 4),
    ("optimum_reward", 4),
    ("path_kl", 3),
    ("path_divergence", 3),
    ("gap_nats", 3),
    ("sequence_kl", 3),
    ("frontier_distance", 4),
    ("diversity", 3),
    ("unique_share", 3),
    ("sample_reward_median", 4),
    ("sample_reward_best", 4),
];

const JUDGED: [(&str, u8); 2] = [("judge_mean", 4), ("judge_minus_reward", 4)];

/// A measured quantity as an axis: the cells' metric, the prior's own, and the exact optimum's where it is known.
struct Quantity {
    metric: &'static str,
    prior: Option<&'static str>,
    exact: Option<fn(&Optimum) -> f64>,
    label: &'static str,
}

const REWARD: Quantity = Quantity {
    metric: "mean_reward",
    prior: Some("sample_reward_mean"),
    exact: Some(|p| p.reward),
    label: "mean reward, hard decode",
};

const KL: Quantity =
    Quantity { metric: "path_kl", prior: None, exact: Some(|p| p.kl), label: "path KL to the prior (nats)" };

const DIVERSITY: Quantity = Quantity {
    metric: "diversity",
    prior: Some("diversity"),
    exact: Some(|p| p.diversity),
    label: "diversity (letters)",
};

const JUDGE: Quantity =
    Quantity { metric: "judge_mean", prior: Some("judge_mean"), exact: None, label: "mean of the judge" };

/// The page: what was picked, the fronts, the table.
pub(super) fn page(fronts: &Fronts, outcomes: &[Outcome], enumerated: Option<&Enumerated>) -> Report {
    let results = &fronts.results;
    let from = outcomes.first().map_or_else(String::new, |o| format!("{} tilted towards {}", o.prior, o.reward));
    let mut report = Report::new(
        "seqtilt bench frontier",
        format!("What does departure buy: reward against divergence and diversity of {from}?"),
    );
    headlines(&mut report, fronts);
    let unreliable = outcomes.iter().filter(|o| !o.verdict.certificate.is_reliable()).count();
    if unreliable > 0 {
        report.answer.main_warning = Some(format!(
            "In {unreliable} of {} cells log Z, and with it the gap, rests on too few effective base samples; raise \
             --base-paths.",
            outcomes.len()
        ));
    }
    let known = if enumerated.is_some() {
        "Marks are measured, each the mean over the seeds of a setting, joined in the order of their prices; dotted lines are the \
         exact optima over prices."
    } else {
        "Marks are measured, each the mean over the seeds of a setting, joined in the order of their prices. Sequences are too \
         many to enumerate: the exact fronts are not known."
    };
    let section = report.section(Topic::Frontier, known);
    let mut by_kl = front(fronts, "Mean reward against path KL", [&KL, &REWARD]);
    "Up and to the left is better. ".clone_into(&mut by_kl.caption);
    if let Some(enumerated) = enumerated {
        let kl = fronts.results.summary.iter().filter_map(|group| mean(group, KL.metric));
        let limit = 1.12 * kl.fold(0.0, f64::max);
        by_kl.bound = enumerated.bound(limit).into_iter().map(Into::into).collect();
        by_kl.caption.push_str(
            "No sampler can lie above the solid line, the exact frontier of KL. A dotted line below it is what the divergence \
             gives away in KL for what it limits instead.",
        );
    }
    let mut by_diversity = front(fronts, "Mean reward against diversity", [&DIVERSITY, &REWARD]);
    "Up and to the right is better: reward that is not bought with sameness.".clone_into(&mut by_diversity.caption);
    let mut spent = front(fronts, "Diversity against path KL", [&KL, &DIVERSITY]);
    "What a nat costs in variety: the mean number of letters in which two samples differ (Hamming distance)."
        .clone_into(&mut spent.caption);
    section.add(by_kl).add(by_diversity).add(spent);
    if fronts.judge {
        let mut judged = front(fronts, "Judge against reward", [&REWARD, &JUDGE]);
        judged.identity = true;
        "The judge takes no part in training. Where marks turn away from the line of equality as reward rises, reward is gained that \
         the judge does not see."
            .clone_into(&mut judged.caption);
        section.add(judged);
    }
    let judged = if fronts.judge { &JUDGED[..] } else { &[] };
    let table = results.table(["divergence", "alpha"], &[&COLUMNS[..], judged].concat());
    report.section(Topic::Other, "").add(table);
    report.origin("command", results.command.clone());
    for (name, version) in &results.versions {
        report.origin(name, version.clone());
    }
    report
}

/// What the budgets picked; without any, the ends of the grid.
fn headlines(report: &mut Report, fronts: &Fronts) {
    let groups = &fronts.results.summary;
    for advice in &fronts.advice {
        match &advice.picked {
            Some(p) => {
                let label = format!("mean reward {}", advice.budget_text());
                let how = format!("{}: path KL {:.2}, diversity {:.2}", p.name(), p.path_kl, p.diversity);
                report.headline(&label, format!("{:.4}", p.mean_reward), Some(how));
            }
            None => {
                report.headline(&format!("cells {}", advice.budget_text()), "none", None);
            }
        }
        report.answer.verdict.extend(advice.to_string().lines().map(|line| line.trim().to_owned()));
    }
    if fronts.advice.is_empty() {
        for (label, metric, decimals, sign) in [
            ("highest mean reward", "mean_reward", 4, 1.0),
            ("least KL to the optimum (nats)", "gap_nats", 3, -1.0),
            ("greatest diversity (letters)", "diversity", 3, 1.0),
        ] {
            let known = groups.iter().filter_map(|group| Some((mean(group, metric)?, group)));
            if let Some((_, group)) = known.max_by(|a, b| (sign * a.0).total_cmp(&(sign * b.0))) {
                report.headline(label, group.text(metric, decimals), Some(named(group)));
            }
        }
    }
}

/// Cells, exact optima and picks in the plane of two quantities.
fn front(fronts: &Fronts, title: &str, [x, y]: [&Quantity; 2]) -> Scatter {
    let mut groups: Vec<ScatterGroup> = Vec::new();
    let mut divergences: Vec<String> = Vec::new();
    let mut settings: Vec<&Group> = fronts.results.summary.iter().collect();
    settings.sort_by(|a, b| alpha(b).total_cmp(&alpha(a)));
    for group in &fronts.results.summary {
        let name = series(&group.method, divergence(group));
        if !groups.iter().any(|known| known.name == name) {
            groups.push(ScatterGroup { name, dots: Vec::new() });
            divergences.push(divergence(group).to_owned());
        }
    }
    for group in settings {
        let name = series(&group.method, divergence(group));
        let Some((at_x, at_y)) = mean(group, x.metric).zip(mean(group, y.metric)) else { continue };
        let mut dot = Dot::new(at_x, at_y).named(named(group));
        if let Some(sd) = group.metrics.get(y.metric).and_then(|spread| spread.sd) {
            dot = dot.with_error(sd);
        }
        groups.iter_mut().filter(|known| known.name == name).for_each(|known| known.dots.push(dot.clone()));
    }
    let curves = curves(fronts, &divergences, [x, y]);
    let of_prior = |quantity: &Quantity| match quantity.prior {
        Some(metric) => fronts.prior.get(metric).copied(),
        None => Some(0.0),
    };
    if let Some((at_x, at_y)) = of_prior(x).zip(of_prior(y)) {
        groups.push(ScatterGroup { name: "prior".to_owned(), dots: vec![Dot::new(at_x, at_y).named("prior")] });
    }
    let rings = fronts.advice.iter().filter_map(|advice| {
        let picked = advice.picked.as_ref()?;
        let chosen = fronts.results.summary.iter().find(|group| {
            group.method == picked.method && divergence(group) == picked.divergence && alpha(group) == picked.alpha
        })?;
        let at = (mean(chosen, x.metric)?, mean(chosen, y.metric)?).into();
        Some(Mark { name: named(chosen), at })
    });
    let mut rings: Vec<Mark> = rings.collect();
    rings.dedup();
    Scatter {
        title: title.to_owned(),
        x: Axis::new(x.label),
        y: Axis::new(y.label),
        groups,
        joined: true,
        curves,
        rings,
        ..Scatter::default()
    }
}

/// The exact front of each divergence, once, in the colour of its first series, no further than the cells go.
fn curves(fronts: &Fronts, divergences: &[String], [x, y]: [&Quantity; 2]) -> Vec<Curve> {
    let kl = fronts.results.summary.iter().filter_map(|group| mean(group, KL.metric));
    let limit = 1.12 * kl.fold(0.0, f64::max);
    let (Some(at_x), Some(at_y)) = (x.exact, y.exact) else { return Vec::new() };
    let drawn: BTreeSet<&String> = divergences.iter().collect();
    let curve = |name: &String| {
        let front = fronts.fronts.iter().find(|front| front.divergence == *name)?;
        let points = front.points.iter().filter(|p| p.kl <= limit).map(|p| (at_x(p), at_y(p)).into());
        let group = divergences.iter().position(|other| other == name);
        Some(Curve { name: format!("exact optima of {name}"), group, points: points.collect() })
    };
    drawn.into_iter().filter_map(curve).collect()
}

fn mean(group: &Group, metric: &str) -> Option<f64> {
    group.metrics.get(metric).map(|spread| spread.mean)
}

fn divergence(group: &Group) -> &str {
    group.parameters["divergence"].as_str().unwrap_or_default()
}

fn alpha(group: &Group) -> f64 {
    group.parameters["alpha"].as_f64().unwrap_or(f64::NAN)
}

fn named(group: &Group) -> String {
    format!("{} {}", series(&group.method, divergence(group)), alpha(group))
}
