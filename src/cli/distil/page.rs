//! The report of a distillation, made from its figures.

use super::figures::{self, Figures};
use crate::cli::finetune::provenance;
use crate::cli::report::loss_plot;
use crate::error::Result;
use crate::eval::report::{Column, Report, Table, Topic};
use crate::store::RunRecord;

/// The page; `None` where the run has no figures yet.
///
/// # Errors
/// When a file of the run cannot be read or was changed.
pub(in crate::cli) fn report(record: &RunRecord) -> Result<Option<Report>> {
    let Some(bytes) = record.read(figures::FILE)? else { return Ok(None) };
    let figures = Figures::parse(&bytes, &record.path().join(figures::FILE))?;
    let info = record.info();
    let prior = info.config.get("prior").and_then(serde_json::Value::as_str).unwrap_or("a prior");
    let mut report = Report::new("seqtilt distil", format!("A consistency model of {prior}."));
    let (f, belief) = (figures.means(|level| level.consistency), figures.means(|level| level.tweedie));
    for (name, [mean, se], [other, _]) in [
        ("letters that agree with the ODE's end", f.agreement, belief.agreement),
        ("total variation to it", f.variation, belief.variation),
    ] {
        report.headline(name, format!("{mean:.4}"), Some(format!("± {:.4}", 2.0 * se)));
        report.headline(&format!("{name}, by the prior's belief"), format!("{other:.4}"), None);
    }
    if f.variation[0] >= belief.variation[0] {
        report.answer.main_warning =
            Some("It is no nearer to the end of the ODE than the prior's own belief.".to_owned());
    }
    if let Some(plot) = loss_plot(record, "divergence to the target (nats per token)")? {
        report.section(Topic::Progress, "").add(plot);
    }
    report.section(Topic::Trust, "").add(levels(&figures));
    report.section(Topic::Other, "").add(few(&figures));
    for (name, value) in provenance(info) {
        report.origin(&name, value);
    }
    Ok(Some(report))
}

/// The errors by noise level.
fn levels(figures: &Figures) -> Table {
    let mut columns = vec![Column::number("log SNR", 2)];
    for (name, meaning) in [
        ("agree", "share of letters that are those of 64 deterministic steps from the same state"),
        ("variation", "total variation of letter probabilities, mean over positions"),
        ("nats", "cross-entropy of the end's letter probabilities, nats per token"),
    ] {
        for of in ["f", "belief"] {
            columns.push(Column::number(&format!("{name}: {of}"), 4).meaning(meaning));
            columns.push(Column::number("±", 4).meaning("standard error over states"));
        }
    }
    let row = |level: &crate::diffusion::Fidelity| {
        let (f, belief) = (level.consistency, level.tweedie);
        let pairs = [f.agreement, belief.agreement, f.variation, belief.variation, f.nats, belief.nats];
        std::iter::once(level.log_snr).chain(pairs.into_iter().flatten()).map(Into::into).collect()
    };
    Table {
        title: "Against multi-step sampling".to_owned(),
        caption: "f and the prior's belief, each after one look at a state, against the end of the ODE from it."
            .to_owned(),
        columns,
        rows: figures.levels.iter().map(row).collect(),
        reference: None,
    }
}

/// Drawing in a few calls.
fn few(figures: &Figures) -> Table {
    let columns = vec![
        Column::number("calls", 0).meaning("0: the prior's own steps, drawn a second time"),
        Column::number("3-mers", 4).meaning("total variation of spectra to the prior's own samples"),
        Column::number("bound", 4).meaning("under the prior, nats per token"),
        Column::number("±", 4).meaning("standard error over sequences"),
    ];
    let row = |few: &figures::Few| {
        vec![(few.steps as f64).into(), few.spectrum.into(), few.bound[0].into(), few.bound[1].into()]
    };
    Table {
        title: "Sequences in a few calls".to_owned(),
        caption: String::new(),
        columns,
        rows: figures.few.iter().map(row).collect(),
        reference: None,
    }
}
