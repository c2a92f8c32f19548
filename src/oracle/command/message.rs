//! Lines on the wire.

use super::contract::Output;
use super::settings::CommandConfig;
use crate::error::{Error, Result};
use crate::oracle::Outcome;
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write as _;

/// The version of the protocol that is spoken.
pub(super) const VERSION: u64 = 1;

/// Letters of a wrong line that are shown.
const SHOWN: usize = 200;

/// The first line that a child gets.
pub(super) fn hello(config: &CommandConfig, worker: usize) -> Vec<u8> {
    let mut hello = serde_json::json!({
        "type": "hello",
        "protocols": [VERSION],
        "tool": concat!("seqtilt ", env!("CARGO_PKG_VERSION")),
        "seed": config.seed,
        "worker": worker,
        "workers": config.workers,
        "config": config.config,
    });
    if let Some(alphabet) = &config.alphabet {
        hello["alphabet"] = String::from_utf8_lossy(alphabet.letters()).into();
    }
    if let Some(reference) = &config.reference {
        hello["reference"] = reference.as_str().into();
    }
    let mut line = hello.to_string().into_bytes();
    line.push(b'\n');
    line
}

/// A batch: always these fields in this order without blanks, so that a line tool can read it.
pub(super) fn evaluate<'a>(id: u64, items: impl Iterator<Item = (usize, &'a str)>) -> Vec<u8> {
    let mut line = format!(r#"{{"type":"evaluate","id":{id},"items":["#);
    for (count, (index, text)) in items.enumerate() {
        let comma = if count > 0 { "," } else { "" };
        // letters are upper-case ASCII, `*` and `-`: nothing to escape
        let _ = write!(line, r#"{comma}{{"id":"{index}","seq":"{text}"}}"#);
    }
    line.push_str("]}\n");
    line.into_bytes()
}

/// What a child wrote.
#[derive(Debug)]
pub(super) enum Message<'a> {
    Ready,
    Result(Answer<'a>),
    Progress(Option<u64>),
    Log(Cow<'a, str>),
    /// It cannot go on, and says why.
    Error(Cow<'a, str>),
    /// Of a type that this version does not know.
    Other,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Said<'a> {
    #[serde(borrow, default)]
    msg: Cow<'a, str>,
    id: Option<u64>,
}

/// The answer to a batch.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<'a> {
    pub(super) id: u64,
    #[serde(borrow)]
    pub(super) items: Vec<Item<'a>>,
}

/// The answer to one sequence.
#[derive(Debug, Deserialize)]
pub(super) struct Item<'a> {
    #[serde(borrow)]
    pub(super) id: Cow<'a, str>,
    #[serde(borrow)]
    status: Option<Cow<'a, str>>,
    #[serde(borrow)]
    reason: Option<Cow<'a, str>>,
    #[serde(default)]
    retry: bool,
    #[serde(default)]
    values: HashMap<Cow<'a, str>, f64>,
    #[serde(default)]
    sd: HashMap<Cow<'a, str>, f64>,
    #[serde(default)]
    bound: HashMap<Cow<'a, str>, (Cow<'a, str>, f64)>,
}

impl<'a> Message<'a> {
    /// Reads a line.
    ///
    /// # Errors
    /// When it is not JSON, or of a known type but not of its form.
    pub(super) fn read(line: &'a str) -> Result<Self> {
        let wrong = |error| refused(line, error);
        let head: Head<'_> = serde_json::from_str(line).map_err(wrong)?;
        let said = || serde_json::from_str::<Said<'a>>(line).map_err(wrong);
        Ok(match &*head.kind {
            "ready" => Self::Ready,
            "result" => Self::Result(serde_json::from_str(line).map_err(wrong)?),
            "progress" => Self::Progress(said()?.id),
            "log" => Self::Log(said()?.msg),
            "error" => Self::Error(said()?.msg),
            _ => Self::Other,
        })
    }
}

/// The error for a line that is not protocol.
fn refused(line: &str, error: serde_json::Error) -> Error {
    let number =
        ["NaN", "Infinity"].iter().any(|word| line.contains(word)) || error.to_string().contains("out of range");
    let hint = if number {
        "NaN and Infinity are not JSON: use status, such as \"status\":\"failed\", where there is no value"
    } else {
        "standard output is for protocol lines only, everything else belongs on standard error; `seqtilt oracle template` shows how"
    };
    Error::oracle(format!("the worker wrote a line that is not protocol: {}", shown(line))).because(error).hint(hint)
}

/// The beginning of a line, in backticks.
pub(super) fn shown(line: &str) -> String {
    match line.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("`{}…`", &line[..end]),
        None => format!("`{line}`"),
    }
}

impl Item<'_> {
    /// What it says about the sequence, and whether asking once more may help.
    ///
    /// # Errors
    /// In words, when it says nothing that can be used.
    pub(super) fn outcome(&self, output: &Output) -> Result<(Outcome, bool), String> {
        let reason = || self.reason.as_deref().unwrap_or("no reason given").to_owned();
        let outcome = match self.status.as_deref().unwrap_or("ok") {
            "ok" => {
                let name = output.name.as_str();
                let value = self.values.get(name).ok_or_else(|| format!("has no value of `{name}` and no status"))?;
                let sd = self.sd.get(name).copied().or(output.noise_sd);
                if let Some(sd) = sd.filter(|sd| *sd < 0.0) {
                    return Err(format!("has sd {sd}; 0 or more is accepted"));
                }
                Outcome::Value { mean: output.value(*value), sd }
            }
            "infeasible" => Outcome::Infeasible { reason: reason() },
            "failed" => return Ok((Outcome::Failed { reason: reason() }, self.retry)),
            "skipped" => Outcome::Skipped,
            "censored" => {
                let name = output.name.as_str();
                let bound = self.bound.get(name).and_then(|(sign, value)| output.bound(sign, *value));
                Outcome::Censored {
                    bound: bound
                        .ok_or_else(|| format!("is censored without a bound such as {{\"{name}\":[\"<\",1.3]}}"))?,
                }
            }
            other => {
                return Err(format!(
                    "has status `{other}`; `ok`, `infeasible`, `failed`, `censored` and `skipped` are accepted"
                ));
            }
        };
        Ok((outcome, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oracle::Bound;

    fn output(less_is_better: bool) -> Output {
        Output { name: "y".into(), less_is_better, noise_sd: None }
    }

    fn outcome(item: &str, output: &Output) -> Result<(Outcome, bool), String> {
        serde_json::from_str::<Item<'_>>(item).unwrap().outcome(output)
    }

    #[test]
    fn a_batch_has_one_form() {
        let line = evaluate(12, [(0, "ACG"), (5, "T*")].into_iter());
        let text = r#"{"type":"evaluate","id":12,"items":[{"id":"0","seq":"ACG"},{"id":"5","seq":"T*"}]}"#;
        assert_eq!(String::from_utf8(line).unwrap(), format!("{text}\n"));
        assert_eq!(evaluate(1, std::iter::empty()), b"{\"type\":\"evaluate\",\"id\":1,\"items\":[]}\n");
    }

    #[test]
    fn the_five_outcomes_and_their_signs() {
        let (more, less) = (output(false), output(true));
        let value = r#"{"id":"1","values":{"x":9,"y":3.61},"sd":{"y":0.08},"later":null}"#;
        assert_eq!(outcome(value, &more).unwrap(), (Outcome::Value { mean: 3.61, sd: Some(0.08) }, false));
        assert_eq!(outcome(value, &less).unwrap().0, Outcome::Value { mean: -3.61, sd: Some(0.08) });
        let noisy = Output { noise_sd: Some(0.15), ..output(false) };
        assert_eq!(outcome(r#"{"id":"1","values":{"y":1}}"#, &noisy).unwrap().0.sd(), Some(0.15));
        let failed = r#"{"id":"1","status":"failed","retry":true,"reason":"out of memory"}"#;
        assert_eq!(outcome(failed, &more).unwrap(), (Outcome::Failed { reason: "out of memory".into() }, true));
        let infeasible = outcome(r#"{"id":"1","status":"infeasible"}"#, &more).unwrap().0;
        assert_eq!(infeasible, Outcome::Infeasible { reason: "no reason given".into() });
        let censored = r#"{"id":"1","status":"censored","bound":{"y":["<",1.3]}}"#;
        assert_eq!(outcome(censored, &more).unwrap().0, Outcome::Censored { bound: Bound::Below(1.3) });
        assert_eq!(outcome(censored, &less).unwrap().0, Outcome::Censored { bound: Bound::Above(-1.3) });
        assert_eq!(outcome(r#"{"id":"1","status":"skipped"}"#, &more).unwrap().0, Outcome::Skipped);
    }

    #[test]
    fn nothing_is_ever_guessed() {
        for (item, says) in [
            (r#"{"id":"1","values":{"x":1}}"#, "has no value of `y` and no status"),
            (r#"{"id":"1","values":{"y":1},"sd":{"y":-1}}"#, "has sd -1"),
            (r#"{"id":"1","status":"censored"}"#, "is censored without a bound"),
            (r#"{"id":"1","status":"great"}"#, "has status `great`"),
        ] {
            assert!(outcome(item, &output(false)).unwrap_err().starts_with(says), "{item}");
        }
    }

    #[test]
    fn numbers_that_are_none_and_garbage_have_different_hints() {
        for value in ["NaN", "Infinity", "-Infinity", "1e999"] {
            let line = format!(r#"{{"type":"result","id":1,"items":[{{"id":"0","values":{{"y":{value}}}}}]}}"#);
            let error = Message::read(&line).unwrap_err();
            assert!(error.message().contains(value) && error.hint_text().unwrap().contains("use status"), "{error}");
        }
        let error = Message::read("loading the model").unwrap_err();
        assert!(error.message().ends_with("`loading the model`"));
        assert!(error.hint_text().unwrap().contains("standard error"));
        assert!(Message::read(&"é".repeat(500)).unwrap_err().message().chars().count() < 300);
        assert!(matches!(Message::read(r#"{"type":"metrics","id":"x"}"#), Ok(Message::Other)));
    }
}
