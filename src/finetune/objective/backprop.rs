//! Methods that differentiate the reward through the sampler.

use super::{Objective, Route, Run, Update};
use crate::error::{Error, Result};
use crate::finetune::backprop::Priced;
use crate::finetune::rollout::Draw;
use crate::finetune::{BackProp, Batch, FinetuneConfig, Problem};
use crate::nn::over_shards;
use crate::reward::Needs;

/// Which last part of the path carries the gradient of the reward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// What [`FinetuneConfig::truncate`] says: all of it, by default.
    Configured,
    /// The last so many steps (DRaFT-K, Clark et al. 2024, arXiv 2309.17400).
    Last(usize),
    /// A random number of last steps, drawn anew for every optimiser step (AlignProp, Prabhudesai et al. 2023, arXiv 2310.03739).
    Random,
    /// One block, which ends at a random step of the path's later three quarters, where the reward of the denoised estimate is
    /// read (ReFL, Xu et al. 2023, arXiv 2304.05977).
    OneBlock,
}

/// Steps of DRaFT-K when none are named.
const DRAFT: usize = 8;

/// Back-propagation of the reward, with or without the divergence.
///
/// Without it there is no price on leaving the prior: `max E[r]`, whose optimum is one sequence. These methods are here to be
/// compared with; what they cost in divergence is measured like any other's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pathwise {
    price: Price,
    reach: Reach,
}

/// What a departure from the prior costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Price {
    /// Nothing.
    Free,
    /// α a nat.
    Kl,
    /// α a unit of the configured divergence of the paths.
    Paths,
}

pub(super) fn control(_: &FinetuneConfig) -> Box<dyn Objective> {
    Box::new(Pathwise { price: Price::Kl, reach: Reach::Configured })
}

/// `E[r] − α E[φ(L)]` with the log-ratio L as part of the state: the gradient flows through the last state and through L, noise
/// term included.
pub(super) fn path_divergence(_: &FinetuneConfig) -> Box<dyn Objective> {
    Box::new(Pathwise { price: Price::Paths, reach: Reach::Configured })
}

pub(super) fn no_kl(_: &FinetuneConfig) -> Box<dyn Objective> {
    Box::new(Pathwise { price: Price::Free, reach: Reach::Configured })
}

pub(super) fn draft(config: &FinetuneConfig) -> Box<dyn Objective> {
    Box::new(Pathwise { price: Price::Free, reach: Reach::Last(config.truncate.unwrap_or(DRAFT)) })
}

pub(super) fn alignprop(_: &FinetuneConfig) -> Box<dyn Objective> {
    Box::new(Pathwise { price: Price::Free, reach: Reach::Random })
}

pub(super) fn refl(_: &FinetuneConfig) -> Box<dyn Objective> {
    Box::new(Pathwise { price: Price::Free, reach: Reach::OneBlock })
}

impl Objective for Pathwise {
    fn needs(&self) -> Needs {
        Needs::Gradient
    }

    fn route(&self) -> Route {
        if self.price == Price::Paths { Route::Direct } else { Route::Surrogate }
    }

    fn ramps(&self) -> bool {
        true
    }

    fn anchors(&self) -> bool {
        self.price != Price::Paths
    }

    fn update(&mut self, run: &Run<'_>) -> Result<Update> {
        let terminal = run.terminal.ok_or_else(|| Error::usage("this objective needs the reward's gradient"))?;
        let problem = Problem { chain: run.chain, terminal, alpha: (self.price != Price::Free).then_some(run.alpha) };
        let (mut steps, block) = (run.steps, run.chain.block());
        let mut rng = run.seed_at(run.done()).child("reach").rng();
        let mut method = run.method;
        match self.reach {
            Reach::Configured => {}
            Reach::Last(kept) => method.truncate = Some(kept),
            Reach::Random => method.truncate = Some(1 + rng.below(steps)),
            Reach::OneBlock => {
                let blocks = steps.div_ceil(block);
                steps = block * (1 + blocks / 4 + rng.below(blocks - blocks / 4));
                (steps, method.truncate) = (steps.min(run.steps), Some(1));
            }
        }
        if self.price != Price::Kl || run.anchor.is_some() {
            // neither without a price, nor under one that is not a sum over steps or of another base, do stretches end in a value
            method = BackProp { lookahead: None, ..method };
        }
        let divergence = (self.price == Price::Paths).then(|| run.config.divergence.get());
        let priced = Priced { divergence, anchor: run.anchor };
        let (vars, held) = (run.learner.params().vars(), run.learner.held());
        let draws = run.draws(run.done());
        let graphs: Vec<&[Draw]> = draws.chunks(if run.joined { draws.len() } else { 1 }).collect();
        let (sums, rows) = over_shards(run.pool, graphs.len(), |i| {
            let (control, frozen) = ((run.control)(run.learner.params())?, (run.control)(&held)?);
            let rows = graphs[i].iter().map(|(_, rows)| rows).sum();
            let part = Batch { rows, total: run.config.batch, steps, seed: run.seed_at(run.done()) };
            let (control, frozen) = (control.as_ref(), frozen.as_ref());
            let part = method.gradient_from(&problem, control, frozen, &vars, &part, graphs[i], priced)?;
            Ok((part.gradients, [part.value, part.cost]))
        })?;
        Ok(Update { sums, rows: rows.into_iter().flatten().collect(), known: None, figures: Vec::new() })
    }
}
