//! Learned initial laws against closed forms.

use super::*;
use crate::finetune::analytic::{
    Affine, Fixture, Gain, Lattice, LinearChain, LinearQuadratic, LinearStep, MixtureChain, MixtureProblem, Outcome,
    Quadratic, Start, best, outcome,
};
use crate::finetune::{Control, Problem, Rollout, Terminal as _};
use crate::nn::{Pool, Training as _, check, read};
use crate::random::Seed;
use candle_core::{Device, Tensor};

const RANGE: (f64, f64) = (-8.0, 9.0);

/// The linear-quadratic problem in 8 steps.
fn linear() -> (LinearQuadratic, LinearChain) {
    let problem = LinearQuadratic::default();
    (problem, LinearChain::euler(&problem, Start::Frozen, 8, 1).unwrap())
}

fn affine<'a>(steps: usize) -> Form<'a> {
    Box::new(move |params| Ok(Box::new(Affine::new(params, steps)?)))
}

fn small(route: Route) -> InitialConfig {
    let value = ValueConfig { pairs: 4096, updates: 200, batch: 512, width: 12, ..ValueConfig::default() };
    InitialConfig { route, lead: 4, updates: 150, batch: 128, learning_rate: 0.05, value, ..InitialConfig::default() }
}

fn finish(training: &mut Elegant<'_>) {
    while training.done() < training.total() {
        training.step().unwrap();
    }
}

#[test]
fn a_lead_and_a_main_chain_are_the_joint_linear_chain() {
    let (problem, chain) = linear();
    let joint = LinearChain::euler(&problem, Start::Joint, 8, 4).unwrap();
    let gains = best(&problem, &joint);
    let joined = Joined::new(&chain, 4).unwrap();
    let held = |gains: &[Gain]| -> Option<Box<dyn Control>> { Some(Box::new(Affine::held(gains).unwrap())) };
    let staged = Staged::new(&joined, held(&gains[..4]), held(&gains[4..]));
    let whole = Affine::held(&gains).unwrap();
    let got = Rollout::draw(&joined, Some(&staged), 12, 32, Seed::root(1), false).unwrap();
    let expected = Rollout::draw(&joint, Some(&whole), 12, 32, Seed::root(1), false).unwrap();
    assert!(check::distance(got.last(), expected.last()) < 1e-12);
    assert!(check::distance(&got.log_ratio, &expected.log_ratio) < 1e-12);
    // a part without control walks as the base does, and pays nothing
    let frozen = Staged::new(&joined, None, held(&gains[4..]));
    let lattice = Lattice::new(&joined, &problem, problem.alpha, RANGE).unwrap();
    let alone = Lattice::new(&chain, &problem, problem.alpha, RANGE).unwrap();
    let (got, expected) = (lattice.outcome(&frozen).unwrap(), outcome(&problem, &chain, &gains[4..]));
    assert!((got.value - expected.value).abs() < 1e-7 && (got.law.mean - expected.law.mean).abs() < 1e-7);
    // the main part of the best joint control is the best control of the main chain
    assert!((alone.best().value - expected.value).abs() < 1e-7);
}

/// Soft value of an initial state, in nats: given x_0 the end is N(e x_0, V), under which the reward has a closed form.
fn soft(problem: &LinearQuadratic, chain: &LinearChain, x: f64) -> f64 {
    let e: f64 = chain.all().iter().map(|step| step.keep).product();
    let v = chain.all().iter().fold(0.0, |v, step| step.keep * step.keep * v + step.std * step.std);
    let widening = 1.0 + problem.curvature * v / problem.alpha;
    -0.5 * widening.ln() - 0.5 * problem.curvature * (e * x - problem.centre).powi(2) / widening / problem.alpha
}

/// The value of the best control from an initial state, in nats, by the backward recursion.
fn controlled(problem: &LinearQuadratic, chain: &LinearChain, x: f64) -> f64 {
    let (k, m, alpha) = (problem.curvature, problem.centre, problem.alpha);
    let (mut p, mut q, mut c) = (k, k * m, -0.5 * k * m * m);
    for &LinearStep { keep, std } in chain.all().iter().rev() {
        let price = alpha + p * std * std;
        c += 0.5 * std * std * (q * q / price - p);
        (p, q) = (keep * keep * p * alpha / price, keep * q * alpha / price);
    }
    (-0.5 * p * x * x + q * x + c) / alpha
}

/// A value of initial states in closed form.
type Exact = fn(&LinearQuadratic, &LinearChain, f64) -> f64;

#[test]
fn both_losses_find_the_value_of_initial_states() {
    let (problem, chain) = linear();
    let task = Problem { chain: &chain, terminal: &problem, alpha: Some(problem.alpha) };
    let pool = Pool::new(1).unwrap();
    let config = ValueConfig { pairs: 8192, updates: 300, batch: 512, width: 12, ..ValueConfig::default() };
    let control = Affine::held(&best(&problem, &chain)).unwrap();
    let of_base = Pairs::of_base(&task, config.pairs, Seed::root(1), &pool).unwrap();
    let on_policy = Pairs::on_policy(&task, &control, config.pairs, Seed::root(1), &pool).unwrap();
    // the stochastic integral takes nearly all noise out of the returns of the best control: what is left is of the steps
    let noise = |pairs: &Pairs| {
        let starts = read(&[pairs.starts()]).unwrap().swap_remove(0);
        let rows = starts.iter().zip(pairs.targets());
        (rows.map(|(x, target)| (target - controlled(&problem, &chain, *x)).powi(2)).sum::<f64>() / 8192.0).sqrt()
    };
    assert!(noise(&on_policy) < 0.5 && noise(&of_base) > 1.5, "{} {}", noise(&on_policy), noise(&of_base));
    for (loss, pairs, exact) in
        [(ValueLoss::Linex, of_base, soft as Exact), (ValueLoss::Squares, on_policy, controlled as Exact)]
    {
        let mut fit = Regression::new(config, loss, problem.alpha, pairs, Seed::root(2), &pool).unwrap();
        while fit.done() < fit.total() {
            fit.step().unwrap();
        }
        let places: Vec<f64> = (-6..=6).map(|i| 0.25 * f64::from(i)).collect();
        let x = Tensor::from_vec(places.clone(), (places.len(), 1), &Device::Cpu).unwrap();
        let value = fit.value().unwrap();
        let numbers = read(&[&value.nats(&x).unwrap(), &value.reward(0, &x).unwrap()]).unwrap();
        for (i, x) in places.into_iter().enumerate() {
            // 8192 pairs and 300 steps of an optimiser; the values themselves range over 3.6 nats here
            assert!((numbers[0][i] - exact(&problem, &chain, x)).abs() < 0.2, "{loss:?} at {x}");
            assert!((numbers[1][i] - problem.alpha * numbers[0][i]).abs() < 1e-12);
        }
    }
}

#[test]
fn residuals_above_the_clip_count_linearly() {
    let (problem, chain) = linear();
    let task = Problem { chain: &chain, terminal: &problem, alpha: Some(problem.alpha) };
    let pairs = || Pairs::of_base(&task, 256, Seed::root(1), Pool::inline()).unwrap();
    let config = ValueConfig { clip: 2.0, anneal: 1.0, effective: 1.0, ..ValueConfig::default() };
    let linex = Regression::new(config, ValueLoss::Linex, 0.5, pairs(), Seed::root(2), Pool::inline()).unwrap();
    let z = Tensor::new(&[-3.0, 0.0, 1.9, 2.0, 5.0], &Device::Cpu).unwrap();
    let got = read(&[&linex.losses(&z).unwrap()]).unwrap().swap_remove(0);
    let line = 2.0_f64.exp() * (1.0 + 5.0 - 2.0) - 1.0 - 5.0;
    let curve = |z: f64| z.exp() - 1.0 - z;
    for (got, expected) in got.into_iter().zip([curve(-3.0), 0.0, curve(1.9), curve(2.0), line]) {
        assert!((got - expected).abs() < 1e-12, "{got} is not {expected}");
    }
    check::input(&Tensor::new(&[-3.0, 0.5, 1.9, 5.0], &Device::Cpu).unwrap(), |z| linex.losses(z));
    let hot = ValueConfig { anneal: 3.0, ..config };
    let hot = Regression::new(hot, ValueLoss::Linex, 0.5, pairs(), Seed::root(2), Pool::inline()).unwrap();
    let cooled = read(&[&hot.losses(&Tensor::new(&[3.0], &Device::Cpu).unwrap()).unwrap()]).unwrap();
    assert!((cooled[0][0] - curve(1.0)).abs() < 1e-12);
}

#[test]
fn a_value_on_too_few_effective_paths_is_refused() {
    let (problem, chain) = linear();
    let config = InitialConfig { alpha: 0.01, ..small(Route::StagedV1) };
    let forms = || Forms { lead: affine(4), main: affine(8) };
    let error = Elegant::new(config, &chain, &problem, forms(), Seed::root(5), Pool::inline()).err().unwrap();
    assert!(error.to_string().contains("effective ones of 4096 base paths"), "{error}");
    assert!(error.hint_text().unwrap().contains("staged-v2"));
    let config = InitialConfig { route: Route::StagedV2, ..config };
    assert!(Elegant::new(config, &chain, &problem, forms(), Seed::root(5), Pool::inline()).is_ok());
    let task = Problem { chain: &chain, terminal: &problem, alpha: Some(0.5) };
    let pairs = Pairs::of_base(&task, 512, Seed::root(1), Pool::inline()).unwrap();
    let weights: Vec<f64> = pairs.targets().iter().map(|target| target.exp()).collect();
    let (sum, squares) = (weights.iter().sum::<f64>(), weights.iter().map(|w| w * w).sum::<f64>());
    assert!((pairs.effective() - sum * sum / squares).abs() < 1e-9);
    assert!((pairs.log_mean_exp() - (sum / 512.0).ln()).abs() < 1e-12);
    let bad = InitialConfig { lead: 0, ..small(Route::Joint) };
    assert!(bad.check().unwrap_err().to_string().contains("`lead` is 0"));
}

/// The initial law's part of the penalty counts in full: halved, as in `α/2 (∫|u|²/σ² + log ν/ν₀)`, it leads elsewhere.
#[test]
fn half_the_price_of_the_initial_law_is_not_the_tilt() {
    let problem = LinearQuadratic::default();
    let chain = LinearChain::euler(&problem, Start::Frozen, 8, 1).unwrap();
    let lead = Lead::to(&chain, 16).unwrap();
    // v₀ in continuous time, up to a constant: a quadratic reward of the lead's end
    let e = (-problem.drift * problem.horizon).exp();
    let bend = |h: f64| problem.value(0.0, h) - 2.0 * problem.value(0.0, 0.0) + problem.value(0.0, -h);
    let value = Quadratic { slope: 0.0, curvature: -bend(1.0), centre: problem.centre / e };
    let start = |alpha: f64| Lattice::new(&lead, &value, alpha, RANGE).unwrap().tilting().learned;
    // the end of the best main path is affine in its start: its mean from two starts
    let frozen = problem.optimum(Start::Frozen).law.mean;
    let right = problem.best_start();
    let carry = (problem.optimum(Start::Joint).law.mean - frozen) / right.mean;
    let end = |alpha: f64| frozen + carry * start(alpha).mean;
    let got = start(problem.alpha);
    assert!((got.mean - 0.885_695).abs() < 1e-6 && (got.variance - 0.706_785).abs() < 1e-6, "{got:?}");
    assert!((end(problem.alpha) - 1.054_107).abs() < 1e-6);
    // the published wrong mean, to its three digits
    assert!((end(0.5 * problem.alpha) - 1.155).abs() < 1e-3, "{}", end(0.5 * problem.alpha));
}

fn trained(route: Route) -> (Outcome, Outcome) {
    let (problem, chain) = linear();
    let pool = Pool::new(1).unwrap();
    let forms = Forms { lead: affine(4), main: affine(8) };
    let mut training = Elegant::new(small(route), &chain, &problem, forms, Seed::root(5), &pool).unwrap();
    finish(&mut training);
    assert_eq!(training.value().unwrap().is_some(), matches!(route, Route::StagedV1 | Route::StagedV2));
    let lattice = Lattice::new(training.joined(), &problem, problem.alpha, RANGE).unwrap();
    if let Some(frozen) = training.frozen().unwrap() {
        let alone = Lattice::new(&chain, &problem, problem.alpha, RANGE).unwrap();
        // the optimiser's noise at batch 128 costs 2e-3, as in the trainer of this problem
        assert!((lattice.outcome(&frozen).unwrap().value - alone.best().value).abs() < 3e-3);
    }
    (lattice.outcome(&training.control().unwrap()).unwrap(), lattice.best())
}

#[test]
fn stages_reach_the_optimum_of_the_joined_chain_on_a_value_from_base_paths() {
    let (got, top) = trained(Route::StagedV1);
    // far below the 0.52 nats that the initial law is worth here
    assert!(got.gap - top.gap < 0.01 && (got.law.mean - top.law.mean).abs() < 0.02, "{got:?} {top:?}");
}

#[test]
fn stages_reach_the_optimum_of_the_joined_chain_on_a_value_from_returns() {
    let (got, top) = trained(Route::StagedV2);
    // far below the 0.52 nats that the initial law is worth here
    assert!(got.gap - top.gap < 0.01 && (got.law.mean - top.law.mean).abs() < 0.02, "{got:?} {top:?}");
}

#[test]
fn both_at_once_reach_it_too_and_a_frozen_start_does_not() {
    let (got, top) = trained(Route::Joint);
    assert!(got.gap - top.gap < 5e-3, "{got:?} {top:?}");
    let (got, top) = trained(Route::Frozen);
    // what the initial law is worth: 0.589 nats in continuous time
    assert!((got.gap - top.gap - 0.52).abs() < 0.03, "{got:?} {top:?}");
    assert!(got.law.mean < 0.9, "{got:?}");
}

#[test]
fn networks_learn_the_initial_law_of_two_modes() {
    let problem = MixtureProblem::fixture(Fixture::C);
    let (chain, pool) = (MixtureChain::euler(&problem, 5).unwrap(), Pool::new(1).unwrap());
    let outcome = |route: Route| {
        let network = |steps: usize| StateControl::form(vec![1], steps, 8);
        let forms = Forms { lead: network(2), main: network(5) };
        let small = small(route);
        let config = InitialConfig {
            alpha: problem.alpha,
            lead: 2,
            updates: 70,
            batch: 96,
            value: ValueConfig { updates: 100, batch: 256, ..small.value },
            ..small
        };
        let mut training = Elegant::new(config, &chain, &problem.reward, forms, Seed::root(5), &pool).unwrap();
        finish(&mut training);
        let lattice = Lattice::new(training.joined(), &problem.reward, problem.alpha, RANGE).unwrap();
        let frozen = training.frozen().unwrap().map(|frozen| lattice.outcome(&frozen).unwrap());
        (lattice.outcome(&training.control().unwrap()).unwrap(), frozen)
    };
    let (learned, frozen) = outcome(Route::StagedV2);
    let frozen = frozen.unwrap();
    assert!(frozen.gap - learned.gap > 0.2 && learned.law.mean > frozen.law.mean + 0.2, "{learned:?} {frozen:?}");
}

#[test]
fn a_run_stops_and_goes_on_in_any_stage_to_the_same_bytes() {
    let (problem, chain) = linear();
    let pool = Pool::new(1).unwrap();
    let config = InitialConfig {
        updates: 3,
        batch: 16,
        value: ValueConfig { pairs: 64, updates: 3, batch: 32, width: 4, ..ValueConfig::default() },
        ..small(Route::StagedV2)
    };
    let fresh = || {
        let forms = Forms { lead: affine(4), main: affine(8) };
        Elegant::new(config, &chain, &problem, forms, Seed::root(5), &pool).unwrap()
    };
    let numbers = |run: &Elegant<'_>| -> Vec<(String, Vec<f64>)> {
        let one = |(name, tensor)| (name, read(&[&tensor]).unwrap().swap_remove(0));
        run.weights().into_iter().map(one).collect()
    };
    let mut whole = fresh();
    assert_eq!((whole.total(), whole.done()), (12, 0));
    finish(&mut whole);
    for stop in 0..=12 {
        let mut first = fresh();
        (0..stop).for_each(|_| drop(first.step().unwrap()));
        let mut second = fresh();
        second.restore(first.done(), &first.state().unwrap()).unwrap();
        assert_eq!(second.done(), stop);
        finish(&mut second);
        assert_eq!(numbers(&second), numbers(&whole), "stopped after {stop}");
    }
    let names = numbers(&whole).into_iter().map(|(name, _)| name).collect::<Vec<_>>().join(" ");
    assert!(["frozen.main.slope", "lead.offset", "main.slope", "value.level"].iter().all(|name| names.contains(name)));
}
