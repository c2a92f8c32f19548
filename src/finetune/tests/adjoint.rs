//! Adjoint matching against closed forms, differences, published values and back-propagation.

use super::fixture::{Bent, Hills, Network, Shift, Slope, Trial, flat, mean};
use super::soft_q::{Reading, Wired};
use crate::diffusion::{Chain, Memory};
use crate::finetune::analytic::{
    Affine, Fixture, Interpolant, LinearChain, LinearQuadratic, MixtureChain, MixtureProblem, Noise, Start, best,
};
use crate::finetune::objective::{Counts, Drawing, Matched};
use crate::finetune::{
    AdjointConfig, Alignment, BackProp, Batch, Control, Estimator, FinetuneConfig, OBJECTIVES, Problem, Terminal,
};
use crate::nn::{Init, Params, check};
use crate::random::Seed;
use candle_core::{DType, Device, Tensor};
use ndarray::Array2;

const BOTH: [Alignment; 2] = [Alignment::Exact, Alignment::Released];

pub(super) fn config(alpha: f64, alignment: Alignment) -> FinetuneConfig {
    FinetuneConfig {
        objective: "adjoint-matching".to_owned(),
        alpha,
        batch: 5,
        adjoint: AdjointConfig { alignment, ..AdjointConfig::default() },
        ..FinetuneConfig::default()
    }
}

pub(super) fn drawing(steps: usize, alignment: Alignment) -> Drawing {
    Drawing { steps, lookahead: None, keep: 0, alignment }
}

/// Paths of a control and their adjoints.
pub(super) fn matched(
    problem: &Problem<'_>,
    control: &dyn Control,
    drawing: Drawing,
    rows: usize,
    seed: Seed,
) -> Matched {
    Matched::draw(problem, control, drawing, &[(seed, rows)]).unwrap()
}

pub(super) fn network() -> Params {
    let params = check::params();
    Network::new(&params);
    check::shake(&params);
    params
}

pub(super) fn numbers(x: &Tensor) -> Vec<f64> {
    x.flatten_all().unwrap().to_vec1::<f64>().unwrap()
}

/// The end of a path of the base chain whose pushes are held, and which is moved by `shift` where it has come to `at`.
fn end(chain: &dyn Chain, start: &Tensor, pushes: &[Tensor], (at, shift): (usize, &Tensor), to: usize) -> Tensor {
    let (mut x, mut memory) = (start.clone(), Memory::default());
    for (k, push) in pushes[..to].iter().enumerate() {
        if k == at {
            x = (x + shift).unwrap();
        }
        if k % chain.block() == 0 {
            memory = Memory::default();
        }
        x = (chain.advance(k, &x, &mut memory).unwrap().mean + push).unwrap();
    }
    if at == to { (x + shift).unwrap() } else { x }
}

/// `−s ã` of every step of a path by differences of the value at its end, with the adjoint of the state after or before the step.
fn differences(chain: &dyn Chain, alpha: f64, got: &Matched, row: usize, alignment: Alignment) -> Vec<Vec<f64>> {
    let steps = got.targets.len();
    let track = &got.trace.tracks(0, true).unwrap()[row];
    let innovation = |k: usize| track.innovations.as_ref().unwrap().get(k).unwrap().unsqueeze(0).unwrap();
    let start = track.states.get(0).unwrap().unsqueeze(0).unwrap();
    let std = |k: usize| chain.advance(k, &start, &mut Memory::default()).unwrap().std;
    let pushes: Vec<Tensor> = (0..steps).map(|k| (innovation(k) * std(k)).unwrap()).collect();
    let slope = |at: usize, to: usize, i: usize| {
        let value = |h: f64| {
            let shift = Tensor::from_vec((0..2).map(|j| if i == j { h } else { 0.0 }).collect(), (1, 2), &Device::Cpu);
            let x = end(chain, &start, &pushes, (at, &shift.unwrap()), to);
            numbers(&Hills.reward(to, &x).unwrap())[0]
        };
        // central differences of h = 1e-5: error about h² f‴ + 1e-16/h
        (value(1e-5) - value(-1e-5)) / 2e-5
    };
    (0..steps)
        .map(|k| {
            let at = if alignment == Alignment::Exact { k + 1 } else { k };
            (0..2).map(|i| std(k) * slope(at, got.until[k], i) / alpha).collect()
        })
        .collect()
}

#[test]
fn the_lean_adjoint_is_the_slope_of_the_base_chains_end() {
    let params = network();
    let control = Network::new(&params);
    for block in [1, 2, 3] {
        let chain = Bent { block };
        let problem = Problem { chain: &chain, terminal: &Hills, alpha: Some(0.7) };
        for (alignment, lookahead) in [(BOTH[0], None), (BOTH[1], None), (BOTH[0], Some(2)), (BOTH[1], Some(2))] {
            let draw = |keep| {
                let drawing = Drawing { lookahead, keep, ..drawing(6, alignment) };
                matched(&problem, &control, drawing, 3, Seed::root(4))
            };
            let (got, kept) = (draw(0), draw(6));
            let ends = got.until.iter().all(|until| lookahead.is_some() || *until == 6);
            assert!(ends && got.until[5] == 6 && (lookahead.is_none() || got.until[0] < 4), "{:?}", got.until);
            for row in 0..3 {
                let expected = differences(&chain, 0.7, &got, row, alignment);
                for (k, expected) in expected.iter().enumerate() {
                    let target = numbers(&got.targets[k].get(row).unwrap());
                    assert_eq!(target, numbers(&kept.targets[k].get(row).unwrap()));
                    let norm = expected.iter().map(|x| x * x).sum::<f64>().sqrt() / (0.4 + 0.1 * k as f64);
                    assert!((got.norms[[k, row]] - norm).abs() < 1e-7, "block {block} step {k}");
                    for (got, expected) in target.iter().zip(expected) {
                        assert!(
                            (got - expected).abs() < 1e-7 * (1.0 + expected.abs()),
                            "block {block} step {k} {alignment:?}: {got} {expected}"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn the_gradient_is_the_slope_of_the_loss_on_held_paths() {
    let params = network();
    let frozen = Network::new(&Params::frozen(params.snapshot().unwrap(), &Device::Cpu));
    for (block, alignment) in [(1, BOTH[0]), (3, BOTH[0]), (2, BOTH[1])] {
        let chain = Bent { block };
        let trial = Trial::new(&chain, &Hills, config(0.7, alignment));
        let build = |params: &Params| -> Box<dyn Control> { Box::new(Network::new(params)) };
        let mut objective = (OBJECTIVES.get("adjoint-matching").unwrap().make)(&trial.config);
        let seed = Seed::root(12);
        let got = flat(&trial.gradient(objective.as_mut(), &params, &build, seed));
        // the same paths, and targets by differences
        let problem = Problem { chain: &chain, terminal: &Hills, alpha: Some(0.7) };
        let paths = matched(&problem, &frozen, drawing(6, alignment), 5, seed.child("step").index(0).index(0));
        let tracks = paths.trace.tracks(0, true).unwrap();
        let targets: Vec<Vec<Vec<f64>>> = (0..5).map(|row| differences(&chain, 0.7, &paths, row, alignment)).collect();
        let loss = |control: &dyn Control| {
            let mut loss = 0.0;
            for (track, targets) in tracks.iter().zip(&targets) {
                let (mut memory, mut base) = (Memory::default(), Memory::default());
                for (k, target) in targets.iter().enumerate() {
                    if k % block == 0 {
                        (memory, base) = (Memory::default(), Memory::default());
                    }
                    let x = track.states.get(k).unwrap().unsqueeze(0).unwrap();
                    let step = chain.advance(k, &x, &mut base).unwrap();
                    let u = numbers(&control.control(k, &x, &step, &mut memory).unwrap());
                    loss += u.iter().zip(target).map(|(u, target)| 0.5 * (u - target).powi(2)).sum::<f64>() / 5.0;
                }
            }
            loss
        };
        let mut index = 0;
        for (name, var) in params.vars() {
            let values = numbers(var.as_tensor());
            for i in 0..values.len() {
                let at = |h: f64| {
                    let mut moved = values.clone();
                    moved[i] += h;
                    var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap()).unwrap();
                    loss(&Network::new(&params))
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                at(0.0);
                // the targets are differences too: 1e-9 each, sixty of them
                assert!((slope - got[index]).abs() < 1e-6 * (1.0 + slope.abs()), "{name} {i}: {slope} {}", got[index]);
                index += 1;
            }
        }
        assert!(index == got.len() && got.iter().any(|g| g.abs() > 0.1));
    }
}

/// The mean of the end that a push a step trained by adjoint matching reaches on fixture A, in K steps.
fn fixed_point(steps: usize, alignment: Alignment) -> f64 {
    let fixture = MixtureProblem {
        interpolant: Interpolant::Vp,
        noise: Noise::Memoryless,
        ..MixtureProblem::fixture(Fixture::A)
    };
    let chain = MixtureChain::euler(&fixture, steps).unwrap();
    let trial = Trial::new(&chain, &fixture.reward, config(fixture.alpha, alignment));
    let params = check::params();
    Shift::new(&params, steps);
    let control = |params: &Params| -> Box<dyn Control> { Box::new(Shift::new(params, steps)) };
    // the reward is linear and so is the chain: no adjoint has any noise, and a full step of the squares ends in the fixed point
    trial.descend(&params, &control, 1.0, 2);
    let pushes = numbers(params.vars()[0].1.as_tensor());
    let mut x = Tensor::zeros((1, 1), DType::F64, &Device::Cpu).unwrap();
    for (k, push) in pushes.iter().enumerate() {
        let step = chain.advance(k, &x, &mut Memory::default()).unwrap();
        x = (step.mean + push * step.std).unwrap();
    }
    numbers(&x)[0]
}

#[test]
fn the_fixed_points_of_both_alignments_are_the_published_ones_and_meet_at_first_order() {
    for (steps, exact, released) in [(50, 1.824_995_208_8, 1.736_216_945_2), (100, 1.802_057_772_2, 1.758_255_079_0)] {
        for (alignment, mean) in BOTH.into_iter().zip([exact, released]) {
            let got = fixed_point(steps, alignment);
            // ten printed digits
            assert!((got - mean).abs() < 1e-9, "{steps} {alignment:?}: {got} {mean}");
        }
    }
    let apart = |steps| fixed_point(steps, BOTH[0]) - fixed_point(steps, BOTH[1]);
    let order = (apart(100) / apart(200)).log2();
    assert!((order - 1.0).abs() < 0.02, "{order}");
}

/// Gradients of adjoint matching and of back-propagation, shard by shard, on the same noise, by the gains of an affine control.
fn gradients(gains: f64, alignment: Alignment, shards: u64) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let problem = LinearQuadratic::default();
    let chain = LinearChain::euler(&problem, Start::Joint, 4, 2).unwrap();
    let params = check::params();
    Affine::new(&params, 6).unwrap();
    let best = best(&problem, &chain);
    for (name, var) in params.vars() {
        let of = |gain: &crate::finetune::analytic::Gain| if name == "slope" { gain.slope } else { gain.offset };
        let values: Vec<f64> = best.iter().map(|gain| gains * of(gain)).collect();
        var.set(&Tensor::from_vec(values, 6, &Device::Cpu).unwrap()).unwrap();
    }
    let (control, vars) = (Affine::new(&params, 6).unwrap(), params.vars());
    let held = Affine::held(&control.gains().unwrap()).unwrap();
    let of = Problem { chain: &chain, terminal: &problem, alpha: Some(problem.alpha) };
    let rows = 64;
    let (steps, paths) = ([1.0 / rows as f64; 6], Array2::ones((6, rows)));
    let counts = Counts { steps: &steps, paths: &paths, most: None };
    let pairs = (0..shards).map(|shard| {
        let seed = Seed::root(17).index(shard);
        let drawn = matched(&of, &held, drawing(6, alignment), rows, seed);
        let batch = Batch { rows, total: rows, steps: 6, seed };
        let method = BackProp { estimator: Estimator::Cost, ..BackProp::default() };
        let whole = method.gradient(&of, &control, &held, &vars, &batch).unwrap().gradients;
        (flat(&drawn.gradient(&control, &vars, &counts).unwrap().0), flat(&whole))
    });
    pairs.unzip()
}

/// The largest of the means over shards in units of its standard error.
pub(super) fn largest(shards: &[Vec<f64>]) -> f64 {
    let of = |i: usize| {
        let (mean, se) = mean(&shards.iter().map(|shard| shard[i]).collect::<Vec<_>>());
        // the slope of the first step, which starts at 0, has no gradient at all
        if mean == 0.0 { 0.0 } else { (mean / se).abs() }
    };
    (0..shards[0].len()).map(of).fold(0.0, f64::max)
}

#[test]
fn at_the_best_control_of_the_chain_the_expected_gradient_vanishes_as_back_propagations_does_and_elsewhere_they_differ()
{
    let (matched, whole) = gradients(1.0, Alignment::Exact, 200);
    // the largest of twelve: 3.5 standard errors have odds of 1 in 180
    assert!(largest(&matched) < 3.5 && largest(&whole) < 3.5, "{} {}", largest(&matched), largest(&whole));
    // the other alignment has its fixed point elsewhere
    let (released, _) = gradients(1.0, Alignment::Released, 200);
    assert!(largest(&released) > 10.0, "{}", largest(&released));
    let (matched, whole) = gradients(1.4, Alignment::Exact, 200);
    let apart: Vec<Vec<f64>> =
        matched.iter().zip(&whole).map(|(a, b)| a.iter().zip(b).map(|(a, b)| a - b).collect()).collect();
    assert!(largest(&matched) > 10.0 && largest(&apart) > 10.0, "{} {}", largest(&matched), largest(&apart));
}

#[test]
fn where_no_control_depends_on_the_state_the_gradient_is_back_propagations() {
    // at zero, and at pushes that are the same everywhere: ∂u/∂x is 0, path by path
    let (zero, pushes) = (check::params(), check::params());
    Network::new(&zero);
    Shift::new(&pushes, 6);
    check::shake(&pushes);
    let network = |params: &Params| -> Box<dyn Control> { Box::new(Network::new(params)) };
    let shift = |params: &Params| -> Box<dyn Control> { Box::new(Shift::new(params, 6)) };
    for block in [1, 3] {
        let chain = Bent { block };
        for (params, control) in [(&zero, &network as &(dyn Fn(&Params) -> Box<dyn Control> + Sync)), (&pushes, &shift)]
        {
            let gradient = |objective: &str| {
                let config = FinetuneConfig {
                    objective: objective.to_owned(),
                    estimator: Estimator::Cost,
                    ..config(0.7, Alignment::Exact)
                };
                let trial = Trial::new(&chain, &Hills, config);
                let mut objective = (OBJECTIVES.get(objective).unwrap().make)(&trial.config);
                flat(&trial.gradient(objective.as_mut(), params, &control, Seed::root(8)))
            };
            let (matched, whole) = (gradient("adjoint-matching"), gradient("control"));
            assert!(whole.iter().any(|g| g.abs() > 0.1));
            assert!(matched.iter().zip(&whole).all(|(a, b)| (a - b).abs() < 1e-12), "{matched:?} {whole:?}");
        }
    }
}

#[test]
fn nothing_but_the_control_has_a_gradient() {
    let params = check::params();
    let wired = Wired(params.clone());
    for name in ["prior", "guess", "head", "reward"] {
        wired.weight(name);
    }
    let build = |params: &Params| -> Box<dyn Control> {
        Box::new(Reading(params.get("control", 1, Init::Const(0.1)).unwrap()))
    };
    build(&params);
    for alignment in BOTH {
        let trial = Trial::new(&wired, &wired, config(0.5, alignment));
        let mut objective = (OBJECTIVES.get("adjoint-matching").unwrap().make)(&trial.config);
        let gradients = trial.gradient(objective.as_mut(), &params, &build, Seed::root(3));
        for (name, gradient) in gradients.iter() {
            assert_eq!(gradient.is_some(), name == "control", "{name}");
        }
        assert!(numbers(gradients.get("control").unwrap())[0].abs() > 1e-3);
    }
}

#[test]
fn a_constant_reward_leaves_the_prior_alone() {
    let chain = Bent { block: 2 };
    let params = check::params();
    Network::new(&params);
    let trial = Trial::new(&chain, &Slope(0.0), config(0.5, Alignment::Exact));
    let build = |params: &Params| -> Box<dyn Control> { Box::new(Network::new(params)) };
    let mut objective = (OBJECTIVES.get("adjoint-matching").unwrap().make)(&trial.config);
    assert!(flat(&trial.gradient(objective.as_mut(), &params, &build, Seed::root(4))).iter().all(|g| *g == 0.0));
}
