//! Posteriors of letters under tilts of ends.

use super::fixture::{Shift, Slope, Trial, flat};
use crate::diffusion::{Chain as _, DenoiserConfig, DiffusionChain, Embedding, Grid, Memory, Prior, PriorConfig};
use crate::diffusion::{Lettered as _, Scales, SolverKind};
use crate::finetune::analytic::{LinearChain, LinearQuadratic, Start};
use crate::finetune::objective::{cross_entropy, labels};
use crate::finetune::{
    Control, ControlConfig, ControlKind, FinetuneConfig, Finetuning, OBJECTIVES, SequenceTerminal, TiltConfig,
    TokenControl,
};
use crate::nn::{Params, Pool, Tensors, Training as _, check, gradients};
use crate::random::Seed;
use crate::reward::Multilinear;
use crate::sequence::Alphabet;
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

const WORDS: usize = 8;
const REWARDS: [f64; WORDS] = [0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0];

/// A chain over three letters out of two that are independent and alike: its denoiser says nothing.
fn independent(dtype: DType, steps: usize) -> DiffusionChain {
    let alphabet = Alphabet::custom("two", "AB").unwrap();
    let mut config = PriorConfig::new(&alphabet, 3);
    (config.embedding, config.embedding_dim) = (Embedding::Simplex, 2);
    config.denoiser = DenoiserConfig { dim: 8, layers: 1, heads: 2 };
    let params = Params::trainable(Seed::root(3), dtype, &Device::Cpu);
    Prior::new(&config, &params).unwrap();
    let prior = Prior::new(&config, &Params::frozen(params.snapshot().unwrap(), &Device::Cpu)).unwrap();
    DiffusionChain::new(Arc::new(prior), steps, 2, Grid::Time, SolverKind::Ancestral).unwrap()
}

fn words() -> Tensor {
    let ids: Vec<u32> = (0..WORDS as u32).flat_map(|word| [word >> 2 & 1, word >> 1 & 1, word & 1]).collect();
    Tensor::from_vec(ids, (WORDS, 3), &Device::Cpu).unwrap()
}

fn table(params: &Params, chain: &DiffusionChain, logs: &[f64]) -> Params {
    let config = ControlConfig { kind: ControlKind::WordTable, ..ControlConfig::default() };
    TokenControl::new(chain, &config, params).unwrap();
    for (_, var) in params.vars() {
        var.set(&Tensor::from_slice(logs, var.shape(), &Device::Cpu).unwrap()).unwrap();
    }
    params.clone()
}

fn beliefs(chain: &DiffusionChain, params: &Params, k: usize, x: &Tensor) -> Tensor {
    let config = ControlConfig { kind: ControlKind::WordTable, ..ControlConfig::default() };
    let control = TokenControl::new(chain, &config, params).unwrap();
    let mut memory = Memory::default();
    let base = chain.advance(k, x, &mut memory).unwrap();
    control.beliefs(k, x, &base, &mut memory).unwrap().unwrap()
}

/// Probabilities of the words given one state, all alike before: by Bayes' rule from the law of noised ends.
fn posterior(chain: &DiffusionChain, k: usize, x: &Tensor) -> Vec<f64> {
    let scale = Scales::at_log_snr(chain.log_snrs()[k]).noise;
    let zero = Tensor::zeros((WORDS, 3, 2), DType::F64, &Device::Cpu).unwrap();
    let centres = chain.noised(k, &words(), &zero).unwrap();
    let squares = centres.broadcast_sub(x).unwrap().sqr().unwrap().sum((1, 2)).unwrap().to_vec1::<f64>().unwrap();
    let weights: Vec<f64> = squares.iter().map(|square| (-0.5 * square / scale.powi(2)).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / sum).collect()
}

#[test]
fn the_gradient_vanishes_at_the_posterior_of_the_tilt_and_nowhere_else() {
    let chain = independent(DType::F64, 6);
    let alpha = 0.3;
    let tilt: Vec<f64> = REWARDS.iter().map(|r| r / alpha).collect();
    let mean = tilt.iter().map(|log| log.exp()).sum::<f64>() / WORDS as f64;
    let weights: Vec<f64> = tilt.iter().map(|log| log.exp() / mean).collect();
    let alphabet = Tensor::new(&[0_u32, 1], &Device::Cpu).unwrap().reshape((1, 1, 2)).unwrap();
    let vertices = words().unsqueeze(2).unwrap().broadcast_eq(&alphabet).unwrap().to_dtype(DType::F64).unwrap();
    for k in [0, 2, 4] {
        let x = check::normal(7 + k as u64, &[1, 3, 2]);
        let shares = Tensor::from_vec(posterior(&chain, k, &x), WORDS, &Device::Cpu).unwrap();
        let states = x.broadcast_as((WORDS, 3, 2)).unwrap().contiguous().unwrap();
        // the expectation over all words at one state, of ends of the base: with its beliefs as the old ones, and without
        let old = beliefs(&chain, &table(&check::params(), &chain, &[0.0; WORDS]), k, &states);
        for (baseline, old) in [(1.0, Some(&old)), (0.4, Some(&old)), (0.0, None)] {
            let size = |logs: &[f64]| {
                let params = table(&check::params(), &chain, logs);
                let q = beliefs(&chain, &params, k, &states);
                let rows = cross_entropy(&q, &labels(&vertices, &weights, baseline, old).unwrap()).unwrap();
                let loss = (rows * &shares).unwrap().sum_all().unwrap();
                flat(&gradients(&loss, &params.vars()).unwrap()).iter().map(|g| g.abs()).fold(0.0, f64::max)
            };
            // q + 1e-12 in the logarithm
            assert!(size(&tilt) < 1e-10, "step {k}, baseline {baseline}: {}", size(&tilt));
            let (half, flipped): (Vec<f64>, Vec<f64>) = tilt.iter().map(|log| (0.5 * log, -log)).unzip();
            // at high noise a state says little: one gradient in a hundred is left there
            assert!(size(&half) > 1e-3 && size(&flipped) > 1e-3, "step {k}, baseline {baseline}: {}", size(&half));
        }
        // ends of the tilt itself, weighed alike: no gradient whatever their letters, where the baseline is all of it
        let params = table(&check::params(), &chain, &tilt);
        let q = beliefs(&chain, &params, k, &states);
        let none = labels(&vertices, &[1.0; WORDS], 1.0, None).unwrap();
        assert!(none.abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap() == 0.0);
        // and the table of the tilt has the posterior itself
        let expected: Vec<f64> = posterior(&chain, k, &x).iter().zip(&weights).map(|(p, w)| p * w).collect();
        let total: f64 = expected.iter().sum();
        let got = q.get(0).unwrap().to_vec2::<f64>().unwrap();
        for (i, letters) in got.iter().enumerate() {
            let second: f64 =
                (0..WORDS).filter(|word| word >> (2 - i) & 1 == 1).map(|word| expected[word] / total).sum();
            assert!((letters[1] - second).abs() < 1e-12);
        }
    }
}

#[test]
fn the_gradient_is_the_slope_of_the_loss() {
    let chain = independent(DType::F64, 6);
    let params = table(&check::params(), &chain, &[0.1, -0.4, 0.3, 0.2, 0.0, 0.7, -0.2, 0.5]);
    let x = check::normal(5, &[WORDS, 3, 2]);
    let alphabet = Tensor::new(&[0_u32, 1], &Device::Cpu).unwrap().reshape((1, 1, 2)).unwrap();
    let vertices = words().unsqueeze(2).unwrap().broadcast_eq(&alphabet).unwrap().to_dtype(DType::F64).unwrap();
    let old = beliefs(&chain, &table(&check::params(), &chain, &[0.2; WORDS]), 3, &x);
    let labels = labels(&vertices, &[0.3, 2.0, 0.1, 1.4, 0.9, 0.0, 3.0, 0.3], 0.7, Some(&old)).unwrap();
    let loss = || cross_entropy(&beliefs(&chain, &params, 3, &x), &labels).unwrap().sum_all().unwrap();
    let got = flat(&gradients(&loss(), &params.vars()).unwrap());
    let var = params.vars()[0].1.clone();
    let values = var.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    for i in 0..WORDS {
        let at = |h: f64| {
            let mut moved = values.clone();
            moved[i] += h;
            var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap()).unwrap();
            loss().to_scalar::<f64>().unwrap()
        };
        let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
        at(0.0);
        // central differences of h = 1e-5
        assert!((slope - got[i]).abs() < 1e-8 * (1.0 + slope.abs()), "{slope} {}", got[i]);
    }
}

/// The law of words that a run's table stands for.
fn law(weights: &Tensors) -> Vec<f64> {
    let logs = weights["weights"].flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let weights: Vec<f64> = logs.iter().map(|log| f64::from(*log).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|w| w / sum).collect()
}

/// How far the law that a run learns is from the exact tilt, in total variation.
fn miss(tilt: TiltConfig) -> f64 {
    let chain = independent(DType::F32, 24);
    let reward = Multilinear::new("sum", &REWARDS, 2, 3).unwrap();
    let (terminal, pool) = (SequenceTerminal::new(&chain, &reward), Pool::new(1).unwrap());
    let alpha = 0.4;
    let total: f64 = REWARDS.iter().map(|r| (r / alpha).exp()).sum();
    let config = FinetuneConfig {
        objective: "implicit-tilt-matching".to_owned(),
        alpha,
        batch: 128,
        shard: 128,
        steps: 60,
        reuse: 1,
        ema: 0.8,
        learning_rate: 0.3,
        control: ControlConfig { kind: ControlKind::WordTable, ..ControlConfig::default() },
        tilt,
        ..FinetuneConfig::default()
    };
    let mut run = Finetuning::new(config, &chain, &terminal, Seed::root(7), &pool).unwrap();
    (0..60).for_each(|_| drop(run.step().unwrap()));
    law(&run.weights()).iter().zip(&REWARDS).map(|(q, r)| 0.5 * (q - (r / alpha).exp() / total).abs()).sum()
}

#[test]
fn ends_weighed_by_their_densities_lead_to_the_tilt() {
    let tilt = TiltConfig { tilts: 2, noisings: 2, recentred: true, baseline: 1.0 };
    let (baseline, plain) = (miss(tilt), miss(TiltConfig { tilts: 1, baseline: 0.0, ..tilt }));
    // untrained it is 0.34; a few hundred ends of the last steps have 0.5 Σ √(p/n) ≈ 0.04 of counting noise where nothing is taken off
    assert!(baseline < 0.08 && plain < 0.1, "{baseline} {plain}");
}

#[test]
fn tilts_that_know_values_alone_lead_there_too() {
    let staged = miss(TiltConfig { tilts: 3, noisings: 2, recentred: false, baseline: 1.0 });
    // what 20 steps a tilt leave undone adds up
    assert!(staged < 0.12, "{staged}");
}

#[test]
fn a_chain_without_letters_and_kept_ends_of_other_laws_are_refused() {
    let linear = LinearChain::euler(&LinearQuadratic::default(), Start::Joint, 4, 2).unwrap();
    assert!(linear.lettered().is_none());
    let config = FinetuneConfig { objective: "implicit-tilt-matching".to_owned(), ..FinetuneConfig::default() };
    let mut objective = (OBJECTIVES.get(&config.objective).unwrap().make)(&config);
    let terminal = Slope(0.3);
    let trial = Trial::new(&linear, &terminal, config.clone());
    let params = check::params();
    Shift::new(&params, 6);
    let control = |params: &Params| -> Box<dyn Control> { Box::new(Shift::new(params, 6)) };
    let refused = trial.refusal(objective.as_mut(), &params, &control);
    assert!(refused.contains("whose states stand for letters"), "{refused}");
    let mut staged = config;
    (staged.tilt.recentred, staged.replay.capacity) = (false, Some(10));
    assert!(staged.check().unwrap_err().message().contains("kept ends are of other laws"));
}
