//! Times of train steps and roll-outs at sizes that a device is for; `tests/bench/torch/step.py --cases` does the same work.

use crate::measure::measure;
use crate::side::Side;
use candle_core::{D, DType, Device, Tensor};
use seqtilt::diffusion::{Chain, Denoiser as _, DenoiserConfig, Memory, Move, Transformer};
use seqtilt::finetune::{BackProp, Batch, Control, Estimator, Problem, Terminal};
use seqtilt::nn::{AdamW, AdamWConfig, Gradients, Params, Pool, Precision, Tensors, cross_entropy, gradients, softmax};
use seqtilt::{Error, Result, Seed};
use serde::Deserialize;
use serde_json::json;
use std::io::Write as _;
use std::path::Path;

const RATE: f64 = 1e-4;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    name: String,
    kind: String,
    length: usize,
    letters: usize,
    embedding: usize,
    width: usize,
    layers: usize,
    heads: usize,
    batch: usize,
    #[serde(default)]
    calls: usize,
}

/// Measures every case with every precision that the device has.
pub(crate) fn print(device: &Device, seconds: f64, quick: bool, out: Option<&Path>) -> Result<()> {
    let cases: Vec<Case> = serde_json::from_str(include_str!("cases.json"))
        .map_err(|error| Error::data("`cases.json` cannot be read").because(error))?;
    let precisions = if device.is_cpu() { &Precision::ALL[..1] } else { &Precision::ALL[..] };
    println!("\n{:<28} {:>9} {:>10} {:>10}", "best of many, ms", "precision", "best", "median");
    for mut case in cases {
        if quick {
            (case.batch, case.calls) = ((case.batch / 64).max(1), case.calls.min(4));
            case.name.push_str("/64");
        }
        for precision in precisions {
            let side = Side { device: device.clone(), composed: false, precision: *precision, ..Side::cpu() };
            let measured = side.run(|| case.measure(&side, seconds))?;
            println!("{:<28} {precision:>9} {:>10.2} {:>10.2}", case.name, measured.best_ms, measured.median_ms);
            if let Some(path) = out {
                let line = json!({"side": "seqtilt", "case": case.name, "dtype": precision.to_string(),
                    "best_ms": measured.best_ms, "median_ms": measured.median_ms, "repeats": measured.repeats});
                let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
                file.and_then(|mut file| writeln!(file, "{line}")).map_err(|error| Error::io("write", path, error))?;
            }
        }
    }
    Ok(())
}

impl Case {
    fn network(&self, params: &Params) -> Result<Transformer> {
        let sizes = DenoiserConfig { dim: self.width, layers: self.layers, heads: self.heads };
        Transformer::new(params, &sizes, self.length, self.embedding, self.letters)
    }

    fn measure(&self, side: &Side, seconds: f64) -> Result<crate::measure::Measured> {
        let params = side.weights(|params| self.network(params).map(drop))?;
        let config = AdamWConfig { weight_decay: 0.01, ..AdamWConfig::default() };
        let mut optimiser = AdamW::new(params.vars(), config);
        let Self { batch, length, letters, embedding, .. } = *self;
        if self.kind == "rollout" {
            let mut done = 0;
            return measure(seconds, || {
                done += 1;
                let gradients = self.gradient(side, &params, Seed::root(4).index(done))?;
                optimiser.step(&gradients, RATE, Pool::inline()).map(drop)
            });
        }
        let seed = Seed::root(3);
        let z = side.normal(seed.child("z"), &[batch, length, embedding])?;
        let local = softmax(&side.normal(seed.child("local"), &[batch, length, letters])?)?;
        let mut rng = seed.child("rest").rng();
        let log_snr: Vec<f64> = (0..batch).map(|_| 6.0 * rng.uniform() - 5.0).collect();
        let ids: Vec<u32> = (0..batch * length).map(|_| rng.below(letters) as u32).collect();
        let ids = Tensor::from_vec(ids, batch * length, &side.device)?;
        measure(seconds, || {
            let logits = self.network(&params)?.context(&z, &local, &log_snr)?;
            let loss = cross_entropy(&logits.reshape((batch * length, letters))?, &ids)?.mean_all()?;
            optimiser.step(&gradients(&loss, &params.vars())?, RATE, Pool::inline()).map(drop)
        })
    }

    /// Of `E[½|x_K − 1|² + Σ ½|u|²]` through x ← 0.95 x + 0.2 (u + ε), where u is the network's answer.
    fn gradient(&self, side: &Side, params: &Params, seed: Seed) -> Result<Gradients> {
        let chain = Decay { case: self, device: &side.device };
        let problem = Problem { chain: &chain, terminal: &NearOne, alpha: Some(1.0) };
        let held: Tensors = params.vars().into_iter().map(|(name, var)| (name, var.as_detached_tensor())).collect();
        let steered =
            |params: &Params| -> Result<Steered> { Ok(Steered { network: self.network(params)?, steps: self.calls }) };
        let (control, frozen) = (steered(params)?, steered(&Params::frozen(held, &side.device))?);
        let method = BackProp { estimator: Estimator::Cost, ..BackProp::default() };
        let batch = Batch { rows: self.batch, total: self.batch, steps: self.calls, seed };
        Ok(method.gradient(&problem, &control, &frozen, &params.vars(), &batch)?.gradients)
    }
}

struct Decay<'a> {
    case: &'a Case,
    device: &'a Device,
}

impl Chain for Decay<'_> {
    fn steps(&self) -> usize {
        self.case.calls
    }

    fn shape(&self) -> Vec<usize> {
        vec![self.case.length, self.case.embedding]
    }

    fn dtype(&self) -> DType {
        DType::F32
    }

    fn device(&self) -> &Device {
        self.device
    }

    fn start(&self, noise: &Tensor) -> Result<Tensor> {
        Ok(noise.clone())
    }

    fn advance(&self, _: usize, x: &Tensor, _: &mut Memory) -> Result<Move> {
        Ok(Move { mean: (x * 0.95)?, std: 0.2, belief: None })
    }
}

/// The denoiser's logits as a control: as many letters as dimensions.
struct Steered {
    network: Transformer,
    steps: usize,
}

impl Control for Steered {
    fn control(&self, k: usize, x: &Tensor, _: &Move, _: &mut Memory) -> Result<Tensor> {
        self.network.context(x, &softmax(x)?, &[6.0 * k as f64 / self.steps as f64 - 5.0])
    }
}

struct NearOne;

impl Terminal for NearOne {
    fn reward(&self, _: usize, x: &Tensor) -> Result<Tensor> {
        Ok(((x - 1.0)?.sqr()?.flatten_from(1)?.sum(D::Minus1)? * -0.5)?)
    }
}
