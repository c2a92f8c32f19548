//! Which kept paths are learned from, and at which of their steps.

use crate::random::Rng;
use crate::registry::registry;

/// What a rule sees of the paths that are kept, oldest first.
#[derive(Clone, Copy, Debug)]
pub struct Stock<'a> {
    /// Rewards of their ends.
    pub values: &'a [f64],
    /// Which are of the newest batch.
    pub recent: &'a [bool],
    /// Their steps, K.
    pub steps: usize,
    /// Discount of one step, γ.
    pub discount: f64,
    /// How many a draw is for.
    pub wanted: usize,
}

/// Probabilities of a draw of path and step, independent of each other: (i, k) has `paths_i · steps_k`.
#[derive(Clone, Debug, PartialEq)]
pub struct Shares {
    /// Probability of every path.
    pub paths: Vec<f64>,
    /// Probability of every step.
    pub steps: Vec<f64>,
}

registry! {
    /// The rules by name.
    pub REPLAY_RULES: fn(&Stock<'_>) -> Shares, "replay rule", "replay rules";
    "random" => random, "every path and step alike";
    "reward" => reward, "path and step in proportion to max(reward, 0) · discount^(steps left)";
    "top" => top, "the paths of highest reward, as many as a batch has; steps alike";
    "recent" => recent, "one half from the newest batch, one from all; steps alike";
}

fn uniform(n: usize) -> Vec<f64> {
    vec![1.0 / n.max(1) as f64; n]
}

/// Weights brought to sum 1; alike where they are all 0.
fn proportional(weights: Vec<f64>) -> Vec<f64> {
    let sum: f64 = weights.iter().sum();
    if sum > 0.0 && sum.is_finite() { weights.into_iter().map(|w| w / sum).collect() } else { uniform(weights.len()) }
}

fn random(stock: &Stock<'_>) -> Shares {
    Shares { paths: uniform(stock.values.len()), steps: uniform(stock.steps) }
}

/// `p(i, k) ∝ max(r_i, 0) γ^k'`, k' the steps left after step k: one joint draw, as in SQDF's online experiments (arXiv 2512.04559).
fn reward(stock: &Stock<'_>) -> Shares {
    let paths = proportional(stock.values.iter().map(|r| r.max(0.0)).collect());
    let left = |k: usize| (stock.steps - 1 - k) as f64;
    Shares { paths, steps: proportional((0..stock.steps).map(|k| stock.discount.powf(left(k))).collect()) }
}

fn top(stock: &Stock<'_>) -> Shares {
    let mut order: Vec<usize> = (0..stock.values.len()).collect();
    // among equals the newer
    order.sort_by(|a, b| stock.values[*b].total_cmp(&stock.values[*a]).then(b.cmp(a)));
    let mut weights = vec![0.0; order.len()];
    order.iter().take(stock.wanted.max(1)).for_each(|i| weights[*i] = 1.0);
    Shares { paths: proportional(weights), steps: uniform(stock.steps) }
}

fn recent(stock: &Stock<'_>) -> Shares {
    let newest = proportional(stock.recent.iter().map(|recent| f64::from(u8::from(*recent))).collect());
    let paths = newest.iter().zip(uniform(newest.len())).map(|(new, all)| 0.5 * (new + all)).collect();
    Shares { paths, steps: uniform(stock.steps) }
}

/// One draw.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::finetune) struct Drawn {
    pub(in crate::finetune) path: usize,
    pub(in crate::finetune) step: usize,
    /// `1/(n K p(i, k))`: what it counts where draws are corrected.
    pub(in crate::finetune) weight: f64,
}

/// Share of uniform draws where draws are corrected: no path and no step counts more than ten times then.
const DEFENCE: f64 = 0.1;

impl Shares {
    /// These with a tenth of uniform draws in them.
    #[must_use]
    pub fn defended(self) -> Self {
        let mixed = |shares: Vec<f64>| -> Vec<f64> {
            let even = DEFENCE / shares.len().max(1) as f64;
            shares.into_iter().map(|share| (1.0 - DEFENCE) * share + even).collect()
        };
        Self { paths: mixed(self.paths), steps: mixed(self.steps) }
    }

    /// By how much a draw raises the log-density of a path above that of even draws, `ln(n p_i)`.
    #[must_use]
    pub fn log_share(&self, path: usize) -> f64 {
        (self.paths.len() as f64 * self.paths[path]).ln()
    }

    /// What a draw of a path counts so that the expectation is that of uniform draws, `1/(n p_i)`.
    #[must_use]
    pub fn path_weight(&self, path: usize) -> f64 {
        (-self.log_share(path)).exp()
    }

    /// The same of a step.
    #[must_use]
    pub fn step_weight(&self, step: usize) -> f64 {
        1.0 / (self.steps.len() as f64 * self.steps[step])
    }

    /// So many draws with replacement.
    pub(in crate::finetune) fn draw(&self, count: usize, rng: &mut Rng) -> Vec<Drawn> {
        let [paths, steps] = [&self.paths, &self.steps].map(|shares| running(shares));
        (0..count)
            .map(|_| {
                let (path, step) = (find(&paths, rng), find(&steps, rng));
                Drawn { path, step, weight: self.path_weight(path) * self.step_weight(step) }
            })
            .collect()
    }
}

/// Running sums.
fn running(shares: &[f64]) -> Vec<f64> {
    shares
        .iter()
        .scan(0.0, |sum, share| {
            *sum += share;
            Some(*sum)
        })
        .collect()
}

/// The index that a uniform number falls to.
fn find(running: &[f64], rng: &mut Rng) -> usize {
    let at = rng.uniform() * running.last().copied().unwrap_or(0.0);
    running.partition_point(|sum| *sum <= at).min(running.len().saturating_sub(1))
}
