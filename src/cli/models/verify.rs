//! `seqtilt models verify`

use super::Summary;
use super::recompute::{Recomputed, recompute};
use crate::cli::card::{Card, Figure};
use crate::cli::context::Context;
use crate::cli::printer::columns;
use crate::error::{Error, Result};
use crate::store::{embedded, inspect_model};
use serde::Serialize;
use std::fmt;

/// How far a figure may lie from the one on its card: half a unit of the card's last digit (0.00005), and as much three times
/// over for sums that another processor or device rounds in another order. The draws are the same, so there is no other noise.
const TOLERANCE: f64 = 2e-4;

/// A figure on its card and computed again.
#[derive(Serialize)]
struct Metric {
    metric: String,
    stored: Option<f64>,
    recomputed: Option<f64>,
    tolerance: f64,
    verdict: &'static str,
}

impl Metric {
    fn new(figure: &Figure, card: Card<'_>) -> Option<Self> {
        let (stored, recomputed) = (card.figure(figure.label), figure.value);
        let verdict = match (stored, recomputed) {
            (None, None) => return None,
            (None, Some(_)) => "not on its card",
            (Some(stored), Some(now)) if (stored - now).abs() <= TOLERANCE => "ok",
            _ => "differs",
        };
        let metric = format!("{}, {}", figure.label, figure.of);
        Some(Self { metric, stored, recomputed, tolerance: TOLERANCE, verdict })
    }

    fn row(&self, model: &str) -> [String; 5] {
        let number = |value: Option<f64>, decimals: usize| {
            value.map_or_else(|| "-".to_owned(), |value| format!("{value:.decimals$}"))
        };
        let (stored, now) = (number(self.stored, 4), number(self.recomputed, 5));
        [model.to_owned(), self.metric.clone(), stored, now, self.verdict.to_owned()]
    }
}

/// A model whose hashes are as recorded.
#[derive(Serialize)]
struct Verified {
    #[serde(flatten)]
    summary: Summary,
    metrics: Vec<Metric>,
    /// Why there are no metrics.
    not_recomputed: Option<String>,
}

impl Verified {
    fn new(model: &str, context: &Context) -> Result<Self> {
        let (manifest, card) = inspect_model(model)?;
        let (summary, card) = (Summary::new(model, &manifest), Card::new(&card));
        let (metrics, not_recomputed) = match recompute(model, card, context)? {
            Recomputed::Figures(figures) => {
                (figures.iter().filter_map(|figure| Metric::new(figure, card)).collect(), None)
            }
            Recomputed::Not(reason) => (Vec::new(), Some(reason)),
        };
        Ok(Self { summary, metrics, not_recomputed })
    }

    fn wrong(&self) -> impl Iterator<Item = &Metric> {
        self.metrics.iter().filter(|metric| metric.verdict == "differs")
    }
}

#[derive(Serialize)]
#[serde(transparent)]
struct All(Vec<Verified>);

impl fmt::Display for All {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&columns(&self.0.iter().map(|model| model.summary.row()).collect::<Vec<_>>(), ""))?;
        let mut rows = vec![["model", "metric", "stored", "recomputed", "verdict"].map(str::to_owned)];
        for model in &self.0 {
            let name = &model.summary.name;
            rows.extend(model.metrics.iter().map(|metric| metric.row(name)));
            if let Some(reason) = &model.not_recomputed {
                let reason = format!("not recomputed: {reason}");
                rows.push([name.clone(), "-".to_owned(), "-".to_owned(), "-".to_owned(), reason]);
            }
        }
        write!(f, "\n{}", columns(&rows, ""))
    }
}

/// Hashes and figures of the named models, of all built-in ones by default.
///
/// # Errors
/// An integrity error when a file or a figure is not what was recorded.
pub(super) fn verify(models: &[String], context: &Context) -> Result<()> {
    let names = if models.is_empty() {
        embedded::MODELS.iter().map(|model| model.name.to_owned()).collect()
    } else {
        models.to_vec()
    };
    if names.is_empty() {
        return Err(Error::usage("no model is built into this program").hint("name a model folder to verify"));
    }
    let all = All(names.iter().map(|name| Verified::new(name, context)).collect::<Result<_>>()?);
    context.emit(&all)?;
    let wrong: Vec<(&str, &Metric)> =
        all.0.iter().flat_map(|model| model.wrong().map(|metric| (model.summary.name.as_str(), metric))).collect();
    if let Some((model, metric)) = wrong.first() {
        let number = |value: Option<f64>| value.map_or_else(|| "none".to_owned(), |value| format!("{value:.5}"));
        let more = if wrong.len() > 1 { format!(", and {} more", wrong.len() - 1) } else { String::new() };
        return Err(Error::integrity(format!(
            "`{model}`: {} is {} on its card and {} when recomputed; {TOLERANCE} apart is accepted{more}",
            metric.metric,
            number(metric.stored),
            number(metric.recomputed)
        ))
        .hint("weights and card do not belong together; train it again with the command on its card"));
    }
    context.note(told(&all.0));
    Ok(())
}

/// What was found right, in a sentence.
fn told(all: &[Verified]) -> String {
    let metrics: Vec<&Metric> = all.iter().flat_map(|model| &model.metrics).filter(|m| m.verdict == "ok").collect();
    let hashes = format!("{} verified: every hash is as recorded", all.len());
    match metrics.len() {
        0 => format!("{hashes}; no figure was recomputed"),
        count => format!("{hashes}, and {count} figures agree with their cards within {TOLERANCE}"),
    }
}
