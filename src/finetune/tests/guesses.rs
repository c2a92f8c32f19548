//! Guesses at the ends of paths.

use super::tokens::chain;
use crate::diffusion::{Consistency, DiffusionChain, Scales};
use crate::finetune::{
    Consistent, ControlConfig, ControlKind, Ddim, FinetuneConfig, Finetuning, Glimpse, GlimpseKind, SequenceTerminal,
    SoftQConfig, Terminal as _,
};
use crate::nn::{Params, Pool, Training as _, check, softmax};
use crate::random::Seed;
use crate::reward::Multilinear;
use candle_core::{DType, Device};

fn reward() -> Multilinear {
    Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap()
}

#[test]
fn deterministic_steps_are_those_of_the_probability_flow_and_carry_a_gradient() {
    let chain = chain(DType::F64, 3);
    let x = check::normal(5, &[2, 3, 2]);
    // z_s = signal_s ẑ₀ + noise_s (z_t − signal_t ẑ₀)/noise_t, over all nodes and over every other one
    let walk = |nodes: &[usize]| {
        let mut x = x.clone();
        for pair in nodes.windows(2) {
            let estimate = chain.prior().estimate(&chain.read(pair[0], &x).unwrap()).unwrap();
            let [t, s] = [pair[0], pair[1]].map(|k| Scales::at_log_snr(chain.log_snrs()[k]));
            let noise = ((x - (&estimate * t.signal).unwrap()).unwrap() / t.noise).unwrap();
            x = ((estimate * s.signal).unwrap() + (noise * s.noise).unwrap()).unwrap();
        }
        softmax(&chain.read(6, &x).unwrap()).unwrap()
    };
    for (steps, k, nodes) in [
        (6, 0, vec![0, 1, 2, 3, 4, 5, 6]),
        (3, 0, vec![0, 2, 4, 6]),
        (4, 4, vec![4, 5, 6]),
        (2, 3, vec![3, 5, 6]),
        (4, 6, vec![6]),
    ] {
        let got = Ddim::new(&chain, steps).probs(k, &x).unwrap();
        assert!(check::distance(&got, &walk(&nodes)) < 1e-12, "{steps} steps from {k}");
        check::input(&x, |x| Ddim::new(&chain, steps).probs(k, x));
    }
    let tweedie = softmax(&chain.read(2, &x).unwrap()).unwrap();
    assert!(check::distance(&Ddim::new(&chain, 0).probs(2, &x).unwrap(), &tweedie) == 0.0);
    assert!(check::distance(&Ddim::new(&chain, 4).probs(2, &x).unwrap(), &tweedie) > 1e-2);
}

/// A consistency model before its first step, which answers as the prior does.
fn own(chain: &DiffusionChain, dtype: DType) -> Consistency {
    let fresh = Params::trainable(Seed::root(1), dtype, &Device::Cpu);
    Consistency::new(chain.prior().clone(), &fresh).unwrap();
    let held = Params::frozen(fresh.snapshot().unwrap(), &Device::Cpu);
    Consistency::new(chain.prior().clone(), &held).unwrap()
}

#[test]
fn a_model_that_answers_as_the_prior_guesses_as_tweedie_does() {
    let chain = chain(DType::F64, 2);
    let consistent = Consistent::new(&chain, own(&chain, DType::F64));
    let (reward, x) = (reward(), check::normal(6, &[4, 3, 2]));
    let terminal = SequenceTerminal::new(&chain, &reward);
    let value = |kind: GlimpseKind, glimpse: Option<&dyn Glimpse>, k: usize| {
        kind.value(glimpse, &terminal, (k, 6), &x, 0.3).map(|value| value.to_vec1::<f64>().unwrap())
    };
    for k in [1, 4, 6] {
        let tweedie = value(GlimpseKind::Tweedie, None, k).unwrap();
        assert_eq!(tweedie, terminal.reward(k, &x).unwrap().to_vec1::<f64>().unwrap());
        assert_eq!(value(GlimpseKind::Consistency, Some(&consistent), k).unwrap(), tweedie);
        // the soft value is more than the value of the mean letters, by Jensen
        let soft = value(GlimpseKind::Soft, None, k).unwrap();
        assert!(soft.iter().zip(&tweedie).all(|(soft, point)| soft > point));
    }
    // at the end every guess is the frozen head's reading of the state itself
    let ddim = Ddim::new(&chain, 4);
    assert_eq!(value(GlimpseKind::Ddim(4), Some(&ddim), 6).unwrap(), value(GlimpseKind::Tweedie, None, 6).unwrap());
    let missing = value(GlimpseKind::Consistency, None, 3).unwrap_err();
    assert!(missing.message().contains("glimpse `consistency` needs a model"));
}

#[test]
fn a_run_takes_the_model_that_it_is_given_and_trains_towards_its_guesses() {
    let chain = chain(DType::F32, 3);
    let (reward, pool) = (reward(), Pool::new(1).unwrap());
    let terminal = SequenceTerminal::new(&chain, &reward);
    let run = |glimpse: &str| {
        let config = FinetuneConfig {
            objective: "sqdf".to_owned(),
            batch: 16,
            shard: 8,
            steps: 10,
            soft_q: SoftQConfig { glimpse: glimpse.parse().unwrap(), ..SoftQConfig::default() },
            control: ControlConfig { kind: ControlKind::ProductMixture, dim: 4, ..ControlConfig::default() },
            ..FinetuneConfig::default()
        };
        Finetuning::new(config, &chain, &terminal, Seed::root(7), &pool).unwrap()
    };
    let weights = |mut run: Finetuning<'_>| {
        (0..10).for_each(|_| drop(run.step().unwrap()));
        run.weights().values().flat_map(|w| w.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect::<Vec<_>>()
    };
    let mut bare = run("consistency");
    assert!(bare.step().unwrap_err().message().contains("needs a model"));
    let given = weights(run("consistency").glimpsing(Box::new(Consistent::new(&chain, own(&chain, DType::F32)))));
    let tweedie = weights(run("tweedie"));
    // the same numbers through the same operations
    assert_eq!(given, tweedie);
    assert!(weights(run("ddim:3")) != tweedie && weights(run("soft")) != tweedie);
}
