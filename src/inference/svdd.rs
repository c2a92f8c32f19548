//! One of several candidates in every block.

use super::cloud::Cloud;
use super::resample::{log_mean, weights};
use super::{Steered, Steering, Target};
use crate::diffusion::{DiffusionChain, shard_rows};
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::reward::Needs;

/// Soft value-based decoding (SVDD, Li et al. 2024, arXiv 2408.08252): every path walks M candidates through each block and goes
/// on with one of them.
///
/// ```text
/// x_{k+1} = x^m with probability ∝ exp(v_{k+1}(x^m)/α),  x^1 … x^M ~ P(· | x_k),      v_K = r
/// w += log (1/M) Σ_m exp((v_{k+1}(x^m) − v_k(x_k))/α),   w = v_0(x_0)/α at the start
/// ```
/// Paths do not meet: the sequences are independent. With the exact v and M → ∞ this is the tilt. Otherwise the law of the
/// sequences is biased twice: towards the prior by finite M (by at most log M a block), and by what the
/// [`Outlook`](super::Outlook) gets wrong: the reward of the denoised estimate (PM in the paper), or its regression on the reward
/// (MC), are not the log of a mean of exponentials. As published, but that the weights w, which the paper does not keep,
/// are returned: the weighted sequences are an exact sample of the tilt (an island of M particles that is resampled to one in every
/// block), and the mean of e^w is unbiased for Z.
///
/// # Cost
/// M denoiser calls and M valuations per sequence and block.
#[derive(Clone, Debug)]
pub struct Svdd {
    /// Candidates per block, M.
    pub candidates: usize,
}

impl Steering for Svdd {
    fn needs(&self) -> Needs {
        Needs::Score
    }

    fn unit(&self, chain: &DiffusionChain) -> usize {
        (shard_rows(chain.prior().config().length) / self.candidates.max(1)).max(1)
    }

    fn draw(&self, target: &Target<'_>, rows: usize, seed: Seed) -> Result<Steered> {
        let m = self.candidates;
        if m == 0 {
            return Err(Error::usage("`candidates` is 0; at least 1 is needed"));
        }
        let mut out = Steered::default();
        let (mut rng, mut choice) = (seed.child("noise").rng(), seed.child("choose").rng());
        let mut cloud = Cloud::start(target, rows, true, &mut rng, &mut out.calls)?;
        out.log_weights.clone_from(&cloud.worth);
        let each: Vec<u32> = (0..rows * m).map(|i| (i / m) as u32).collect();
        for steps in Cloud::blocks(target) {
            let before = cloud.worth.clone();
            cloud.select(&each)?;
            cloud.walk(target, None, &steps, &mut rng, &mut out.calls)?;
            let end = cloud.worth.is_empty();
            let (mut sequences, mut rewards) = (Vec::new(), Vec::new());
            if end {
                (sequences, rewards, cloud.worth) = target.ends(cloud.states(), &mut out.calls)?;
            }
            let mut chosen = Vec::with_capacity(rows);
            for (row, (worth, before)) in cloud.worth.chunks(m).zip(&before).enumerate() {
                out.log_weights[row] += log_mean(worth) - before;
                chosen.push((row * m + choice.weighted(&weights(worth))) as u32);
            }
            if end {
                out.sequences = chosen.iter().map(|i| sequences[*i as usize].clone()).collect();
                out.rewards = chosen.iter().map(|i| rewards[*i as usize]).collect();
            } else {
                cloud.select(&chosen)?;
            }
        }
        Ok(out)
    }
}
