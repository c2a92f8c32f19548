//! Divergences other than KL: the reward that stands in for them, and what came of it.

use super::Scored;
use crate::eval::Estimate;
use crate::finetune::divergence::{DivergenceKind, Tilting};
use crate::finetune::{Paths, Surrogate};
use crate::reward::Reward;
use serde::{Deserialize, Serialize};

/// The KL problem that has the optimum of another divergence's.
pub(in crate::cli) struct StandIn<'a> {
    pub(in crate::cli) kind: &'a DivergenceKind,
    pub(in crate::cli) tilting: Tilting,
    pub(in crate::cli) surrogate: Surrogate<'a>,
}

impl<'a> StandIn<'a> {
    /// That of `reward` at a tilt that was solved on samples of the base chain.
    pub(in crate::cli) fn new(reward: &'a dyn Reward, kind: &'a DivergenceKind, tilting: Tilting) -> Self {
        Self { kind, surrogate: Surrogate::new(reward, kind.get(), &tilting), tilting }
    }
}

/// A divergence as a run met it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Priced {
    /// Its name.
    pub(in crate::cli) divergence: String,
    /// λ, from base samples.
    pub(in crate::cli) lambda: f64,
    /// `E[r]` on the hard decode.
    pub(in crate::cli) mean_reward: Estimate,
    /// The divergence of the tuned paths, `E[φ(L)]`: at least that of their sequences.
    pub(in crate::cli) path: Estimate,
    /// `E[r]` of the optimum, from base samples.
    pub(in crate::cli) optimum_reward: f64,
    /// The divergence of the optimum, from base samples.
    pub(in crate::cli) optimum: f64,
    /// Effective number of base samples behind the optimum.
    pub(in crate::cli) ess: f64,
    /// Largest share of the optimum that one base sample, or sequence, has.
    pub(in crate::cli) max_weight: f64,
    /// Share of the prior that the optimum leaves out.
    pub(in crate::cli) dropped: f64,
    /// Share of the tuned samples that the optimum leaves out.
    pub(in crate::cli) outside: f64,
    /// What to know before trusting it.
    pub(in crate::cli) warnings: Vec<String>,
}

impl Priced {
    pub(super) fn new(stand_in: &StandIn<'_>, tuned: &Paths<Scored>) -> Self {
        let (divergence, tilting) = (stand_in.kind.get(), &stand_in.tilting);
        let outside =
            tuned.ends.iter().filter(|(_, r)| divergence.log_density(tilting.s(*r)) == f64::NEG_INFINITY).count();
        Self {
            divergence: divergence.name(),
            lambda: tilting.lambda,
            mean_reward: Estimate::of(tuned.ends.iter().map(|(_, reward)| *reward)),
            path: Estimate::of(tuned.log_ratio.iter().map(|l| divergence.path_value(*l))),
            optimum_reward: tilting.mean_reward,
            optimum: tilting.divergence,
            ess: tilting.ess,
            max_weight: tilting.max_weight,
            dropped: tilting.dropped,
            outside: outside as f64 / tuned.ends.len().max(1) as f64,
            warnings: tilting.warnings().to_vec(),
        }
    }

    /// Lines of what is certified.
    pub(super) fn rows(&self) -> Vec<[String; 2]> {
        let mut rows = vec![
            [
                format!("path {}", self.divergence),
                format!(
                    "{} as E[φ(L)]; {:.4} at the optimum, with E[r] {:.4}",
                    self.path, self.optimum, self.optimum_reward
                ),
            ],
            [
                "λ".to_owned(),
                format!(
                    "{:.4}, on {:.0} effective base samples; the largest weight is {:.3} %",
                    self.lambda,
                    self.ess,
                    100.0 * self.max_weight
                ),
            ],
        ];
        if self.dropped > 0.0 {
            rows.push([
                "left out".to_owned(),
                format!(
                    "{:.1} % of the prior at the optimum; {:.2} % of the tuned samples lie there",
                    100.0 * self.dropped,
                    100.0 * self.outside
                ),
            ]);
        }
        rows
    }
}
