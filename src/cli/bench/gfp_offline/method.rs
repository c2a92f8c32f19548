//! The methods by name: how 128 sequences are proposed once, from a start set alone.

mod region;
mod shared;

use super::cell::Task;
use super::start::Start;
use crate::baseline::{
    AdaLead, AdaLeadConfig, Genetic, GeneticConfig, GpUcb, GpUcbConfig, Guided, Proposer, Request, Search,
};
use crate::cli::context::Context;
use crate::diffusion::{Prior, SampleConfig, sample};
use crate::error::{Error, Result};
use crate::eval::Metric;
use crate::eval::select::diverse;
use crate::inference::{self, Guide, Target, steer, units};
use crate::nn::Pool;
use crate::random::Seed;
use crate::registry::registry;
use crate::reward::{Acquired, Acquisition, Score as _, Surrogate};
use crate::sequence::Sequence;
use crate::store::ModelFolder;
use region::Drawn;
pub(super) use region::changes;
use shared::Shared;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

registry! {
    /// How sequences are proposed without feedback.
    pub(in crate::cli) METHODS: Method, "offline method", "offline methods";
    "tilted" => Method::Tilted, "the prior of the start set, near its consensus, tilted towards a cautious surrogate; the best draws";
    "picked" => Method::Picked, "the best by the surrogate of what that prior draws untilted: what selection alone is worth";
    "guidance" => Method::Guidance, "that prior guided by the slope of the surrogate, without training; the best draws";
    "prior" => Method::Prior, "the first draws of that prior";
    "consensus" => Method::Consensus, "the consensus of the start set with random ones of the letters that the set has, no model at all";
    "start" => Method::Start, "the best of the start set";
    "random" => Method::Random, "random mutants of the best of the start set";
    "genetic" => Method::Genetic, "a genetic algorithm on the surrogate";
    "adalead" => Method::AdaLead, "AdaLead on the surrogate";
}

/// A way to propose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Method {
    Tilted,
    Picked,
    Guidance,
    Prior,
    Consensus,
    Start,
    Random,
    Genetic,
    AdaLead,
}

impl Method {
    /// Whether it stays within some mutations of the consensus.
    pub(super) fn has_region(self) -> bool {
        matches!(self, Self::Tilted | Self::Picked | Self::Guidance | Self::Prior | Self::Consensus)
    }

    /// Whether it draws from the prior.
    pub(super) fn draws(self) -> bool {
        self.has_region() && self != Self::Consensus
    }

    /// Whether it asks the surrogate.
    pub(super) fn learns(self) -> bool {
        !matches!(self, Self::Prior | Self::Consensus | Self::Start | Self::Random)
    }
}

/// What a proposal is made from.
pub(super) struct Source<'a> {
    pub(super) task: &'a Task<'a>,
    pub(super) start: &'a Start,
    /// The prior within the region, with its folder, where the method draws from one.
    pub(super) prior: Option<(Arc<Prior>, ModelFolder)>,
    /// Most mutations from the consensus, where the method has a region.
    pub(super) region: usize,
    pub(super) surrogate: Option<Arc<dyn Surrogate>>,
    /// What identifies the labels and settings of the surrogate.
    pub(super) learned: String,
    pub(super) number: u64,
}

/// What was proposed, and what else is known about how.
pub(super) type Proposed = (Vec<Sequence>, BTreeMap<String, f64>);

impl Source<'_> {
    /// Proposes.
    ///
    /// # Errors
    /// When a part fails or Ctrl-C was pressed.
    pub(super) fn propose(&self, method: Method, out: &Path, context: &Context) -> Result<Proposed> {
        let pool = context.pool()?;
        let (count, seed) = (self.task.setting.count, Seed::root(self.number).child("gfp-offline"));
        let (drawn, more) = match method {
            Method::Start => {
                let ranked = self.start.measured.ranked();
                return Ok((ranked.into_iter().take(count).map(|(x, _)| x).collect(), BTreeMap::new()));
            }
            Method::Random => {
                let config = GeneticConfig { crossover: 0.0, ..GeneticConfig::default() };
                return Ok((self.ask(&mut Genetic::new(config)?, seed, &pool)?, BTreeMap::new()));
            }
            Method::Genetic => return self.search(GpUcb::new(GpUcbConfig::default())?, seed, &pool),
            Method::AdaLead => return self.search(AdaLead::new(AdaLeadConfig::default())?, seed, &pool),
            Method::Consensus => return Ok((self.mutants(seed)?, BTreeMap::new())),
            Method::Prior | Method::Picked => {
                let (prior, _) = self.prior()?;
                let (draws, chain) = (self.task.setting.samples, self.task.setting.plan.chain);
                // the chain that is tilted
                let config = SampleConfig {
                    steps: Some(chain.steps),
                    grid: Some(chain.grid),
                    solver: Some(chain.solver),
                    eta: Some(chain.eta),
                    ..SampleConfig::default()
                };
                (sample(prior, &config, draws, seed.child("draw"), &pool)?, BTreeMap::new())
            }
            Method::Guidance => (self.guided(seed, &pool)?, BTreeMap::new()),
            Method::Tilted => self.tilted(out, seed, context)?,
        };
        let mut more = more;
        let drawn = Drawn::new(drawn, self.start.set.sequences());
        more.insert("unique_draws".to_owned(), drawn.distinct.len() as f64);
        if method == Method::Prior {
            return Ok((drawn.distinct.into_iter().take(count).collect(), more));
        }
        let scores = self.acquired()?.scores(&drawn.distinct)?;
        let count = count.min(drawn.distinct.len());
        let chosen = diverse(&drawn.distinct, &scores, count, 1, Metric::Hamming)?.chosen;
        Ok((chosen.into_iter().map(|index| drawn.distinct[index].clone()).collect(), more))
    }

    fn prior(&self) -> Result<(&Arc<Prior>, &ModelFolder)> {
        let (prior, folder) = self.prior.as_ref().ok_or_else(|| Error::usage("the method needs a prior"))?;
        Ok((prior, folder))
    }

    fn surrogate(&self) -> Result<&Arc<dyn Surrogate>> {
        self.surrogate.as_ref().ok_or_else(|| Error::usage("the method needs a surrogate"))
    }

    /// mean − caution · sd.
    fn acquisition(&self) -> Acquisition {
        Acquisition::Ucb { bonus: -self.task.setting.caution }
    }

    fn acquired(&self) -> Result<Acquired<'_>> {
        let draw = Seed::root(self.number).child("thompson");
        Ok(Acquired::new(self.surrogate()?.as_ref(), self.acquisition(), draw))
    }

    /// What a proposer that sees the start set asks for first.
    fn ask(&self, proposer: &mut dyn Proposer, seed: Seed, pool: &Pool) -> Result<Vec<Sequence>> {
        let request = Request { measured: &self.start.measured, count: self.task.setting.count, round: 1, seed, pool };
        Ok(proposer.propose(&request)?.into_iter().map(|proposal| proposal.sequence).collect())
    }

    fn search<S: Search>(&self, search: S, seed: Seed, pool: &Pool) -> Result<Proposed> {
        let known = self.surrogate()?.clone();
        let fit = Box::new(move |_: &_, _, _: &_| Ok(Box::new(Shared(known.clone())) as Box<dyn Surrogate>));
        let mut proposer = Guided::new(search, fit, Some(self.acquisition()));
        let designs = self.ask(&mut proposer, seed, pool)?;
        let calls = proposer.surrogate_calls().map(|calls| ("surrogate_calls".to_owned(), calls as f64));
        Ok((designs, calls.into_iter().collect()))
    }

    fn guided(&self, seed: Seed, pool: &Pool) -> Result<Vec<Sequence>> {
        let chain = self.task.setting.plan.chain.chain(self.prior()?.0.clone())?;
        let (acquired, alpha) = (self.acquired()?, self.task.setting.plan.finetune.alpha);
        let target = Target { chain: &chain, score: &acquired, reward: Some(&acquired), alpha, outlook: None };
        let method = inference::Guided { guide: Some(Guide::Mean), ..inference::Guided::default() };
        let count = self.task.setting.samples;
        let units = units(&method, &chain, count);
        Ok(steer(&method, &target, 0..units, count, seed.child("draw"), pool)?.sequences)
    }
}
