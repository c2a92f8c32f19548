//! A chain whose law is known exactly, and a reward of all its sequences.

use crate::diffusion::{Denoiser, DiffusionChain, Embedding, Grid, Prior, PriorConfig, SolverKind, Warp};
use crate::error::Result;
use crate::inference::{Outlook, Steered, Steering, Target, steer, units};
use crate::nn::{Params, Pool};
use crate::random::Seed;
use crate::reward::{Multilinear, Vertices};
use crate::sequence::{Alphabet, Sequence};
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

pub(super) const ALPHA: f64 = 0.25;

/// Rewards of the eight words of three letters A and B: no sum of letters' effects.
pub(super) const REWARDS: [f64; 8] = [0.1, 0.0, 0.3, 0.2, 0.05, 0.9, 0.6, 0.35];

/// Says nothing: letters are independent and, the embedding being symmetric, uniform however coarse the chain.
struct Silent;

impl Denoiser for Silent {
    fn context(&self, _: &Tensor, local: &Tensor, _: &[f64]) -> Result<Tensor> {
        Ok(local.zeros_like()?)
    }
}

/// A chain over the uniform law of eight words.
pub(super) fn chain(steps: usize, hold: usize) -> DiffusionChain {
    let mut config = PriorConfig::new(&Alphabet::custom("two", "AB").unwrap(), 3);
    config.embedding = Embedding::Simplex;
    config.embedding_dim = 2;
    config.decode_log_snr = 2.0;
    config.warp = Warp::new(config.range().0, config.decode_log_snr, 48);
    let params = Params::trainable(Seed::root(1), DType::F64, &Device::Cpu);
    let prior = Prior::with_denoiser(&config, &params, Box::new(Silent)).unwrap();
    DiffusionChain::new(Arc::new(prior), steps, hold, Grid::LogSnr, SolverKind::Ancestral).unwrap()
}

pub(super) fn table() -> Multilinear {
    Multilinear::new("table", &REWARDS, 2, 3).unwrap()
}

/// What a test asks of a target.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) outlook: Option<Outlook>,
    pub(super) gradient: bool,
    pub(super) threads: usize,
}

impl Default for Asked {
    fn default() -> Self {
        Self { outlook: None, gradient: true, threads: 1 }
    }
}

pub(super) fn drawn(
    method: &dyn Steering,
    chain: &DiffusionChain,
    asked: Asked,
    count: usize,
    seed: u64,
) -> Result<Steered> {
    let table = table();
    let score = Vertices::new(&table, 2, &Device::Cpu);
    let target =
        Target { chain, score: &score, reward: asked.gradient.then_some(&table), alpha: ALPHA, outlook: asked.outlook };
    let pool = Pool::new(asked.threads).unwrap();
    steer(method, &target, 0..units(method, chain, count), count, Seed::root(seed), &pool)
}

pub(super) fn word(sequence: &Sequence) -> usize {
    sequence.ids().iter().fold(0, |word, id| word * 2 + usize::from(*id))
}

/// log Z of the uniform law.
pub(super) fn log_z() -> f64 {
    (REWARDS.iter().map(|r| (r / ALPHA).exp()).sum::<f64>() / 8.0).ln()
}

/// The exact tilt.
pub(super) fn tilt() -> [f64; 8] {
    REWARDS.map(|r| (r / ALPHA - log_z()).exp() / 8.0)
}

/// Shares of the words, weighted by e^w where there are weights.
pub(super) fn shares(drawn: &Steered, weighted: bool) -> [f64; 8] {
    let mut shares = [0.0; 8];
    let weight = |i: usize| if weighted { drawn.log_weights[i].exp() } else { 1.0 };
    let total: f64 = (0..drawn.sequences.len()).map(weight).sum();
    for (i, sequence) in drawn.sequences.iter().enumerate() {
        shares[word(sequence)] += weight(i) / total;
    }
    shares
}

pub(super) fn variation(a: &[f64], b: &[f64]) -> f64 {
    0.5 * a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum::<f64>()
}

/// The mean over independent groups of the mean of e^w, and its standard error, both over Z: 1 for an unbiased estimate.
pub(super) fn ratio_to_z(drawn: &Steered, group: usize) -> (f64, f64) {
    let means: Vec<f64> = drawn
        .log_weights
        .chunks(group)
        .map(|group| group.iter().map(|w| (w - log_z()).exp()).sum::<f64>() / group.len() as f64)
        .collect();
    mean(&means)
}

pub(super) fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n * (n - 1.0))).sqrt())
}
