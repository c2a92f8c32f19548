//! Back-propagation through a sampler whose every step calls the denoiser, and an update of its weights.

use crate::case::{Case, held};
use crate::train::RATE;
use candle_core::{D, DType, Device, Tensor};
use seqtilt::diffusion::{Chain, Denoiser as _, Memory, Move, Transformer};
use seqtilt::finetune::{BackProp, Batch, Control, Estimator, Problem, Terminal};
use seqtilt::nn::{AdamW, AdamWConfig, Gradients, Params, Pool, softmax, sum_gradients};
use seqtilt::{Result, Seed};

/// Factor of the state in each step.
pub(crate) const KEEP: f64 = 0.95;
/// Standard deviation of the noise of each step.
pub(crate) const STD: f64 = 0.2;

/// Steps whose activations are kept: with two shards a thread, what a quarter of PyTorch's memory has room for.
const KEPT: usize = 14;

/// x ← KEEP x + STD ε
pub(crate) struct Decay {
    steps: usize,
    shape: Vec<usize>,
}

impl Decay {
    pub(crate) fn new(case: &Case) -> Self {
        Self { steps: case.calls, shape: vec![case.length, case.embedding] }
    }
}

impl Chain for Decay {
    fn steps(&self) -> usize {
        self.steps
    }

    fn shape(&self) -> Vec<usize> {
        self.shape.clone()
    }

    fn dtype(&self) -> DType {
        DType::F32
    }

    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn start(&self, noise: &Tensor) -> Result<Tensor> {
        Ok(noise.clone())
    }

    fn advance(&self, _: usize, x: &Tensor, _: &mut Memory) -> Result<Move> {
        Ok(Move { mean: (x * KEEP)?, std: STD, belief: None })
    }
}

/// The denoiser's logits as a control: as many letters as dimensions.
pub(crate) struct Steered {
    network: Transformer,
    steps: usize,
}

impl Steered {
    pub(crate) fn new(case: &Case, params: &Params) -> Result<Self> {
        Ok(Self { network: case.network(params)?, steps: case.calls })
    }
}

/// Log signal-to-noise ratio of a step.
pub(crate) fn log_snr(k: usize, steps: usize) -> f64 {
    6.0 * k as f64 / steps as f64 - 5.0
}

impl Control for Steered {
    fn control(&self, k: usize, x: &Tensor, _: &Move, _: &mut Memory) -> Result<Tensor> {
        self.network.context(x, &softmax(x)?, &[log_snr(k, self.steps)])
    }
}

/// −½|x − 1|²
pub(crate) struct NearOne;

impl Terminal for NearOne {
    fn reward(&self, _: usize, x: &Tensor) -> Result<Tensor> {
        Ok(((x - 1.0)?.sqr()?.flatten_from(1)?.sum(D::Minus1)? * -0.5)?)
    }
}

/// The gradient of `E[½|x_K − 1|² + Σ ½|u|²]` over `rows` of `total` paths, by recomputation.
pub(crate) fn gradient(case: &Case, params: &Params, seed: Seed, rows: usize) -> Result<Gradients> {
    let chain = Decay::new(case);
    let problem = Problem { chain: &chain, terminal: &NearOne, alpha: Some(1.0) };
    let (control, frozen) = (Steered::new(case, params)?, Steered::new(case, &held(params))?);
    let method = BackProp { estimator: Estimator::Cost, keep: KEPT, ..BackProp::default() };
    let batch = Batch { rows, total: case.batch, steps: case.calls, seed };
    Ok(method.gradient(&problem, &control, &frozen, &params.vars(), &batch)?.gradients)
}

/// Gradient steps on fresh paths.
pub(crate) struct Descent<'a> {
    case: &'a Case,
    pool: &'a Pool,
    params: Params,
    optimiser: AdamW,
    shares: Vec<usize>,
    done: u64,
}

impl<'a> Descent<'a> {
    pub(crate) fn new(case: &'a Case, shards: usize, pool: &'a Pool) -> Result<Self> {
        let params = case.weights()?;
        let optimiser = AdamW::new(params.vars(), AdamWConfig { weight_decay: 0.01, ..AdamWConfig::default() });
        Ok(Self { case, pool, params, optimiser, shares: case.shares(2 * shards), done: 0 })
    }

    pub(crate) fn params(&self) -> &Params {
        &self.params
    }

    pub(crate) fn step(&mut self) -> Result<()> {
        let seed = Seed::root(4).index(self.done);
        self.done += 1;
        let parts = self.pool.map(self.shares.len(), |index| {
            gradient(self.case, &self.params, seed.index(index as u64), self.shares[index])
        })?;
        self.optimiser.step(&sum_gradients(&parts, self.pool)?, RATE, self.pool)?;
        Ok(())
    }
}
