//! A tuned sampler where all sequences can be enumerated.

use super::{Law, Scored, StandIn};
use crate::error::Result;
use crate::eval::Estimate;
use crate::eval::certificate::Certificate;
use crate::eval::exact::{Frontier, Tilt};
use crate::eval::histogram::{SampledKl, TotalVariation};
use serde::{Deserialize, Serialize};

/// A tuned sampler against the exact tilt of the base chain's law.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Exact {
    /// Number of sequences enumerated.
    pub(in crate::cli) sequences: usize,
    /// log Z of the exact tilt.
    pub(in crate::cli) log_z: f64,
    /// Mean reward of the exact tilt.
    pub(in crate::cli) mean_reward: f64,
    /// KL of the exact tilt to the base law, in nats.
    pub(in crate::cli) kl: f64,
    /// The divergence that is paid for, of the exact tilt to the base law, where that is not KL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) divergence: Option<f64>,
    /// KL of the tuned sampler's sequences to the base law, in nats.
    pub(in crate::cli) sequence_kl: SampledKl,
    /// The best mean reward at that KL, or at the path's where that is less.
    pub(in crate::cli) frontier_reward: f64,
    /// How far below it the sampler is.
    pub(in crate::cli) frontier_distance: f64,
    /// Total variation between the sampler and the exact tilt.
    pub(in crate::cli) total_variation: TotalVariation,
    /// Mean number of letters in which two tuned samples differ.
    pub(in crate::cli) diversity: f64,
}

impl Exact {
    /// The KL of sequences beside that of paths, which bounds it from above.
    pub(in crate::cli) fn sequence_line(&self, certificate: &Certificate) -> String {
        let (kl, path) = (self.sequence_kl.kl, certificate.path_kl.value);
        if kl.value > path {
            return format!(
                "{:.4} ± {:.4} nats by its histogram, more than the path's {path:.4}: too few samples per sequence, raise \
                 --certificate-paths and --base-paths",
                kl.value, kl.se
            );
        }
        format!("{:.4} ± {:.4} nats (the path spends {:+.4} more)", kl.value, kl.se, path - kl.value)
    }

    /// Of hard-decoded samples whose paths have a KL of `path_kl`, infinite where that is not known.
    pub(in crate::cli) fn new(
        law: &Law,
        alpha: f64,
        ends: &[Scored],
        path_kl: f64,
        stand_in: Option<&StandIn<'_>>,
    ) -> Result<Self> {
        let base = law.counts.probabilities(0.0);
        let tilt = match stand_in {
            None => Tilt::kl(&base, &law.reward, alpha)?,
            Some(stand_in) => Tilt::of(&base, &law.reward, alpha, stand_in.kind.get())?,
        };
        let mean_reward = Estimate::of(ends.iter().map(|(_, reward)| *reward)).value;
        let mut counts = law.counts.emptied();
        for (sequence, _) in ends {
            counts.add(sequence)?;
        }
        let sequence_kl = counts.kl_to_sampled(&law.counts);
        // sequences cannot be further from the base than their paths: an estimate beyond that is its own noise
        let kl = sequence_kl.kl.value.min(path_kl).max(0.0);
        let frontier_reward = Frontier::new(&base, &law.reward)?.reward_at(kl);
        Ok(Self {
            sequences: base.len(),
            log_z: tilt.log_z,
            mean_reward: tilt.mean_reward,
            kl: tilt.kl,
            divergence: stand_in.map(|_| tilt.divergence),
            frontier_reward,
            frontier_distance: frontier_reward - mean_reward,
            total_variation: counts.total_variation(&tilt.probabilities),
            diversity: counts.mean_pairwise().unwrap_or(0.0),
            sequence_kl,
        })
    }
}
