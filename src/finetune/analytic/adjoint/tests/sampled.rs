//! Densities from their energies alone.

use super::*;
use crate::finetune::analytic::{EnergyReward, Mixture, Reference, SamplingConfig, SamplingTraining};

/// A wide Gaussian, and the reward that makes a fixture's tilt of it.
fn from_nothing(fixture: Fixture, steps: usize) -> (MixtureChain, EnergyReward) {
    let target = MixtureProblem::fixture(fixture);
    let wide = MixtureProblem { base: Mixture::gaussian(0.0, 4.0), reward: Quadratic::default(), ..vp(fixture) };
    let chain = MixtureChain::euler(&wide, steps).unwrap();
    let Quadratic { slope, curvature, centre } = target.reward;
    let tilt = Quadratic { slope: slope / target.alpha, curvature: curvature / target.alpha, centre };
    let reference = Reference::of(&chain).unwrap().end();
    (chain, EnergyReward { mixture: target.base, tilt, reference })
}

fn finished(mut run: SamplingTraining<'_>) -> SamplingTraining<'_> {
    while run.done() < run.total() {
        run.step().unwrap();
    }
    run
}

#[test]
fn the_density_of_an_energy_has_its_normaliser_whatever_the_reference() {
    for fixture in [Fixture::A, Fixture::B, Fixture::C] {
        let (chain, reward) = from_nothing(fixture, 24);
        let lattice = Lattice::new(&chain, &reward, 1.0, (-13.0, 13.0)).unwrap();
        let tilting = lattice.tilting();
        let (law, log_z) = MixtureProblem::fixture(fixture).tilted();
        // a lattice; what the tail beyond it holds of the reference
        assert!((tilting.log_z - log_z).abs() < 1e-7, "{fixture:?}: {} {log_z}", tilting.log_z);
        assert!((tilting.learned.mean - law.moments().mean).abs() < 1e-6);
    }
}

#[test]
fn ends_by_their_weights_end_in_the_best_control() {
    // of a Gaussian target an affine control is the best of all
    let pool = Pool::new(1).unwrap();
    let (chain, reward) = from_nothing(Fixture::B, 12);
    let lattice = Lattice::new(&chain, &reward, 1.0, (-13.0, 13.0)).unwrap();
    let best = lattice.best();
    let matching = MatchingConfig { updates: 200, batch: 128, learning_rate: 0.1, ..MatchingConfig::default() };
    let config = SamplingConfig { matching, fresh: 128, kept: 2048, ..SamplingConfig::default() };
    let run = SamplingTraining::new(config, &chain, &reward, affine(12), Seed::root(3), &pool).unwrap();
    let got = lattice.outcome(finished(run).control().unwrap().as_ref()).unwrap();
    // the optimiser's noise at batch 128
    assert!(got.gap - best.gap < 0.05, "{got:?} {best:?}");
}

#[test]
fn a_run_goes_on_with_the_same_bytes_on_any_number_of_threads() {
    let (chain, reward) = from_nothing(Fixture::C, 6);
    let matching = MatchingConfig { updates: 11, batch: 96, shard: 32, ..MatchingConfig::default() };
    let config = SamplingConfig { matching, fresh: 40, kept: 100, reuse: 3, ..SamplingConfig::default() };
    let run = |pool| {
        let form = StateControl::form(vec![1], 6, 8);
        SamplingTraining::new(config, &chain, &reward, form, Seed::root(2), pool).unwrap()
    };
    let (one, two) = (Pool::new(1).unwrap(), Pool::new(2).unwrap());
    let whole = finished(run(&one));
    let mut first = run(&two);
    for _ in 0..7 {
        first.step().unwrap();
    }
    let mut rest = run(&two);
    rest.restore(7, &first.state().unwrap()).unwrap();
    let rest = finished(rest);
    for (name, weights) in whole.weights() {
        assert_eq!(column(&weights), column(&rest.weights()[&name]), "{name}");
    }
}

#[test]
fn numbers_out_of_range_and_two_gaussians_are_refused() {
    let pool = Pool::new(1).unwrap();
    let (chain, reward) = from_nothing(Fixture::A, 4);
    for config in [
        SamplingConfig { kept: 0, ..SamplingConfig::default() },
        SamplingConfig { reuse: 0, ..SamplingConfig::default() },
        SamplingConfig { most: 0.0, ..SamplingConfig::default() },
    ] {
        assert!(SamplingTraining::new(config, &chain, &reward, affine(4), Seed::root(1), &pool).is_err());
    }
    let two = MixtureChain::euler(&vp(Fixture::C), 4).unwrap();
    let error = SamplingTraining::new(SamplingConfig::default(), &two, &reward, affine(4), Seed::root(1), &pool);
    assert!(error.err().unwrap().message().contains("an affine one is accepted"));
}
