//! λ from draws of the prior instead of from all sequences.

use super::case::Case;
use super::draws::Sampler;
use super::law::Law;
use crate::cli::bench::results::finite;
use crate::error::Result;
use crate::finetune::Surrogate;
use crate::finetune::divergence::{DivergenceKind, Tilting};
use crate::random::Seed;
use crate::reward::Multilinear;
use std::collections::BTreeMap;

/// What becomes of a law whose λ was found on `draws` of the prior, as fine-tuning finds it.
///
/// ```text
/// λ̂ on the draws,   r̂_f = α ln g((r − λ̂)/α) held below the pole,   q̂ ∝ p e^(r̂_f/α),   TV(q̂, q*) = ½ Σ |q̂ − q*|
/// ```
///
/// # Errors
/// When the draws have no λ.
pub(super) fn sampled(
    case: &Case,
    table: &Multilinear,
    kind: DivergenceKind,
    law: &Law<'_>,
    draws: usize,
    seed: Seed,
) -> Result<BTreeMap<String, f64>> {
    let mut counts = vec![0_u32; case.prior.len()];
    for cell in Sampler::new(&case.prior).draw(draws, seed) {
        counts[cell] += 1;
    }
    let seen = || counts.iter().zip(&case.reward).filter(|(count, _)| **count > 0);
    let rewards: Vec<f64> = seen().map(|(_, reward)| *reward).collect();
    let weights: Vec<f64> = seen().map(|(count, _)| f64::from(*count)).collect();
    let alpha = law.tilting.alpha;
    let found = Tilting::solve(&rewards, Some(&weights), alpha, kind.get())?;
    let surrogate = Surrogate::new(table, kind.get(), &found);
    let mut tilted = Vec::with_capacity(case.prior.len());
    for (p, reward) in case.prior.iter().zip(&case.reward) {
        tilted.push(if *p > 0.0 { p.ln() + surrogate.value(*reward)? / alpha } else { f64::NEG_INFINITY });
    }
    let most = tilted.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mass: f64 = tilted.iter().map(|log| (log - most).exp()).sum();
    let (mut variation, mut reward) = (0.0, 0.0);
    for ((log, exact), r) in tilted.iter().zip(&law.q).zip(&case.reward) {
        let q = (log - most).exp() / mass;
        variation += 0.5 * (q - exact).abs();
        reward += q * r;
    }
    Ok(finite([
        ("total_variation", variation),
        ("reward_error", reward - law.tilting.mean_reward),
        ("estimate_error", found.mean_reward - law.tilting.mean_reward),
        ("lambda_error", (found.lambda - law.tilting.lambda) / alpha),
        ("sample_ess", found.ess),
        ("sample_max_weight", found.max_weight),
        ("held", surrogate.clamps() as f64),
    ]))
}
