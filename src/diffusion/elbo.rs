//! A lower bound on a sequence's log probability under the prior: its naturalness.

use super::{Codec, Prior, Scales, shard_rows};
use crate::error::Result;
use crate::nn::{Pool, cross_entropy};
use crate::random::Seed;
use crate::sequence::Sequence;
use candle_core::{D, DType, Tensor};

/// Evidence lower bounds, in nats.
#[derive(Clone, Debug)]
pub struct Elbo {
    /// One bound per sequence, in nats (negative; larger is more natural); −∞ where a sequence is none of the prior's.
    pub per_sequence: Vec<f64>,
    /// Mean of −bound / L over the sequences, L their own lengths: nats per token.
    pub nats_per_token: f64,
    /// Standard error of that mean: over sequences and noise draws together.
    pub standard_error: f64,
    /// Sequences that the prior cannot draw, because they break its rules or are too long or too short: the mean is over the others.
    pub outside: usize,
}

/// Continuous-time bound with score interpolation, λ the log signal-to-noise ratio from λ₁ (noise) to λ_K (decode):
///
/// ```text
/// −log p(x) ≤ KL(q(z_1|x) ‖ N(0, I)) + ½ ∫ e^λ E‖E[x] − ẑ₀(z_λ)‖² dλ − E log p(x | z_K)
/// ```
/// Kingma et al. 2021 (arXiv 2107.00630), with the reconstruction by the decode's own letter probabilities. The integral is
/// estimated from `draws` points per sequence, stratified over the quantiles of the prior's [`Warp`](super::Warp).
///
/// What is averaged is the difference to a silent denoiser, on the same noise, which knows how often letters stand at their sites and
/// no more (uniform letters but for [`sites`](super::PriorConfig::sites)). That one is exact for independent letters, so that its
/// own bound is known: `−Σ_i log f_i(x_i) + E log q(z_1)/N(z_1; 0, I)` with q the law of noisy independent letters.
/// The difference has a small part of the variance, and none for a prior without context.
///
/// # Errors
/// When a sequence has another length or a tensor operation fails.
///
/// # Cost
/// `draws + 1` calls of the denoiser per sequence.
pub fn elbo(prior: &Prior, sequences: &[Sequence], draws: usize, seed: Seed, pool: &Pool) -> Result<Elbo> {
    let outside = |x: &Sequence| prior.imposed().is_some_and(|rules| !rules.keeps(x.ids()));
    if !sequences.iter().any(outside) {
        return inside(prior, sequences, draws, seed, pool);
    }
    let kept: Vec<Sequence> = sequences.iter().filter(|x| !outside(x)).cloned().collect();
    let found = inside(prior, &kept, draws, seed, pool)?;
    let mut bounds = found.per_sequence.iter().copied();
    let bound = |x: &Sequence| if outside(x) { None } else { bounds.next() };
    let per_sequence = sequences.iter().map(bound).map(|bound| bound.unwrap_or(f64::NEG_INFINITY)).collect();
    // nothing is known of the mean of none
    let (nats_per_token, standard_error) =
        if kept.is_empty() { (f64::NAN, f64::NAN) } else { (found.nats_per_token, found.standard_error) };
    Ok(Elbo { per_sequence, nats_per_token, standard_error, outside: sequences.len() - kept.len() })
}

/// The bounds of sequences that the prior can draw.
fn inside(prior: &Prior, sequences: &[Sequence], draws: usize, seed: Seed, pool: &Pool) -> Result<Elbo> {
    let config = prior.config();
    let (length, dim) = (config.length, config.embedding_dim);
    let (first, last) = config.range();
    let (from, to) = (config.warp.cumulative(first), config.warp.cumulative(last));
    let most = shard_rows(length);
    let shards = pool.map(sequences.len().div_ceil(most), |shard| {
        let rows: Vec<&Sequence> = sequences[shard * most..].iter().take(most).collect();
        let b = rows.len();
        let mut rng = seed.index(shard as u64).rng();
        let ids = Codec::ids(&rows, prior.alphabet(), length, prior.device())?;
        let clean = prior.codec().embed(&ids, b)?;
        let dtype = clean.dtype();
        let mut noisy = |log_snrs: &[f64]| -> Result<Tensor> {
            let scales: Vec<Scales> = log_snrs.iter().map(|l| Scales::at_log_snr(*l)).collect();
            let column = |pick: fn(&Scales) -> f64| -> Result<Tensor> {
                let values: Vec<f64> = scales.iter().map(pick).collect();
                Ok(Tensor::from_vec(values, (b, 1, 1), prior.device())?.to_dtype(dtype)?)
            };
            let noise =
                Tensor::from_vec(rng.normals(b * length * dim), (b, length, dim), prior.device())?.to_dtype(dtype)?;
            Ok((clean.broadcast_mul(&column(|s| s.signal)?)? + noise.broadcast_mul(&column(|s| s.noise)?)?)?)
        };
        let letters = prior.alphabet().len();
        let per_row =
            |x: &Tensor| -> Result<Vec<f64>> { Ok(x.flatten_from(1)?.sum(1)?.to_dtype(DType::F64)?.to_vec1::<f64>()?) };
        let start = noisy(&vec![first; b])?;
        let mut cost: Vec<f64> = start_cost(prior, &start, first)?
            .into_iter()
            .zip(independent(prior, &ids, b)?)
            .map(|(a, b)| a + b)
            .collect();
        let mut offsets = seed.index(shard as u64).child("offset").rng();
        for draw in 0..draws {
            // draw i of a sequence falls into stratum i: share u, λ = quantile(u), weight 1/density
            let mut weights = Vec::with_capacity(b);
            let log_snrs: Vec<f64> = (0..b)
                .map(|_| {
                    let share = from + (to - from) * (draw as f64 + offsets.uniform()) / draws as f64;
                    let log_snr = config.warp.quantile(share);
                    weights.push(config.warp.slowness(log_snr) * (to - from) / draws as f64);
                    log_snr
                })
                .collect();
            let (silent, belief) = beliefs(prior, &noisy(&log_snrs)?, &log_snrs)?;
            let error = |logits: &Tensor| -> Result<Vec<f64>> { per_row(&(&clean - prior.estimate(logits)?)?.sqr()?) };
            for (row, (error, silent)) in error(&belief)?.into_iter().zip(error(&silent)?).enumerate() {
                cost[row] += 0.5 * weights[row] * log_snrs[row].exp() * (error - silent);
            }
        }
        let at_decode = vec![last; b];
        let (silent, belief) = beliefs(prior, &noisy(&at_decode)?, &at_decode)?;
        let entropy = |logits: &Tensor| -> Result<Vec<f64>> {
            per_row(&cross_entropy(&logits.reshape((b * length, letters))?, &ids)?.reshape((b, length))?)
        };
        for (cost, (nats, silent)) in cost.iter_mut().zip(entropy(&belief)?.into_iter().zip(entropy(&silent)?)) {
            *cost += nats - silent;
        }
        Ok(cost.into_iter().map(|cost| -cost).collect::<Vec<f64>>())
    })?;
    let per_sequence: Vec<f64> = shards.into_iter().flatten().collect();
    let n = per_sequence.len().max(1) as f64;
    let per_token: Vec<f64> =
        per_sequence.iter().zip(sequences).map(|(bound, sequence)| -bound / sequence.len() as f64).collect();
    let mean = per_token.iter().sum::<f64>() / n;
    let variance = per_token.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    Ok(Elbo { per_sequence, nats_per_token: mean, standard_error: (variance / n).sqrt(), outside: 0 })
}

/// Token logits of the silent denoiser and of the prior's.
fn beliefs(prior: &Prior, z: &Tensor, log_snrs: &[f64]) -> Result<(Tensor, Tensor)> {
    let local = prior.local(z, log_snrs)?;
    let context = prior.context(z, &local, log_snrs)?;
    let belief = (&local + context)?;
    Ok((silent(prior, local)?, belief))
}

/// Evidence and how often letters stand at their sites, up to a constant for uniform ones.
fn silent(prior: &Prior, local: Tensor) -> Result<Tensor> {
    Ok(match prior.sites() {
        Some(sites) => local.broadcast_add(sites)?,
        None => local,
    })
}

/// −log of the probability of letters that are independent, per row.
fn independent(prior: &Prior, ids: &Tensor, rows: usize) -> Result<Vec<f64>> {
    let (length, letters) = (prior.config().length, prior.alphabet().len());
    let Some(sites) = prior.sites() else { return Ok(vec![length as f64 * (letters as f64).ln(); rows]) };
    let sites = sites.to_device(&candle_core::Device::Cpu)?.to_dtype(DType::F64)?.to_vec2::<f64>()?;
    let ids = ids.to_device(&candle_core::Device::Cpu)?.to_vec1::<u32>()?;
    let price = |word: &[u32]| word.iter().zip(&sites).map(|(id, site)| -site[*id as usize]).sum();
    Ok(ids.chunks(length).map(price).collect())
}

/// log q(z)/N(z; 0, I) per row, q the law of noisy independent letters:
///
/// ```text
/// Σ_i log Σ_v f_i(v) N(z_i; signal E[v], noise²) − log N(z_i; 0, 1)
/// ```
fn start_cost(prior: &Prior, z: &Tensor, log_snr: f64) -> Result<Vec<f64>> {
    let Scales { signal, noise } = Scales::at_log_snr(log_snr);
    let variance = noise * noise;
    let (letters, dim) = (prior.alphabet().len() as f64, prior.config().embedding_dim as f64);
    let evidence = silent(prior, prior.local(z, &[log_snr])?)?.log_sum_exp(D::Minus1)?;
    let uniform = if prior.sites().is_some() { 0.0 } else { -letters.ln() };
    // every row of E has norm √D
    let constant = uniform - 0.5 * dim * (signal * signal / variance + variance.ln());
    let excess = (z.sqr()?.sum(D::Minus1)? * (0.5 - 0.5 / variance))?;
    Ok(((evidence + excess)? + constant)?.sum(1)?.to_dtype(DType::F64)?.to_vec1::<f64>()?)
}
