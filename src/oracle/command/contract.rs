//! What a child promises when it is ready.

use super::message::VERSION;
use super::settings::CommandConfig;
use crate::error::{Error, Result};
use crate::oracle::{Bound, OracleInfo};
use crate::reward::LONGEST;
use crate::sequence::Alphabet;
use crate::store::Sha256;
use serde::Deserialize;

/// The answer to `hello`; fields that are not known are ignored.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Ready {
    protocol: Option<u64>,
    name: Option<String>,
    version: Option<String>,
    fingerprint: Option<String>,
    deterministic: bool,
    alphabet: Option<String>,
    length: Option<(usize, usize)>,
    max_batch: Option<usize>,
    max_in_flight: Option<usize>,
    outputs: Vec<Declared>,
    requires: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Declared {
    name: String,
    direction: Option<String>,
    noise_sd: Option<f64>,
}

/// The output that is read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Output {
    pub(super) name: String,
    /// Whether less is better to the child; the sign is flipped here and nowhere else.
    pub(super) less_is_better: bool,
    /// The standard deviation that counts where an item states none.
    pub(super) noise_sd: Option<f64>,
}

impl Output {
    /// A value as the rest of the crate reads it: higher is better.
    pub(super) fn value(&self, value: f64) -> f64 {
        if self.less_is_better { -value } else { value }
    }

    /// A bound likewise: below 1.3 is above −1.3 where less is better.
    pub(super) fn bound(&self, sign: &str, value: f64) -> Option<Bound> {
        match (sign, self.less_is_better) {
            ("<" | "<=", false) | (">" | ">=", true) => Some(Bound::Below(self.value(value))),
            (">" | ">=", false) | ("<" | "<=", true) => Some(Bound::Above(self.value(value))),
            _ => None,
        }
    }
}

/// What holds for every child of a command.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Contract {
    pub(super) info: OracleInfo,
    pub(super) output: Output,
    pub(super) max_batch: usize,
    pub(super) max_in_flight: usize,
}

/// Sequences in a batch where the child does not say.
const BATCH: usize = 256;

impl Contract {
    /// Reads a `ready` line.
    ///
    /// # Errors
    /// When it is not one, or asks for what this program does not have.
    pub(super) fn read(line: &str, config: &CommandConfig) -> Result<Self> {
        let ready: Ready = serde_json::from_str(line)
            .map_err(|error| Error::oracle("the worker's `ready` cannot be read").because(error))?;
        if ready.protocol != Some(VERSION) {
            let got = ready.protocol.map_or_else(|| "none".to_owned(), |got| got.to_string());
            return Err(Error::oracle(format!("the worker chose protocol {got}; {VERSION} is accepted")));
        }
        if let Some(feature) = ready.requires.first() {
            return Err(Error::oracle(format!(
                "the worker requires `{feature}`; protocol {VERSION} has no such feature"
            ))
            .hint("a newer version of this program may have it"));
        }
        let output = output(ready.outputs)?;
        let Some(alphabet) = ready.alphabet.as_deref().map(letters).transpose()?.or_else(|| config.alphabet.clone())
        else {
            return Err(Error::oracle("the worker's `ready` names no alphabet; its letters are needed")
                .hint("add \"alphabet\":\"ACGT\", or name it in front: cmd:alphabet=dna:COMMAND"));
        };
        let length = ready.length.unwrap_or((1, LONGEST));
        if length.0 == 0 || length.0 > length.1 {
            let (least, most) = length;
            return Err(Error::oracle(format!(
                "the worker takes {least} to {most} letters; a least length of 1 or more and a greatest not below it are accepted"
            )));
        }
        let name = ready.name.unwrap_or_else(|| stem(&config.command[0]));
        let said = ready.fingerprint.unwrap_or_else(|| {
            format!("{name} {} {}", ready.version.as_deref().unwrap_or_default(), config.command.join("\0"))
        });
        let mut hash = Sha256::default();
        hash.update(format!("cmd {said}\0{}\0{}\0{}", config.config, config.seed, output.name).as_bytes());
        hash.update(config.reference.as_deref().unwrap_or_default().as_bytes());
        let info = OracleInfo {
            name,
            fingerprint: format!("sha256:{}", hash.hex()),
            alphabet,
            length,
            deterministic: ready.deterministic,
            has_gradient: false,
        };
        let max_batch = ready.max_batch.unwrap_or(BATCH).max(1);
        Ok(Self {
            info,
            output,
            max_batch: config.batch.map_or(max_batch, |batch| batch.min(max_batch)),
            max_in_flight: ready.max_in_flight.unwrap_or(1).max(1),
        })
    }
}

/// The first output with a direction; one called `value` where none is declared.
fn output(declared: Vec<Declared>) -> Result<Output> {
    if declared.is_empty() {
        return Ok(Output { name: "value".to_owned(), less_is_better: false, noise_sd: None });
    }
    let Some((direction, chosen)) = declared.into_iter().find_map(|one| Some((one.direction.clone()?, one))) else {
        return Err(Error::oracle("none of the worker's outputs has a direction; `max` or `min` is needed on one"));
    };
    let less_is_better = match direction.as_str() {
        "max" => false,
        "min" => true,
        other => {
            let name = &chosen.name;
            return Err(Error::oracle(format!(
                "output `{name}` has direction `{other}`; `max` and `min` are accepted"
            )));
        }
    };
    if let Some(sd) = chosen.noise_sd.filter(|sd| *sd < 0.0) {
        return Err(Error::oracle(format!("output `{}` has noise_sd {sd}; 0 or more is accepted", chosen.name)));
    }
    Ok(Output { name: chosen.name, less_is_better, noise_sd: chosen.noise_sd })
}

/// A built-in alphabet by its name or by its letters in any order, as letters and not ids are sent; else those letters.
fn letters(text: &str) -> Result<Alphabet> {
    let sorted = |letters: &[u8]| {
        let mut letters = letters.to_vec();
        letters.sort_unstable();
        letters
    };
    let built_in = [Alphabet::dna(), Alphabet::rna(), Alphabet::protein()];
    let same = |one: &Alphabet| one.name() == text || sorted(one.letters()) == sorted(text.as_bytes());
    match built_in.into_iter().find(same) {
        Some(alphabet) => Ok(alphabet),
        None => Alphabet::of_letters(text)
            .map_err(|error| Error::oracle("the worker's alphabet cannot be used").because(error)),
    }
}

fn stem(program: &str) -> String {
    std::path::Path::new(program).file_stem().map_or_else(|| program.to_owned(), |stem| stem.to_string_lossy().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(fields: &str) -> Result<Contract> {
        let line = format!(r#"{{"type":"ready","protocol":1,{fields}}}"#);
        Contract::read(&line, &CommandConfig::new(vec!["/opt/score.py".into()]))
    }

    #[test]
    fn what_is_left_out_has_a_cautious_meaning() {
        let contract = read(r#""alphabet":"TGCA","new":[1]"#).unwrap();
        assert_eq!((contract.info.name.as_str(), contract.info.alphabet.name()), ("score", "dna"));
        assert_eq!((contract.info.deterministic, contract.max_batch, contract.max_in_flight), (false, 256, 1));
        assert_eq!(contract.output, Output { name: "value".into(), less_is_better: false, noise_sd: None });
    }

    #[test]
    fn the_first_output_with_a_direction_is_read_and_min_turns_its_sign() {
        let outputs = r#""alphabet":"dna","outputs":[{"name":"length"},{"name":"kd","direction":"min","unit":"nM"}]"#;
        let output = read(outputs).unwrap().output;
        assert_eq!((output.name.as_str(), output.value(2.5)), ("kd", -2.5));
        assert_eq!(output.bound("<", 1.3), Some(Bound::Above(-1.3)));
        assert_eq!(output.bound(">", 1.3), Some(Bound::Below(-1.3)));
        let plain = Output { less_is_better: false, ..output };
        assert_eq!((plain.bound("<", 1.3), plain.bound(">=", 2.0)), (Some(Bound::Below(1.3)), Some(Bound::Above(2.0))));
        assert_eq!(plain.bound("=", 1.0), None);
    }

    #[test]
    fn the_fingerprint_follows_what_the_child_says_and_what_it_was_told() {
        let print = |fields: &str| read(fields).unwrap().info.fingerprint;
        let same = r#""alphabet":"dna","fingerprint":"a""#;
        assert_eq!(print(same), print(&format!(r#"{same},"name":"other","version":"2""#)));
        assert_ne!(print(same), print(r#""alphabet":"dna","fingerprint":"b""#));
        assert_ne!(print(r#""alphabet":"dna","version":"1""#), print(r#""alphabet":"dna","version":"2""#));
        let mut told = CommandConfig::new(vec!["/opt/score.py".into()]);
        told.config = serde_json::json!({"temperature": 1});
        let line = format!(r#"{{"type":"ready","protocol":1,{same}}}"#);
        assert_ne!(print(same), Contract::read(&line, &told).unwrap().info.fingerprint);
    }

    #[test]
    fn what_cannot_be_met_is_refused() {
        let message = |fields: &str| read(fields).unwrap_err().message().to_owned();
        assert!(message(r#""alphabet":"dna","requires":["gradients"]"#).contains("requires `gradients`"));
        assert!(message(r#""length":[1,2]"#).contains("names no alphabet"));
        assert!(message(r#""alphabet":"dna","length":[3,2]"#).contains("takes 3 to 2 letters"));
        assert!(message(r#""alphabet":"dna","outputs":[{"name":"a"}]"#).contains("has a direction"));
        assert!(message(r#""alphabet":"dna","outputs":[{"name":"a","direction":"up"}]"#).contains("direction `up`"));
        let config = CommandConfig::new(vec!["x".into()]);
        let error = Contract::read(r#"{"type":"ready","protocol":2}"#, &config).unwrap_err();
        assert_eq!(
            (error.kind(), error.message()),
            (crate::Kind::Oracle, "the worker chose protocol 2; 1 is accepted")
        );
    }
}
