//! A train step of the denoiser: forward, backward, AdamW.

use crate::case::{Case, normal};
use candle_core::{Device, Tensor};
use seqtilt::diffusion::{Denoiser as _, Transformer};
use seqtilt::nn::{AdamW, AdamWConfig, Gradients, Params, Pool, cross_entropy, gradients, softmax, sum_gradients};
use seqtilt::{Result, Seed};

/// Learning rate of every case.
pub(crate) const RATE: f64 = 1e-4;

/// Noisy states with the letters that they stand for.
pub(crate) struct Batch {
    pub(crate) z: Tensor,
    pub(crate) local: Tensor,
    pub(crate) log_snr: Vec<f64>,
    pub(crate) ids: Tensor,
}

impl Batch {
    /// `rows` rows of random numbers.
    pub(crate) fn draw(case: &Case, rows: usize, seed: Seed) -> Result<Self> {
        let Case { length, letters, embedding, .. } = *case;
        let z = normal(seed.child("z"), &[rows, length, embedding])?;
        let local = softmax(&normal(seed.child("local"), &[rows, length, letters])?)?;
        let mut rng = seed.child("rest").rng();
        let log_snr = (0..rows).map(|_| 6.0 * rng.uniform() - 5.0).collect();
        let ids: Vec<u32> = (0..rows * length).map(|_| rng.below(letters) as u32).collect();
        Ok(Self { z, local, log_snr, ids: Tensor::from_vec(ids, rows * length, &Device::Cpu)? })
    }

    /// The mean cross-entropy over a batch of `total` rows, of which these are a part, and the logits.
    pub(crate) fn loss(&self, network: &Transformer, total: usize) -> Result<(Tensor, Tensor)> {
        let logits = network.context(&self.z, &self.local, &self.log_snr)?;
        let (rows, length, letters) = logits.dims3()?;
        let losses = cross_entropy(&logits.reshape((rows * length, letters))?, &self.ids)?;
        Ok(((losses.sum_all()? / (total * length) as f64)?, logits))
    }
}

/// A training run in shards, put together as the package's own runs are.
pub(crate) struct Train<'a> {
    case: &'a Case,
    pool: &'a Pool,
    params: Params,
    optimiser: AdamW,
    shards: Vec<Batch>,
}

impl<'a> Train<'a> {
    pub(crate) fn new(case: &'a Case, shards: usize, pool: &'a Pool) -> Result<Self> {
        let params = case.weights()?;
        let optimiser = AdamW::new(params.vars(), AdamWConfig { weight_decay: 0.01, ..AdamWConfig::default() });
        let draw = |(index, rows)| Batch::draw(case, rows, Seed::root(3).index(index as u64));
        let shards = case.shares(shards).into_iter().enumerate().map(draw).collect::<Result<_>>()?;
        Ok(Self { case, pool, params, optimiser, shards })
    }

    pub(crate) fn params(&self) -> &Params {
        &self.params
    }

    pub(crate) fn step(&mut self) -> Result<()> {
        let vars = self.params.vars();
        let parts: Vec<Gradients> = self.pool.map(self.shards.len(), |index| {
            let (loss, _) = self.shards[index].loss(&self.case.network(&self.params)?, self.case.batch)?;
            gradients(&loss, &vars)
        })?;
        self.optimiser.step(&sum_gradients(&parts, self.pool)?, RATE, self.pool)?;
        Ok(())
    }
}
