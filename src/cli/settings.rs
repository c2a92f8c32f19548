//! One schema for flags and files.
//!
//! A verb's `Args` struct derives both `clap::Args` and serde, with
//! `#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]`:
//!
//! - a setting is an `Option`, its default is filled in by the verb, so that what was not given can be told apart;
//! - a switch is a `bool` with `#[serde(skip_serializing_if = "std::ops::Not::not")]`;
//! - a group (`#[command(flatten)]`) is a table of its own in the file;
//! - what makes no sense in a file (a positional path, --config) has `#[serde(skip)]`.

mod file;
mod schema;

pub(super) use file::ConfigFile;

use crate::error::{Error, Result};
use serde::Serialize;
use serde::de::DeserializeOwned;
use toml::{Table, Value};

/// Lays the flags over what the file says: a key that a flag gives wins, tables are laid over each other key by key.
///
/// # Errors
/// When a value cannot be held by TOML, such as an integer beyond 63 bits.
pub(super) fn merge<A: Serialize + DeserializeOwned>(file: &A, flags: &A) -> Result<A> {
    let unfit = |error: toml::ser::Error| Error::usage("a setting cannot be held by TOML").because(error);
    let mut table = Table::try_from(file).map_err(unfit)?;
    let flags = Table::try_from(flags).map_err(unfit)?;
    overlay(&mut table, flags);
    table.try_into().map_err(|error: toml::de::Error| Error::usage(error.message().to_owned()))
}

fn overlay(below: &mut Table, above: Table) {
    for (key, value) in above {
        match (below.get_mut(&key), value) {
            (Some(Value::Table(below)), Value::Table(above)) => overlay(below, above),
            (_, value) => {
                below.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
    struct Args {
        alpha: Option<f64>,
        batch_size: Option<u32>,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        both_strands: bool,
        sampler: Sampler,
    }

    #[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
    struct Sampler {
        steps: Option<u32>,
        solver: Option<String>,
    }

    #[test]
    fn flags_win_and_the_rest_stays() {
        let file = Args {
            alpha: Some(0.1),
            batch_size: Some(8),
            both_strands: true,
            sampler: Sampler { steps: Some(50), solver: Some("ddpm".into()) },
        };
        let flags =
            Args { alpha: Some(0.5), sampler: Sampler { steps: Some(9), ..Sampler::default() }, ..Args::default() };
        let merged = merge(&file, &flags).unwrap();
        let sampler = Sampler { steps: Some(9), solver: Some("ddpm".into()) };
        assert_eq!(merged, Args { alpha: Some(0.5), sampler, ..file.clone() });
        assert_eq!(merge(&file, &Args::default()).unwrap(), file);
        assert_eq!(merge(&Args::default(), &file).unwrap(), file);
    }

    #[test]
    fn a_number_that_is_not_one_is_not_lost_on_the_way() {
        let merged = merge(&Args::default(), &Args { alpha: Some(f64::NAN), ..Args::default() }).unwrap();
        assert!(merged.alpha.is_some_and(f64::is_nan), "the verb's check must still see it");
    }
}
