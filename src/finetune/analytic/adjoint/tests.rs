//! Lean adjoints and their fixed points against closed forms.

use super::*;
use crate::diffusion::{Chain, Memory, Move};
use crate::error::Result;
use crate::finetune::Terminal as _;
use crate::finetune::analytic::{
    Affine, Fixture, Gain, Interpolant, Lattice, MixtureChain, MixtureProblem, Noise, Quadratic,
};
use crate::finetune::initial::StateControl;
use crate::finetune::{Alignment, QuantileClip};
use crate::nn::{Params, Pool, Training as _, read};
use crate::random::Seed;
use candle_core::{DType, Device, Tensor};

mod gradient;
mod sampled;

const RANGE: (f64, f64) = (-8.0, 9.0);

fn vp(fixture: Fixture) -> MixtureProblem {
    MixtureProblem { interpolant: Interpolant::Vp, noise: Noise::Memoryless, ..MixtureProblem::fixture(fixture) }
}

fn column(tensor: &Tensor) -> Vec<f64> {
    read(&[tensor]).unwrap().remove(0)
}

fn states(values: &[f64]) -> Tensor {
    Tensor::from_vec(values.to_vec(), (values.len(), 1), &Device::Cpu).unwrap()
}

/// Lean adjoints of the chain along one state held still: right where the base's drift is affine.
fn still(problem: &MixtureProblem, chain: &MixtureChain) -> Vec<f64> {
    let path = vec![states(&[0.3]); chain.steps() + 1];
    let adjoints = lean_adjoints(chain, &problem.reward, problem.alpha, &path).unwrap();
    adjoints.iter().map(|adjoint| column(adjoint)[0]).collect()
}

#[test]
fn multipliers_are_the_published_ones() {
    for (interpolant, expected) in [
        (Interpolant::Vp, [0.037_591_213_9, 0.185_229_217_8, 0.570_738_996_7, 0.894_533_563_4]),
        (Interpolant::Flow, [0.265_560_166_0, 0.780_487_804_9, 1.136_094_674_6, 1.090_083_270_2]),
    ] {
        for (tau, expected) in [0.25, 0.5, 0.75, 0.9].into_iter().zip(expected) {
            let got = lean_multiplier(interpolant, 0.8, tau);
            // ten printed digits, of which the last is off by three in one
            assert!((got - expected).abs() < 4e-10, "{interpolant:?} {tau}: {got}");
        }
    }
    let problem = vp(Fixture::A);
    let adjoints = still(&problem, &MixtureChain::euler(&problem, 100).unwrap());
    for (k, expected) in [
        (0, 0.003_299_406_7),
        (25, 0.033_124_686_1),
        (50, 0.174_281_771_1),
        (75, 0.556_017_826_9),
        (90, 0.885_166_042_3),
        (100, 1.0),
    ] {
        // R = 2x
        assert!((adjoints[k] + 2.0 * expected).abs() < 2e-10, "{k}: {}", adjoints[k]);
    }
}

#[test]
fn the_fixed_points_of_both_alignments_are_the_published_ones() {
    let problem = vp(Fixture::A);
    for (steps, after, before) in [(100, 1.802_057_772_2, 1.758_255_079_0), (50, 1.824_995_208_8, 1.736_216_945_2)] {
        let chain = MixtureChain::euler(&problem, steps).unwrap();
        let adjoints = still(&problem, &chain);
        for (shift, expected) in [(1, after), (0, before)] {
            // the adjoint does not depend on the state, so that the control is −s ã and the chain stays affine
            let mean = (0..steps).fold(0.0, |mean, k| {
                let step = chain.advance(k, &states(&[mean]), &mut Memory::default()).unwrap();
                column(&step.mean)[0] - step.std * step.std * adjoints[k + shift]
            });
            assert!((mean - expected).abs() < 1e-10, "{steps} {shift}: {mean}");
        }
    }
}

#[test]
fn a_base_of_two_modes_has_the_slopes_of_its_own_steps() {
    let problem = vp(Fixture::C);
    let chain = MixtureChain::euler(&problem, 6).unwrap();
    let path: Vec<Tensor> = (0..=6).map(|k| states(&[0.1 * f64::from(k) - 0.4, 0.8 - 0.2 * f64::from(k)])).collect();
    let adjoints = lean_adjoints(&chain, &problem.reward, problem.alpha, &path).unwrap();
    let mut expected = vec![-1.0; 2];
    for k in (0..6).rev() {
        let (h, x) = (1e-5, column(&path[k]));
        let at = |off: f64| {
            let x: Vec<f64> = x.iter().map(|x| x + off).collect();
            column(&chain.advance(k, &states(&x), &mut Memory::default()).unwrap().mean)
        };
        for (row, expected) in expected.iter_mut().enumerate() {
            *expected *= (at(h)[row] - at(-h)[row]) / (2.0 * h);
        }
        for (got, expected) in column(&adjoints[k]).iter().zip(&expected) {
            // central differences of h = 1e-5
            assert!((got - expected).abs() < 1e-7, "{k}: {got} {expected}");
        }
    }
}

/// A chain whose noise grows with the state.
struct Growing;

impl Chain for Growing {
    fn steps(&self) -> usize {
        3
    }

    fn shape(&self) -> Vec<usize> {
        vec![1]
    }

    fn dtype(&self) -> DType {
        DType::F64
    }

    fn device(&self) -> &Device {
        &Device::Cpu
    }

    fn start(&self, noise: &Tensor) -> Result<Tensor> {
        Ok(noise.clone())
    }

    fn advance(&self, _: usize, x: &Tensor, _: &mut Memory) -> Result<Move> {
        Ok(Move { mean: x.clone(), std: 1.0 + 0.1 * column(x)[0].abs(), belief: None })
    }
}

#[test]
fn noise_that_depends_on_the_state_and_paths_that_do_not_fit_are_refused() {
    let (reward, pool) = (Quadratic { slope: 1.0, ..Quadratic::default() }, Pool::new(1).unwrap());
    let form = || StateControl::form(vec![1], 3, 4);
    let started = MatchingTraining::new(MatchingConfig::default(), &Growing, &reward, form(), Seed::root(1), &pool);
    let said = started.err().unwrap().to_string();
    assert!(said.contains("the noise of step 0 is 1 at the state 0 and 1.2 at another"), "{said}");
    let problem = vp(Fixture::A);
    let chain = MixtureChain::euler(&problem, 3).unwrap();
    assert!(lean_adjoints(&chain, &reward, 1.0, &[states(&[0.0])]).is_err());
    for wrong in [
        MatchingConfig { alpha: 0.0, ..MatchingConfig::default() },
        MatchingConfig { batch: 0, ..MatchingConfig::default() },
        MatchingConfig { clip: Some(QuantileClip { quantile: 2.0, decay: 0.9 }), ..MatchingConfig::default() },
    ] {
        assert!(MatchingTraining::new(wrong, &chain, &reward, form(), Seed::root(1), &pool).is_err());
    }
}

fn affine<'a>(steps: usize) -> crate::finetune::initial::Form<'a> {
    Box::new(move |params: &Params| Ok(Box::new(Affine::new(params, steps)?)))
}

fn trained(run: &mut MatchingTraining<'_>) -> f64 {
    let mut clipped = 0.0;
    while run.done() < run.total() {
        let figures = run.step().unwrap();
        clipped += figures.iter().find(|(name, _)| *name == "clipped").unwrap().1 / run.total() as f64;
    }
    clipped
}

#[test]
fn training_from_zero_ends_in_the_best_control_of_the_chain() {
    let pool = Pool::new(1).unwrap();
    let problem = vp(Fixture::B);
    let chain = MixtureChain::euler(&problem, 16).unwrap();
    let lattice = Lattice::new(&chain, &problem.reward, problem.alpha, RANGE).unwrap();
    let best = lattice.best();
    let config = MatchingConfig { updates: 120, batch: 128, learning_rate: 0.1, ..MatchingConfig::default() };
    for (alignment, near) in [(Alignment::Exact, true), (Alignment::Released, false)] {
        let config = MatchingConfig { alignment, ..config };
        let mut run = MatchingTraining::new(config, &chain, &problem.reward, affine(16), Seed::root(4), &pool).unwrap();
        assert_eq!(trained(&mut run), 0.0);
        let got = lattice.outcome(run.control().unwrap().as_ref()).unwrap();
        // the optimiser's noise at batch 128; 16 steps are so few that the other alignment is far off
        let gap = got.gap - best.gap;
        assert_eq!(gap < 0.02, near, "{alignment:?}: {gap} {got:?} {best:?}");
    }
}

#[test]
fn a_run_goes_on_with_the_same_bytes_on_any_number_of_threads_and_says_what_it_clips() {
    let problem = vp(Fixture::C);
    let chain = MixtureChain::euler(&problem, 6).unwrap();
    let clip = Some(QuantileClip::default());
    let config = MatchingConfig { clip, updates: 12, batch: 96, shard: 32, ..MatchingConfig::default() };
    let run = |pool| {
        let form = StateControl::form(vec![1], 6, 8);
        MatchingTraining::new(config, &chain, &problem.reward, form, Seed::root(2), pool).unwrap()
    };
    let (one, two) = (Pool::new(1).unwrap(), Pool::new(2).unwrap());
    let (mut whole, mut first) = (run(&one), run(&two));
    let clipped = trained(&mut whole);
    // a tenth by the level of earlier batches, which fluctuates: nothing at the first of 12 steps
    assert!((0.02..0.25).contains(&clipped), "{clipped}");
    for _ in 0..5 {
        first.step().unwrap();
    }
    let mut rest = run(&two);
    rest.restore(5, &first.state().unwrap()).unwrap();
    trained(&mut rest);
    for (name, weights) in whole.weights() {
        assert_eq!(column(&weights), column(&rest.weights()[&name]), "{name}");
    }
}

/// W₁ between the end under a network trained from zero and the tilted law, and that of the chain's best control.
fn distances(fixture: Fixture, steps: usize, config: MatchingConfig) -> (f64, f64) {
    let problem = vp(fixture);
    problem.check_memoryless().unwrap();
    let config = MatchingConfig { alpha: problem.alpha, ..config };
    let chain = MixtureChain::euler(&problem, steps).unwrap();
    let pool = Pool::new(2).unwrap();
    let form = StateControl::form(vec![1], steps, 32);
    let mut run = MatchingTraining::new(config, &chain, &problem.reward, form, Seed::root(8), &pool).unwrap();
    trained(&mut run);
    let lattice = Lattice::new(&chain, &problem.reward, problem.alpha, RANGE).unwrap();
    let target = problem.tilted().0;
    let apart = |law: &[f64]| lattice.transport(law, |x| target.log_density(x).exp());
    (apart(&lattice.law(run.control().unwrap().as_ref()).unwrap()), apart(&lattice.tilting().base_density))
}

#[test]
#[ignore = "minutes: networks on the two fixtures at 50 steps"]
fn networks_trained_from_zero_reach_the_tilt() {
    for fixture in [Fixture::B, Fixture::C] {
        let (got, base) = distances(fixture, 50, MatchingConfig::default());
        assert!(got < 0.06 && base > 1.0, "{fixture:?}: {got} from {base}");
    }
}

#[test]
fn a_network_on_few_steps_comes_most_of_the_way() {
    let config = MatchingConfig { updates: 60, batch: 128, learning_rate: 0.02, ema: 0.9, ..MatchingConfig::default() };
    let (got, base) = distances(Fixture::C, 12, config);
    // the base is 2.04 away; what is left at 12 steps is mostly their discretisation
    assert!(got < 0.4 && base > 1.5, "{got} from {base}");
}

#[test]
fn a_frozen_start_that_is_remembered_stays_short() {
    // σ = 1 on the flow: the fixed point of matching is the biased mean 1.600, not 1.78
    let problem = MixtureProblem::fixture(Fixture::A);
    assert!(problem.check_memoryless().is_err());
    let chain = MixtureChain::euler(&problem, 400).unwrap();
    let adjoints = still(&problem, &chain);
    let mean = (0..400).fold(0.0, |mean, k| {
        let step = chain.advance(k, &states(&[mean]), &mut Memory::default()).unwrap();
        column(&step.mean)[0] - step.std * step.std * adjoints[k + 1]
    });
    assert!((mean - 1.600).abs() < 0.01, "{mean}");
}

#[test]
fn held_gains_have_the_loss_that_they_should() {
    // u = −s ã exactly: nothing is left to match on fixture A
    let problem = vp(Fixture::A);
    let chain = MixtureChain::euler(&problem, 10).unwrap();
    let adjoints = still(&problem, &chain);
    let gains: Vec<Gain> = (0..10)
        .map(|k| {
            let std = chain.advance(k, &states(&[0.0]), &mut Memory::default()).unwrap().std;
            Gain { slope: 0.0, offset: -std * adjoints[k + 1] }
        })
        .collect();
    let control = Affine::held(&gains).unwrap();
    let steps: Vec<usize> = (0..10).collect();
    let matching = Matching {
        chain: &chain,
        terminal: &problem.reward,
        alpha: problem.alpha,
        alignment: Alignment::Exact,
        steps: &steps,
        level: None,
    };
    let got = matching.gradient(&control, &control, &[], 4, 4, Seed::root(3)).unwrap();
    assert!(column(&got.roots).into_iter().all(|root| root < 1e-12));
    let kl: f64 = gains.iter().map(|gain| 0.5 * gain.offset * gain.offset).sum();
    assert!(column(&got.cost).into_iter().all(|cost| (cost - kl).abs() < 1e-12));
    let rewards = problem.reward.reward(10, &states(&[1.0])).unwrap();
    assert_eq!(column(&rewards), [1.0]);
}
