//! The report of a pretraining, made from its figures.

use super::quality::{self, Quality};
use crate::cli::finetune::provenance;
use crate::cli::report::loss_plot;
use crate::error::Result;
use crate::eval::report::{Column, Facts, Report, Table, Topic};
use crate::store::RunRecord;

/// The page; `None` where the run has no figures yet.
///
/// # Errors
/// When a file of the run cannot be read or was changed.
pub(in crate::cli) fn report(record: &RunRecord) -> Result<Option<Report>> {
    let Some(bytes) = record.read(quality::FILE)? else { return Ok(None) };
    let quality = Quality::parse(&bytes, &record.path().join(quality::FILE))?;
    let info = record.info();
    let asked = format!(
        "A diffusion prior of {}, from {} sequences.",
        info.config.get("input").and_then(serde_json::Value::as_str).unwrap_or("sequences"),
        quality.train_sequences
    );
    let mut report = Report::new("seqtilt pretrain", asked);
    answer(&mut report, &quality);
    if let Some(plot) = loss_plot(record, "cross-entropy (nats per token)")? {
        report.section(Topic::Progress, "").add(plot);
    }
    let facts = quality.rows().into_iter().map(|[name, value]| (name, value)).collect();
    report.section(Topic::Trust, "").add(Facts { title: "Figures".to_owned(), items: facts });
    report.section(Topic::Other, "").add(spectra(&quality));
    for (name, value) in provenance(info) {
        report.origin(&name, value);
    }
    Ok(Some(report))
}

fn answer(report: &mut Report, quality: &Quality) {
    let compared = [("site frequencies", quality.site_nats_per_token), ("3-gram", quality.trigram_nats_per_token)];
    if let Some(bound) = quality.elbo_nats_per_token {
        let interval = quality.elbo_standard_error.map(|se| format!("± {:.4}", 2.0 * se));
        report.headline("held-out bound (nats per token)", format!("{bound:.4}"), interval);
        let better = compared.iter().filter(|(_, nats)| nats.is_some_and(|nats| nats < bound)).map(|(name, _)| *name);
        let better: Vec<&str> = better.collect();
        report.answer.main_warning = (!better.is_empty()).then(|| {
            format!("The bound on held-out sequences is no better than that of a simpler model: {}.", better.join(", "))
        });
    } else {
        report.answer.main_warning = Some("Nothing was held out: how good it is is not known.".to_owned());
    }
    for (name, nats) in compared {
        if let Some(nats) = nats {
            report.headline(&format!("{name} (nats per token)"), format!("{nats:.4}"), None);
        }
    }
    report.headline("unique samples", format!("{:.1} %", 100.0 * quality.unique_share), None);
    report.headline("samples not in the training set", format!("{:.1} %", 100.0 * quality.novel_share), None);
}

/// Distances of k-mer spectra, of samples and of training sequences.
fn spectra(quality: &Quality) -> Table {
    let columns = vec![
        Column::text("k-mers"),
        Column::number("samples", 4).meaning("total variation of the samples' spectrum to that of held-out sequences"),
        Column::number("training", 4).meaning("of as many training sequences: what chance alone gives"),
    ];
    let row = |s: &quality::SpectrumFigures| {
        vec![format!("{}-mers", s.k).into(), s.samples_to_held_out.into(), s.train_to_held_out.into()]
    };
    Table {
        title: "Distance of spectra to held-out sequences".to_owned(),
        caption: String::new(),
        columns,
        rows: quality.spectra.iter().map(row).collect(),
        reference: None,
    }
}
