//! Cells of methods that steer the base chain instead of training a control.

use crate::cli::bench::certified;
use crate::cli::bench::results::finite;
use crate::cli::certify::{Base, Scored, scored_paths};
use crate::diffusion::DiffusionChain;
use crate::error::{Error, Result};
use crate::eval::Estimate;
use crate::finetune::{Paths, SequenceTerminal};
use crate::inference::{
    BestOfN, Classifier, ClassifierConfig, Guide, Guided, Smc, Steering, Svdd, Target, steer, units,
};
use crate::nn::Pool;
use crate::random::Seed;
use crate::registry::registry;
use crate::reward::{Reward, Vertices};
use crate::store::write_atomic;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;

registry! {
    /// Steerings at the settings of the benchmark.
    pub(super) STEERED: Steered, "steering", "steerings";
    "best-of-n" => Steered::By(|| Box::new(BestOfN { candidates: 16, greedy: false })), "one of 16 prior samples by exp(r/alpha)";
    "svdd" => Steered::By(|| Box::new(Svdd { candidates: 8 })), "one of 8 candidates a block";
    "smc" => Steered::By(|| Box::new(Smc { particles: 256, proposal: None })), "islands of 256 particles";
    "guidance" => Steered::By(|| Box::new(Guided { guide: Some(Guide::Soft), scale: 1.0 })), "drift by the soft value's slope";
    "classifier" => Steered::Classifier, "drift by the slope of a learnt mean reward";
    "guidance-mean" => Steered::By(|| Box::new(Guided { guide: Some(Guide::Mean), scale: 1.0 })), "drift by the mean reward's slope";
}

/// How a cell is steered.
#[derive(Clone, Copy)]
pub(super) enum Steered {
    /// As it is.
    By(fn() -> Box<dyn Steering>),
    /// By a classifier, which is fitted first.
    Classifier,
}

/// What a cell needs.
pub(super) struct Bench<'a> {
    pub(super) chain: &'a DiffusionChain,
    pub(super) reward: &'a dyn Reward,
    pub(super) base: &'a Base,
    pub(super) count: usize,
    pub(super) pool: &'a Pool,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    parameters: Value,
    metrics: BTreeMap<String, f64>,
}

impl Bench<'_> {
    /// The metrics of a cell: read from its folder, or measured and written there.
    ///
    /// # Errors
    /// When the folder holds other parameters, or a step fails.
    pub(super) fn cell(
        &self,
        method: &str,
        alpha: f64,
        seed: u64,
        folder: &Path,
        parameters: &Value,
    ) -> Result<BTreeMap<String, f64>> {
        let path = folder.join("done.json");
        if path.exists() {
            let bytes = std::fs::read(&path).map_err(|error| Error::io("read", &path, error))?;
            let stored: Stored = serde_json::from_slice(&bytes)
                .map_err(|error| Error::integrity("not the metrics of a cell").at(&path).because(error))?;
            if stored.parameters != *parameters {
                return Err(Error::usage("this cell was measured with other settings")
                    .at(&path)
                    .hint("choose another folder with --out, or the same settings"));
            }
            return Ok(stored.metrics);
        }
        let metrics = self.measure(method, alpha, seed)?;
        let stored = Stored { parameters: parameters.clone(), metrics };
        let json = serde_json::to_vec_pretty(&stored)
            .map_err(|error| Error::data("a cell cannot be written as JSON").because(error))?;
        write_atomic(path, &json)?;
        Ok(stored.metrics)
    }

    fn measure(&self, method: &str, alpha: f64, seed: u64) -> Result<BTreeMap<String, f64>> {
        let seed = Seed::root(seed).child("bench").child(method);
        let steering = match STEERED.get(method)?.make {
            Steered::By(make) => make(),
            Steered::Classifier => return self.classified(alpha, seed),
        };
        let prior = self.chain.prior();
        let score = Vertices::new(self.reward, prior.alphabet().len(), prior.device());
        let target = Target { chain: self.chain, score: &score, reward: Some(self.reward), alpha, outlook: None };
        let units = units(steering.as_ref(), self.chain, self.count);
        let drawn = steer(steering.as_ref(), &target, 0..units, self.count, seed, self.pool)?;
        let calls = drawn.calls.denoised as f64 / drawn.sequences.len() as f64;
        let ends: Vec<Scored> = drawn.sequences.into_iter().zip(drawn.rewards).collect();
        let paths = Paths { ends, log_ratio: drawn.log_ratio, cost: drawn.cost };
        let mut metrics = self.certified(alpha, &paths)?;
        metrics.extend(finite([("denoiser_calls", calls)]));
        Ok(metrics)
    }

    /// Classifier guidance: fitted on base paths first.
    fn classified(&self, alpha: f64, seed: Seed) -> Result<BTreeMap<String, f64>> {
        let terminal = SequenceTerminal::new(self.chain, self.reward);
        let config = ClassifierConfig::default();
        let classifier = Classifier::fit(self.chain, &terminal, config, seed.child("fit"), self.pool)?;
        let guidance = classifier.guidance(self.chain, alpha, 1.0)?;
        let paths = scored_paths(
            self.chain,
            (self.chain, Some(&guidance)),
            self.reward,
            self.count,
            seed.child("draw"),
            self.pool,
        )?;
        let mut metrics = self.certified(alpha, &paths)?;
        metrics.extend(finite([("classifier_explained", classifier.explained)]));
        Ok(metrics)
    }

    /// Figures of samples, with a certificate where their paths are known.
    fn certified(&self, alpha: f64, paths: &Paths<Scored>) -> Result<BTreeMap<String, f64>> {
        if paths.log_ratio.is_empty() {
            let mean = Estimate::of(paths.ends.iter().map(|(_, reward)| *reward));
            let mut metrics = finite([("mean_reward", mean.value), ("mean_reward_se", mean.se)]);
            metrics.extend(self.base.exact(alpha, &paths.ends)?.iter().flat_map(certified::exact));
            return Ok(metrics);
        }
        Ok(certified::metrics(&self.base.certify(alpha, paths, None)?))
    }
}
