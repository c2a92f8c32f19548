//! Learned initial laws on every problem with a known answer.

use super::measured::{Metrics, Subject, insert, insert_continuous, measured, train};
use crate::cli::context::Context;
use crate::diffusion::Chain;
use crate::error::Result;
use crate::finetune::Terminal;
use crate::finetune::analytic::{
    Affine, Fixture, Lattice, LinearChain, LinearQuadratic, MixtureChain, MixtureProblem, Start,
};
use crate::finetune::initial::{Elegant, Form, Forms, INITIAL_ROUTES, InitialConfig, Route, StateControl};
use crate::nn::Pool;
use crate::random::Seed;
use serde_json::{Value, json};

/// States that no law of these problems leaves.
pub(super) const RANGE: (f64, f64) = (-8.0, 9.0);

/// Steps of the two chains that continuous time is extrapolated from.
const FINE: [usize; 2] = [400, 800];

/// A problem in one dimension.
pub(super) enum Problem {
    /// The linear-quadratic one, under affine controls.
    Linear(LinearQuadratic),
    /// A fixture on the flow with constant noise, under networks.
    Mixture(Fixture, MixtureProblem),
}

/// What is run.
pub(super) struct Cell<'a> {
    pub(super) problem: &'a Problem,
    pub(super) config: InitialConfig,
    pub(super) steps: usize,
    pub(super) width: usize,
    pub(super) samples: usize,
}

impl Cell<'_> {
    /// Everything that the numbers depend on.
    pub(super) fn parameters(&self) -> Value {
        let (name, problem) = match self.problem {
            Problem::Linear(problem) => (json!("lq"), json!(problem)),
            Problem::Mixture(name, problem) => (json!(name), json!(problem)),
        };
        json!({
            "fixture": name, "problem": problem, "steps": self.steps, "width": self.width, "training": self.config,
            "samples": self.samples,
        })
    }

    /// Trains lead and main chain and measures them.
    pub(super) fn measure(&self, seed: Seed, pool: &Pool, context: &Context) -> Result<Metrics> {
        match self.problem {
            Problem::Linear(problem) => {
                let chain = LinearChain::euler(problem, Start::Frozen, self.steps, 1)?;
                let mut metrics = self.on(&chain, problem, &|x| problem.reward(x), seed, pool, context)?;
                let frozen = self.config.route == Route::Frozen;
                let exact = problem.optimum(if frozen { Start::Frozen } else { Start::Joint });
                let short = (problem.optimum(Start::Joint).value - exact.value) / problem.alpha;
                insert_continuous(&mut metrics, exact.law.mean, exact.law.variance, exact.value, short);
                Ok(metrics)
            }
            Problem::Mixture(_, problem) => {
                let chain = MixtureChain::euler(problem, self.steps)?;
                let mut metrics = self.on(&chain, &problem.reward, &|x| problem.reward.at(x), seed, pool, context)?;
                self.continuous(problem, &mut metrics)?;
                Ok(metrics)
            }
        }
    }

    fn on(
        &self,
        chain: &dyn Chain,
        terminal: &dyn Terminal,
        reward: &dyn Fn(f64) -> f64,
        seed: Seed,
        pool: &Pool,
        context: &Context,
    ) -> Result<Metrics> {
        let alpha = self.config.alpha;
        let forms = Forms { lead: self.form(self.config.lead), main: self.form(self.steps) };
        let mut training = Elegant::new(self.config, chain, terminal, forms, seed.child("train"), pool)?;
        let name = INITIAL_ROUTES.entries().iter().find(|entry| entry.make == self.config.route);
        train(&mut training, name.map_or("route", |entry| entry.name), context)?;
        let (joined, control) = (training.joined(), training.control()?);
        let mut metrics =
            measured(&Subject { chain: joined, control: &control, reward, alpha }, self.samples, seed, pool)?;
        let lattice = Lattice::new(joined, terminal, alpha, RANGE)?;
        // the best of the main chain alone: whatever a control does from the frozen law is no better
        let frozen = Lattice::new(chain, terminal, alpha, RANGE)?.best();
        let got = lattice.outcome(&control)?;
        insert(&mut metrics, "control", got);
        insert(&mut metrics, "chain_optimum", if self.config.route == Route::Frozen { frozen } else { lattice.best() });
        insert(&mut metrics, "frozen_optimum", frozen);
        metrics.insert("initial_law_nats".to_owned(), frozen.gap - got.gap);
        if let Some(control) = training.frozen()? {
            insert(&mut metrics, "frozen_control", lattice.outcome(&control)?);
        }
        Ok(metrics)
    }

    fn form<'f>(&self, steps: usize) -> Form<'f> {
        match self.problem {
            Problem::Linear(_) => Box::new(move |params| Ok(Box::new(Affine::new(params, steps)?))),
            Problem::Mixture(..) => StateControl::form(vec![1], steps, self.width),
        }
    }

    /// The optimum as the steps go to zero: in closed form, but for a frozen start, which is extrapolated from two fine chains.
    fn continuous(&self, problem: &MixtureProblem, metrics: &mut Metrics) -> Result<()> {
        let (tilted, log_z) = problem.tilted();
        if self.config.route != Route::Frozen {
            let law = tilted.moments();
            insert_continuous(metrics, law.mean, law.variance, problem.alpha * log_z, 0.0);
            return Ok(());
        }
        let mut fine = Vec::with_capacity(FINE.len());
        for steps in FINE {
            let chain = MixtureChain::euler(problem, steps)?;
            let got = Lattice::new(&chain, &problem.reward, problem.alpha, RANGE)?.tilting();
            fine.push([got.frozen.mean, got.frozen.variance, got.frozen_value]);
        }
        // errors of order one: twice the finer less the coarser
        let [mean, variance, value] = [0, 1, 2].map(|i| 2.0 * fine[1][i] - fine[0][i]);
        insert_continuous(metrics, mean, variance, problem.alpha * value, log_z - value);
        Ok(())
    }
}
