//! The report page of a trained reward, made from its figures.

use super::REPORT;
use super::report::{Report as Figures, rows};
use crate::cli::finetune::provenance;
use crate::cli::report::loss_plot;
use crate::error::{Error, Result};
use crate::eval::report::{Column, Facts, Report, Table, Topic};
use crate::reward::{AtDistance, HeldOut};
use crate::store::RunRecord;

/// The share of values that a 90 % interval must hold, so that no warning is needed.
const HONEST: f64 = 0.8;

/// The page; `None` where the run has no figures, as that of a part of another job.
///
/// # Errors
/// When a file of the run cannot be read or was changed.
pub(in crate::cli) fn page(record: &RunRecord) -> Result<Option<Report>> {
    let Some(bytes) = record.read(REPORT)? else { return Ok(None) };
    let figures: Figures = serde_json::from_slice(&bytes)
        .map_err(|error| Error::integrity("not a report").at(record.path().join(REPORT)).because(error))?;
    let trained = &figures.trained;
    let asked = format!(
        "Predict the value of a sequence, from {} measured ones with values {:.4} to {:.4}.",
        trained.sequences, trained.least, trained.greatest
    );
    let mut report = Report::new("seqtilt oracle train", asked);
    report.answer.main_warning = warning(figures.held_out.as_ref());
    if let Some(plot) = loss_plot(record, "loss (standardised values)")? {
        report.section(Topic::Progress, "").add(plot);
    }
    if let Some((held, on)) = figures.figures() {
        headlines(&mut report, held, &on);
        let section = report.section(Topic::Trust, "");
        let items = rows(held).into_iter().map(|[name, value]| (name, value)).collect();
        section.add(Facts { title: "Figures".to_owned(), items });
        let nearest = ("the training set", "the nearest training sequence", &held.by_distance);
        for (from, meaning, at) in [nearest, ("the consensus", "the consensus of the training set", &held.by_changes)] {
            if at.len() > 1 {
                section.add(by_distance(from, meaning, at));
            }
        }
    }
    report.origin("oracle", figures.oracle).origin("fingerprint", figures.fingerprint);
    report.origin("training data", figures.data);
    for (name, value) in provenance(record.info()) {
        report.origin(&name, value);
    }
    Ok(Some(report))
}

fn warning(held: Option<&HeldOut>) -> Option<String> {
    let Some(held) = held else {
        return Some("Nothing was held out: how good it is on new sequences is not known.".to_owned());
    };
    let coverage = held.coverage.filter(|share| *share < HONEST)?;
    Some(format!(
        "The spread of the members is no error bar: {:.1} % of held-out values lie within the interval that would hold \
         90 % if it were.",
        100.0 * coverage
    ))
}

fn headlines(report: &mut Report, held: &HeldOut, on: &str) {
    if let Some(spearman) = held.spearman {
        report.headline("rank correlation", format!("{spearman:.4}"), Some(on.to_owned()));
    }
    report.headline("root mean squared error", format!("{:.4}", held.rmse), Some(on.to_owned()));
}

fn by_distance(from: &str, meaning: &str, at: &[AtDistance]) -> Table {
    let row = |at: &AtDistance| vec![at.distance.into(), at.n.into(), at.spearman.into(), at.rmse.into()];
    Table {
        title: format!("By distance to {from}"),
        caption: String::new(),
        columns: vec![
            Column::number("letters", 0).meaning(&format!("letters that differ from {meaning}")),
            Column::number("n", 0),
            Column::number("rank correlation", 4),
            Column::number("error", 4).meaning("root mean squared error"),
        ],
        rows: at.iter().map(row).collect(),
        reference: None,
    }
}
