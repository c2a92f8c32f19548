//! The report of `bench variance`.

use super::cell::Measured;
use super::claims::Claim;
use super::text::{moved, windows};
use crate::cli::bench::results::Results;
use crate::eval::report::{
    Axis, Cell, Column, LinePlot, Note, Report, Rule, Series, Style, Table, Topic, picture as draw,
};
use crate::finetune::word_score::{Growth, WordLevel, WordTarget};

/// The level on either side of noise and last state that the grid is pushed outwards from.
const MIDDLE: f64 = 4.0;

/// The page: what holds, where the noise is, what moving the last state does, how adjoints grow.
pub(super) fn report(results: &Results, measured: &[Measured], claims: &[Claim]) -> Report {
    let asked = "Which regression targets for the score of a tilt have noise of finite cost?";
    let mut report = Report::new("seqtilt bench variance", asked);
    for claim in claims {
        report.answer.verdict.push(format!("{}: {}.", claim.verdict(), claim.claim));
    }
    if let Some(own) = own(measured) {
        for target in [WordTarget::Letters, WordTarget::Mixed, WordTarget::Lean] {
            if target == WordTarget::Lean && !own.lean_is_seen() {
                report.answer.main_warning = Some(format!(
                    "Letters are read where the posterior has collapsed: {} sampled adjoints recover {:.1} % of their mean, so the lean \
                     curves are no estimates there.",
                    own.exact.paths,
                    100.0 * own.exact.whole().map_or(f64::NAN, |whole| whole.recovered.mean)
                ));
                continue;
            }
            let label = format!("nats that noise costs, {} target, alpha {}", target.name(), own.alpha);
            report.headline(&label, format!("{:.2}", own.total(target)), None);
        }
    }
    let lead = "Every curve is a rate: its area is what the target's noise costs in path KL. Left is noise, right the state at which \
                letters are read; a curve that does not fall at an end has no finite area.";
    let section = report.section(Topic::Trust, lead);
    section.title = String::from("Where is the noise?");
    for cell in measured.iter().filter(|cell| cell.beyond == 0.0) {
        section.add(rates(cell)).add(pushed(cell, true)).add(pushed(cell, false));
        section.add(table(&windows(cell), &format!("Integrals, alpha {}", cell.alpha)));
    }
    let lead = "The last state of a path is noised data. As it moves to the letters, its own score blows up and the posterior of words \
                collapses: gradients of the soft value vanish on nearly all paths and are large on few.";
    let section = report.section(Topic::Hacking, lead);
    section.title = String::from("What if the last state moves to the letters?");
    for cells in by_price(measured) {
        section.add(moving(&cells)).add(table(&moved(&cells), &format!("All levels, alpha {}", cells[0].alpha)));
    }
    let section = report.section(Topic::Other, "Norms of lean adjoints in units of the gradient that they end in.");
    section.title = String::from("How large are adjoints?");
    for cell in measured.iter().filter(|cell| cell.beyond == 0.0) {
        section.add(growth(cell));
        section.add(Note::info(format!(
            "The bound a/(a² + m b²) applies where the base is log-concave: below log SNR {:.2} for any words; letters are read at {}. \
             Least sampled curvature of the base in units of 1/b²: {}.",
            cell.log_concave_below,
            cell.exact.end,
            curvatures(&cell.exact.levels)
        )));
    }
    report.origin("command", results.command.clone());
    for (name, version) in &results.versions {
        report.origin(name, version.clone());
    }
    report
}

/// The plots that say most, of the middle price.
pub(super) fn picture(measured: &[Measured]) -> String {
    let Some(own) = own(measured) else { return draw(&[], 1) };
    let cells: Vec<&Measured> = measured.iter().filter(|cell| cell.alpha == own.alpha).collect();
    draw(&[rates(own), moving(&cells), pushed(own, true), pushed(own, false), growth(own)], 2)
}

/// The measurement at the decode of the middle price.
fn own(measured: &[Measured]) -> Option<&Measured> {
    let at_decode: Vec<&Measured> = measured.iter().filter(|cell| cell.beyond == 0.0).collect();
    at_decode.get(at_decode.len() / 2).copied()
}

fn by_price(measured: &[Measured]) -> Vec<Vec<&Measured>> {
    let mut groups: Vec<Vec<&Measured>> = Vec::new();
    for cell in measured {
        match groups.last_mut().filter(|group| group[0].alpha == cell.alpha) {
            Some(group) => group.push(cell),
            None => groups.push(vec![cell]),
        }
    }
    groups
}

/// A target's name, with a word where its numbers are no estimates.
fn label(cell: &Measured, target: WordTarget) -> &'static str {
    if target == WordTarget::Lean && !cell.lean_is_seen() { "lean, unseen" } else { target.name() }
}

fn rates(cell: &Measured) -> LinePlot {
    let series = WordTarget::ALL.into_iter().enumerate().map(|(which, target)| {
        let rate = |level: &WordLevel| level.variance[which].mean * level.weight / level.length;
        Series::line(label(cell, target), cell.exact.levels.iter().map(|level| (level.relative, rate(level))))
    });
    LinePlot {
        title: format!("Cost of noise by level, alpha {}", cell.alpha),
        caption: "Standard errors are in results.csv.".to_owned(),
        x: Axis::new("log SNR relative to the last state"),
        y: Axis::log("nats per unit of log SNR").within(1e-5, 1e5),
        series: series.collect(),
        rules: Vec::new(),
    }
}

/// Integrals as the grid is pushed towards noise, or from there towards the last state.
fn pushed(cell: &Measured, to_noise: bool) -> LinePlot {
    let levels = &cell.exact.levels;
    let series = WordTarget::ALL.into_iter().enumerate().map(|(which, target)| {
        let mut sum = 0.0;
        let mut add = |level: &WordLevel| {
            sum += level.weight * level.variance[which].mean;
            (level.relative, sum)
        };
        let points: Vec<(f64, f64)> = if to_noise {
            levels.iter().rev().filter(|level| level.relative < MIDDLE).map(&mut add).collect()
        } else {
            levels.iter().map(&mut add).filter(|(relative, _)| *relative > -MIDDLE).collect()
        };
        Series::line(label(cell, target), points)
    });
    let title = if to_noise { "from a level on, to log SNR 4" } else { "from noise to a level" };
    LinePlot {
        title: format!("Cost of noise {title}, alpha {}", cell.alpha),
        caption: "Where a line is level, pushing the end of the grid further costs nothing.".to_owned(),
        x: Axis::new("log SNR relative to the last state"),
        y: Axis::log("nats").within(1e-2, 1e6),
        series: series.collect(),
        rules: Vec::new(),
    }
}

fn moving(cells: &[&Measured]) -> LinePlot {
    let series = WordTarget::ALL.into_iter().map(|target| {
        let told = cells.iter().filter(|cell| target != WordTarget::Lean || cell.lean_is_seen());
        Series::line(target.name(), told.map(|cell| (cell.exact.end, cell.total(target)))).styled(Style::Marked)
    });
    let control = cells.iter().filter_map(|cell| Some((cell.exact.end, cell.exact.whole()?.control.mean)));
    let entropy = cells.first().map(|cell| Rule { label: "entropy of the words".to_owned(), value: cell.entropy });
    LinePlot {
        title: format!("Cost of noise over all levels, alpha {}", cells.first().map_or(f64::NAN, |cell| cell.alpha)),
        caption: "The control is the path KL of the optimum, for scale. The lean target is shown where sampled paths recover its mean.".to_owned(),
        x: Axis::new("log SNR of the last state"),
        y: Axis::log("nats"),
        series: series.chain([Series::line("control", control).styled(Style::Dashed)]).collect(),
        rules: entropy.into_iter().collect(),
    }
}

fn growth(cell: &Measured) -> LinePlot {
    let line = |name: &str, of: fn(&Growth) -> Option<f64>| {
        let levels = cell.exact.levels.iter();
        Series::line(name, levels.filter_map(|level| Some((level.log_snr, of(&level.growth)?))))
    };
    let network = |name: &str, of: fn(&Growth) -> Option<f64>| {
        let levels = cell.network.iter().flat_map(|network| &network.levels);
        Series::line(name, levels.filter_map(|(log_snr, growth)| Some((*log_snr, of(growth)?)))).styled(Style::Dashed)
    };
    LinePlot {
        title: format!("Norms of lean adjoints, |ã|/|∇V|, alpha {}", cell.alpha),
        caption: "Dashed: by the network's Jacobians, on the chain's own steps.".to_owned(),
        x: Axis::new("log SNR"),
        y: Axis::log("norm, in units of the last gradient"),
        series: vec![
            line("median", |growth| growth.median),
            line("99.9 %", |growth| growth.high),
            line("largest", |growth| growth.max),
            network("network, median", |growth| growth.median),
            network("network, largest", |growth| growth.max),
        ],
        rules: Vec::new(),
    }
}

/// Curvatures at a few levels, in words.
fn curvatures(levels: &[WordLevel]) -> String {
    let known = levels.iter().filter_map(|level| Some((level.log_snr, level.curvature?)));
    let mut last = f64::NEG_INFINITY;
    let told = known.filter(|(log_snr, _)| {
        let far = *log_snr >= last + 1.0;
        last = if far { *log_snr } else { last };
        far && *log_snr > -6.0
    });
    told.map(|(log_snr, curvature)| format!("{curvature:.2} at {log_snr:.1}")).collect::<Vec<_>>().join(", ")
}

fn table(lines: &[Vec<String>], title: &str) -> Table {
    let columns = lines.first().map_or_else(Vec::new, |heads| heads.iter().map(|head| Column::text(head)).collect());
    let rows = lines.iter().skip(1).map(|line| line.iter().map(|cell| Cell::from(cell.clone())).collect());
    Table {
        title: title.to_owned(),
        caption: "Nats, with standard errors over paths.".to_owned(),
        columns,
        rows: rows.collect(),
        reference: None,
    }
}
