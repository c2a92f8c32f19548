//! Other shares of noise: on tilts whose law is known, and on letters.

use super::tokens;
use crate::diffusion::{Chain, DiffusionChain, Grid, Lettered as _, Memory, SolverKind, uniform_prior};
use crate::error::Result;
use crate::finetune::analytic::{Continuous, Fixture, Interpolant, Mixture, MixtureProblem, Noise, renoised};
use crate::finetune::{Control, ControlConfig, ControlKind, Renoised, Rollout, TokenControl, roll_out};
use crate::nn::{Params, Pool, check, read};
use crate::random::Seed;
use crate::sequence::Alphabet;
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

fn problem(fixture: Fixture) -> MixtureProblem {
    MixtureProblem { interpolant: Interpolant::Vp, noise: Noise::Memoryless, ..MixtureProblem::fixture(fixture) }
}

/// Ends of the exact control at a share of noise.
fn ends(problem: &MixtureProblem, steps: usize, eta: f64, n: usize) -> Vec<f64> {
    let control = Continuous::new(problem, steps, 1.0).unwrap();
    let chain = renoised(problem, steps, &control, eta).unwrap();
    let pool = Pool::new(2).unwrap();
    let mut ends = roll_out(&chain, None, n, Seed::root(7), &pool, |x| Ok(read(&[x])?.remove(0))).unwrap().ends;
    ends.sort_by(f64::total_cmp);
    ends
}

/// `∫ |F − F*| dx` by sums over a grid of 0.005.
fn wasserstein(law: &Mixture, sorted: &[f64]) -> f64 {
    let (step, mut below, mut exact, mut apart) = (0.005, 0, 0.0, 0.0);
    for i in 0..3000 {
        let x = -7.5 + step * f64::from(i);
        while below < sorted.len() && sorted[below] <= x {
            below += 1;
        }
        exact += step * law.log_density(x).exp();
        apart += step * (below as f64 / sorted.len() as f64 - exact).abs();
    }
    apart
}

#[test]
fn the_tilt_is_reached_at_any_share_of_noise() {
    for (fixture, bound) in [(Fixture::B, 0.03), (Fixture::C, 0.06)] {
        let problem = problem(fixture);
        let law = problem.tilted().0;
        let exact = law.moments();
        for eta in [0.0, 0.5, 1.0, 2.0] {
            let (n, steps) = (2000, 100);
            let ends = ends(&problem, steps, eta, n);
            let mean = ends.iter().sum::<f64>() / n as f64;
            let variance = ends.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1) as f64;
            // three standard errors, and what 100 steps are off by at all the noise: 0.009 in the mean of B, 0.003 in its variance
            let (error, spread) = ((variance / n as f64).sqrt(), (2.0 / n as f64).sqrt() * variance);
            assert!((mean - exact.mean).abs() < 3.0 * error + 0.012, "{fixture:?} {eta}: {mean} {}", exact.mean);
            assert!((variance - exact.variance).abs() < 3.0 * spread + 0.012, "{fixture:?} {eta}: {variance}");
            // 2000 draws of the tilt are 0.012 and 0.028 from it themselves
            let apart = wasserstein(&law, &ends);
            assert!(apart < bound, "{fixture:?} {eta}: {apart}");
        }
    }
}

/// A memoryless chain of two uniform letters, and the weights of a word table that is the exact tilt by `logs`.
fn letters(steps: usize, logs: &[f64]) -> (DiffusionChain, Params) {
    let prior = uniform_prior(&Alphabet::dna(), 2, &Device::Cpu).unwrap().0;
    let chain = DiffusionChain::new(Arc::new(prior), steps, 1, Grid::LogSnr, SolverKind::Ancestral).unwrap();
    let table = Tensor::from_slice(logs, (4, 4), &Device::Cpu).unwrap().to_dtype(chain.dtype()).unwrap();
    (chain, Params::frozen([("weights".to_owned(), table)].into(), &Device::Cpu))
}

fn table<'a>(chain: &'a DiffusionChain, params: &Params) -> TokenControl<'a> {
    let config = ControlConfig { kind: ControlKind::WordTable, ..ControlConfig::default() };
    TokenControl::new(chain, &config, params).unwrap()
}

#[test]
fn words_follow_their_tilt_at_any_share_of_noise() {
    let logs: Vec<f64> = (0..16).map(|word| f64::from(word % 5) * 0.8).collect();
    let total: f64 = logs.iter().map(|log| log.exp()).sum();
    let (chain, params) = letters(64, &logs);
    let control = table(&chain, &params);
    let (pool, n) = (Pool::new(2).unwrap(), 2000);
    for eta in [0.0, 0.5, 1.0, 2.0] {
        let walked = Renoised::of_letters(&chain, &control, eta).unwrap();
        let read = |x: &Tensor| -> Result<Vec<Vec<u32>>> { Ok(chain.letters(x)?.to_vec2::<u32>()?) };
        let ends = roll_out(&walked, None, n, Seed::root(4), &pool, read).unwrap().ends;
        let mut counts = [0.0_f64; 16];
        for word in &ends {
            counts[(4 * word[0] + word[1]) as usize] += 1.0;
        }
        let shares = counts.iter().zip(&logs).filter(|(count, _)| **count > 0.0);
        let kl: f64 = shares.map(|(count, log)| count / n as f64 * (count / n as f64 / (log.exp() / total)).ln()).sum();
        // counts of the law itself are 15/2n = 0.00375 from it, with a standard deviation of √(15/2)/n = 0.0014: four of them, and as
        // much as was measured for 32 steps, 0.003 at the most. Uniform letters are 0.61 away
        assert!(kl < 0.013, "{eta}: {kl}");
    }
}

#[test]
fn its_own_noise_leaves_the_walk_alone_and_none_leaves_no_draw() {
    let chain = tokens::chain(DType::F64, 3);
    let params = check::params();
    let config = ControlConfig { kind: ControlKind::Mlp, dim: 8, layers: 1, ..ControlConfig::default() };
    TokenControl::new(&chain, &config, &params).unwrap();
    check::shake(&params);
    let control = TokenControl::new(&chain, &config, &params).unwrap();
    let last = |chain: &dyn Chain, control: Option<&dyn Control>| {
        Rollout::draw(chain, control, 6, 5, Seed::root(2), false).unwrap().last().clone()
    };
    let apart = |a: &Tensor, b: &Tensor| (a - b).unwrap().abs().unwrap().max_all().unwrap().to_scalar::<f64>().unwrap();
    let same = Renoised::of_letters(&chain, &control, 1.0).unwrap();
    // sums of numbers near 1 in another order
    assert!(apart(&last(&same, None), &last(&chain, Some(&control))) < 1e-12);
    let (still, noise) = (Renoised::of_letters(&chain, &control, 0.0).unwrap(), check::normal(3, &[5, 3, 2]));
    let (mut x, mut memory) = (noise, Memory::default());
    let (mut own, mut beliefs) = (Memory::default(), Memory::default());
    for k in 0..3 {
        // DDIM of the tuned estimate: the beliefs that the control puts in the place of the prior's
        let base = chain.advance(k, &x, &mut own).unwrap();
        let tilted = control.beliefs(k, &x, &base, &mut beliefs).unwrap().unwrap();
        let c = chain.walked_at(0.0).unwrap().coefficients(k);
        let estimate = chain.prior().codec().relax(&tilted).unwrap();
        let expected = ((&x * c.keep).unwrap() + (estimate * c.predict).unwrap()).unwrap();
        let step = still.advance(k, &x, &mut memory).unwrap();
        assert!(step.std == 0.0 && apart(&step.mean, &expected) < 1e-12);
        x = step.mean;
    }
}

#[test]
fn chains_that_remember_their_start_are_refused() {
    let (chain, params) = letters(8, &[0.0; 16]);
    let less = chain.clone().with_eta(0.5).unwrap();
    let refused = |chain: &DiffusionChain, eta: f64| {
        let control = table(chain, &params);
        Renoised::of_letters(chain, &control, eta).err().unwrap().to_string()
    };
    assert!(refused(&less, 0.0).contains("trained on a chain of eta 0.5, which remembers its start"));
    assert!(
        refused(&chain, -0.1).contains("0 to 2 is accepted") && refused(&chain, 2.1).contains("0 to 2 is accepted")
    );
    let problem = MixtureProblem::fixture(Fixture::A);
    let vp = MixtureProblem { interpolant: Interpolant::Vp, noise: Noise::Memoryless, ..problem.clone() };
    let control = Continuous::new(&vp, 10, 1.0).unwrap();
    assert!(renoised(&problem, 10, &control, 0.5).err().unwrap().to_string().contains("Constant"));
    assert!(renoised(&vp, 10, &control, 3.0).err().unwrap().to_string().contains("0 to 2 is accepted"));
    assert!(renoised(&vp, 10, &control, 0.0).is_ok());
}
