//! The lattice against closed forms and published numbers.

use super::super::*;
use super::*;
use crate::diffusion::Move;

const RANGE: (f64, f64) = (-8.0, 9.0);

/// One row of published numbers: mean with a frozen start, of which fixture B also has a variance, mean and variance with a
/// learned one, and total variation between the frozen end and the tilted law.
type Row = (Fixture, f64, Option<f64>, f64, Option<f64>, f64);

fn published(noise: f64, rows: [Row; 3]) {
    for (fixture, frozen, frozen_variance, learned, learned_variance, apart) in rows {
        let problem = MixtureProblem { noise: Noise::Constant(noise), ..MixtureProblem::fixture(fixture) };
        let chain = MixtureChain::euler(&problem, 200).unwrap();
        let lattice = Lattice::new(&chain, &problem.reward, problem.alpha, RANGE).unwrap();
        let got = lattice.tilting();
        let (target, _) = problem.tilted();
        let from_target = lattice.apart(&got.frozen_density, |x| target.log_density(x).exp());
        let mut pairs =
            vec![(got.frozen.mean, frozen, 5e-6), (got.learned.mean, learned, 5e-6), (from_target, apart, 5e-4)];
        pairs.extend(frozen_variance.map(|variance| (got.frozen.variance, variance, 5e-6)));
        pairs.extend(learned_variance.map(|variance| (got.learned.variance, variance, 5e-6)));
        for (got, expected, half_a_digit) in pairs {
            assert!((got - expected).abs() <= half_a_digit * 1.001, "{noise} {fixture:?}: {got} is not {expected}");
        }
        // what a frozen start costs is the divergence of its law from the one that it should have
        assert!(got.frozen_value < got.log_z);
    }
}

#[test]
fn the_bias_of_a_frozen_start_is_the_published_one_with_half_the_noise() {
    published(
        0.5,
        [
            (Fixture::A, 0.99409, None, 1.76715, None, 0.378),
            (Fixture::B, 1.24554, Some(0.22204), 1.57559, Some(0.17926), 0.293),
            (Fixture::C, -0.00127, None, 1.42862, None, 0.416),
        ],
    );
}

#[test]
fn the_bias_of_a_frozen_start_is_the_published_one_with_noise_one() {
    published(
        1.0,
        [
            (Fixture::A, 1.59772, None, 1.77415, None, 0.091),
            (Fixture::B, 1.53058, Some(0.18040), 1.57726, Some(0.17954), 0.045),
            (Fixture::C, 0.88864, None, 1.43343, None, 0.165),
        ],
    );
}

#[test]
fn the_bias_of_a_frozen_start_is_the_published_one_with_twice_the_noise() {
    published(
        2.0,
        [
            (Fixture::A, 1.78510, None, 1.78555, None, 0.003),
            (Fixture::B, 1.57986, Some(0.17999), 1.57996, Some(0.17999), 0.001),
            (Fixture::C, 1.41564, None, 1.44078, None, 0.011),
        ],
    );
}

/// The control of continuous time, in units of a step's noise.
struct Continuous<'a>(&'a MixtureProblem, f64);

impl Control for Continuous<'_> {
    fn control(&self, k: usize, x: &Tensor, _: &Move, _: &mut Memory) -> Result<Tensor> {
        let u = |x: f64| self.1.sqrt() * self.0.memoryless_value(k as f64 * self.1, x).control;
        let values: Vec<f64> = column(x)?.into_iter().map(u).collect();
        Ok(Tensor::from_vec(values, x.shape(), x.device())?)
    }
}

/// Law of the end of a chain of affine steps under an affine control, by pushing mean and variance forward.
fn affine(chain: &MixtureChain, control: Option<&dyn Control>) -> Normal {
    let states = Tensor::new(&[[0.0_f64], [1.0]], chain.device()).unwrap();
    let (mut mean, mut variance) = (0.0, 1.0);
    for k in 0..chain.steps() {
        let step = chain.advance(k, &states, &mut Memory::default()).unwrap();
        let mut means = column(&step.mean).unwrap();
        if let Some(control) = control {
            let u = column(&control.control(k, &states, &step, &mut Memory::default()).unwrap()).unwrap();
            means.iter_mut().zip(u).for_each(|(mean, u)| *mean += step.std * u);
        }
        let slope = means[1] - means[0];
        (mean, variance) = (means[0] + slope * mean, slope * slope * variance + step.std * step.std);
    }
    Normal { mean, variance }
}

#[test]
fn the_variance_preserving_chain_has_the_published_numbers() {
    for (fixture, steps, base, tuned, log_z) in [
        (Fixture::A, 50, (0.506_696_030_6, 0.659_155_929_2), (1.803_837_868_8, 0.659_155_929_2), 2.331_703_919_4),
        (Fixture::A, 100, (0.503_355_781_7, 0.649_361_881_3), (1.791_946_582_9, 0.649_361_881_3), 2.305_435_326_1),
        (Fixture::A, 400, (0.500_831_599_7, 0.642_301_968_1), (1.782_960_495_1, 0.642_301_968_1), 2.286_267_135_7),
        (Fixture::B, 50, (0.506_696_030_6, 0.659_155_929_2), (1.596_007_053_4, 0.185_869_700_2), -1.871_916_346_4),
        (Fixture::B, 100, (0.503_355_781_7, 0.649_361_881_3), (1.587_383_841_8, 0.182_540_975_5), -1.885_408_514_2),
        (Fixture::B, 400, (0.500_831_599_7, 0.642_301_968_1), (1.580_839_007_1, 0.180_417_800_6), -1.895_558_224_1),
    ] {
        let problem = MixtureProblem {
            interpolant: Interpolant::Vp,
            noise: Noise::Memoryless,
            ..MixtureProblem::fixture(fixture)
        };
        let chain = MixtureChain::euler(&problem, steps).unwrap();
        let control = Continuous(&problem, 1.0 / steps as f64);
        let (walked, controlled) = (affine(&chain, None), affine(&chain, Some(&control)));
        let (_, got) = Mixture::gaussian(walked.mean, walked.variance).tilted(&problem.reward, problem.alpha);
        for (got, expected) in [
            (walked.mean, base.0),
            (walked.variance, base.1),
            (controlled.mean, tuned.0),
            (controlled.variance, tuned.1),
            (got, log_z),
        ] {
            // ten printed digits
            assert!((got - expected).abs() < 1e-10, "{fixture:?} {steps}: {got} is not {expected}");
        }
        if steps == 50 {
            let lattice = Lattice::new(&chain, &problem.reward, problem.alpha, RANGE).unwrap();
            let outcome = lattice.outcome(&control).unwrap();
            assert!((lattice.tilting().log_z - log_z).abs() < 1e-9, "{fixture:?}");
            assert!((outcome.law.mean - tuned.0).abs() < 1e-9 && (outcome.law.variance - tuned.1).abs() < 1e-9);
        }
    }
}

#[test]
fn two_modes_have_the_published_log_z_and_memoryless_chains_need_no_initial_law() {
    for (interpolant, steps, log_z) in [(Interpolant::Vp, 100, Some(0.537_02)), (Interpolant::Flow, 50, None)] {
        let problem = MixtureProblem { interpolant, noise: Noise::Memoryless, ..MixtureProblem::fixture(Fixture::C) };
        let chain = MixtureChain::euler(&problem, steps).unwrap();
        let got = Lattice::new(&chain, &problem.reward, problem.alpha, RANGE).unwrap().tilting();
        if let Some(log_z) = log_z {
            assert!((got.log_z - log_z).abs() < 5e-6, "{}", got.log_z);
        }
        assert!(
            (got.frozen.mean - got.learned.mean).abs() < 2e-3,
            "{interpolant:?}: {:?} {:?}",
            got.frozen,
            got.learned
        );
    }
}

#[test]
fn a_linear_chain_has_the_same_answers_as_the_riccati_recursion() {
    let problem = LinearQuadratic::default();
    for start in [Start::Joint, Start::Frozen] {
        let chain = LinearChain::euler(&problem, start, 16, 4).unwrap();
        let lattice = Lattice::new(&chain, &problem, problem.alpha, (-9.0, 9.0)).unwrap();
        let gains = best(&problem, &chain);
        let exact = outcome(&problem, &chain, &gains);
        for got in [lattice.best(), lattice.outcome(&Affine::held(&gains).unwrap()).unwrap()] {
            for (got, exact) in [
                (got.law.mean, exact.law.mean),
                (got.law.variance, exact.law.variance),
                (got.reward, exact.reward),
                (got.path_kl, exact.path_kl),
                (got.value, exact.value),
                (got.gap, exact.gap),
            ] {
                assert!((got - exact).abs() < 1e-7, "{start:?}: {got} is not {exact}");
            }
        }
    }
}

#[test]
fn the_best_control_lies_between_any_other_and_the_tilt() {
    let problem = MixtureProblem::fixture(Fixture::C);
    let chain = MixtureChain::euler(&problem, 32).unwrap();
    let lattice = Lattice::new(&chain, &problem.reward, problem.alpha, RANGE).unwrap();
    let (best, tilting) = (lattice.best(), lattice.tilting());
    assert!(best.value < tilting.frozen_value * problem.alpha && best.gap > 0.0);
    let steps = chain.steps();
    let wrong = |slope: f64| {
        let gains = vec![Gain { slope, offset: 0.15 }; steps];
        lattice.outcome(&Affine::held(&gains).unwrap()).unwrap().value
    };
    assert!(wrong(0.0) < best.value && wrong(0.02) < best.value);
    // the base: nothing is paid, and the reward is its mean
    let base = lattice.outcome(&Affine::held(&vec![Gain::default(); steps]).unwrap()).unwrap();
    assert!(base.path_kl == 0.0 && (base.reward - tilting.base.mean).abs() < 1e-12);
}

#[test]
fn chains_that_do_not_fit_are_refused() {
    let problem = MixtureProblem::fixture(Fixture::A);
    let chain = MixtureChain::euler(&problem, 4).unwrap();
    assert!(Lattice::new(&chain, &problem.reward, 1.0, (-1e6, 1e6)).is_err());
    assert!(MixtureChain::euler(&problem, 0).is_err());
    assert!(MixtureChain::euler(&MixtureProblem { alpha: 0.0, ..problem }, 4).is_err());
}

#[test]
fn the_chains_step_has_the_gradient_of_its_mean() {
    let chain = MixtureChain::euler(&MixtureProblem::fixture(Fixture::C), 4).unwrap();
    for k in [0, 3] {
        let x = crate::nn::check::normal(1, &[5, 1]);
        crate::nn::check::input(&x, |x| Ok(chain.advance(k, x, &mut Memory::default())?.mean));
    }
}
