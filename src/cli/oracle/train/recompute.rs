//! The figures on a reward's card, computed again.

use super::card::DATA;
use super::report::{RMSE, SPEARMAN};
use super::{Args, fingerprint};
use crate::cli::card::{Card, Figure};
use crate::cli::context::Context;
use crate::error::Result;
use crate::random::Seed;
use crate::reward::{Ensemble, KIND, TrainingSet, held_out};
use crate::store::open_model;

/// Rank correlation and error on what was held out, else on what was trained on; `None` when the data are not those of the
/// card.
///
/// # Errors
/// When the data or the model cannot be read, or a tensor operation fails.
pub(in crate::cli) fn recompute(
    args: &Args,
    card: Card<'_>,
    seed: Seed,
    model: &str,
    context: &Context,
) -> Result<Option<Vec<Figure>>> {
    let plan = args.plan()?;
    let kept = plan.filter(&TrainingSet::from_records(&args.reading.records(&args.input, context)?)?)?;
    if card.origin(DATA) != Some(fingerprint(&kept)?.as_str()) {
        return Ok(None);
    }
    let (set, of) = match plan.hold_out(&kept, seed)? {
        (Some(held), _) => (held, "held out"),
        (None, all) => (all, "training data"),
    };
    let ensemble = Ensemble::from_folder(model, &open_model(model, KIND)?)?;
    let figures = held_out(&ensemble.predict(set.sequences())?, set.values())?;
    let figure = |label, value| Figure { label, of, value };
    Ok(Some(vec![figure(SPEARMAN, figures.spearman), figure(RMSE, Some(figures.rmse))]))
}
