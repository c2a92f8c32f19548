//! Adjoint Matching on every problem with a known answer.

use super::learned::{Problem, RANGE};
use super::measured::{Metrics, Subject, insert, insert_continuous, measured, train};
use crate::cli::context::Context;
use crate::diffusion::Chain;
use crate::error::Result;
use crate::finetune::Terminal;
use crate::finetune::analytic::{
    Affine, AnalyticConfig, Interpolant, Lattice, LinearChain, MatchingConfig, MatchingTraining, MixtureChain,
    MixtureProblem, Noise, Start,
};
use crate::finetune::initial::{Form, StateControl};
use crate::nn::Pool;
use crate::random::Seed;
use serde_json::{Value, json};

/// What the method is called.
pub(super) const METHOD: &str = "adjoint-matching";

/// What is run.
pub(super) struct Matched<'a> {
    problem: &'a Problem,
    config: MatchingConfig,
    steps: usize,
    lead: usize,
    width: usize,
    samples: usize,
}

impl<'a> Matched<'a> {
    /// Adjoint Matching with the steps, updates and paths of the other methods; networks learn at a rate that suits them.
    pub(super) fn new(problem: &'a Problem, like: AnalyticConfig, width: usize, samples: usize) -> Self {
        let defaults = MatchingConfig::default();
        let (alpha, learning_rate) = match problem {
            Problem::Linear(problem) => (problem.alpha, like.learning_rate),
            Problem::Mixture(_, problem) => (problem.alpha, defaults.learning_rate),
        };
        let config = MatchingConfig { alpha, learning_rate, updates: like.updates, batch: like.batch, ..defaults };
        Self { problem, config, steps: like.steps, lead: like.lead, width, samples }
    }

    /// The problem whose base forgets its start: variance preserving, with memoryless noise.
    fn memoryless(problem: &MixtureProblem) -> MixtureProblem {
        MixtureProblem { interpolant: Interpolant::Vp, noise: Noise::Memoryless, ..problem.clone() }
    }

    /// Everything that the numbers depend on.
    pub(super) fn parameters(&self) -> Value {
        let (name, problem) = match self.problem {
            Problem::Linear(problem) => (json!("lq"), json!(problem)),
            Problem::Mixture(name, problem) => (json!(name), json!(Self::memoryless(problem))),
        };
        json!({
            "fixture": name, "problem": problem, "steps": self.steps, "lead": self.lead, "width": self.width,
            "training": self.config, "samples": self.samples,
        })
    }

    /// Trains a control and measures it.
    pub(super) fn measure(&self, seed: Seed, pool: &Pool, context: &Context) -> Result<Metrics> {
        match self.problem {
            Problem::Linear(problem) => {
                // the walk to the initial law is controlled too: it starts at a point, which is remembered by nobody
                let chain = LinearChain::euler(problem, Start::Joint, self.steps, self.lead)?;
                let steps = chain.steps();
                let form: Form<'_> = Box::new(move |params| Ok(Box::new(Affine::new(params, steps)?)));
                let mut metrics = self.on(&chain, problem, &|x| problem.reward(x), form, seed, pool, context)?.0;
                let exact = problem.optimum(Start::Joint);
                insert_continuous(&mut metrics, exact.law.mean, exact.law.variance, exact.value, 0.0);
                Ok(metrics)
            }
            Problem::Mixture(_, problem) => {
                let problem = Self::memoryless(problem);
                problem.check_memoryless()?;
                let chain = MixtureChain::euler(&problem, self.steps)?;
                let form = StateControl::form(vec![1], self.steps, self.width);
                let reward = |x: f64| problem.reward.at(x);
                let (mut metrics, law) = self.on(&chain, &problem.reward, &reward, form, seed, pool, context)?;
                let (tilted, log_z) = problem.tilted();
                let lattice = Lattice::new(&chain, &problem.reward, problem.alpha, RANGE)?;
                metrics.insert("control_distance".to_owned(), lattice.transport(&law, |x| tilted.log_density(x).exp()));
                let moments = tilted.moments();
                insert_continuous(&mut metrics, moments.mean, moments.variance, problem.alpha * log_z, 0.0);
                Ok(metrics)
            }
        }
    }

    #[allow(clippy::too_many_arguments, reason = "a problem's parts and the run's")]
    fn on<'b>(
        &self,
        chain: &'b dyn Chain,
        terminal: &'b dyn Terminal,
        reward: &dyn Fn(f64) -> f64,
        form: Form<'b>,
        seed: Seed,
        pool: &'b Pool,
        context: &Context,
    ) -> Result<(Metrics, Vec<f64>)> {
        let mut training = MatchingTraining::new(self.config, chain, terminal, form, seed.child("train"), pool)?;
        train(&mut training, METHOD, context)?;
        let (control, alpha) = (training.control()?, self.config.alpha);
        let subject = Subject { chain, control: control.as_ref(), reward, alpha };
        let mut metrics = measured(&subject, self.samples, seed, pool)?;
        let lattice = Lattice::new(chain, terminal, alpha, RANGE)?;
        insert(&mut metrics, "control", lattice.outcome(control.as_ref())?);
        insert(&mut metrics, "chain_optimum", lattice.best());
        Ok((metrics, lattice.law(control.as_ref())?))
    }
}
