//! Particles that are weighted and resampled on the way.

use super::cloud::Cloud;
use super::resample::log_mean;
use super::{Guided, Steered, Steering, Target, effective, systematic};
use crate::diffusion::DiffusionChain;
use crate::error::{Error, Result};
use crate::finetune::Control;
use crate::random::Seed;
use crate::reward::Needs;

/// Sequential Monte Carlo over the blocks of a chain: an island of N particles, many islands independent of each other.
///
/// ```text
/// w_0 = v_0(x_0)/α       w_{k+1} = w_k + (v_{k+1} − v_k)/α − L_k,   v_K = r(x)       L_k the block's log-ratio to the base
/// whenever (Σ e^w)² / Σ e^{2w} < N/2:   log Ẑ += log mean e^w,  systematic resampling,  w = 0
/// log Ẑ += log mean e^w at the end
/// ```
/// with v the [`Outlook`](super::Outlook) at block boundaries, which only steers: the v cancel out along a path, so that Ẑ is
/// unbiased for the Z of the chain as it runs, whatever they are (adaptive resampling included: Whiteley, Lee and Heine
/// 2016, arXiv 1309.2918), and the particles with their last weights are a consistent sample of the tilt. The islands' Ẑ are
/// independent, and so their mean has a standard error. Source of the twisted form for diffusion models: Wu et al. 2023,
/// arXiv 2306.17775; here with potentials of beliefs.
///
/// # Cost
/// One denoiser call and one valuation per particle and block; with a proposal also one slope per particle and step.
#[derive(Clone, Debug)]
pub struct Smc {
    /// Particles of an island, N; the sequences of an island are related where it was resampled.
    pub particles: usize,
    /// Follow this guidance between weighings instead of the base chain.
    pub proposal: Option<Guided>,
}

impl Steering for Smc {
    fn needs(&self) -> Needs {
        if self.proposal.is_some() { Needs::Gradient } else { Needs::Score }
    }

    fn unit(&self, _: &DiffusionChain) -> usize {
        self.particles.max(1)
    }

    fn group(&self) -> usize {
        self.particles
    }

    fn draw(&self, target: &Target<'_>, rows: usize, seed: Seed) -> Result<Steered> {
        if self.particles < 2 {
            return Err(Error::usage(format!("an island of {} particles; at least 2 are needed", self.particles)));
        }
        let guidance = self.proposal.as_ref().map(|guided| guided.control(target)).transpose()?;
        let control = guidance.as_ref().map(|guidance| guidance as &dyn Control);
        let mut out = Steered::default();
        let (mut rng, mut choice) = (seed.child("noise").rng(), seed.child("resample").rng());
        let mut cloud = Cloud::start(target, rows, true, &mut rng, &mut out.calls)?;
        let (mut log_z, mut weights) = (0.0, cloud.worth.clone());
        for steps in Cloud::blocks(target) {
            if effective(&weights) < rows as f64 / 2.0 {
                log_z += log_mean(&weights);
                cloud.select(&systematic(&weights, rows, &mut choice))?;
                weights.fill(0.0);
                out.resampled += 1;
            }
            let before = cloud.worth.clone();
            let ratios = cloud.walk(target, control, &steps, &mut rng, &mut out.calls)?;
            if cloud.worth.is_empty() {
                let (sequences, rewards, nats) = target.ends(cloud.states(), &mut out.calls)?;
                (out.sequences, out.rewards, cloud.worth) = (sequences, rewards, nats);
            }
            for (i, weight) in weights.iter_mut().enumerate() {
                *weight += cloud.worth[i] - before[i] - ratios[i];
            }
        }
        out.log_weights = weights.iter().map(|weight| log_z + weight).collect();
        Ok(out)
    }
}
