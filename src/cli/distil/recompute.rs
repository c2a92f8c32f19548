//! The figures on a consistency model's card, computed again.

use super::Args;
use super::figures::{AGREEMENT, VARIATION, levels, means};
use crate::cli::card::{Card, Figure};
use crate::cli::context::Context;
use crate::diffusion::{fingerprint, open_consistency};
use crate::error::Result;
use crate::random::Seed;

/// The errors against the walk; `None` when the prior is not that of the card.
///
/// # Errors
/// When the model or its prior cannot be read, or a tensor operation fails.
pub(in crate::cli) fn recompute(
    args: &Args,
    card: Card<'_>,
    seed: Seed,
    model: &str,
    context: &Context,
) -> Result<Option<Vec<Figure>>> {
    let (f, _, source) = open_consistency(model, Some(args.prior()), &context.device()?)?;
    if card.origin("prior") != Some(fingerprint(&source)?.as_str()) {
        return Ok(None);
    }
    let missed =
        means(&levels(&f, args.states()?, seed.child("quality"), &context.pool()?)?, |level| level.consistency);
    let figure = |label, [mean, _]: [f64; 2]| Figure { label, of: "mean over levels", value: Some(mean) };
    Ok(Some(vec![figure(AGREEMENT, missed.agreement), figure(VARIATION, missed.variation)]))
}
