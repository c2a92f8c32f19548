//! A small network with its outputs and gradients, for the other side to compute again.

use crate::case::{Case, Kind, normal};
use crate::rollout::{self, log_snr};
use crate::train::Batch;
use candle_core::{Device, Tensor};
use seqtilt::nn::{AdamW, AdamWConfig, Gradients, Pool, Tensors, gradients};
use seqtilt::store::encode_tensors;
use seqtilt::{Error, Result, Seed};
use serde_json::json;
use std::path::Path;

/// Learning rate of the one update.
const RATE: f64 = 1e-2;
/// So large that a gradient of exactly zero but for rounding does not decide a weight's first step.
const EPS: f64 = 1e-2;

/// Writes `short.safetensors` and `long.safetensors`, for both forms of attention, with their sizes in the header.
pub(crate) fn write(folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| Error::io("make", folder, error))?;
    let short = Case {
        name: "short".to_owned(),
        kind: Kind::Rollout,
        length: 8,
        letters: 4,
        embedding: 4,
        width: 32,
        layers: 2,
        heads: 4,
        batch: 6,
        calls: 5,
    };
    let long = Case { name: "long".to_owned(), length: 40, batch: 3, ..short.clone() };
    for case in [short, long] {
        let path = folder.join(format!("{}.safetensors", case.name));
        std::fs::write(&path, encode(&case)?).map_err(|error| Error::io("write", &path, error))?;
    }
    Ok(())
}

fn encode(case: &Case) -> Result<Vec<u8>> {
    let params = case.weights()?;
    let batch = Batch::draw(case, case.batch, Seed::root(3))?;
    let (loss, logits) = batch.loss(&case.network(&params)?, case.batch)?;
    let of_loss = gradients(&loss, &params.vars())?;
    let mut all = Tensors::new();
    let mut put = |name: &str, tensor: &Tensor| all.insert(name.to_owned(), tensor.detach());
    for (name, tensor) in params.snapshot()? {
        put(&format!("weights/{name}"), &tensor);
    }
    let seed = Seed::root(7);
    let of_paths = rollout::gradient(case, &params, seed, case.batch)?;
    for (group, gradients) in [("gradients", &of_loss), ("path_gradients", &of_paths)] {
        for (name, tensor) in present(gradients)? {
            put(&format!("{group}/{name}"), tensor);
        }
    }
    let config = AdamWConfig { weight_decay: 0.01, eps: EPS, ..AdamWConfig::default() };
    AdamW::new(params.vars(), config).step(&of_loss, RATE, Pool::inline())?;
    for (name, tensor) in params.snapshot()? {
        put(&format!("updated/{name}"), &tensor);
    }
    let levels = |values: Vec<f64>| -> Result<Tensor> {
        let count = values.len();
        Ok(Tensor::from_vec(values, count, &Device::Cpu)?)
    };
    put("z", &batch.z);
    put("local", &batch.local);
    put("ids", &batch.ids);
    put("log_snr", &levels(batch.log_snr.clone())?);
    put("logits", &logits);
    put("loss", &loss);
    // the draws of a path: its start, then one for each step
    put("noise", &normal(seed, &[case.calls + 1, case.batch, case.length, case.embedding])?);
    put("path_log_snr", &levels((0..case.calls).map(|k| log_snr(k, case.calls)).collect())?);
    let sizes = json!({
        "length": case.length, "letters": case.letters, "embedding": case.embedding, "width": case.width,
        "layers": case.layers, "heads": case.heads, "rate": RATE, "eps": EPS, "keep": rollout::KEEP,
        "std": rollout::STD,
    });
    encode_tensors(&all, Some(&sizes.to_string()))
}

fn present(gradients: &Gradients) -> Result<Vec<(&str, &Tensor)>> {
    gradients.check_complete()?;
    Ok(gradients.iter().filter_map(|(name, tensor)| Some((name, tensor?))).collect())
}
