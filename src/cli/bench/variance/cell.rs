//! One tilt, noised from one last state.

use super::NAME;
use crate::cli::bench::results::finite;
use crate::cli::bench::rows::Row;
use crate::diffusion::DiffusionChain;
use crate::error::{Error, Result};
use crate::finetune::word_score::{NetworkLean, Window, WordLaw, WordTarget, WordVariance};
use crate::nn::Pool;
use crate::random::Seed;
use crate::store::{RunFolder, RunInfo};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::path::Path;

const MEASURED: &str = "measured.json";

/// What is told of levels, at most so close to one another.
const APART: f64 = 0.5;

/// The method that stands for lean targets by the prior's network.
pub(super) const NETWORK: &str = "lean by the network";

/// Everything but the tilt and the last state that decides the numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Study {
    pub(super) reward: String,
    pub(super) base: String,
    pub(super) paths: usize,
}

/// One measurement to make.
pub(super) struct Cell<'a> {
    pub(super) study: &'a Study,
    pub(super) chain: &'a DiffusionChain,
    pub(super) words: &'a WordLaw,
    pub(super) tilted: &'a WordLaw,
    pub(super) alpha: f64,
    pub(super) kl: f64,
    pub(super) beyond: f64,
    pub(super) seed: Seed,
    pub(super) seed_number: u64,
    pub(super) pool: &'a Pool,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Measured {
    /// The price of a nat.
    pub(super) alpha: f64,
    /// Log signal-to-noise ratio of the last state beyond the decode.
    pub(super) beyond: f64,
    /// KL of the tilted words to the base's, in nats.
    pub(super) kl: f64,
    /// Entropy of the tilted words, in nats.
    pub(super) entropy: f64,
    /// Log signal-to-noise ratio below which the base is log-concave, whatever its words.
    pub(super) log_concave_below: f64,
    /// Targets by exact scores.
    pub(super) exact: WordVariance,
    /// The lean target by the network, where the last state is the chain's own.
    pub(super) network: Option<NetworkLean>,
}

impl Cell<'_> {
    /// The name of its folder.
    pub(super) fn name(&self) -> String {
        format!("alpha{}-beyond{}", self.alpha, self.beyond)
    }

    /// Measures, or reads what was measured.
    ///
    /// # Errors
    /// When the folder is of another study, or a worker fails.
    pub(super) fn run(&self, path: &Path) -> Result<Measured> {
        let settings = json!({ "study": self.study, "alpha": self.alpha, "beyond": self.beyond });
        let info = RunInfo::new(&format!("bench {NAME}"), self.seed_number, &settings)?;
        let folder = RunFolder::open(path, &info)?;
        if folder.is_finished() {
            let file = path.join(MEASURED);
            let bytes = std::fs::read(&file).map_err(|error| Error::io("read", &file, error))?;
            return serde_json::from_slice(&bytes)
                .map_err(|error| Error::integrity("not what a benchmark measured").at(file).because(error));
        }
        let measured = self.measure()?;
        let json = serde_json::to_vec(&measured)
            .map_err(|error| Error::data("the measurement cannot be written as JSON").because(error))?;
        folder.write(MEASURED, &json)?;
        folder.finish(&[MEASURED])?;
        Ok(measured)
    }

    fn measure(&self) -> Result<Measured> {
        let (paths, pool) = (self.study.paths, self.pool);
        let end = self.chain.prior().config().decode_log_snr + self.beyond;
        let seed = |what: &str| self.seed.child(what);
        let own = self.beyond == 0.0;
        let network = || NetworkLean::sampled(self.chain, self.words, self.tilted, paths, seed("network"), pool);
        Ok(Measured {
            alpha: self.alpha,
            beyond: self.beyond,
            kl: self.kl,
            entropy: self.tilted.entropy(),
            log_concave_below: self.words.log_concave_below(),
            exact: WordVariance::sampled(self.words, self.tilted, end, paths, seed("exact"), pool)?,
            network: own.then(network).transpose()?,
        })
    }
}

impl Measured {
    /// The integral of a target over all levels.
    pub(super) fn total(&self, target: WordTarget) -> f64 {
        let which = WordTarget::ALL.iter().position(|other| *other == target).unwrap_or_default();
        self.exact.whole().map_or(f64::NAN, |whole| whole.totals[which].mean)
    }

    /// Whether sampled lean adjoints recover their mean over all levels.
    pub(super) fn lean_is_seen(&self) -> bool {
        self.exact.whole().is_some_and(Window::lean_is_seen)
    }

    /// Its rows: integrals, and levels a little apart.
    pub(super) fn rows(&self, seed: u64) -> Vec<Row> {
        let mut rows = Vec::new();
        let mut row = |part: &str, method: &str, more: &[(&str, f64)], metrics| {
            let mut parameters = json!({ "part": part, "alpha": self.alpha, "end": self.exact.end });
            for (name, value) in more {
                parameters[*name] = Value::from(*value);
            }
            rows.push(Row { benchmark: NAME.to_owned(), method: method.to_owned(), seed, parameters, metrics });
        };
        for window in &self.exact.windows {
            for (target, total) in WordTarget::ALL.into_iter().zip(&window.totals) {
                let mut metrics = finite([("integral", total.mean), ("integral_se", total.error)]);
                if target == WordTarget::Lean {
                    metrics.extend(finite([
                        ("recovered", window.recovered.mean),
                        ("recovered_se", window.recovered.error),
                        ("control", window.control.mean),
                        ("control_se", window.control.error),
                    ]));
                }
                row("window", target.name(), &[("from", window.from), ("to", window.to)], metrics);
            }
        }
        let mut last = f64::NEG_INFINITY;
        for level in &self.exact.levels {
            // curvatures are looked at on some levels only
            if level.relative < last + APART && level.curvature.is_none() {
                continue;
            }
            last = level.relative;
            for (which, target) in WordTarget::ALL.into_iter().enumerate() {
                let of = level.variance[which];
                let mut metrics = finite([
                    ("variance", of.mean),
                    ("variance_se", of.error),
                    ("square", level.square[which]),
                    ("score", level.score),
                    ("rate", of.mean * level.weight / level.length),
                ]);
                if target == WordTarget::Lean {
                    let growth = &level.growth;
                    metrics.extend(finite([
                        ("growth_median", growth.median.unwrap_or(f64::NAN)),
                        ("growth_high", growth.high.unwrap_or(f64::NAN)),
                        ("growth_max", growth.max.unwrap_or(f64::NAN)),
                        ("of_bound", growth.of_bound.unwrap_or(f64::NAN)),
                        ("curvature", level.curvature.unwrap_or(f64::NAN)),
                    ]));
                }
                row("level", target.name(), &[("relative", level.relative), ("log_snr", level.log_snr)], metrics);
            }
        }
        if let Some(network) = &self.network {
            let metrics = finite([
                ("integral", network.total.mean),
                ("integral_se", network.total.error),
                ("exact_on_the_chain", network.exact.mean),
                ("exact_on_the_chain_se", network.exact.error),
                ("wrong", network.wrong.mean),
                ("wrong_se", network.wrong.error),
                ("recovered", network.recovered.mean),
                ("recovered_se", network.recovered.error),
            ]);
            row("chain", NETWORK, &[], metrics);
            for (log_snr, growth) in &network.levels {
                let metrics = finite([
                    ("growth_median", growth.median.unwrap_or(f64::NAN)),
                    ("growth_high", growth.high.unwrap_or(f64::NAN)),
                    ("growth_max", growth.max.unwrap_or(f64::NAN)),
                ]);
                row("chain-level", NETWORK, &[("log_snr", *log_snr)], metrics);
            }
        }
        rows
    }
}
