//! Learned escorts against tilts whose law is known.

use super::super::{Alone, Escort, Escorted, Fixture, Interpolant, MixtureProblem, Noise, Ramp, Weighting};
use super::*;
use std::io::Write as _;

fn problem(fixture: Fixture) -> MixtureProblem {
    MixtureProblem { interpolant: Interpolant::Vp, noise: Noise::Memoryless, ..MixtureProblem::fixture(fixture) }
}

/// `∫ |F − F*| dx` between unweighted ends and the tilt, by sums over a grid of 0.005.
fn wasserstein(problem: &MixtureProblem, ends: &[f64]) -> f64 {
    let (law, step, mut sorted) = (problem.tilted().0, 0.005, ends.to_vec());
    sorted.sort_by(f64::total_cmp);
    let (mut below, mut exact, mut apart) = (0, 0.0, 0.0);
    for i in 0..4000 {
        let x = -10.0 + step * f64::from(i);
        while below < sorted.len() && sorted[below] <= x {
            below += 1;
        }
        exact += step * law.log_density(x).exp();
        apart += step * (below as f64 / sorted.len() as f64 - exact).abs();
    }
    apart
}

fn variance(walked: &Escorted) -> f64 {
    let n = walked.log_weights.len() as f64;
    let mean = walked.log_weights.iter().sum::<f64>() / n;
    walked.log_weights.iter().map(|a| (a - mean).powi(2)).sum::<f64>() / (n - 1.0)
}

fn weighting(loss: EscortLoss) -> Weighting {
    match loss {
        EscortLoss::LogVariance | EscortLoss::TrajectoryBalance => Weighting::Kernel,
        EscortLoss::Kl | EscortLoss::Residual => Weighting::Rate,
    }
}

/// Distance of unweighted ends to the tilt, and Var A.
fn measured(
    problem: &MixtureProblem,
    path: &TiltedPath,
    escort: &dyn Escort,
    loss: EscortLoss,
    n: usize,
) -> (f64, f64) {
    let walked = path.walk(escort, weighting(loss), n, &mut Seed::root(8).rng(), |_| None).unwrap();
    (wasserstein(problem, &walked.ends), variance(&walked))
}

/// A short training on fixture A.
fn improves(loss: EscortLoss) {
    let (problem, pool) = (problem(Fixture::A), Pool::new(1).unwrap());
    let path = TiltedPath::new(&problem, Ramp::Line, 1.0, 32).unwrap();
    let config = EscortConfig { loss, updates: 60, batch: 32, learning_rate: 0.03, width: 12 };
    let mut run = EscortTraining::new(&path, config, Seed::root(5), &pool).unwrap();
    let before = measured(&problem, &path, &run.escort().unwrap(), loss, 1500);
    let alone = measured(&problem, &path, &Alone, loss, 1500);
    assert!((before.0 - alone.0).abs() < 1e-12 && (before.1 - alone.1).abs() < 1e-9, "{before:?} {alone:?}");
    while run.done() < run.total() {
        run.step().unwrap();
    }
    let after = measured(&problem, &path, &run.escort().unwrap(), loss, 1500);
    // what is left is a short training and steps of 1/32
    assert!(after.0 < 0.6 * before.0 && after.1 < 0.7 * before.1, "{loss:?}: {before:?} {after:?}");
}

#[test]
fn log_variance_brings_the_walk_to_the_tilt() {
    improves(EscortLoss::LogVariance);
}

#[test]
fn trajectory_balance_brings_the_walk_to_the_tilt() {
    improves(EscortLoss::TrajectoryBalance);
}

#[test]
fn the_divergence_of_the_walk_brings_it_to_the_tilt() {
    improves(EscortLoss::Kl);
}

#[test]
fn the_residual_brings_the_walk_to_the_tilt() {
    improves(EscortLoss::Residual);
}

#[test]
fn settings_that_train_nothing_are_refused() {
    let (problem, pool) = (problem(Fixture::A), Pool::new(1).unwrap());
    let path = TiltedPath::new(&problem, Ramp::Line, 0.0, 4).unwrap();
    let start = |config| EscortTraining::new(&path, config, Seed::root(1), &pool).map(|_| ());
    assert!(start(EscortConfig { batch: 1, ..EscortConfig::default() }).is_err());
    // without noise only the residual makes sense
    assert!(start(EscortConfig::default()).is_err());
    assert!(start(EscortConfig { loss: EscortLoss::Residual, ..EscortConfig::default() }).is_ok());
}

/// A long training on fixtures B and C.
fn table(loss: EscortLoss) {
    let pool = Pool::new(1).unwrap();
    for fixture in [Fixture::B, Fixture::C] {
        let problem = problem(fixture);
        let path = TiltedPath::new(&problem, Ramp::Line, 1.0, 50).unwrap();
        let config = EscortConfig { loss, updates: 500, batch: 128, ..EscortConfig::default() };
        let mut run = EscortTraining::new(&path, config, Seed::root(5), &pool).unwrap();
        let before = measured(&problem, &path, &Alone, loss, 20_000);
        while run.done() < run.total() {
            run.step().unwrap();
        }
        let after = measured(&problem, &path, &run.escort().unwrap(), loss, 20_000);
        writeln!(
            std::io::stderr(),
            "{fixture:?} {loss:?}: W1 {:.4} to {:.4}, Var A {:.4} to {:.4}, learned log Z {:?} (exact {:.4})",
            before.0,
            after.0,
            before.1,
            after.1,
            run.log_z().unwrap(),
            problem.tilted().1,
        )
        .unwrap();
    }
}

#[test]
#[ignore = "minutes of training: run with --release"]
fn table_of_log_variance() {
    table(EscortLoss::LogVariance);
}

#[test]
#[ignore = "minutes of training: run with --release"]
fn table_of_trajectory_balance() {
    table(EscortLoss::TrajectoryBalance);
}

#[test]
#[ignore = "minutes of training: run with --release"]
fn table_of_the_divergence() {
    table(EscortLoss::Kl);
}

#[test]
#[ignore = "minutes of training: run with --release"]
fn table_of_the_residual() {
    table(EscortLoss::Residual);
}
