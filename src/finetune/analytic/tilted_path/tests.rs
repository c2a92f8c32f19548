//! Escorted walks against closed forms.

use super::super::{Fixture, Interpolant, MixtureProblem, Noise};
use super::*;
use crate::random::Seed;

fn problem(fixture: Fixture) -> MixtureProblem {
    MixtureProblem { interpolant: Interpolant::Vp, noise: Noise::Memoryless, ..MixtureProblem::fixture(fixture) }
}

#[test]
fn jets_are_the_slopes_of_the_log_density() {
    // central differences of h = 1e-4: error about h² times a fourth derivative, and 1e-16/h² of rounding
    let h = 1e-4;
    let law = problem(Fixture::C).base;
    let at = |tau: f64| Density::new(&law, Interpolant::Vp.at(tau));
    for (tau, x) in [(0.3, -0.4), (0.6, 0.2), (0.9, 1.3)] {
        let jet = at(tau).at(x);
        let value = |tau: f64, x: f64| at(tau).at(x).value;
        let (up, down) = (value(tau, x + h), value(tau, x - h));
        assert!((jet.slope - (up - down) / (2.0 * h)).abs() < 1e-6, "{tau} {x}");
        assert!((jet.bend - (up - 2.0 * jet.value + down) / (h * h)).abs() < 1e-5, "{tau} {x}");
        let rate = (value(tau + h, x) - value(tau - h, x)) / (2.0 * h);
        assert!((jet.rate - rate).abs() < 1e-5 * (1.0 + rate.abs()), "{tau} {x}: {} {rate}", jet.rate);
        assert!((jet.value - law.mixed(Interpolant::Vp.at(tau)).log_density(x)).abs() < 1e-12);
    }
}

#[test]
fn the_soft_value_with_its_own_escort_leaves_no_work() {
    for fixture in [Fixture::A, Fixture::B, Fixture::C] {
        let path = TiltedPath::new(&problem(fixture), Ramp::Value, 1.0, 40).unwrap();
        for k in [1, 10, 20, 30, 39] {
            let x = [-2.0, -0.3, 0.4, 1.7];
            for (x, rate) in x.iter().zip(path.rates(&AlongValue, k, &x).unwrap()) {
                // terms of up to 1e3 cancel
                assert!(rate.abs() < 1e-10, "{fixture:?} {k} {x}: {rate}");
            }
            // half of it is work
            assert!(path.rates(&Alone, k, &x).unwrap().iter().any(|rate| rate.abs() > 1e-3));
        }
    }
}

/// log Z with its standard error, by the delta method.
fn log_z(walked: &Escorted) -> (f64, f64) {
    let (value, n) = (log_mean(&walked.log_weights), walked.log_weights.len() as f64);
    let square: f64 = walked.log_weights.iter().map(|a| ((a - value).exp() - 1.0).powi(2)).sum();
    (value, square.sqrt() / n)
}

#[test]
fn both_weightings_have_the_tilts_z_whatever_the_noise() {
    // errors of O(h): up to 0.01 at K = 300 with the plain noise on lines, more on the bent reward of B
    for (fixture, exact, room) in
        [(Fixture::A, 2.28, 0.015), (Fixture::B, -1.898_925, 0.05), (Fixture::C, 0.530_93, 0.015)]
    {
        let path = TiltedPath::new(&problem(fixture), Ramp::Line, 1.0, 300).unwrap();
        for weighting in [Weighting::Rate, Weighting::Kernel] {
            let walked = path.walk(&Alone, weighting, 2000, &mut Seed::root(2).rng(), |_| None).unwrap();
            let (value, se) = log_z(&walked);
            assert!((value - exact).abs() < 3.0 * se + room && se < 0.08, "{fixture:?} {weighting:?}: {value} ± {se}");
        }
    }
}

#[test]
fn weighted_ends_are_the_tilt() {
    let problem = problem(Fixture::C);
    let path = TiltedPath::new(&problem, Ramp::Line, 1.0, 200).unwrap();
    let walked = path.walk(&Alone, Weighting::Rate, 6000, &mut Seed::root(3).rng(), |_| None).unwrap();
    let top = walked.log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = walked.log_weights.iter().map(|a| (a - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    let mean = weights.iter().zip(&walked.ends).map(|(w, x)| w * x).sum::<f64>() / total;
    let square: f64 = weights.iter().zip(&walked.ends).map(|(w, x)| (w * (x - mean) / total).powi(2)).sum();
    let exact = problem.tilted().0.moments().mean;
    assert!((mean - exact).abs() < 3.0 * square.sqrt() + 0.01, "{mean} ± {} against {exact}", square.sqrt());
}

#[test]
fn what_cannot_be_walked_is_refused() {
    let flow = MixtureProblem { interpolant: Interpolant::Flow, ..problem(Fixture::A) };
    assert!(TiltedPath::new(&flow, Ramp::Line, 1.0, 10).is_err());
    assert!(TiltedPath::new(&problem(Fixture::A), Ramp::Line, 1.0, 0).is_err());
    assert!(TiltedPath::new(&problem(Fixture::A), Ramp::Line, f64::NAN, 10).is_err());
}
