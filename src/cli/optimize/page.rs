//! The report of a search.

use super::rows::Design;
use super::settings::Plan;
use super::start::Known;
use super::summary::{Summary, Tilt};
use crate::campaign::{Campaign, Evaluation, Round, TOP};
use crate::cli::finetune::provenance;
use crate::error::Result;
use crate::eval::Estimate;
use crate::eval::logo::Profile;
use crate::eval::report::{
    Axis, Cell, Column, Dot, HistogramPlot, LinePlot, Logo, Logos, Note, Report, Rule, Scatter, ScatterGroup, Series,
    Style, Table, Topic,
};
use crate::sequence::{Sequence, hamming};
use crate::store::RunInfo;

/// Groups of rounds whose dots have a colour of their own.
const GROUPS: usize = 4;
/// Dots of a group, at most.
const DOTS: usize = 800;

/// The page.
///
/// # Errors
/// When a profile cannot be made.
pub(super) fn report(
    plan: &Plan,
    known: &Known,
    campaign: &Campaign,
    tilts: &[Tilt],
    designs: &[Design],
    summary: &Summary,
    info: &RunInfo,
) -> Result<Report> {
    let asked = format!(
        "The best sequences of {} letters by {}, with {} labels in {} rounds, proposed by {}.",
        known.domain.length,
        plan.oracle,
        plan.rounds.total(),
        plan.rounds.rounds(),
        plan.proposer
    );
    let mut report = Report::new("seqtilt optimize", asked);
    answer(&mut report, summary);
    report.section(Topic::Progress, "").add(progress(campaign)).add(rounds(campaign, tilts));
    sampler(&mut report, tilts);
    trust(&mut report, campaign);
    differences(&mut report, known, designs);
    logos(&mut report, known, designs)?;
    report.section(Topic::Sequences, "").add(table(campaign, designs));
    for (name, value) in provenance(info) {
        report.origin(&name, value);
    }
    if plan.has_prior() {
        report.origin("method", "KL-regularised fine-tuning in rounds: SEIKO, Uehara et al. 2024, arXiv 2402.16359");
    }
    Ok(report)
}

fn answer(report: &mut Report, summary: &Summary) {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
    let start = |value| Some(format!("start {}", number(value)));
    report.headline("best measured", number(summary.standing.best), start(summary.start.best));
    report.headline("mean of the top 128", number(summary.standing.top_mean), start(summary.start.top_mean));
    let without = (summary.without_value > 0).then(|| format!("{} without a value", summary.without_value));
    report.headline("labels spent", summary.labels.to_string(), without);
    report.headline(
        "letters between two of the top",
        summary.diversity.map_or_else(|| "-".to_owned(), |d| format!("{d:.2}")),
        Some(format!("{} clusters", summary.clusters)),
    );
    report.answer.main_warning = summary.warning();
    report.answer.verdict.push(format!("It ended because {}.", summary.ended));
    if let Some(seen) = &summary.foresight {
        let rank = seen.spearman.map_or_else(|| "-".to_owned(), |s| format!("{s:.2}"));
        let covered = seen.covered.map_or_else(String::new, |c| {
            format!(", and {:.0} % of the values were within two standard deviations of it (95 % is right)", 100.0 * c)
        });
        report.answer.verdict.push(format!(
            "One round ahead, what was expected of {} sequences has rank correlation {rank} with what was measured{covered}.",
            seen.n
        ));
    }
}

fn progress(campaign: &Campaign) -> LinePlot {
    let points = |value: fn(&Round) -> Option<f64>| -> Vec<(f64, f64)> {
        campaign.rounds().iter().filter_map(|round| Some((round.standing.spent as f64, value(round)?))).collect()
    };
    let with_start = |start: Option<f64>, value| -> Vec<(f64, f64)> {
        start.map(|value| (0.0, value)).into_iter().chain(points(value)).collect()
    };
    let start = campaign.start();
    let series = |name: &str, points: Vec<(f64, f64)>| Series::line(name, points).styled(Style::Marked);
    LinePlot {
        title: "Value against labels".to_owned(),
        caption: "Best and top mean are of everything measured so far, start table included.".to_owned(),
        x: Axis::new("labels spent"),
        y: Axis::new("measured value"),
        series: vec![
            series("best", with_start(start.best, |round| round.standing.best)),
            series(&format!("mean of the top {TOP}"), with_start(start.top_mean, |round| round.standing.top_mean)),
            series("mean of the batch", points(|round| round.batch_mean)),
        ],
        rules: start.best.map(|value| Rule { label: "best of the start".to_owned(), value }).into_iter().collect(),
    }
}

fn rounds(campaign: &Campaign, tilts: &[Tilt]) -> Table {
    let columns = vec![
        Column::number("round", 0),
        Column::number("labels", 0).meaning("spent up to here"),
        Column::number("best", 4),
        Column::number("batch mean", 4),
        Column::number("top mean", 4).meaning("of the best 128 so far"),
        Column::number("no value", 0).meaning("failed, infeasible or censored"),
        Column::number("Spearman", 3).meaning("expected against measured, one round ahead"),
        Column::number("within 2 sd", 3).meaning("share of values; .954 is right"),
        Column::number("optimism", 4).meaning("expected less measured"),
        Column::number("KL", 2).meaning("of the sampler to the prior, nats"),
        Column::number("gap", 3).meaning("of the sampler to its exact tilt, nats"),
    ];
    let row = |round: &Round| {
        let seen = round.foresight.as_ref();
        let tilt = tilts.iter().find(|tilt| tilt.round == round.round);
        let cells = [
            Some(round.round as f64),
            Some(round.standing.spent as f64),
            round.standing.best,
            round.batch_mean,
            round.standing.top_mean,
            Some((round.asked - round.valued) as f64),
            seen.and_then(|seen| seen.spearman),
            seen.and_then(|seen| seen.covered),
            seen.map(|seen| seen.optimism),
            tilt.map(|tilt| tilt.path_kl.value),
            tilt.and_then(|tilt| tilt.gap).map(|gap| gap.value),
        ];
        cells.into_iter().map(Cell::from).collect()
    };
    Table {
        title: "Rounds".to_owned(),
        caption: "Click a heading to sort.".to_owned(),
        columns,
        rows: campaign.rounds().iter().map(row).collect(),
        reference: None,
    }
}

fn sampler(report: &mut Report, tilts: &[Tilt]) {
    if tilts.is_empty() {
        return;
    }
    let series = |name: &str, value: fn(&Tilt) -> Option<Estimate>| {
        let known: Vec<(f64, Estimate)> =
            tilts.iter().filter_map(|tilt| Some((tilt.round as f64, value(tilt)?))).collect();
        let mut series = Series::line(name, known.iter().map(|(round, estimate)| (*round, estimate.value)));
        series.band = known.iter().map(|(_, estimate)| 2.0 * estimate.se).collect();
        series.styled(Style::Marked)
    };
    let section = report.section(Topic::Frontier, "");
    section.add(LinePlot {
        title: "The sampler of every round".to_owned(),
        caption: "KL to the prior is what the tilt costs; KL to the exact tilt is what fine-tuning misses, 0 at best. Bands are two \
                  standard errors."
            .to_owned(),
        x: Axis::new("round"),
        y: Axis::new("nats per sequence"),
        series: vec![
            series("to the prior", |tilt| Some(tilt.path_kl)),
            series("to the exact tilt", |tilt| tilt.gap),
        ],
        rules: Vec::new(),
    });
    let doubtful: Vec<String> =
        tilts.iter().filter(|tilt| tilt.gap.is_none()).map(|tilt| tilt.round.to_string()).collect();
    if !doubtful.is_empty() {
        section.add(Note::warning(format!(
            "The distance to the exact tilt is not known in rounds {}: too few effective samples of the prior are behind it; raise \
             --base-paths or --alpha.",
            doubtful.join(", ")
        )));
    }
}

fn trust(report: &mut Report, campaign: &Campaign) {
    let pairs = |e: &Evaluation| Some((e.outcome.value()?, e.pick.expected?));
    let last = campaign.rounds().len();
    if last == 0 || !campaign.evaluations().iter().any(|e| pairs(e).is_some()) {
        return;
    }
    let width = last.div_ceil(GROUPS);
    let groups = (0..last.div_ceil(width)).map(|group| {
        let (from, to) = (group * width + 1, ((group + 1) * width).min(last));
        let name = if from == to { format!("round {from}") } else { format!("rounds {from} to {to}") };
        let of = campaign.evaluations().iter().filter(|e| (from..=to).contains(&e.round));
        let dots = of.filter_map(pairs).take(DOTS).map(|(value, expected)| Dot::new(value, expected.mean)).collect();
        ScatterGroup { name, dots }
    });
    let groups: Vec<ScatterGroup> = groups.filter(|group| !group.dots.is_empty()).collect();
    let ahead = |value: fn(&Round) -> Option<f64>| -> Vec<(f64, f64)> {
        campaign.rounds().iter().filter_map(|round| Some((round.round as f64, value(round)?))).collect()
    };
    report
        .section(Topic::Trust, "")
        .add(Scatter {
            title: "Expected against measured, one round ahead".to_owned(),
            caption: "Every batch was expected by a surrogate that had not seen it; the line is equality.".to_owned(),
            x: Axis::new("measured"),
            y: Axis::new("expected"),
            groups,
            identity: true,
            ..Scatter::default()
        })
        .add(LinePlot {
            title: "Was the surrogate right?".to_owned(),
            caption:
                "A batch is chosen at the top, where values are alike: a low rank correlation within it is no surprise."
                    .to_owned(),
            x: Axis::new("round"),
            y: Axis::new("share, or correlation"),
            series: vec![
                Series::line("rank correlation", ahead(|r| r.foresight.as_ref()?.spearman)).styled(Style::Marked),
                Series::line("within 2 sd", ahead(|r| r.foresight.as_ref()?.covered)).styled(Style::Marked),
            ],
            rules: vec![Rule { label: "95 %".to_owned(), value: 0.954 }],
        });
}

fn differences(report: &mut Report, known: &Known, designs: &[Design]) {
    let top: Vec<&Design> = designs.iter().take(TOP).collect();
    if top.len() < 2 {
        return;
    }
    let between: Vec<usize> = (0..top.len())
        .flat_map(|i| (0..i).map(move |j| (i, j)))
        .filter_map(|(i, j)| hamming(&top[i].sequence, &top[j].sequence))
        .collect();
    report.section(Topic::Diversity, "").add(HistogramPlot::whole(
        "Letters between two of the best",
        Axis::new("Hamming distance"),
        &[("best of the search", &between)],
    ));
    let from_start: Vec<usize> = top.iter().filter_map(|design| design.from_start).collect();
    if !known.rows.is_empty() {
        report.section(Topic::Novelty, "").add(HistogramPlot::whole(
            "Letters to the nearest sequence of the start table",
            Axis::new("Hamming distance"),
            &[("best of the search", &from_start)],
        ));
    }
}

fn logos(report: &mut Report, known: &Known, designs: &[Design]) -> Result<()> {
    let alphabet = &known.domain.alphabet;
    let best: Vec<Sequence> = designs.iter().take(TOP).map(|design| design.sequence.clone()).collect();
    let mut logos = Vec::new();
    for (name, set) in [("start table", known.sequences()), ("best of the search", best)] {
        if !set.is_empty() {
            logos.push(Logo { name: format!("{name} ({})", set.len()), profile: Profile::new(&set, alphabet.len())? });
        }
    }
    if !logos.is_empty() {
        report.section(Topic::Logos, "").add(Logos {
            title: "Information per position".to_owned(),
            caption: "Letter heights in bits, with the small-sample correction.".to_owned(),
            letters: String::from_utf8_lossy(alphabet.letters()).into_owned(),
            first: 1,
            logos,
        });
    }
    Ok(())
}

fn table(campaign: &Campaign, designs: &[Design]) -> Table {
    let alphabet = &campaign.measured().domain().alphabet;
    let by_posterior = designs.iter().any(|design| design.posterior.is_some());
    let mut columns = vec![
        Column::text("id"),
        Column::sequence("sequence"),
        Column::number("measured", 4),
        Column::number("round", 0).meaning("in which it was measured"),
        Column::number("expected", 4).meaning("by the surrogate before it was measured"),
        Column::number("sd", 4).meaning("of what was expected"),
        Column::number("nearest", 0).meaning("letters to the nearest sequence of the start table"),
        Column::number("apart", 0).meaning("letters to the nearest other design"),
        Column::number("cluster", 0).meaning("designs within two letters share a cluster"),
        Column::text("reason"),
    ];
    if by_posterior {
        let meaning = "expected by a surrogate that has seen all labels: the order of the list";
        columns.insert(2, Column::number("posterior", 4).meaning(meaning));
    }
    let row = |design: &Design| {
        let mut cells = vec![
            Cell::from(design.id.clone()),
            Cell::from(design.sequence.text(alphabet)),
            Cell::from(Some(design.measured)),
            Cell::from(Some(design.round as f64)),
            Cell::from(design.expected.map(|p| p.mean)),
            Cell::from(design.expected.and_then(|p| p.sd)),
            Cell::from(design.from_start.map(|d| d as f64)),
            Cell::from(design.apart.map(|d| d as f64)),
            Cell::from(Some(design.cluster as f64)),
            Cell::from(design.reason.clone()),
        ];
        if by_posterior {
            cells.insert(2, Cell::from(design.posterior.map(|p| p.mean)));
        }
        cells
    };
    Table {
        title: "Best measured".to_owned(),
        caption: "Click a heading to sort.".to_owned(),
        columns,
        rows: designs.iter().map(row).collect(),
        reference: None,
    }
}
