//! One file that holds everything a run needs to go on.

use super::{Sha256, Tensors, decode_tensors, encode_tensors, sha256};
use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::path::Path;

const FORMAT: u32 = 1;

/// What a run needs to go on after `step` steps.
///
/// On disk it is one safetensors file whose header holds the rest as JSON, so that tensors and state can never be of
/// different steps. A hash over all of it is kept beside them.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    /// Steps done.
    pub step: u64,
    /// The owner's state; read it with [`state`](Self::state).
    pub state: Value,
    /// Weights, averages, optimiser moments and so on.
    pub tensors: Tensors,
    /// Length of `metrics.jsonl` at this step.
    pub(super) metrics: Mark,
}

/// A place in an append-only file: length in bytes and hash of everything before it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

impl Default for Mark {
    fn default() -> Self {
        Self { bytes: 0, sha256: sha256(b"") }
    }
}

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    sha256: String,
    body: String,
}

#[derive(Serialize, Deserialize)]
struct Body {
    step: u64,
    metrics: Mark,
    state: Value,
}

impl Checkpoint {
    /// The owner's state.
    ///
    /// # Errors
    /// An integrity error when it does not have the asked form.
    pub fn state<S: DeserializeOwned>(&self) -> Result<S> {
        S::deserialize(&self.state).map_err(|error| {
            Error::integrity("the checkpoint's state is not of the accepted form")
                .because(error)
                .hint("it was written by another version or verb; choose a new folder with --out")
        })
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        let body = Body { step: self.step, metrics: self.metrics.clone(), state: self.state.clone() };
        let body = as_text(&body)?;
        let header = Header { format: FORMAT, sha256: digest(&body, &self.tensors)?, body };
        encode_tensors(&self.tensors, Some(&as_text(&header)?))
    }

    pub(super) fn decode(bytes: &[u8], path: &Path) -> Result<Self> {
        const HINT: &str = "remove this file to start the run again from its beginning";
        let broken = |what: &str| Error::integrity(format!("not a checkpoint: {what}")).at(path).hint(HINT);
        let (tensors, header) = decode_tensors(bytes, path).map_err(|error| error.hint(HINT))?;
        let header = header.ok_or_else(|| broken("its header holds no state"))?;
        let header: Header =
            serde_json::from_str(&header).map_err(|error| broken("its header is not readable").because(error))?;
        if header.format != FORMAT {
            return Err(Error::integrity(format!("checkpoint of format {}; this build reads {FORMAT}", header.format))
                .at(path)
                .hint("finish the run with the version of seqtilt that began it"));
        }
        let got = digest(&header.body, &tensors)?;
        if got != header.sha256 {
            return Err(broken(&format!("expected content with SHA-256 `{}`, got `{got}`", header.sha256)));
        }
        let body: Body =
            serde_json::from_str(&header.body).map_err(|error| broken("its state is not readable").because(error))?;
        Ok(Self { step: body.step, state: body.state, tensors, metrics: body.metrics })
    }
}

/// Hash of the state's text and of the tensors' names, types, shapes and values.
fn digest(body: &str, tensors: &Tensors) -> Result<String> {
    let mut running = Sha256::default();
    running.update(&(body.len() as u64).to_le_bytes());
    running.update(body.as_bytes());
    running.update(&encode_tensors(tensors, None)?);
    Ok(running.hex())
}

fn as_text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value)
        .map_err(|error| Error::usage("the run's state cannot be written as JSON").because(error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Tensor};

    fn some() -> Checkpoint {
        let tensor = Tensor::new(&[1.0_f32, -2.0, 3.5], &Device::Cpu).unwrap();
        Checkpoint {
            step: 40,
            state: serde_json::json!({"best": 0.5}),
            tensors: Tensors::from([("w".into(), tensor)]),
            metrics: Mark { bytes: 12, sha256: sha256(b"twelve bytes") },
        }
    }

    #[test]
    fn a_checkpoint_comes_back_as_it_was() {
        let bytes = some().encode().unwrap();
        let back = Checkpoint::decode(&bytes, Path::new("c")).unwrap();
        assert_eq!((back.step, back.metrics.clone()), (40, some().metrics));
        assert_eq!(back.state::<serde_json::Value>().unwrap()["best"], 0.5);
        assert_eq!(back.encode().unwrap(), bytes);
    }

    #[test]
    fn any_changed_byte_is_noticed() {
        let bytes = some().encode().unwrap();
        for index in 0..bytes.len() {
            let mut bad = bytes.clone();
            bad[index] ^= 1;
            // A flip may land in the padding after the header or turn JSON into the same JSON; content must not change.
            match Checkpoint::decode(&bad, Path::new("c")) {
                Err(error) => assert_eq!(error.kind(), crate::Kind::Integrity, "byte {index}: {error}"),
                Ok(back) => assert_eq!(back.encode().unwrap(), bytes, "byte {index}"),
            }
        }
    }

    #[test]
    fn a_truncated_checkpoint_names_the_file_and_the_way_out() {
        let bytes = some().encode().unwrap();
        let error = Checkpoint::decode(&bytes[..bytes.len() - 1], Path::new("run/checkpoint.safetensors")).unwrap_err();
        assert!(error.to_string().starts_with("run/checkpoint.safetensors: "), "{error}");
        assert!(error.hint_text().is_some_and(|hint| hint.contains("remove this file")));
    }

    #[test]
    fn a_plain_weights_file_is_not_a_checkpoint() {
        let bytes = encode_tensors(&some().tensors, None).unwrap();
        assert_eq!(Checkpoint::decode(&bytes, Path::new("c")).unwrap_err().kind(), crate::Kind::Integrity);
    }
}
