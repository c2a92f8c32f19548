//! What steering came to.

use super::settings::Plan;
use crate::cli::certify::Certified;
use crate::cli::printer::columns;
use crate::eval::diversity::mean_pairwise;
use crate::eval::{Estimate, Metric, log_mean_exp};
use crate::inference::{Calls, STEERINGS, Steered, Steering, SteeringKind, Target, effective};
use serde::Serialize;
use std::collections::HashSet;
use std::fmt;

/// Effective independent groups below which a standard error means little.
const FEW: f64 = 5.0;

/// Figures of the sequences that were drawn.
#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) struct Outcome {
    pub(super) prior: String,
    pub(super) reward: String,
    pub(super) method: String,
    pub(super) alpha: f64,
    pub(super) count: usize,
    /// Sequences that are independent of each other: groups of this many are not.
    pub(super) group: usize,
    /// What states on the way were valued by.
    pub(super) outlook: Option<crate::inference::Outlook>,
    /// Mean reward of the rows as they are.
    pub(super) mean_reward: Estimate,
    /// Mean reward with the rows' weights.
    pub(super) weighted_reward: Option<Estimate>,
    pub(super) best_reward: f64,
    /// log Z of the chain as it runs, unbiased in Z.
    pub(super) log_z: Option<Estimate>,
    /// Effective number of independent groups behind it.
    pub(super) effective_groups: Option<f64>,
    /// Effective number of rows by their weights.
    pub(super) ess: Option<f64>,
    pub(super) distinct: usize,
    /// Mean number of letters in which two rows differ.
    pub(super) diversity: Option<f64>,
    /// What the KL of the rows' law to the prior cannot exceed.
    pub(super) kl_bound: Option<f64>,
    pub(super) calls: Calls,
    /// Sequences that the oracle evaluated, each counted once.
    pub(super) unique: Option<u64>,
    /// Sequences whose reward was read beforehand, for soft values.
    pub(super) tabulated: Option<u64>,
    pub(super) resampled: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) verdict: Option<Certified>,
}

impl Outcome {
    pub(super) fn new(plan: &Plan, prior: &str, target: &Target<'_>, method: &dyn Steering, drawn: &Steered) -> Self {
        let group = method.group();
        let weighted = !drawn.log_weights.is_empty();
        let means: Vec<f64> = drawn.log_weights.chunks(group).map(|logs| log_mean_exp(logs).log.value).collect();
        let name = STEERINGS.entries().iter().find(|entry| entry.make == plan.kind).map_or("", |entry| entry.name);
        let valued = matches!(plan.kind, SteeringKind::Smc | SteeringKind::Svdd);
        let best = crate::inference::BestOfN { candidates: plan.candidates, greedy: plan.greedy };
        Self {
            prior: prior.to_owned(),
            reward: plan.reward.to_string(),
            method: name.to_owned(),
            alpha: plan.alpha,
            count: drawn.sequences.len(),
            group,
            outlook: valued.then(|| target.outlook()),
            mean_reward: Estimate::of(
                drawn.rewards.chunks(group).map(|rewards| rewards.iter().sum::<f64>() / rewards.len() as f64),
            ),
            weighted_reward: weighted.then(|| weighted_mean(drawn, group)),
            best_reward: drawn.rewards.iter().copied().fold(f64::NEG_INFINITY, f64::max),
            log_z: weighted.then(|| log_mean_exp(&means).log),
            effective_groups: weighted.then(|| effective(&means)),
            ess: weighted.then(|| effective(&drawn.log_weights)),
            distinct: drawn.sequences.iter().collect::<HashSet<_>>().len(),
            diversity: mean_pairwise(&drawn.sequences, Metric::Hamming),
            kl_bound: (plan.kind == SteeringKind::BestOfN).then(|| best.kl_bound()),
            calls: drawn.calls,
            unique: None,
            tabulated: None,
            resampled: drawn.resampled,
            verdict: None,
        }
    }
}

/// `Σ w r / Σ w` over groups that are independent, with the delta method's error.
fn weighted_mean(drawn: &Steered, group: usize) -> Estimate {
    let most = drawn.log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sums: Vec<(f64, f64)> = drawn
        .log_weights
        .chunks(group)
        .zip(drawn.rewards.chunks(group))
        .map(|(logs, rewards)| {
            let weights = || logs.iter().map(|log| (log - most).exp());
            (weights().zip(rewards).map(|(w, r)| w * r).sum(), weights().sum())
        })
        .collect();
    let total: f64 = sums.iter().map(|(_, weight)| weight).sum();
    let value = sums.iter().map(|(reward, _)| reward).sum::<f64>() / total;
    let spread: f64 = sums.iter().map(|(reward, weight)| (reward - value * weight).powi(2)).sum();
    let n = sums.len() as f64;
    let se = if n > 1.0 { (spread * n / (n - 1.0)).sqrt() / total } else { f64::INFINITY };
    Estimate { value, se }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} steered towards {} by {}", self.prior, self.reward, self.method)?;
        let mut rows = vec![
            ["alpha".to_owned(), format!("{} reward units per nat", self.alpha)],
            ["E[r] of the rows".to_owned(), format!("{:.4} over {} sequences", self.mean_reward, self.count)],
        ];
        let mut row = |name: &str, text: Option<String>| rows.extend(text.map(|text| [name.to_owned(), text]));
        row("E[r], weighted", self.weighted_reward.map(|mean| format!("{mean:.4}, the tilt's own up to its error")));
        row("best r", Some(format!("{:.4}", self.best_reward)));
        row(
            "log Z",
            self.log_z.map(|z| {
                let groups = self.count / self.group;
                let what = if self.group > 1 { "islands" } else { "sequences" };
                let effective = self.effective_groups.unwrap_or(0.0);
                let few = if effective < FEW { ": too few to believe the error" } else { "" };
                format!("{z:.4} from {groups} independent {what}, effective {effective:.1}{few}")
            }),
        );
        row("ESS", self.ess.map(|ess| format!("{ess:.0} of {} by weight", self.count)));
        row("KL to the prior", self.kl_bound.map(|bound| format!("at most {bound:.4} nats: log N - (N - 1)/N")));
        row("distinct", Some(format!("{} of {}", self.distinct, self.count)));
        row("diversity", self.diversity.map(|letters| format!("{letters:.3} letters between two rows")));
        let per = |calls: u64| format!("{:.1}", calls as f64 / self.count as f64);
        let Calls { scores, values, slopes, denoised } = self.calls;
        let kinds =
            [(scores, "scores"), (values, "values of beliefs"), (slopes, "slopes"), (denoised, "denoiser calls")];
        let cost = kinds.iter().filter(|(calls, _)| *calls > 0).map(|(calls, what)| format!("{} {what}", per(*calls)));
        row("per sequence", Some(cost.collect::<Vec<_>>().join(", ")));
        row("oracle", self.unique.map(|unique| format!("{unique} sequences evaluated, repeats not counted")));
        row("table", self.tabulated.map(|all| format!("the reward of all {all} sequences was read beforehand")));
        f.write_str(&columns(&rows, ""))?;
        match &self.verdict {
            Some(verdict) => write!(f, "\ncertificate\n{verdict}"),
            None => Ok(()),
        }
    }
}
