//! How an oracle that is a program is run.

use super::check::within;
use super::context::Context;
use crate::error::{Error, Result};
use crate::oracle::OracleOptions;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// What a verb that asks oracles may say about programs; none of it changes a result.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Oracle programs")]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Asking {
    /// Children of a cmd: oracle that answer side by side; workers= in front of its command wins [default: 1]
    #[arg(long, value_name = "N")]
    oracle_workers: Option<usize>,
    /// Longest time that a cmd: oracle may take for a batch without a sign of progress; timeout= in front of its command wins
    /// [default: 600]
    #[arg(long, value_name = "SECONDS", allow_negative_numbers = true)]
    oracle_timeout: Option<f64>,
}

impl Asking {
    /// The options of every oracle that the verb opens.
    ///
    /// # Errors
    /// When a value is out of range.
    pub(super) fn options(&self, context: &Context) -> Result<OracleOptions> {
        let workers = self.oracle_workers.map(|workers| within("oracle-workers", workers, 1..=256)).transpose()?;
        let timeout = self.oracle_timeout.map(|seconds| {
            let wrong = || {
                let message =
                    format!("`oracle-timeout` is {seconds}; seconds above 0, such as 600 or 0.5, are accepted");
                Error::usage(message)
            };
            Duration::try_from_secs_f64(seconds).ok().filter(|timeout| !timeout.is_zero()).ok_or_else(wrong)
        });
        Ok(OracleOptions { workers, timeout: timeout.transpose()?, ..context.oracle_options() })
    }
}

#[cfg(test)]
mod tests {
    use super::super::context::Global;
    use super::*;

    #[test]
    fn options_hold_the_seed_and_what_was_asked_for() {
        let context = Context::resolve(Global { seed: Some(9), ..Global::default() }).unwrap();
        let asking = Asking { oracle_workers: Some(3), oracle_timeout: Some(0.5) };
        let options = asking.options(&context).unwrap();
        assert_eq!((options.seed, options.workers, options.timeout), (9, Some(3), Some(Duration::from_millis(500))));
        let plain = Asking::default().options(&context).unwrap();
        assert_eq!((plain.workers, plain.timeout), (None, None));
        let refused = |asking: Asking| asking.options(&context).unwrap_err().message().to_owned();
        assert!(refused(Asking { oracle_workers: Some(0), ..Asking::default() }).contains("`oracle-workers` is 0"));
        for seconds in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let asking = Asking { oracle_timeout: Some(seconds), ..Asking::default() };
            assert!(refused(asking).starts_with("`oracle-timeout` is "), "{seconds}");
        }
    }
}
