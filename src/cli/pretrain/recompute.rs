//! The figures on a prior's card, computed again.

use super::quality::{self, BOUND};
use super::{Args, digest, hold_out};
use crate::cli::card::{Card, Figure};
use crate::cli::context::Context;
use crate::diffusion::open_prior;
use crate::error::Result;
use crate::random::Seed;

/// The bound on the sequences that were held out; `None` when the data are not those of the card.
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
    let records = args.reading.records(&args.input, context)?;
    let kept = args.kept(&records)?;
    if card.origin("data") != Some(digest(&kept).as_str()) {
        return Ok(None);
    }
    let (held, _) = hold_out(&kept, args.share()?, &records.alphabet, seed.child("hold-out"));
    let (prior, _) = open_prior(model, &context.device()?)?;
    let bound = quality::bound(&prior, &held, seed.child("quality"), &context.pool()?)?;
    Ok(Some(vec![Figure { label: BOUND, of: "nats per token", value: bound.map(|bound| bound.nats_per_token) }]))
}
