//! What a command is run with.

use super::split::split;
use crate::error::{Error, Result};
use crate::oracle::OracleOptions;
use crate::registry::unknown;
use crate::sequence::Alphabet;
use serde_json::Value;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;

/// A command that answers protocol 1, and how it is run.
///
/// Written `COMMAND`, or with settings in front, `workers=4,timeout=600:COMMAND`; times are in seconds. What stands before
/// the first colon is read as settings where it holds a `=` and no blank.
///
/// ```
/// use seqtilt::oracle::CommandConfig;
/// let config = CommandConfig::parse("workers=2,timeout=0.5:python3 'my score.py' --fast")?;
/// assert_eq!(config.command, ["python3", "my score.py", "--fast"]);
/// assert_eq!((config.workers, config.timeout.as_millis()), (2, 500));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct CommandConfig {
    /// The program and its arguments; no shell sees them.
    pub command: Vec<String>,
    /// How many children answer side by side.
    pub workers: usize,
    /// How long a batch may take without an answer or a sign of progress.
    pub timeout: Duration,
    /// How long a child may take to become ready.
    pub handshake: Duration,
    /// How long a child may take to end once it is asked to.
    pub grace: Duration,
    /// How many children may be started anew within an hour.
    pub restarts: usize,
    /// The most sequences in a batch; what the child accepts where this is left open.
    pub batch: Option<usize>,
    /// The seed that the child is told.
    pub seed: u64,
    /// The alphabet that the child is told, and that counts where the child names none.
    pub alphabet: Option<Alphabet>,
    /// The sequence that the child is told as the origin of variants.
    pub reference: Option<String>,
    /// What else the child is told.
    pub config: Value,
}

impl CommandConfig {
    /// A command with the settings that are used when none are given.
    #[must_use]
    pub fn new(command: Vec<String>) -> Self {
        Self {
            command,
            workers: 1,
            timeout: Duration::from_secs(600),
            handshake: Duration::from_secs(60),
            grace: Duration::from_secs(5),
            restarts: 100,
            batch: None,
            seed: 0,
            alphabet: None,
            reference: None,
            config: Value::Object(serde_json::Map::new()),
        }
    }

    /// Reads `COMMAND` or `KEY=VALUE,…:COMMAND`; a `config=FILE` is read, as JSON.
    ///
    /// # Errors
    /// When the command cannot be split, a setting is unknown or out of range, or its file cannot be read.
    pub fn parse(argument: &str) -> Result<Self> {
        Self::read(argument, &OracleOptions::default())
    }

    /// The same with the seed, the children and the time-out of `options` where none stand in front.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn read(argument: &str, options: &OracleOptions) -> Result<Self> {
        let front = argument.split_once(':').filter(|(front, _)| front.contains('=') && !front.contains([' ', '\t']));
        let (settings, command) = front.unwrap_or(("", argument));
        let mut config = Self::new(split(command)?);
        config.seed = options.seed;
        config.workers = options.workers.unwrap_or(config.workers);
        config.timeout = options.timeout.unwrap_or(config.timeout);
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
            config.set(key, value)?;
        }
        Ok(config)
    }

    fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "workers" => self.workers = number(key, value, &(1..=256))?,
            "restarts" => self.restarts = number(key, value, &(0..=1_000_000))?,
            "batch" => self.batch = Some(number(key, value, &(1..=1_000_000))?),
            "seed" => self.seed = number(key, value, &(0..=u64::MAX))?,
            "timeout" => self.timeout = seconds(key, value)?,
            "handshake" => self.handshake = seconds(key, value)?,
            "grace" => self.grace = seconds(key, value)?,
            "alphabet" => {
                self.alphabet = Some(Alphabet::named(value).or_else(|_| Alphabet::of_letters(value))?);
            }
            "reference" => self.reference = Some(value.to_owned()),
            "config" => {
                let text = std::fs::read(value).map_err(|error| Error::io("read", value, error))?;
                let read = serde_json::from_slice(&text);
                self.config = read.map_err(|error| Error::data("not JSON").at(value).because(error))?;
            }
            _ => {
                return Err(unknown(
                    "option of `cmd`",
                    key,
                    [
                        "workers",
                        "timeout",
                        "handshake",
                        "grace",
                        "restarts",
                        "batch",
                        "seed",
                        "alphabet",
                        "reference",
                        "config",
                    ],
                ));
            }
        }
        Ok(())
    }
}

fn number<N: FromStr + PartialOrd + Display>(key: &str, value: &str, accepted: &RangeInclusive<N>) -> Result<N> {
    let (least, most) = (accepted.start(), accepted.end());
    let wrong = || Error::usage(format!("`{key}` of `cmd` is `{value}`; {least} to {most} is accepted"));
    value.parse().ok().filter(|number| accepted.contains(number)).ok_or_else(wrong)
}

fn seconds(key: &str, value: &str) -> Result<Duration> {
    let wrong =
        || Error::usage(format!("`{key}` of `cmd` is `{value}`; seconds above 0, such as 600 or 0.5, are accepted"));
    let seconds = value.parse::<f64>().ok().filter(|seconds| *seconds > 0.0).ok_or_else(wrong)?;
    Duration::try_from_secs_f64(seconds).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stand_in_front_and_commands_may_hold_colons() {
        let plain = CommandConfig::parse("ssh host:22 run").unwrap();
        assert_eq!(plain, CommandConfig::new(vec!["ssh".into(), "host:22".into(), "run".into()]));
        assert_eq!(CommandConfig::parse("env A=b:c ./run").unwrap().command, ["env", "A=b:c", "./run"]);
        let set = CommandConfig::parse("handshake=2,grace=0.1,restarts=3,batch=7,seed=9,alphabet=dna:./run").unwrap();
        assert_eq!((set.handshake.as_secs(), set.grace.as_millis(), set.restarts), (2, 100, 3));
        assert_eq!((set.batch, set.seed, set.alphabet), (Some(7), 9, Some(Alphabet::dna())));
    }

    #[test]
    fn what_stands_in_front_wins_over_the_options() {
        let timeout = Some(Duration::from_secs(7));
        let options = OracleOptions { seed: 5, workers: Some(3), timeout, ..OracleOptions::default() };
        let plain = CommandConfig::read("./run", &options).unwrap();
        assert_eq!((plain.seed, plain.workers, plain.timeout.as_secs()), (5, 3, 7));
        let front = CommandConfig::read("seed=9,workers=2,timeout=1:./run", &options).unwrap();
        assert_eq!((front.seed, front.workers, front.timeout.as_secs()), (9, 2, 1));
    }

    #[test]
    fn what_is_not_accepted_says_what_is() {
        let message = |argument: &str| CommandConfig::parse(argument).unwrap_err().message().to_owned();
        assert_eq!(message("workers=0:x"), "`workers` of `cmd` is `0`; 1 to 256 is accepted");
        assert!(message("timeout=0:x").starts_with("`timeout` of `cmd` is `0`; seconds above 0"));
        assert!(message("timeout=NaN:x").contains("seconds above 0"));
        assert!(message("worker=2:x").starts_with("unknown option of `cmd` `worker`"));
        assert!(message("config=no-such.json:x").contains("no-such.json"));
    }
}
