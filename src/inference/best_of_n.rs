//! One of several prior samples.

use super::cloud::Cloud;
use super::resample::{log_mean, weights};
use super::{Steered, Steering, Target};
use crate::diffusion::{DiffusionChain, shard_rows};
use crate::error::{Error, Result};
use crate::random::Seed;
use crate::reward::Needs;

/// For every sequence N samples of the prior, of which one is kept: by weight, or the best.
///
/// ```text
/// by weight:  x_j with probability e^{r(x_j)/α} / Σ_i e^{r(x_i)/α}
///             q(x) = p(x) e^{r(x)/α} E[ N / (e^{r(x)/α} + Σ_{i<N} e^{r(x_i)/α}) ]  →  p(x) e^{r(x)/α}/Z  as N → ∞
/// the best:   q(r ≤ t) = p(r ≤ t)^N                                          (α → 0)
/// KL(q‖p) ≤ log N − (N − 1)/N
/// ```
/// The bound is reached by the best of rewards without ties (Beirami et al. 2024, arXiv 2401.01879), and holds for any rule of
/// choice: no rule gives a set A more than `1 − (1 − p(A))^N`, which is what the best gives, so that the best's
/// density `N u^{N−1}` majorises every other one's, and KL grows with majorisation. By weight, `w = log (1/N) Σ e^{r(x_i)/α}` makes
/// the sequences an exact weighted sample of the tilt; the best has no weights.
///
/// # Cost
/// N walks of the chain and N scores per sequence.
#[derive(Clone, Debug)]
pub struct BestOfN {
    /// Prior samples per sequence, N.
    pub candidates: usize,
    /// Keep the best instead of choosing by weight.
    pub greedy: bool,
}

impl BestOfN {
    /// `log N − (N − 1)/N`, which KL(q‖p) does not exceed, in nats.
    ///
    /// ```
    /// let bound = seqtilt::inference::BestOfN { candidates: 2, greedy: true }.kl_bound();
    /// assert!((bound - (2.0_f64.ln() - 0.5)).abs() < 1e-15);
    /// ```
    #[must_use]
    pub fn kl_bound(&self) -> f64 {
        let n = self.candidates as f64;
        n.ln() - (n - 1.0) / n
    }
}

impl Steering for BestOfN {
    fn needs(&self) -> Needs {
        Needs::Score
    }

    fn unit(&self, chain: &DiffusionChain) -> usize {
        (shard_rows(chain.prior().config().length) / self.candidates.max(1)).max(1)
    }

    fn draw(&self, target: &Target<'_>, rows: usize, seed: Seed) -> Result<Steered> {
        let n = self.candidates;
        if n == 0 {
            return Err(Error::usage("`candidates` is 0; at least 1 is needed"));
        }
        let mut out = Steered::default();
        let (mut rng, mut choice) = (seed.child("noise").rng(), seed.child("choose").rng());
        let mut cloud = Cloud::start(target, rows * n, false, &mut rng, &mut out.calls)?;
        for steps in Cloud::blocks(target) {
            cloud.walk(target, None, &steps, &mut rng, &mut out.calls)?;
        }
        let (sequences, rewards, nats) = target.ends(cloud.states(), &mut out.calls)?;
        for (row, nats) in nats.chunks(n).enumerate() {
            let chosen = row * n
                + if self.greedy {
                    (1..n).fold(0, |best, j| if nats[j] > nats[best] { j } else { best })
                } else {
                    out.log_weights.push(log_mean(nats));
                    choice.weighted(&weights(nats))
                };
            out.sequences.push(sequences[chosen].clone());
            out.rewards.push(rewards[chosen]);
        }
        Ok(out)
    }
}
