//! What a table can support.

use crate::error::Result;
use crate::nn::Pool;
use crate::oracle::{Trial, best, is_significant, trials};
use crate::random::Seed;
use crate::reward::TrainingSet;
use crate::sequence::{Records, hamming, variants_of};
use serde::Serialize;

/// Measured sequences that anything can be said of, at least.
const LEAST: usize = 20;

/// Sequences that models are tried on, at most.
const MOST: usize = 1000;

/// Multiply-adds that the fit of a model may take: some seconds.
const BUDGET: f64 = 1e10;

/// Parts that a table is cut into.
const FOLDS: usize = 5;

/// What can be done with a table, beyond what is in it.
#[derive(Serialize)]
pub(super) struct Advice {
    /// Whether its sequences are variants of one molecule, and how many letters they differ from its consensus on average.
    #[serde(skip_serializing_if = "Option::is_none")]
    variants: Option<f64>,
    /// Sequences that models were tried on.
    tried_on: usize,
    /// Models by cross-validation.
    models: Vec<Trial>,
    /// The sentence.
    verdict: String,
}

impl Advice {
    /// By cross-validation on at most a thousand of the measured sequences; nothing for tables without values.
    ///
    /// # Errors
    /// When a fit fails.
    pub(super) fn of(records: &Records, seed: Seed, pool: &Pool) -> Result<Option<Self>> {
        let Some(measured) = records.measured() else { return Ok(None) };
        let sequences = records.sequences();
        let origin = variants_of(&sequences, &records.alphabet);
        let variants = origin.map(|origin| {
            let changed: usize = sequences.iter().filter_map(|x| hamming(x, &origin)).sum();
            changed as f64 / sequences.len() as f64
        });
        let Ok(set) = TrainingSet::from_records(&measured) else {
            let verdict = "no model is fitted to this table: see what `seqtilt design` says of it".to_owned();
            return Ok(Some(Self { variants, tried_on: 0, models: Vec::new(), verdict }));
        };
        if set.len() < LEAST {
            let verdict = format!("{} measured sequences: at least {LEAST} are needed to check a model", set.len());
            return Ok(Some(Self { variants, tried_on: set.len(), models: Vec::new(), verdict }));
        }
        let tried =
            if set.len() > MOST { set.hold_out(MOST as f64 / set.len() as f64, seed.child("tried"))?.0 } else { set };
        let models = trials(&tried, FOLDS, BUDGET, seed.child("trials"), pool)?;
        let verdict = verdict(&models, measured.len());
        Ok(Some(Self { variants, tried_on: tried.len(), models, verdict }))
    }

    /// Lines of name and value.
    pub(super) fn lines(&self) -> Vec<[String; 2]> {
        let mut lines = Vec::new();
        if let Some(changed) = self.variants {
            lines.push([
                "variants".to_owned(),
                format!("of one molecule, {changed:.2} letters from the consensus on average"),
            ]);
        }
        lines.extend(self.models.iter().map(model_line));
        lines.push(["supports".to_owned(), self.verdict.clone()]);
        lines
    }
}

/// One model in a line.
pub(in crate::cli) fn model_line(trial: &Trial) -> [String; 2] {
    let text = match (&trial.support, &trial.untried) {
        (Some(found), _) => format!(
            "{} by {} folds (z {:.1}), RMSE {:.4} against {:.4} of the mean, 90 % intervals hold {:.0} %",
            found
                .held_out
                .spearman
                .map_or_else(|| "no rank correlation".to_owned(), |rho| format!("rank correlation {rho:.3}")),
            found.folds,
            found.z,
            found.held_out.rmse,
            found.rmse_of_mean,
            100.0 * found.held_out.coverage.unwrap_or(0.0),
        ),
        (None, why) => format!("not tried: {}", why.as_deref().unwrap_or_default()),
    };
    [format!("model {}", trial.family), text]
}

/// How many families were tried.
pub(in crate::cli) fn tried(models: &[Trial]) -> usize {
    models.iter().filter(|trial| trial.support.is_some()).count()
}

fn verdict(models: &[Trial], measured: usize) -> String {
    match best(models).and_then(|trial| Some((trial, trial.support.as_ref()?))) {
        None => "no model was tried".to_owned(),
        Some((trial, found)) if is_significant(found.z, tried(models)) => {
            let more = if measured > MOST { "; networks on all rows may do better" } else { "" };
            format!("designs by `{}`{more}: seqtilt design TABLE --out FOLDER", trial.family)
        }
        Some(_) => {
            "no prediction: no model ranks held-out sequences better than chance; measure more, or repeat measurements"
                .to_owned()
        }
    }
}
