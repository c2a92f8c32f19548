//! Learning from kept paths of earlier controls.

use super::fixture::{Shift, Slope, Trial};
use super::tokens::chain;
use crate::diffusion::{Chain as _, DiffusionChain};
use crate::finetune::analytic::{LinearChain, LinearQuadratic, Start};
use crate::finetune::divergence::ReverseKl;
use crate::finetune::trace::Trace;
use crate::finetune::{
    Control, ControlConfig, ControlKind, ControlStart, FinetuneConfig, Finetuning, Ledger, PathLoss as _, ReplayConfig,
    SequenceTerminal, SoftQConfig, Undecoded, WeightedLikelihood,
};
use crate::nn::{Params, Pool, Training as _, check};
use crate::random::Seed;
use crate::reward::Multilinear;
use candle_core::DType;
use ndarray::array;

#[test]
fn a_kept_path_is_the_path_that_was_drawn() {
    let chain = LinearChain::euler(&LinearQuadratic::default(), Start::Joint, 4, 2).unwrap();
    let params = check::params();
    Shift::new(&params, 6);
    check::shake(&params);
    let control = Shift::new(&params, 6);
    let drawn = Trace::draw(&chain, Some(&control), &Undecoded(&Slope(0.4)), 6, &[(Seed::root(1), 5)]).unwrap();
    let tracks = drawn.tracks(3, true).unwrap();
    let again = Trace::of(&chain, &tracks.iter().collect::<Vec<_>>()).unwrap();
    assert_eq!((&again.values, &again.increments), (&drawn.values, &drawn.increments));
    assert_eq!(again.under(&control).unwrap(), drawn.under(&control).unwrap());
    assert!(tracks.iter().all(|track| track.epoch == 3 && track.states.dims() == [7, 1]));
    // without innovations a path has states but no densities
    let bare = drawn.tracks(0, false).unwrap();
    let Err(refused) = Trace::of(&chain, &bare.iter().collect::<Vec<_>>()) else { panic!("densities of nothing") };
    assert!(refused.message().contains("without innovations"));
}

#[test]
fn methods_of_values_learn_from_paths_of_any_earlier_control() {
    // r = a x: at the best control, a constant push, L − r/α is the same on every path whoever drew it, so that no draw moves it
    let chain = LinearChain::euler(&LinearQuadratic::default(), Start::Joint, 4, 2).unwrap();
    let (terminal, alpha, mut carry) = (Slope(0.5), 0.8, 0.5 / 0.8);
    let mut best: Vec<f64> = chain
        .all()
        .iter()
        .rev()
        .map(|step| {
            let push = step.std * carry;
            carry *= step.keep;
            push
        })
        .collect();
    best.reverse();
    for (objective, rule, corrected) in [
        ("log-variance", "random", false),
        ("log-variance", "top", false),
        ("weighted-likelihood", "recent", false),
        ("weighted-likelihood", "reward", true),
    ] {
        let config = FinetuneConfig {
            objective: objective.to_owned(),
            alpha,
            batch: 64,
            reuse: 1,
            replay: ReplayConfig {
                capacity: Some(200),
                fresh: 0.25,
                rule: rule.to_owned(),
                corrected,
                ..ReplayConfig::default()
            },
            ..FinetuneConfig::default()
        };
        let trial = Trial::new(&chain, &terminal, config);
        let params = check::params();
        Shift::new(&params, chain.steps());
        let control = |params: &Params| -> Box<dyn Control> { Box::new(Shift::new(params, 6)) };
        trial.descend(&params, &control, 0.25, 80);
        for (got, best) in params.vars()[0].1.to_vec1::<f64>().unwrap().iter().zip(&best) {
            assert!((got - best).abs() < 1e-4, "{objective} {rule}: {got} {best}");
        }
    }
}

#[test]
fn a_draw_that_prefers_some_paths_counts_as_part_of_their_density() {
    // paths drawn s_i times as often are paths of a law whose log-density is log s_i higher
    let (values, now) = ([0.3, -0.2, 0.9], array![[0.2, -0.1, 0.05], [0.0, 0.3, -0.4]]);
    let drawn = array![[0.1, 0.2, -0.3], [0.4, -0.2, 0.1]];
    let shares = [0.5_f64.ln(), 1.7_f64.ln(), 0.8_f64.ln()];
    let weights = |drawn: &ndarray::Array2<f64>, log_shares: Option<&[f64]>| {
        let ledger = Ledger { values: &values, drawn, now: &now, log_shares, alpha: 0.6, divergence: &ReverseKl };
        WeightedLikelihood { reuse: 1 }.weigh(&ledger).unwrap().weights
    };
    let mut higher = drawn.clone();
    (0..3).for_each(|i| higher[[1, i]] += shares[i]);
    let (one, other) = (weights(&drawn, Some(&shares)), weights(&higher, None));
    assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-14));
    assert!(one.iter().zip(&weights(&drawn, None)).any(|(a, b)| (a - b).abs() > 0.01));
}

fn run<'a>(
    chain: &'a DiffusionChain,
    terminal: &'a SequenceTerminal<'_>,
    config: &FinetuneConfig,
    pool: &'a Pool,
) -> Finetuning<'a> {
    Finetuning::new(config.clone(), chain, terminal, Seed::root(7), pool).unwrap()
}

fn small(objective: &str, glimpse: &str, replay: ReplayConfig) -> FinetuneConfig {
    FinetuneConfig {
        objective: objective.to_owned(),
        batch: 24,
        shard: 8,
        steps: 9,
        soft_q: SoftQConfig { discount: 0.95, glimpse: glimpse.parse().unwrap(), pairs: Some(40) },
        replay,
        control: ControlConfig { kind: ControlKind::Mlp, start: ControlStart::Zero, dim: 8, layers: 1, heads: 2 },
        ..FinetuneConfig::default()
    }
}

fn exploring(mut config: FinetuneConfig) -> FinetuneConfig {
    config.balance.exploration = 1.5;
    config
}

fn staged(mut config: FinetuneConfig) -> FinetuneConfig {
    // three tilts of three steps, and one batch of ends in the middle of each where reuse is 4
    (config.tilt.recentred, config.tilt.tilts) = (false, 3);
    config
}

#[test]
fn every_kind_of_buffer_resumes_in_the_middle_with_the_same_bytes() {
    let chain = chain(DType::F32, 3);
    let reward = Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap();
    let terminal = SequenceTerminal::new(&chain, &reward);
    let (one, three) = (Pool::new(1).unwrap(), Pool::new(3).unwrap());
    let bits = |run: &Finetuning<'_>| -> Vec<u32> {
        let weights = run.weights();
        weights.values().flat_map(|w| w.flatten_all().unwrap().to_vec1::<f32>().unwrap()).map(f32::to_bits).collect()
    };
    let keep = |capacity: usize, rule: &str, corrected: bool| ReplayConfig {
        capacity: Some(capacity),
        rule: rule.to_owned(),
        corrected,
        ..ReplayConfig::default()
    };
    for config in [
        small("sqdf", "tweedie", keep(0, "random", false)),
        small("sqdf", "ddim:2", keep(40, "reward", true)),
        small("sqdf", "soft", keep(500, "recent", false)),
        small("log-variance", "tweedie", keep(40, "top", false)),
        small("weighted-likelihood", "tweedie", keep(60, "reward", true)),
        exploring(small("trajectory-balance", "tweedie", keep(0, "random", false))),
        exploring(small("trajectory-balance", "tweedie", keep(40, "recent", false))),
        small("implicit-tilt-matching", "tweedie", keep(40, "reward", true)),
        staged(small("implicit-tilt-matching", "tweedie", keep(0, "random", false))),
    ] {
        let mut whole = run(&chain, &terminal, &config, &one);
        (0..9).for_each(|_| drop(whole.step().unwrap()));
        let mut first = run(&chain, &terminal, &config, &three);
        (0..6).for_each(|_| drop(first.step().unwrap()));
        let mut second = run(&chain, &terminal, &config, &three);
        second.restore(6, &first.state().unwrap()).unwrap();
        (6..9).for_each(|_| drop(second.step().unwrap()));
        assert_eq!(bits(&whole), bits(&second), "{config:?}");
        assert!(bits(&whole).iter().any(|bits| *bits != 0));
    }
}

#[test]
fn a_method_of_its_own_paths_refuses_a_buffer() {
    let chain = chain(DType::F32, 3);
    let reward = Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap();
    let (terminal, pool) = (SequenceTerminal::new(&chain, &reward), Pool::new(1).unwrap());
    for objective in ["ppo", "score", "mirror-descent", "control"] {
        let config = small(objective, "tweedie", ReplayConfig { capacity: Some(10), ..ReplayConfig::default() });
        let Err(refused) = Finetuning::new(config, &chain, &terminal, Seed::root(1), &pool) else {
            panic!("{objective}")
        };
        assert!(refused.message().contains("paths of its present control"), "{objective}");
    }
}
