//! The methods by name: settings of a search.

use crate::baseline::PROPOSERS;
use crate::cli::optimize::Args;
use crate::error::{Error, Result};
use crate::registry::{registry, unknown};
use std::collections::BTreeMap;

/// A search with a process that knows strands and shifts, or the kernel of the floor, and what is its own.
macro_rules! process {
    ($($own:literal)*) => { concat!("acquisition = 'ucb:1'\n", $($own, "\n",)*) };
}

/// A published way of fine-tuning in rounds: a batch is a sample of the tuned sampler, and what is its own.
macro_rules! published {
    ($($own:literal)*) => {
        concat!(
            "proposer = 'tilted'\n",
            "selection = 'sampled'\n",
            "keep-known = true\n",
            "tuning.control = 'product-mixture'\n",
            "tuning.tuning-steps = 60\n",
            "tuning.certificate-paths = 2000\n",
            $($own, "\n",)*
        )
    };
}

registry! {
    /// Searches with settings of their own, as TOML of `[optimize]`; the simple ones go by the names of their proposers.
    pub(in crate::cli) METHODS: &str, "method", "methods";
    "tilted" => process!("proposer = 'tilted'" "selection = 'top'"
            "learner = { both-strands = true, shifts = 2, label-noise = 0.03 }"
            "tuning = { alpha = 0.02, tuning-steps = 1, certificate-paths = 1000 }"),
        "the prior tilted towards the upper bound of a process that knows strands and shifts";
    "tilted-hamming" => process!("proposer = 'tilted'" "selection = 'top'"
            "tuning = { alpha = 0.02, tuning-steps = 1, certificate-paths = 1000 }"),
        "the same with the kernel of the floor, exp(-Hamming/2.5): what the generator alone is worth";
    "gp-ucb-shifts" => process!("proposer = 'gp-ucb'" "learner = { both-strands = true, shifts = 2, label-noise = 0.03 }"),
        "the floor with the kernel of `tilted`: what the kernel alone is worth";
    "guidance" => concat!("proposer = 'guided'\nsurrogate = 'bootstrap'\nacquisition = 'mean'\nselection = 'sampled'\n",
            "keep-known = true\ntuning = { alpha = 0.005 }"),
        "classifier guidance by the mean of a bootstrap ensemble, without training";
    "greedy" => published!("surrogate = 'bootstrap'" "acquisition = 'mean'"),
        "back-propagation towards the mean of a bootstrap ensemble";
    "seiko-ucb" => published!("surrogate = 'linear-ucb'" "acquisition = 'ucb:1'" "beta = 0.02"),
        "back-propagation towards a linear bound on features, priced to prior and last round";
    "seiko-bootstrap" => published!("surrogate = 'bootstrap'" "acquisition = 'bootstrap-max'" "beta = 0.02"),
        "back-propagation towards the best of a bootstrap ensemble, priced to prior and last round";
    "sqdf-ucb" => published!("surrogate = 'linear-ucb'" "acquisition = 'ucb:1'" "tuning.objective = 'sqdf'"),
        "soft-Q policy gradient with replay towards a linear bound on features";
    "sqdf-bootstrap" =>
        published!("surrogate = 'bootstrap'" "acquisition = 'bootstrap-max'" "tuning.objective = 'sqdf'"),
        "soft-Q policy gradient with replay towards the best of a bootstrap ensemble";
    "sqdf-consistency" => published!("surrogate = 'bootstrap'" "acquisition = 'bootstrap-max'" "tuning.objective = 'sqdf'"
            "tuning.soft-q.consistency = 'tfbind8-consistency-hard'"),
        "`sqdf-bootstrap` that guesses with a consistency model of the prior of the hard start";
    "sqdf-no-buffer" => published!("surrogate = 'bootstrap'" "acquisition = 'bootstrap-max'" "tuning.objective = 'sqdf'"
            "tuning.soft-q.replay = 0"),
        "`sqdf-bootstrap` without a buffer";
    "sqdf-discounted" => published!("surrogate = 'bootstrap'" "acquisition = 'bootstrap-max'" "tuning.objective = 'sqdf'"
            "tuning.soft-q.discount = 0.9"),
        "`sqdf-bootstrap` with the discount of its authors, 0.9";
    "ppo" => published!("surrogate = 'bootstrap'" "acquisition = 'mean'" "tuning.objective = 'ppo'" "tuning.alpha = 0.005"),
        "proximal policy optimisation with a KL penalty towards the mean of a bootstrap ensemble";
    "non-adaptive" => concat!("proposer = 'non-adaptive'\nsurrogate = 'bootstrap'\nselection = 'sampled'\nkeep-known = true\n",
            "tuning = { alpha = 0.02, control = 'product-mixture', tuning-steps = 60, certificate-paths = 2000 }"),
        "the prior until the last round, then one tilt by all labels";
}

/// The settings of a method: the user's own, one of [`METHODS`], or a proposer with its defaults.
///
/// # Errors
/// When there is no such name; the message lists what is accepted.
pub(super) fn settings(name: &str, own: &BTreeMap<String, Args>) -> Result<Args> {
    if let Some(args) = own.get(name) {
        return Ok(args.clone());
    }
    if let Ok(entry) = METHODS.get(name) {
        return toml::from_str(entry.make)
            .map_err(|error| Error::usage(format!("the settings of method `{name}`")).because(error));
    }
    if name == "prior" || PROPOSERS.get(name).is_ok() {
        return Ok(Args::of(name));
    }
    let named = METHODS.names().chain(["prior"]).chain(PROPOSERS.names()).map(str::to_owned);
    let names: Vec<String> = own.keys().cloned().chain(named).collect();
    Err(unknown("method", name, names.iter().map(String::as_str)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_settings_of_every_method_can_be_read() {
        for name in METHODS.names().chain(PROPOSERS.names()) {
            settings(name, &BTreeMap::new()).unwrap_or_else(|error| panic!("{name}: {error:?}"));
        }
        let own = BTreeMap::from([("mine".to_owned(), Args::of("random"))]);
        assert!(settings("mine", &own).is_ok());
        let error = settings("tilded", &own).unwrap_err();
        assert_eq!(error.hint_text(), Some("did you mean `tilted`?"));
        assert!(error.message().contains("`mine`") && error.message().contains("`genetic`"));
    }
}
