//! Works of chains of one number under controls of known error (fixtures A, B and C, VP, 100 steps).

use super::super::*;
use crate::finetune::analytic::{Continuous, Fixture, Interpolant, Lattice, MixtureChain, MixtureProblem, Noise};
use crate::finetune::{base_paths, roll_out};
use crate::nn::{Pool, read};
use crate::random::Seed;
use std::io::Write as _;

const STEPS: usize = 100;

const RANGE: (f64, f64) = (-8.0, 9.0);

fn problem(fixture: Fixture) -> MixtureProblem {
    MixtureProblem { interpolant: Interpolant::Vp, noise: Noise::Memoryless, ..MixtureProblem::fixture(fixture) }
}

/// Tuned and base paths of a share of the best control.
fn weighed(problem: &MixtureProblem, share: f64, n: usize, with_base: bool) -> Weighed {
    let chain = MixtureChain::euler(problem, STEPS).unwrap();
    let control = Continuous::new(problem, STEPS, share).unwrap();
    let pool = Pool::new(2).unwrap();
    let ends = |x: &candle_core::Tensor| Ok(read(&[x])?.remove(0));
    let seed = Seed::root(17).child("tuned");
    let tuned = roll_out(&chain, Some(&control), n, seed, &pool, ends).unwrap();
    let paths = |paths: crate::finetune::Paths<f64>| -> Vec<BasePath> {
        let pairs = paths.ends.iter().zip(&paths.log_ratio);
        pairs.map(|(x, l)| BasePath { gain: problem.reward.at(*x) / problem.alpha, log_ratio: *l }).collect()
    };
    let base = if with_base {
        paths(base_paths(&chain, &control, n, Seed::root(17).child("base"), &pool, ends).unwrap())
    } else {
        Vec::new()
    };
    Weighed::new(&paths(tuned), &base).unwrap()
}

/// log Z of the chain of 100 steps, by the lattice.
fn log_z(problem: &MixtureProblem) -> f64 {
    let chain = MixtureChain::euler(problem, STEPS).unwrap();
    Lattice::new(&chain, &problem.reward, problem.alpha, RANGE).unwrap().tilting().log_z
}

/// log Z of the chains, as published to ten digits (A, B) and five (C).
const LOG_Z: [(Fixture, f64); 3] =
    [(Fixture::A, 2.305_435_326_1), (Fixture::B, -1.885_408_514_2), (Fixture::C, 0.537_02)];

/// Share of effective paths on fixture A under θ times the best control.
const ESS_ON_A: [(f64, f64); 4] = [(0.0, 0.077), (0.5, 0.527), (1.0, 1.0), (1.5, 0.527)];

#[test]
fn every_control_has_the_same_z_and_the_best_even_weights() {
    for (fixture, exact) in LOG_Z {
        let problem = problem(fixture);
        // base paths alone have a heavy tail on B: an effective 1 in 20
        for share in [0.0, 0.5, 1.0, 1.5] {
            let got = weighed(&problem, share, 1500, false).forward;
            assert!(got.log_z.z(exact).abs() < 3.0, "{fixture:?} {share}: {got:?}");
            assert!(got.lower.value - 3.0 * got.lower.se <= exact);
            if share == 1.0 {
                assert!(got.ess_share() > 0.97 && got.log_z.se < 0.01, "{fixture:?}: {got:?}");
            }
        }
    }
}

#[test]
fn the_published_z_of_c_is_the_lattices() {
    // five digits are printed
    assert!((log_z(&problem(Fixture::C)) - 0.537_02).abs() < 6e-6);
}

#[test]
fn works_of_a_share_of_the_control_are_gaussian_on_a() {
    let problem = problem(Fixture::A);
    for (share, expected) in ESS_ON_A {
        let got = weighed(&problem, share, 4000, false).forward;
        // σ² = (1 − θ)² k² s², ESS/n = e^{−σ²}: a few thousand paths overrate the 0.077 of θ = 0, the table below does not
        let variance = (1.0 - share) * (1.0 - share) * 2.56;
        assert!(share == 0.0 || (got.ess_share() - expected).abs() < 0.04, "{share}: {got:?}");
        // 3 √(2/n) = 0.067 of it by chance, 3 % by the steps; what is left at θ = 1 is O(h²), 4e-4
        assert!((got.variance - variance).abs() < 0.1 * variance + 1e-3, "{share}: {got:?}");
    }
}

#[test]
fn both_directions_close_on_the_chains_z() {
    for (fixture, exact) in LOG_Z {
        let weighed = weighed(&problem(fixture), 0.5, 3000, true);
        let base = weighed.base.unwrap();
        for estimate in [base.bennett, base.mixture.log_z, base.log_z] {
            assert!(estimate.z(exact).abs() < 3.0, "{fixture:?}: {weighed:?}");
        }
        assert!(weighed.forward.lower.value < exact && base.upper.value + 3.0 * base.upper.se > exact);
        // a pool knows more than its parts: at half the control by a lot
        assert!(base.mixture.log_z.se < base.log_z.se, "{weighed:?}");
    }
}

#[test]
fn a_control_that_only_knows_one_mode_is_found_out() {
    // fixture C without its right mode: the control of a reward that pushes left
    let mut wrong = problem(Fixture::C);
    wrong.reward.slope = -3.0;
    let (right, pool) = (problem(Fixture::C), Pool::new(2).unwrap());
    let chain = MixtureChain::euler(&right, STEPS).unwrap();
    let control = Continuous::new(&wrong, STEPS, 1.0).unwrap();
    let ends = |x: &candle_core::Tensor| Ok(read(&[x])?.remove(0));
    let paths = |paths: crate::finetune::Paths<f64>| -> Vec<BasePath> {
        let pairs = paths.ends.iter().zip(&paths.log_ratio);
        pairs.map(|(x, l)| BasePath { gain: right.reward.at(*x) / right.alpha, log_ratio: *l }).collect()
    };
    let tuned = paths(roll_out(&chain, Some(&control), 1500, Seed::root(5), &pool, ends).unwrap());
    let base = paths(base_paths(&chain, &control, 1500, Seed::root(6), &pool, ends).unwrap());
    let weighed = Weighed::new(&tuned, &base).unwrap();
    let Verdict::MissesModes { tilt, tuned } = weighed.verdict else { panic!("{weighed:?}") };
    // the right mode has 0.896 of the tilt
    assert!((tilt - 0.896).abs() < 0.05 && tuned < 0.01, "{weighed:?}");
}

#[test]
#[ignore = "100,000 paths each: run with --release"]
fn the_table_of_shares() {
    for (fixture, exact) in LOG_Z {
        let problem = problem(fixture);
        for share in [0.0, 0.5, 1.0, 1.5] {
            let w = weighed(&problem, share, 100_000, true);
            let (f, b) = (w.forward, w.base.unwrap());
            writeln!(
                std::io::stderr(),
                "{fixture:?} θ={share}: log Z {:.5} (tuned) {:.5} (BAR) {:.5} (mixture) exact {exact:.5}; ESS/n {:.4}; Var W {:.4}; \
                 {:.4} ≤ log Z ≤ {:.4} (tuned), {:.4} (base); {}",
                f.log_z,
                b.bennett,
                b.mixture.log_z,
                f.ess_share(),
                f.variance,
                f.lower,
                f.upper,
                b.upper,
                w.verdict
            )
            .unwrap();
            assert!(b.bennett.z(exact).abs() < 3.5 && b.mixture.log_z.z(exact).abs() < 3.5, "{fixture:?} {share}");
            assert!(share == 0.0 || f.log_z.z(exact).abs() < 3.5, "{fixture:?} {share}: {f:?}");
            let expected = ESS_ON_A.iter().find(|row| fixture == Fixture::A && row.0 == share);
            assert!(expected.is_none_or(|row| (f.ess_share() - row.1).abs() < 0.03), "{share}: {f:?}");
            assert!(share != 1.0 || f.ess_share() > 0.97, "{fixture:?}: {f:?}");
        }
    }
}
