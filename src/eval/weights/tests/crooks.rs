//! Crooks's relation between a controlled chain and the exact tilt noised backwards, whose densities are all known.

use super::super::*;
use crate::diffusion::{Chain as _, Memory};
use crate::finetune::Control as _;
use crate::finetune::analytic::{
    Continuous, Fixture, Interpolant, Mixing, Mixture, MixtureChain, MixtureProblem, Noise,
};
use crate::nn::read;
use crate::random::{Rng, Seed};
use candle_core::{Device, Tensor};

const STEPS: usize = 100;

fn log_normal(x: f64, mean: f64, variance: f64) -> f64 {
    -0.5 * ((x - mean).powi(2) / variance + (std::f64::consts::TAU * variance).ln())
}

/// A chain under a share of the best control, forwards, and the noising of the process, backwards.
struct Both {
    problem: MixtureProblem,
    chain: MixtureChain,
    control: Continuous,
}

impl Both {
    fn new(fixture: Fixture, share: f64) -> Self {
        let problem = MixtureProblem {
            interpolant: Interpolant::Vp,
            noise: Noise::Memoryless,
            ..MixtureProblem::fixture(fixture)
        };
        let chain = MixtureChain::euler(&problem, STEPS).unwrap();
        let control = Continuous::new(&problem, STEPS, share).unwrap();
        Self { problem, chain, control }
    }

    /// Means and noise of the controlled step from some states.
    fn step(&self, k: usize, x: &[f64]) -> (Vec<f64>, f64) {
        let states = Tensor::from_slice(x, (x.len(), 1), &Device::Cpu).unwrap();
        let base = self.chain.advance(k, &states, &mut Memory::default()).unwrap();
        let u = self.control.control(k, &states, &base, &mut Memory::default()).unwrap();
        let columns = read(&[&base.mean, &u]).unwrap();
        (columns[0].iter().zip(&columns[1]).map(|(mean, u)| mean + base.std * u).collect(), base.std)
    }

    /// Factor and variance of the noising from step k + 1 back to step k.
    fn noising(&self, k: usize) -> (f64, f64) {
        let at = |k: usize| -> Mixing { self.problem.interpolant.at(k as f64 / STEPS as f64) };
        let (early, late) = (at(k), at(k + 1));
        let keep = early.signal / late.signal;
        (keep, early.noise.powi(2) - (keep * late.noise).powi(2))
    }

    fn forward(&self, n: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
        let mut states: Vec<Vec<f64>> = vec![(0..n).map(|_| rng.normal()).collect()];
        for k in 0..STEPS {
            let (means, std) = self.step(k, &states[k]);
            states.push(means.into_iter().map(|mean| mean + std * rng.normal()).collect());
        }
        states
    }

    fn backward(&self, n: usize, rng: &mut Rng) -> Vec<Vec<f64>> {
        let tilted: Mixture = self.problem.tilted().0;
        let weights: Vec<f64> = tilted.parts().iter().map(|(weight, _)| *weight).collect();
        let end = |rng: &mut Rng| {
            let law = tilted.parts()[rng.weighted(&weights)].1;
            law.mean + law.variance.sqrt() * rng.normal()
        };
        let mut states: Vec<Vec<f64>> = vec![(0..n).map(|_| end(rng)).collect()];
        for k in (0..STEPS).rev() {
            let (keep, variance) = self.noising(k);
            let last = &states[STEPS - 1 - k];
            states.push(last.iter().map(|x| keep * x + variance.sqrt() * rng.normal()).collect());
        }
        states.reverse();
        states
    }

    /// `W = log p(x_K) e^{r/α} Π B(x_k|x_{k+1}) − log p_0(x_0) Π F_u(x_{k+1}|x_k)`.
    fn works(&self, states: &[Vec<f64>]) -> Vec<f64> {
        let (start, end) = (&states[0], &states[STEPS]);
        let gain = |x: f64| self.problem.reward.at(x) / self.problem.alpha;
        let ends = start.iter().zip(end);
        let mut works: Vec<f64> = ends
            .map(|(start, end)| self.problem.base.log_density(*end) + gain(*end) - log_normal(*start, 0.0, 1.0))
            .collect();
        for k in 0..STEPS {
            let ((means, std), (keep, variance)) = (self.step(k, &states[k]), self.noising(k));
            for (i, work) in works.iter_mut().enumerate() {
                let (x, next) = (states[k][i], states[k + 1][i]);
                *work += log_normal(x, keep * next, variance) - log_normal(next, means[i], std * std);
            }
        }
        works
    }
}

#[test]
fn both_directions_agree_with_the_z_of_continuous_time() {
    for (fixture, exact) in [(Fixture::A, 2.28), (Fixture::C, 0.530_930_2), (Fixture::B, -1.898_925_2)] {
        let both = Both::new(fixture, 1.0);
        let forward = both.works(&both.forward(2000, &mut Seed::root(1).rng()));
        let reverse = both.works(&both.backward(2000, &mut Seed::root(2).rng()));
        let jarzynski = PathWeights::of(&forward).unwrap();
        let bar = bennett(&Side::plain(&forward), &Side::plain(&reverse)).unwrap();
        // the whole kernels also pay for the steps: ESS/n is 0.64 to 0.70, not 1 as with works of the chain alone
        assert!((0.5..0.95).contains(&jarzynski.ess_share()), "{fixture:?}: {jarzynski:?}");
        for estimate in [jarzynski.log_z, bar] {
            assert!(estimate.z(exact).abs() < 3.0 && estimate.se < 0.03, "{fixture:?}: {estimate}");
        }
        // E_{P*}[e^{−W}] = 1/Z, and E_{P*}[W] bounds log Z from above
        let back: Vec<f64> = reverse.iter().map(|w| -w).collect();
        let back = crate::eval::log_mean_exp(&back).log;
        assert!((back.value + exact).abs() < 3.0 * back.se + 0.02, "{fixture:?}: {back}");
        let (low, high) = (Estimate::mean(&forward), Estimate::mean(&reverse));
        assert!(low.value < exact && exact < high.value, "{fixture:?}: {low} {high}");
    }
}

#[test]
fn a_base_walk_and_the_tilt_meet_in_the_middle() {
    // without control the forward mean of exponentials rests on a few paths; the ratio of both directions does not
    for (fixture, exact) in [(Fixture::A, 2.28), (Fixture::B, -1.898_925_2)] {
        let both = Both::new(fixture, 0.0);
        let forward = both.works(&both.forward(2000, &mut Seed::root(3).rng()));
        let reverse = both.works(&both.backward(2000, &mut Seed::root(4).rng()));
        let bar = bennett(&Side::plain(&forward), &Side::plain(&reverse)).unwrap();
        assert!(bar.z(exact).abs() < 3.0 && bar.se < 0.05, "{fixture:?}: {bar}");
        assert!(bar.se < PathWeights::of(&forward).unwrap().log_z.se, "{fixture:?}");
    }
}
