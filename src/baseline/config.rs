//! The proposers by name, and their settings.

use super::{
    AdaLead, AdaLeadConfig, CmaEs, CmaEsConfig, Exhaustive, GeneticConfig, GpUcb, GpUcbConfig, Guided, Proposer,
    Search, genetic, random,
};
use crate::error::Result;
use crate::registry::registry;
use crate::reward::{Acquisition, SurrogateConfig};
use serde::{Deserialize, Serialize};

registry! {
    /// The proposers by name.
    pub PROPOSERS: fn(&ProposerConfig) -> Result<Box<dyn Proposer>>, "proposer", "proposers";
    "random" => random::make, "distinct sequences, uniformly";
    "genetic" => genetic::make, "mutation and crossover of the best measured, without a model";
    "adalead" => |config| guided(AdaLead::new(config.adalead.clone())?, config.surrogate.clone(), config),
        "AdaLead: rollouts of mutations from the best measured while a surrogate does not fall";
    "gp-ucb" => |config| guided(GpUcb::new(config.gp_ucb.clone())?, config.gaussian_process(), config),
        "a genetic algorithm on the upper confidence bound of a Gaussian process";
    "cma-es" => |config| guided(CmaEs::new(config.cma_es.clone())?, config.surrogate.clone(), config),
        "CMA-ES on relaxed letters, scored by a surrogate where they decode";
    "exhaustive" => |config| guided(Exhaustive, config.surrogate.clone(), config),
        "the best of all sequences by a surrogate, where they are few enough to be enumerated";
}

/// Settings of the proposers: each reads its own.
///
/// ```
/// use seqtilt::baseline::{PROPOSERS, ProposerConfig};
/// let config: ProposerConfig = serde_json::from_str(r#"{"genetic": {"parents": 32}}"#).unwrap();
/// assert_eq!(config.genetic.parents, 32);
/// (PROPOSERS.get("genetic")?.make)(&config)?;
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ProposerConfig {
    /// What searches on a surrogate climb; default: each one's own, the mean for `adalead` and `cma-es`, `ucb:1` for `gp-ucb`.
    pub acquisition: Option<Acquisition>,
    /// What `adalead` and `cma-es` search on; `gp-ucb` takes the settings of its Gaussian process.
    pub surrogate: SurrogateConfig,
    /// Of `genetic`.
    pub genetic: GeneticConfig,
    /// Of `adalead`.
    pub adalead: AdaLeadConfig,
    /// Of `gp-ucb`.
    pub gp_ucb: GpUcbConfig,
    /// Of `cma-es`.
    pub cma_es: CmaEsConfig,
}

impl ProposerConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        self.surrogate.check()?;
        self.genetic.check()?;
        self.adalead.check()?;
        self.gp_ucb.check()?;
        self.cma_es.check()
    }

    /// The surrogate of `gp-ucb`.
    fn gaussian_process(&self) -> SurrogateConfig {
        SurrogateConfig { kind: "gp".to_owned(), max_points: self.gp_ucb.max_points, ..self.surrogate.clone() }
    }
}

fn guided<S: Search + 'static>(
    search: S,
    surrogate: SurrogateConfig,
    config: &ProposerConfig,
) -> Result<Box<dyn Proposer>> {
    surrogate.check()?;
    let fit = Box::new(move |set: &_, seed, pool: &_| surrogate.fit(set, seed, pool));
    Ok(Box::new(Guided::new(search, fit, config.acquisition)))
}
