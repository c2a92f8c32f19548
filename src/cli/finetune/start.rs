//! What the initial law matters.

use super::training::Parts;
use crate::cli::certify::{Base, StandIn, scored_paths};
use crate::cli::printer::columns;
use crate::cli::tilted::Tuned;
use crate::error::{Error, Result};
use crate::eval::Estimate;
use crate::eval::certificate::Certificate;
use crate::finetune::initial::{StartCost, ValueFunction};
use crate::finetune::{Terminal, roll_out};
use crate::nn::{Params, Tensors};
use crate::random::Seed;
use crate::reward::Reward;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::path::Path;

/// Initial states behind the cost of a frozen initial law.
const STARTS: usize = 4096;

/// What the initial law matters to a tuned chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct StartReport {
    /// KL(ν₀‖ν*), in nats: what the best control loses by a frozen initial law.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) cost: Option<Estimate>,
    /// Whether that rests on a fitted value: then it is as good as the fit, which its error does not know.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::cli) fitted: bool,
    /// What the learned initial law came to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) learned: Option<Learned>,
}

/// A learned initial law.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Learned {
    /// Its route.
    pub(in crate::cli) route: String,
    /// Steps of the lead.
    pub(in crate::cli) steps: usize,
    /// What the path's KL has of it, in nats.
    pub(in crate::cli) kl: Estimate,
    /// Effective number of paths behind the value of initial states.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) effective: Option<f64>,
    /// `KL(Pᵘ‖P*)` of the control that was trained from the frozen initial law on the way, in nats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) frozen_gap: Option<Estimate>,
    /// How much less it is with the initial law learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) worth: Option<Estimate>,
}

/// What a finished run knows.
pub(super) struct Finished<'a> {
    pub(super) parts: Parts<'a>,
    pub(super) tuned: &'a Tuned<'a>,
    pub(super) weights: &'a Tensors,
    pub(super) terminal: &'a dyn Terminal,
    /// Whether `terminal` knows soft values in closed form.
    pub(super) soft: bool,
    pub(super) base: &'a Base,
    pub(super) reward: &'a dyn Reward,
    pub(super) stand_in: Option<&'a StandIn<'a>>,
    pub(super) certificate: &'a Certificate,
    pub(super) out: &'a Path,
    pub(super) seed: Seed,
}

impl Finished<'_> {
    /// What is known of the initial law, if anything.
    ///
    /// # Errors
    /// When a tensor operation fails.
    pub(super) fn start(&self) -> Result<Option<StartReport>> {
        let config = self.parts.chain.prior().config();
        let joint = config.constraint.is_joint() || config.is_padded();
        let closed = self.soft && !joint && self.parts.chain.eta() >= 1.0;
        let cost = self.cost(closed)?;
        let report = StartReport { cost, fitted: cost.is_some() && !closed, learned: self.learned()? };
        Ok((report.cost.is_some() || report.learned.is_some()).then_some(report))
    }

    fn cost(&self, closed: bool) -> Result<Option<Estimate>> {
        let Parts { plan, chain, pool, .. } = self.parts;
        let (alpha, seed) = (plan.finetune.alpha, self.seed.child("starts"));
        let of = |value: &dyn Terminal| StartCost::of(chain, value, alpha, STARTS, seed, pool);
        let fitted = self.weights.keys().any(|name| name.starts_with("value."));
        let cost = match &plan.initial {
            // a closed form is that of chains without memory
            _ if closed => of(self.terminal)?,
            Some(law) if fitted => of(&self.value(law.config(&plan.finetune).value.width)?)?,
            _ => return Ok(None),
        };
        Ok(Some(Estimate { value: cost.nats, se: cost.se }))
    }

    fn value(&self, width: usize) -> Result<ValueFunction> {
        use crate::diffusion::Chain as _;
        use crate::finetune::initial::Scale;
        let chain = self.parts.chain;
        let params = Params::frozen(self.weights.clone(), chain.device()).child("value");
        let scale = Scale { level: 0.0, unit: 1.0 };
        ValueFunction::new(&params, &chain.shape(), width, self.parts.plan.finetune.alpha, scale)
    }

    fn learned(&self) -> Result<Option<Learned>> {
        let Parts { plan, chain, pool, .. } = self.parts;
        let (Some(law), Some((lead, control))) = (&plan.initial, self.tuned.lead()) else { return Ok(None) };
        let count = plan.certificate_paths;
        let walked = roll_out(lead, control, count, self.seed, pool, |x| Ok(vec![(); x.dim(0)?]))?;
        let mut learned = Learned {
            route: law.name().to_owned(),
            steps: lead.steps(),
            kl: Estimate::mean(&walked.log_ratio),
            effective: effective(self.out)?,
            frozen_gap: None,
            worth: None,
        };
        if let Some(frozen) = Tuned::frozen(chain, &plan.finetune, self.weights)? {
            let paths = scored_paths(chain, frozen.walk(), self.reward, count, self.seed.child("frozen"), pool)?;
            let gap = self.base.certify(plan.finetune.alpha, &paths, self.stand_in)?.certificate.gap;
            // both have the same log Z, whose error cancels
            let own = |gap: Estimate| (gap.se.powi(2) - self.certificate.log_z.se.powi(2)).max(0.0);
            let se = (own(gap) + own(self.certificate.gap)).sqrt();
            learned.worth = Some(Estimate { value: gap.value - self.certificate.gap.value, se });
            learned.frozen_gap = Some(gap);
        }
        Ok(Some(learned))
    }
}

/// The effective number of paths that `metrics.jsonl` tells of.
fn effective(out: &Path) -> Result<Option<f64>> {
    #[derive(Deserialize)]
    struct Line {
        effective_paths: Option<f64>,
    }
    let path = out.join("metrics.jsonl");
    let text = std::fs::read_to_string(&path).map_err(|error| Error::io("read", &path, error))?;
    Ok(text.lines().find_map(|line| serde_json::from_str::<Line>(line).ok()?.effective_paths))
}

impl fmt::Display for StartReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = Vec::new();
        if let Some(cost) = self.cost {
            let source = if self.fitted { "the fitted value" } else { "soft values in closed form" };
            let row = format!("costs the best control {:.4} ± {:.4} nats, by {source}", cost.value, cost.se);
            rows.push(["a frozen start".to_owned(), row]);
        }
        if let Some(learned) = &self.learned {
            let effective = learned
                .effective
                .map_or_else(String::new, |effective| format!(", value on {effective:.0} effective paths"));
            let row = format!(
                "{} in {} steps, {:.4} ± {:.4} nats of the path's{effective}",
                learned.route, learned.steps, learned.kl.value, learned.kl.se
            );
            rows.push(["initial law".to_owned(), row]);
            if let (Some(gap), Some(worth)) = (learned.frozen_gap, learned.worth) {
                let row = format!(
                    "{:+.4} ± {:.4} nats: {:.4} ± {:.4} from the frozen start",
                    worth.value, worth.se, gap.value, gap.se
                );
                rows.push(["its worth".to_owned(), row]);
            }
        }
        write!(f, "{}", columns(&rows, "").trim_end())
    }
}
