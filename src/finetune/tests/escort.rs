//! Works and residuals of a control that is read as tilt and escort.

use super::fixture::{Shift, Trial, flat, mean};
use crate::diffusion::{
    DenoiserConfig, DiffusionChain, Embedding, Grid, Memory, Move, Noised as _, Prior, PriorConfig, SolverKind,
};
use crate::error::Result;
use crate::finetune::analytic::{EscortLoss, LinearChain, LinearStep, Ramp};
use crate::finetune::potential::Potential;
use crate::finetune::residual::Residual;
use crate::finetune::reversal::Reversal;
use crate::finetune::{
    Control, ControlConfig, ControlKind, ControlStart, EscortConfig, FinetuneConfig, Finetuning, SequenceTerminal,
    Terminal, Trace, Undecoded,
};
use crate::nn::{Init, Mlp, Params, Pool, check, read};
use crate::random::Seed;
use crate::reward::Multilinear;
use crate::sequence::Alphabet;
use candle_core::{DType, Device, Tensor};
use ndarray::{Array2, Axis};
use std::sync::Arc;

const STEPS: usize = 6;
const KEEP: f64 = 0.6;
const SLOPE: f64 = 0.8;
const ALPHA: f64 = 0.5;

/// Steps that leave N(0, 1) as it is, and are their own reversal.
fn chain() -> LinearChain {
    let step = LinearStep { keep: KEEP, std: (1.0 - KEEP * KEEP).sqrt() };
    LinearChain::new(1.0, vec![step; STEPS]).unwrap()
}

/// `r = a x`, with its exact soft value.
struct Line;

impl Terminal for Line {
    fn reward(&self, _: usize, x: &Tensor) -> Result<Tensor> {
        Ok((x.sum(1)? * SLOPE)?)
    }

    fn value(&self, k: usize, x: &Tensor, alpha: Option<f64>) -> Result<Tensor> {
        let carry = KEEP.powf((STEPS - k) as f64);
        let spread = alpha.map_or(0.0, |alpha| 0.5 * SLOPE * SLOPE * (1.0 - carry * carry) / alpha);
        Ok((self.reward(k, x)? * carry)?.affine(1.0, spread)?)
    }
}

/// ∂V/∂x after `k` steps.
fn value_slope(k: usize) -> f64 {
    SLOPE / ALPHA * KEEP.powf((STEPS - k) as f64)
}

fn log_z() -> f64 {
    0.5 * (SLOPE / ALPHA).powi(2)
}

fn potential(terminal: &dyn Terminal, ramp: Ramp) -> Potential<'_> {
    Potential { terminal, alpha: ALPHA, ramp, steps: STEPS }
}

fn shift(pushes: &[f64]) -> Shift {
    let held = Tensor::from_slice(pushes, pushes.len(), &Device::Cpu).unwrap();
    Shift::new(&Params::frozen([("shift".to_owned(), held)].into(), &Device::Cpu), pushes.len())
}

/// `u* = std ∂V_{k+1}`.
fn best() -> Vec<f64> {
    let std = (1.0 - KEEP * KEEP).sqrt();
    (1..=STEPS).map(|k| std * value_slope(k)).collect()
}

/// Works and initial states of paths under a control, which `drawn_by` drew.
fn works(drawn_by: Option<&dyn Control>, control: &dyn Control, ramp: Ramp, rows: usize) -> Vec<(f64, f64)> {
    let (chain, draws) = (chain(), [(Seed::root(5), rows)]);
    let trace = Trace::draw(&chain, drawn_by, &Undecoded(&Line), STEPS, &draws).unwrap();
    let reversal = Reversal::of(&trace, &chain, &potential(&Line, ramp)).unwrap();
    let works = reversal.under(control).unwrap() - trace.under(control).unwrap();
    let starts = read(&[&trace.blocks().next().unwrap()[0].x]).unwrap().remove(0);
    let works = works.sum_axis(Axis(0));
    works.iter().zip(&trace.values).zip(starts).map(|((a, r), x)| (r / ALPHA + a, x)).collect()
}

#[test]
fn along_the_value_the_reversal_is_the_noising_and_the_works_are_those_of_control() {
    let (chain, control) = (chain(), shift(&best()));
    for drawn_by in [None, Some(&control as &dyn Control)] {
        let trace = Trace::draw(&chain, drawn_by, &Undecoded(&Line), STEPS, &[(Seed::root(5), 64)]).unwrap();
        let reversal = Reversal::of(&trace, &chain, &potential(&Line, Ramp::Value)).unwrap();
        // b = 0: the residual is that of log-variance; products of numbers of the order of 1
        assert!(reversal.under(&control).unwrap().iter().all(|ell| ell.abs() < 1e-13));
        // and A is log Z on every path, up to what is remembered of its start
        for (a, x) in works(drawn_by, &control, Ramp::Value, 64) {
            assert!((a - value_slope(0) * x + 0.5 * value_slope(0).powi(2) - log_z()).abs() < 1e-12, "{a} {x}");
        }
    }
    // with the slope counted twice it is not
    let off = Potential { alpha: 0.5 * ALPHA, ..potential(&Line, Ramp::Value) };
    let trace = Trace::draw(&chain, None, &Undecoded(&Line), STEPS, &[(Seed::root(5), 64)]).unwrap();
    let reversal = Reversal::of(&trace, &chain, &off).unwrap();
    assert!(reversal.under(&control).unwrap().iter().any(|ell| ell.abs() > 0.01));
}

/// The control whose walk is the law of the reversal under the tilt that grows along a line, and the mean of that law's first state.
///
/// ```text
/// μ_K = a/α,   μ_k = keep μ_{k+1} + std b_k,   std u_k = μ_{k+1} − keep μ_k,   b_k = std (∂φ_{k+1} − lift u_{k+1}),  b_{K−1} = 0
/// ```
fn along_a_line() -> (Vec<f64>, f64) {
    let (chain, std) = (chain(), (1.0 - KEEP * KEEP).sqrt());
    let (mut pushes, mut ahead, mut b) = (Vec::new(), SLOPE / ALPHA, 0.0);
    for k in (0..STEPS).rev() {
        let here = KEEP * ahead + std * b;
        let u = (ahead - KEEP * here) / std;
        let slope = k as f64 / STEPS as f64 * value_slope(k);
        b = std * (slope - chain.noising(k).lift * u);
        pushes.push(u);
        ahead = here;
    }
    pushes.reverse();
    (pushes, ahead)
}

#[test]
fn another_tilt_on_the_way_has_its_own_control_the_same_end_and_a_higher_price() {
    let (pushes, first) = along_a_line();
    let control = shift(&pushes);
    for drawn_by in [None, Some(&control as &dyn Control)] {
        for (a, x) in works(drawn_by, &control, Ramp::Line, 64) {
            // sums of 11 products of the order of 1
            assert!((a - first * x + 0.5 * first * first - log_z()).abs() < 1e-12, "{a} {x}");
        }
    }
    // the walk ends in the tilted law, when it begins in the reversal's
    let std = (1.0 - KEEP * KEEP).sqrt();
    let end = pushes.iter().fold(first, |x, u| KEEP * x + std * u);
    assert!((end - SLOPE / ALPHA).abs() < 1e-12, "{end}");
    let price = |pushes: &[f64]| 0.5 * pushes.iter().map(|u| u * u).sum::<f64>();
    assert!(price(&pushes) > 1.03 * price(&best()), "{} {}", price(&pushes), price(&best()));
}

/// A push that bends with the state.
struct Waves;

impl Control for Waves {
    fn control(&self, k: usize, x: &Tensor, _: &Move, _: &mut Memory) -> Result<Tensor> {
        Ok((((x * 1.5)? + 0.4 * k as f64)?.sin()? * 0.3)?.affine(1.0, 0.3)?)
    }
}

#[test]
fn works_have_the_mean_z_whatever_the_control_where_the_base_is_what_the_noising_undoes() {
    for ramp in [Ramp::Value, Ramp::Line] {
        let weights: Vec<f64> =
            works(Some(&Waves), &Waves, ramp, 40_000).into_iter().map(|(a, _)| (a - log_z()).exp()).collect();
        let (one, se) = mean(&weights);
        assert!((one - 1.0).abs() < 4.0 * se && se < 0.03, "{ramp:?}: {one} ± {se}");
    }
}

#[test]
fn the_reversals_gradient_is_the_slope_of_its_densities() {
    struct Learned(Mlp);
    impl Control for Learned {
        fn control(&self, _: usize, x: &Tensor, _: &Move, _: &mut Memory) -> Result<Tensor> {
            self.0.forward(x)
        }
    }
    let params = check::params();
    let network = || Learned(Mlp::zero_last(&params, &[1, 3, 1]).unwrap());
    network();
    check::shake(&params);
    let chain = chain();
    let trace = Trace::draw(&chain, Some(&Waves), &Undecoded(&Line), STEPS, &[(Seed::root(7), 3)]).unwrap();
    let reversal = Reversal::of(&trace, &chain, &potential(&Line, Ramp::Line)).unwrap();
    let mut rng = Seed::root(8).rng();
    let weights = Array2::from_shape_fn((STEPS, 3), |_| rng.normal());
    let got = flat(&reversal.gradient(&network(), &params.vars(), &weights).unwrap().unwrap());
    let mut index = 0;
    for (_, var) in params.vars() {
        let values = var.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for i in 0..values.len() {
            let moved = |h: f64| {
                let mut moved = values.clone();
                moved[i] += h;
                var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap()).unwrap();
                (reversal.under(&network()).unwrap() * &weights).sum()
            };
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            moved(0.0);
            // h² times a third derivative of the order of 10
            assert!((got[index] - slope).abs() < 1e-7 * (1.0 + slope.abs()), "{index}: {} {slope}", got[index]);
            index += 1;
        }
    }
}

/// The pushes that training from zero ends in.
fn trained(objective: &str, escort: EscortConfig, rate: f64, steps: u64) -> Vec<f64> {
    let chain = chain();
    let config = FinetuneConfig {
        objective: objective.to_owned(),
        alpha: ALPHA,
        batch: 64,
        shard: 32,
        reuse: 1,
        escort,
        ..FinetuneConfig::default()
    };
    let params = check::params();
    params.get("shift", STEPS, Init::Zeros).unwrap();
    let control = |params: &Params| -> Box<dyn Control> { Box::new(Shift::new(params, STEPS)) };
    Trial::new(&chain, &Line, config).descend(&params, &control, rate, steps);
    params.vars()[0].1.to_vec1::<f64>().unwrap()
}

#[test]
fn training_from_zero_ends_in_the_control_of_its_tilt() {
    let value = EscortConfig { share: 1.0, ..EscortConfig::default() };
    let line = EscortConfig { ramp: Ramp::Line, ..value };
    let balance = EscortConfig { loss: EscortLoss::TrajectoryBalance, ..value };
    let cases = [
        ("cmcd", value, best(), 0.06, 200),
        ("cmcd", balance, best(), 0.06, 200),
        ("cmcd", line, along_a_line().0, 0.06, 200),
        ("nets", value, best(), 0.02, 120),
    ];
    for (objective, escort, expected, rate, steps) in cases {
        let got = trained(objective, escort, rate, steps);
        for (got, expected) in got.iter().zip(&expected) {
            // the start is remembered by 0.6⁶ = 0.05 of itself, which keeps the loss and its noise from vanishing
            assert!((got - expected).abs() < 0.05, "{objective} {escort:?}: {got} {expected}");
        }
    }
}

/// `R_k` less its constant, from derivatives by hand of [`Waves`].
#[test]
fn the_residual_is_that_of_the_equation_and_vanishes_along_the_value() {
    let chain = chain();
    let x = check::normal(4, &[9, 1]);
    let probes = Tensor::ones((2, 9, 1), DType::F64, &Device::Cpu).unwrap();
    let residual =
        |ramp: Ramp| Residual { chain: &chain, noised: &chain, potential: potential(&Line, ramp), probe: 1e-3 };
    for k in 0..STEPS {
        let [one, other] = residual(Ramp::Value).at(k, &x, &probes, &shift(&best())).unwrap();
        assert!(check::distance(&one, &other) == 0.0);
        let values = read(&[&one]).unwrap().remove(0);
        // f64, with a difference of values of the order of 1
        assert!(values.iter().all(|r| (r - values[0]).abs() < 1e-12), "{k}: {values:?}");
        let step = chain.noising(k);
        let [one, _] = residual(Ramp::Line).at(k, &x, &probes, &Waves).unwrap();
        for (r, x) in read(&[&one]).unwrap().remove(0).iter().zip(read(&[&x]).unwrap().remove(0)) {
            let (here, next) = (k as f64 / STEPS as f64, (k + 1) as f64 / STEPS as f64);
            let slope = here * value_slope(k);
            let value = |k: usize| {
                value_slope(k) * x + 0.5 * (SLOPE / ALPHA).powi(2) * (1.0 - KEEP.powf(2.0 * (STEPS - k) as f64))
            };
            let phase = 1.5 * x + 0.4 * k as f64;
            let w = step.spread * (2.0 * step.lift * (0.3 * phase.sin() + 0.3) - slope);
            let w_slope = step.spread * 2.0 * step.lift * 0.45 * phase.cos();
            let expected = next * value(k + 1) - here * value(k) + w_slope + w * (slope - x);
            // δ² times a third derivative of the order of 1
            assert!((r - expected).abs() < 1e-5, "{k}: {r} {expected}");
        }
    }
}

/// Paths on letters.
const ROWS: usize = 24;

/// Letters that are independent given the state, in `steps` steps.
fn letters(steps: usize) -> DiffusionChain {
    let mut config = PriorConfig::new(&Alphabet::custom("two", "AB").unwrap(), 3);
    config.embedding = Embedding::Simplex;
    config.embedding_dim = 2;
    config.denoiser = DenoiserConfig { dim: 8, layers: 1, heads: 2 };
    let params = check::params();
    // an untrained denoiser has no context
    Prior::new(&config, &params).unwrap();
    let prior = Prior::new(&config, &Params::frozen(params.snapshot().unwrap(), &Device::Cpu)).unwrap();
    DiffusionChain::new(Arc::new(prior), steps, 2, Grid::LogSnr, SolverKind::Ancestral).unwrap()
}

#[test]
fn on_letters_the_tilt_of_beliefs_has_no_reversal_of_its_own_and_less_residual_the_finer_the_steps() {
    let reward = Multilinear::new("case", &[0.3, -0.5, 0.9, 0.1, -0.8, 0.6, 0.2, -0.1], 2, 3).unwrap();
    let mut spreads = Vec::new();
    for steps in [8, 32] {
        let chain = letters(steps);
        let terminal = SequenceTerminal::new(&chain, &reward);
        let config = FinetuneConfig {
            alpha: ALPHA,
            control: ControlConfig {
                kind: ControlKind::WordTable,
                start: ControlStart::Tilt,
                ..ControlConfig::default()
            },
            ..FinetuneConfig::default()
        };
        let run = Finetuning::new(config, &chain, &terminal, Seed::root(1), Pool::inline()).unwrap();
        let tilt = run.control().unwrap();
        let zero = shift(&vec![0.0; steps]);
        let trace = Trace::draw(&chain, Some(&tilt), &terminal, steps, &[(Seed::root(2), ROWS)]).unwrap();
        let potential = Potential { terminal: &terminal, alpha: ALPHA, ramp: Ramp::Value, steps };
        let reversal = Reversal::of(&trace, &chain, &potential).unwrap();
        // slopes of the order of 1 in f64
        assert!(reversal.under(&tilt).unwrap().iter().all(|ell| ell.abs() < 1e-11));
        let residual = Residual { chain: &chain, noised: &chain, potential, probe: 0.02 };
        // probes √6 e_i: their mean is the whole divergence
        let axes: Vec<f64> =
            (0..6).flat_map(|i| (0..ROWS * 6).map(move |j| if j % 6 == i { 6_f64.sqrt() } else { 0.0 })).collect();
        let axes = Tensor::from_vec(axes, (6, ROWS, 3, 2), &Device::Cpu).unwrap();
        let spread = |control: &dyn Control| -> f64 {
            let mut total = 0.0;
            for kept in trace.blocks().flatten() {
                let mut rows = vec![0.0; ROWS];
                for pair in 0..3 {
                    let both = residual.at(kept.k, &kept.x, &axes.narrow(0, 2 * pair, 2).unwrap(), control).unwrap();
                    for part in read(&both.each_ref()).unwrap() {
                        rows.iter_mut().zip(part).for_each(|(sum, r)| *sum += r / 6.0);
                    }
                }
                let centre = mean(&rows).0;
                total += rows.iter().map(|r| (r - centre).powi(2)).sum::<f64>() / ROWS as f64;
            }
            total * steps as f64
        };
        spreads.push((spread(&tilt), spread(&zero)));
    }
    // without a control it is what the tilt is worth; with it the square of a step's error, which is of the order of 1/K²
    let [(coarse, none), (fine, still)] = spreads[..] else { panic!("two chains") };
    assert!(coarse < 0.1 * none && fine < 0.01 * still && fine < 0.25 * coarse, "{spreads:?}");
}
