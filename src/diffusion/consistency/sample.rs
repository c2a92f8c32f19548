//! Sequences in a few calls.

use super::Consistency;
use crate::diffusion::{Decode, Samples, Scales, shard_rows};
use crate::error::{Error, Result};
use crate::nn::Pool;
use crate::random::Seed;
use candle_core::Tensor;

/// Draws `count` sequences with `steps` calls of f each.
///
/// ```text
/// z_0 ~ N(0, I);   z_{j+1} = signal_{j+1} f(z_j, λ_j) + noise_{j+1} ε,   λ_j equally far apart in the prior's time grid
/// ```
/// Multistep consistency sampling, Song et al. 2023 (arXiv 2303.01469, algorithm 1), with f as a point, `softmax(logits) E`.
///
/// # Errors
/// When `steps` is 0 or a tensor operation fails.
///
/// # Cost
/// `2 steps` calls of a network of the prior's size per sequence.
pub fn few_steps(
    f: &Consistency,
    steps: usize,
    count: usize,
    decode: Decode,
    seed: Seed,
    pool: &Pool,
) -> Result<Samples> {
    let prior = f.prior();
    let config = prior.config();
    if steps == 0 {
        return Err(Error::usage("`steps` is 0; at least 1 is needed"));
    }
    let (first, last) = config.walk();
    let levels = config.grid.log_snrs(steps, first, last, &config.schedule, &config.warp)?;
    let most = shard_rows(config.length);
    let shards = pool.map(count.div_ceil(most), |shard| {
        let rows = most.min(count - shard * most);
        let mut rng = seed.index(shard as u64).rng();
        let mut draw = || -> Result<Tensor> {
            let values = rng.normals(rows * config.length * config.embedding_dim);
            let shape = (rows, config.length, config.embedding_dim);
            Ok(Tensor::from_vec(values, shape, prior.device())?.to_dtype(prior.codec().table().dtype())?)
        };
        let mut z = draw()?;
        for j in 1..steps {
            let scales = Scales::at_log_snr(levels[j]);
            z = ((f.estimate(&z, levels[j - 1])? * scales.signal)? + (draw()? * scales.noise)?)?;
        }
        let logits = f.logits(&z, levels[steps - 1])?;
        decode.read(&logits, prior, &mut seed.index(shard as u64).child("decode").rng())
    })?;
    Ok(shards.into_iter().flatten().collect())
}
