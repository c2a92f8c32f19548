//! How far one call of a consistency model, or of the prior, is from the end of the ODE.

use super::distilling::log_softmax;
use super::{Consistency, Flow};
use crate::diffusion::{Codec, SampleConfig, Scales, sample, shard_rows};
use crate::error::Result;
use crate::nn::{Pool, read, softmax};
use crate::random::Seed;
use crate::sequence::Sequence;
use candle_core::{D, Tensor};
use serde::{Deserialize, Serialize};

/// Steps of the walk that is the measure.
const STEPS: usize = 64;

/// What a guess of the end's letters misses, per position; means over states, each with its standard error.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Missed {
    /// Cross-entropy of the end's letter probabilities, nats.
    pub nats: [f64; 2],
    /// Total variation of letter probabilities.
    pub variation: [f64; 2],
    /// Share of positions whose most probable letter is that of the end.
    pub agreement: [f64; 2],
}

/// The errors at one noise level.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fidelity {
    /// Log signal-to-noise ratio of the states.
    pub log_snr: f64,
    /// Of f.
    pub consistency: Missed,
    /// Of the prior's belief.
    pub tweedie: Missed,
}

/// The errors of f and of the prior's belief against a 64-step deterministic walk from the very same states, at so many levels
/// from the walk's start to the decode, both included; `count` states of the prior's own law at each.
///
/// # Errors
/// When a tensor operation fails.
///
/// # Cost
/// `130 levels · count` calls of the denoiser.
pub fn fidelity(f: &Consistency, levels: usize, count: usize, seed: Seed, pool: &Pool) -> Result<Vec<Fidelity>> {
    let (first, last) = f.prior().config().walk();
    let sequences = sample(f.prior(), &SampleConfig::default(), count, seed.child("samples"), pool)?;
    let at = |level: usize| first + (last - first) * level as f64 / (levels - 1).max(1) as f64;
    (0..levels)
        .map(|level| {
            let log_snr = if level + 1 == levels { last } else { at(level) };
            measure(f, &sequences, log_snr, seed.child("level").index(level as u64), pool)
        })
        .collect()
}

fn measure(f: &Consistency, sequences: &[Sequence], log_snr: f64, seed: Seed, pool: &Pool) -> Result<Fidelity> {
    let prior = f.prior();
    let most = shard_rows(prior.config().length);
    let shards = pool.map(sequences.len().div_ceil(most), |shard| {
        let rows: Vec<&Sequence> = sequences[shard * most..].iter().take(most).collect();
        let clean = prior
            .codec()
            .embed(&Codec::ids(&rows, prior.alphabet(), prior.config().length, prior.device())?, rows.len())?;
        let noise = seed.index(shard as u64).rng().normals(clean.elem_count());
        let noise = Tensor::from_vec(noise, clean.shape(), prior.device())?.to_dtype(clean.dtype())?;
        let scales = Scales::at_log_snr(log_snr);
        let z = ((clean * scales.signal)? + (noise * scales.noise)?)?;
        let end = Flow::new(prior).end(&z, log_snr, STEPS)?;
        let guesses = [f.logits(&z, log_snr)?, prior.belief(&z, &[log_snr])?];
        let errors = guesses.iter().map(|guess| errors(&end, guess)).collect::<Result<Vec<_>>>()?.concat();
        read(&errors.iter().collect::<Vec<_>>())
    })?;
    let column = |index: usize| -> [f64; 2] {
        let values: Vec<f64> = shards.iter().flat_map(|shard| shard[index].iter().copied()).collect();
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let variance = values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
        [mean, (variance / n).sqrt()]
    };
    let missed = |from: usize| Missed { nats: column(from), variation: column(from + 1), agreement: column(from + 2) };
    Ok(Fidelity { log_snr, consistency: missed(0), tweedie: missed(3) })
}

/// Cross-entropy, total variation and agreement of a guess, per row.
fn errors(end: &Tensor, guess: &Tensor) -> Result<Vec<Tensor>> {
    let (p, q) = (softmax(end)?, softmax(guess)?);
    let nats = (&p * log_softmax(guess)?)?.sum(D::Minus1)?.neg()?;
    let variation = ((p - q)?.abs()?.sum(D::Minus1)? * 0.5)?;
    let agreement = end.argmax(D::Minus1)?.eq(&guess.argmax(D::Minus1)?)?.to_dtype(end.dtype())?;
    Ok(vec![nats.mean(1)?, variation.mean(1)?, agreement.mean(1)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn what_a_guess_misses_is_as_by_hand() {
        let logits = |rows: [[f64; 2]; 2]| Tensor::new(&[rows.map(|row| row.map(f64::ln))], &Device::Cpu).unwrap();
        let (end, guess) = (logits([[0.9, 0.1], [0.2, 0.8]]), logits([[0.6, 0.4], [0.7, 0.3]]));
        let found: Vec<f64> = errors(&end, &guess).unwrap().iter().map(|x| x.to_vec1::<f64>().unwrap()[0]).collect();
        let nats = -(0.9 * 0.6_f64.ln() + 0.1 * 0.4_f64.ln() + 0.2 * 0.7_f64.ln() + 0.8 * 0.3_f64.ln()) / 2.0;
        for (found, exact) in found.into_iter().zip([nats, 0.4, 0.5]) {
            assert!((found - exact).abs() < 1e-14, "{found} {exact}");
        }
    }
}
