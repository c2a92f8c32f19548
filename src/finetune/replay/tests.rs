//! The ring, its rules, and what draws count.

use super::*;
use crate::random::Seed;

fn track(value: f64, epoch: u64) -> Track {
    let states = Tensor::from_vec(vec![value as f32; 8], (4, 2), &Device::Cpu).unwrap();
    let innovations = Some(states.narrow(0, 0, 3).unwrap());
    Track { states, innovations, behaviour: vec![0.1 * value; 3], value, epoch }
}

fn ring(values: &[f64]) -> Replay {
    let mut ring = Replay::new(100, 1 << 30);
    ring.push(values.iter().enumerate().map(|(i, value)| track(*value, i as u64 / 2)).collect());
    ring
}

fn rule(name: &str, corrected: bool) -> ReplayConfig {
    ReplayConfig { rule: name.to_owned(), corrected, ..ReplayConfig::default() }
}

#[test]
fn the_oldest_leave_first_and_bytes_are_a_limit_too() {
    let mut ring = Replay::new(3, 1 << 30);
    ring.push((0..5).map(|i| track(f64::from(i), 0)).collect());
    assert_eq!(ring.values(), [2.0, 3.0, 4.0]);
    // 8 states and 6 innovations of 4 bytes and 3 numbers of 8
    assert_eq!(track(0.0, 0).bytes(), 80);
    let mut small = Replay::new(3, 170);
    small.push((0..5).map(|i| track(f64::from(i), 0)).collect());
    assert_eq!(small.values(), [3.0, 4.0]);
    let mut tiny = Replay::new(3, 1);
    tiny.push(vec![track(1.0, 0), track(2.0, 0)]);
    assert_eq!(tiny.values(), [2.0]);
    tiny.clear();
    assert!(tiny.is_empty() && tiny.shares(&rule("random", false), 1.0, 1).is_err());
}

#[test]
fn a_state_brings_back_every_number() {
    let full = ring(&[1.0, -2.0, 3.0]);
    let mut again = Replay::new(100, 1 << 30);
    again.restore(&full.state().unwrap()).unwrap();
    for (a, b) in full.tracks().iter().zip(again.tracks()) {
        assert_eq!(a.states.to_vec2::<f32>().unwrap(), b.states.to_vec2::<f32>().unwrap());
        let innovations = |track: &Track| track.innovations.as_ref().unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(innovations(a), innovations(b));
        assert_eq!((&a.behaviour, a.value, a.epoch), (&b.behaviour, b.value, b.epoch));
    }
    let mut broken = full.state().unwrap();
    broken.remove("replay.values");
    assert!(again.restore(&broken).unwrap_err().message().contains("`values`"));
    again.restore(&Tensors::default()).unwrap();
    assert!(again.is_empty() && again.state().unwrap().is_empty());
}

#[test]
fn rules_give_the_shares_that_they_say() {
    let ring = ring(&[1.0, -2.0, 3.0, 0.0]);
    let of = |name: &str| ring.shares(&rule(name, false), 0.5, 2).unwrap();
    assert_eq!(of("random").paths, [0.25; 4]);
    assert_eq!(of("reward").paths, [0.25, 0.0, 0.75, 0.0]);
    // γ^2, γ, 1 of 1.75
    for (got, expected) in of("reward").steps.iter().zip([1.0 / 7.0, 2.0 / 7.0, 4.0 / 7.0]) {
        assert!((got - expected).abs() < 1e-15);
    }
    assert_eq!(of("top").paths, [0.5, 0.0, 0.5, 0.0]);
    assert_eq!(of("recent").paths, [0.125, 0.125, 0.375, 0.375]);
    // where nothing has a reward above 0, paths are alike
    let poor = super::Replay::shares(&self::ring(&[-1.0, 0.0]), &rule("reward", false), 1.0, 1).unwrap();
    assert_eq!((poor.paths, poor.steps), (vec![0.5; 2], vec![1.0 / 3.0; 3]));
}

#[test]
fn corrected_draws_have_the_expectation_of_uniform_ones() {
    let values = [1.0_f64, -2.0, 3.0, 0.0, 0.5];
    let f = |path: usize, step: usize| values[path].sin() + 0.3 * step as f64 * values[path];
    let ring = ring(&values);
    let uniform: f64 = (0..15).map(|i| f(i / 3, i % 3)).sum::<f64>() / 15.0;
    for entry in REPLAY_RULES.entries() {
        let shares = ring.shares(&rule(entry.name, true), 0.7, 2).unwrap();
        let mut exact = 0.0;
        for path in 0..5 {
            for step in 0..3 {
                let weight = shares.path_weight(path) * shares.step_weight(step);
                assert!(weight <= 100.0 + 1e-9, "{}: {weight}", entry.name);
                exact += shares.paths[path] * shares.steps[step] * weight * f(path, step);
            }
        }
        assert!((exact - uniform).abs() < 1e-12, "{}: {exact} {uniform}", entry.name);
        // and draws follow the shares: 20,000 of them, four standard errors
        let mut rng = Seed::root(3).rng();
        let drawn: Vec<f64> =
            shares.draw(20_000, &mut rng).iter().map(|drawn| drawn.weight * f(drawn.path, drawn.step)).collect();
        let mean = drawn.iter().sum::<f64>() / 2e4;
        let se = (drawn.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / 4e8).sqrt();
        assert!(((mean - uniform) / se).abs() < 4.0, "{}: {mean} ± {se}, {uniform}", entry.name);
    }
}

#[test]
fn numbers_out_of_range_are_refused_by_name() {
    let check = |config: ReplayConfig| config.check().unwrap_err().message().to_owned();
    assert!(check(ReplayConfig { fresh: 0.0, ..ReplayConfig::default() }).contains("`replay.fresh`"));
    assert!(check(ReplayConfig { mib: 0, ..ReplayConfig::default() }).contains("`replay.mib`"));
    assert!(check(ReplayConfig { rule: "best".to_owned(), ..ReplayConfig::default() }).contains("replay rule"));
    assert!(ReplayConfig::default().check().is_ok());
}
