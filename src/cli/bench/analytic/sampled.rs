//! Adjoint Sampling of the tilted laws from their energies.

use super::learned::Problem;
use super::measured::{Metrics, Subject, insert, insert_continuous, measured, train};
use crate::cli::context::Context;
use crate::error::{Error, Result};
use crate::finetune::analytic::{
    AnalyticConfig, EnergyReward, Interpolant, Lattice, MatchingConfig, Mixture, MixtureChain, MixtureProblem, Noise,
    Quadratic, Reference, SamplingConfig, SamplingTraining,
};
use crate::finetune::initial::StateControl;
use crate::nn::Pool;
use crate::random::Seed;
use serde_json::{Value, json};

/// What the method is called.
pub(super) const METHOD: &str = "adjoint-sampling";

/// Standard deviation of the reference: it has mass at every mode and knows of none.
const SPREAD: f64 = 2.0;

/// States that neither the reference nor any density leaves.
const RANGE: (f64, f64) = (-13.0, 13.0);

/// What is run.
pub(super) struct Sampled<'a> {
    problem: &'a Problem,
    config: SamplingConfig,
    steps: usize,
    width: usize,
    samples: usize,
}

impl<'a> Sampled<'a> {
    /// Adjoint Sampling with the steps, updates and paths of the other methods.
    pub(super) fn new(problem: &'a Problem, like: AnalyticConfig, width: usize, samples: usize) -> Self {
        let matching = MatchingConfig { updates: like.updates, batch: like.batch, ..MatchingConfig::default() };
        let config = SamplingConfig { matching, fresh: like.batch, ..SamplingConfig::default() };
        Self { problem, config, steps: like.steps, width, samples }
    }

    /// Everything that the numbers depend on.
    pub(super) fn parameters(&self) -> Value {
        let (name, problem) = match self.problem {
            Problem::Linear(problem) => (json!("lq"), json!(problem)),
            Problem::Mixture(name, problem) => (json!(name), json!(problem)),
        };
        json!({
            "fixture": name, "problem": problem, "steps": self.steps, "width": self.width, "training": self.config,
            "samples": self.samples, "reference": SPREAD,
        })
    }

    /// Trains a control from the energy alone and measures it.
    pub(super) fn measure(&self, seed: Seed, pool: &Pool, context: &Context) -> Result<Metrics> {
        let Problem::Mixture(_, target) = self.problem else {
            return Err(Error::usage(format!("`{METHOD}` takes a density; fixtures `a`, `b` and `c` have one"))
                .hint("name them with --fixtures a,b,c"));
        };
        let nothing = Quadratic::default();
        let reference = MixtureProblem {
            base: Mixture::gaussian(0.0, SPREAD * SPREAD),
            reward: nothing,
            alpha: 1.0,
            interpolant: Interpolant::Vp,
            noise: Noise::Memoryless,
        };
        let chain = MixtureChain::euler(&reference, self.steps)?;
        let alpha = target.alpha;
        let Quadratic { slope, curvature, centre } = target.reward;
        // the law that the chain's steps really end in
        let reward = EnergyReward {
            mixture: target.base.clone(),
            tilt: Quadratic { slope: slope / alpha, curvature: curvature / alpha, centre },
            reference: Reference::of(&chain)?.end(),
        };
        let form = StateControl::form(vec![1], self.steps, self.width);
        let mut training = SamplingTraining::new(self.config, &chain, &reward, form, seed.child("train"), pool)?;
        train(&mut training, METHOD, context)?;
        let control = training.control()?;
        let at = |x: f64| reward.at(x);
        let subject = Subject { chain: &chain, control: control.as_ref(), reward: &at, alpha: 1.0 };
        let mut metrics = measured(&subject, self.samples, seed, pool)?;
        let lattice = Lattice::new(&chain, &reward, 1.0, RANGE)?;
        insert(&mut metrics, "control", lattice.outcome(control.as_ref())?);
        insert(&mut metrics, "chain_optimum", lattice.best());
        let (tilted, log_z) = target.tilted();
        let law = lattice.law(control.as_ref())?;
        metrics.insert("control_distance".to_owned(), lattice.transport(&law, |x| tilted.log_density(x).exp()));
        metrics.insert("continuous_optimum_log_z_tuned".to_owned(), log_z);
        let moments = tilted.moments();
        insert_continuous(&mut metrics, moments.mean, moments.variance, log_z, 0.0);
        Ok(metrics)
    }
}
