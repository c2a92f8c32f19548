//! The control of sequence chains.

use super::fixture::{flat, unrolled};
use crate::diffusion::{Chain as _, DenoiserConfig, DiffusionChain, Embedding, Grid, Prior, PriorConfig, SolverKind};
use crate::finetune::{
    BackProp, Batch, Control, ControlConfig, ControlKind, Estimator, Problem, Rollout, SequenceTerminal, TokenControl,
};
use crate::nn::{Params, Tensors, check, gradients};
use crate::random::Seed;
use crate::reward::Multilinear;
use crate::sequence::Alphabet;
use candle_core::{DType, Device};
use std::sync::Arc;

const KINDS: [ControlKind; 2] = [ControlKind::Mlp, ControlKind::Transformer];

/// A prior of three letters out of two, and its weights, away from zero.
pub(super) fn prior(dtype: DType) -> (PriorConfig, Tensors) {
    let alphabet = Alphabet::custom("two", "AB").unwrap();
    let mut config = PriorConfig::new(&alphabet, 3);
    config.embedding = Embedding::Simplex;
    config.embedding_dim = 2;
    config.denoiser = DenoiserConfig { dim: 8, layers: 1, heads: 2 };
    let params = Params::trainable(Seed::root(3), dtype, &Device::Cpu);
    Prior::new(&config, &params).unwrap();
    check::shake(&params);
    let weights = params.snapshot().unwrap();
    (config, weights)
}

pub(super) fn chain(dtype: DType, hold: usize) -> DiffusionChain {
    let (config, weights) = prior(dtype);
    let prior = Prior::new(&config, &Params::frozen(weights, &Device::Cpu)).unwrap();
    DiffusionChain::new(Arc::new(prior), 6, hold, Grid::LogSnr, SolverKind::Ancestral).unwrap()
}

fn sizes(kind: ControlKind) -> ControlConfig {
    ControlConfig { kind, dim: 8, layers: 1, heads: 2, ..ControlConfig::default() }
}

#[test]
fn a_fresh_control_is_zero_and_leaves_every_byte_of_the_base() {
    for kind in KINDS {
        let chain = chain(DType::F32, 3);
        let params = Params::trainable(Seed::root(4), DType::F32, &Device::Cpu);
        let control = TokenControl::new(&chain, &sizes(kind), &params).unwrap();
        let walk = |control: Option<&dyn Control>| Rollout::draw(&chain, control, 6, 16, Seed::root(5), false).unwrap();
        let (base, tuned) = (walk(None), walk(Some(&control)));
        let bits = |rollout: &Rollout| -> Vec<u32> {
            rollout.last().flatten_all().unwrap().to_vec1::<f32>().unwrap().into_iter().map(f32::to_bits).collect()
        };
        assert_eq!(bits(&base), bits(&tuned), "{kind:?}");
        let nats = |rollout: &Rollout| crate::nn::read(&[&rollout.log_ratio, &rollout.cost]).unwrap();
        assert!(nats(&tuned).concat().iter().all(|nats| *nats == 0.0), "{kind:?}");
        check::shake(&params);
        assert!(nats(&walk(Some(&control)))[1].iter().all(|nats| *nats > 0.0), "{kind:?}");
    }
}

#[test]
fn the_gradient_of_a_held_sequence_chain_is_that_of_the_unrolled_graph() {
    let reward = Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap();
    for (kind, hold) in
        [(ControlKind::Mlp, 1), (ControlKind::Mlp, 3), (ControlKind::Transformer, 2), (ControlKind::ProductMixture, 3)]
    {
        let chain = chain(DType::F64, hold);
        let params = check::params();
        TokenControl::new(&chain, &sizes(kind), &params).unwrap();
        check::shake(&params);
        let control = TokenControl::new(&chain, &sizes(kind), &params).unwrap();
        let held = Params::frozen(params.snapshot().unwrap(), &Device::Cpu);
        let frozen = TokenControl::new(&chain, &sizes(kind), &held).unwrap();
        let terminal = SequenceTerminal::new(&chain, &reward);
        let problem = Problem { chain: &chain, terminal: &terminal, alpha: Some(0.3) };
        let batch = Batch { rows: 3, total: 3, steps: chain.steps(), seed: Seed::root(6) };
        for estimator in [Estimator::Cost, Estimator::Landing] {
            let loss = unrolled(&problem, &control, &frozen, estimator, &batch);
            let whole = flat(&gradients(&loss, &params.vars()).unwrap());
            let method = BackProp { estimator, ..BackProp::default() };
            let got = method.gradient(&problem, &control, &frozen, &params.vars(), &batch).unwrap();
            assert!(whole.iter().any(|g| g.abs() > 1e-3));
            for (got, whole) in flat(&got.gradients).iter().zip(&whole) {
                assert!((got - whole).abs() < 1e-10 * (1.0 + whole.abs()), "{kind:?} hold {hold}: {got} {whole}");
            }
        }
    }
}

#[test]
fn the_price_of_a_step_is_half_the_gain_in_signal_to_noise_times_the_change_of_estimate() {
    // one step: cost = ½ (snr_{k+1} − snr_k) ‖E[z₀ under the tilt] − E[z₀]‖²
    let chain = chain(DType::F64, 1);
    let params = check::params();
    let control = TokenControl::new(&chain, &sizes(ControlKind::Mlp), &params).unwrap();
    check::shake(&params);
    let drawn = Rollout::draw(&chain, Some(&control), 1, 4, Seed::root(8), true).unwrap();
    let base = Rollout::draw(&chain, None, 1, 4, Seed::root(8), false).unwrap();
    let c = chain.coefficients(0);
    let moved = ((drawn.last() - base.last()).unwrap() / c.predict).unwrap().sqr().unwrap().sum((1, 2)).unwrap();
    let gain = chain.log_snrs()[1].exp() - chain.log_snrs()[0].exp();
    for (cost, moved) in drawn.cost.to_vec1::<f64>().unwrap().iter().zip(moved.to_vec1::<f64>().unwrap()) {
        assert!((cost - 0.5 * gain * moved).abs() < 1e-9 * cost && *cost > 0.0, "{cost} {}", 0.5 * gain * moved);
    }
}
