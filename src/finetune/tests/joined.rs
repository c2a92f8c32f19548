//! A lead before a sequence chain, over an untrained prior.

use super::fixture::{flat, unrolled};
use super::tokens::chain;
use crate::diffusion::{Chain as _, DiffusionChain, Memory};
use crate::finetune::initial::{
    Elegant, Form, Forms, InitialConfig, Joined, Lead, Route, Staged, StateControl, ValueConfig,
};
use crate::finetune::walk::Walker;
use crate::finetune::{
    BackProp, Batch, Control, ControlConfig, ControlKind, Estimator, FinetuneConfig, Finetuning, Problem, Rollout,
    SequenceTerminal, Terminal as _, TokenControl,
};
use crate::nn::{Params, Pool, Training as _, check, gradients, read};
use crate::random::Seed;
use crate::reward::Multilinear;
use candle_core::{DType, Device, Tensor};

const WIDTH: usize = 4;

fn sizes() -> ControlConfig {
    ControlConfig { kind: ControlKind::Mlp, dim: 8, layers: 1, heads: 2, ..ControlConfig::default() }
}

fn parts<'a>(main: &'a DiffusionChain, joined: &Joined<'_>, params: &Params) -> [Box<dyn Control + 'a>; 2] {
    let lead = StateControl::new(&params.child("lead"), &joined.shape(), joined.lead().steps(), WIDTH).unwrap();
    [Box::new(lead), Box::new(TokenControl::new(main, &sizes(), &params.child("main")).unwrap())]
}

fn staged<'a>(main: &'a DiffusionChain, joined: &Joined<'_>, params: &Params) -> Staged<'a> {
    let [lead, tokens] = parts(main, joined, params);
    Staged::new(joined, Some(lead), Some(tokens))
}

#[test]
fn the_log_ratio_of_a_joined_chain_is_that_of_both_segments() {
    for dtype in [DType::F64, DType::F32] {
        let main = chain(dtype, 3);
        // four steps of a lead become six: whole blocks of three
        let joined = Joined::new(&main, 4).unwrap();
        assert_eq!((joined.lead().steps(), joined.steps(), joined.shape()), (6, 12, vec![3, 2]));
        let params = Params::trainable(Seed::root(4), dtype, &Device::Cpu);
        let fresh = staged(&main, &joined, &params);
        let drawn = Rollout::draw(&joined, Some(&fresh), 12, 5, Seed::root(6), false).unwrap();
        assert!(read(&[&drawn.log_ratio, &drawn.cost]).unwrap().concat().iter().all(|nats| *nats == 0.0));
        check::shake(&params);

        let whole = Rollout::draw(&joined, Some(&staged(&main, &joined, &params)), 12, 5, Seed::root(6), true).unwrap();
        let [lead, tokens] = parts(&main, &joined, &params);
        // the same draws walk the lead alone
        let first = Rollout::draw(joined.lead(), Some(lead.as_ref()), 6, 5, Seed::root(6), false).unwrap();
        let digits = if dtype == DType::F64 { 1e-12 } else { 1e-5 };
        assert!(check::distance(first.last(), &whole.states[2]) < digits);
        let walker = Walker { chain: &main, control: Some(tokens.as_ref()), held: None, anchor: None };
        let mut x = whole.states[2].clone();
        let mut sums = [first.log_ratio.clone(), first.cost.clone()];
        for (block, noise) in [0..3, 3..6].into_iter().zip(&whole.noises[2..]) {
            let walk = walker.walk(block, &x, noise, Memory::default()).unwrap();
            let [cost, product] = [walk.cost, walk.product].map(|nats| nats.unwrap().to_dtype(DType::F64).unwrap());
            sums[0] = ((&sums[0] + product).unwrap() + &cost).unwrap();
            sums[1] = (&sums[1] + cost).unwrap();
            x = walk.x;
        }
        assert!(check::distance(&x, whole.last()) < digits);
        let nats = read(&[&sums[0], &sums[1], &whole.log_ratio, &whole.cost, &first.cost]).unwrap();
        for ((ratio, cost), (whole_ratio, whole_cost)) in nats[0].iter().zip(&nats[1]).zip(nats[2].iter().zip(&nats[3]))
        {
            assert!((ratio - whole_ratio).abs() < digits * (1.0 + whole_ratio.abs()));
            assert!((cost - whole_cost).abs() < digits * (1.0 + whole_cost.abs()));
        }
        // both segments cost something
        assert!(nats[3].iter().zip(&nats[4]).all(|(whole, lead)| *lead > 0.01 && *whole > lead + 1e-6));
    }
}

#[test]
fn gradients_pass_through_both_segments() {
    let main = chain(DType::F64, 3);
    let joined = Joined::new(&main, 3).unwrap();
    let reward = Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap();
    let terminal = SequenceTerminal::new(&main, &reward);
    let delayed = joined.terminal(&terminal);
    let params = check::params();
    drop(staged(&main, &joined, &params));
    check::shake(&params);
    let held = Params::frozen(params.snapshot().unwrap(), &Device::Cpu);
    let (control, frozen) = (staged(&main, &joined, &params), staged(&main, &joined, &held));
    let problem = Problem { chain: &joined, terminal: &delayed, alpha: Some(0.3) };
    let batch = Batch { rows: 4, total: 8, steps: joined.steps(), seed: Seed::root(9) };
    for estimator in [Estimator::Cost, Estimator::Landing] {
        let method = BackProp { estimator, ..BackProp::default() };
        let got = method.gradient(&problem, &control, &frozen, &params.vars(), &batch).unwrap().gradients;
        let loss = || unrolled(&problem, &control, &frozen, estimator, &batch);
        let whole = gradients(&loss(), &params.vars()).unwrap();
        for (got, whole) in flat(&got).iter().zip(flat(&whole)) {
            assert!((got - whole).abs() < 1e-10, "{estimator:?}: {got} {whole}");
        }
        for (name, var) in params.vars() {
            let exact = got.get(&name).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()[0];
            let start = var.as_detached_tensor().copy().unwrap();
            let values = start.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            // central differences of step h err by h² f‴ + 1e-16/h: about 1e-9 at h = 1e-5
            let at = |step: f64| {
                let mut moved = values.clone();
                moved[0] += step;
                var.set(&Tensor::from_vec(moved, start.shape(), &Device::Cpu).unwrap()).unwrap();
                loss().to_scalar::<f64>().unwrap()
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            var.set(&start).unwrap();
            assert!((slope - exact).abs() < 1e-6 * (1.0 + exact.abs()), "{name} {estimator:?}: {exact} {slope}");
        }
    }
}

#[test]
fn a_lead_wants_a_spread_initial_law_and_a_value_of_whole_paths() {
    let main = chain(DType::F64, 3);
    let lead = Lead::to(&main, 5).unwrap();
    assert_eq!((lead.spread(), lead.shape(), lead.block()), (1.0, vec![3, 2], 1));
    let error = Lead::to(&lead, 5).unwrap_err();
    assert!(error.to_string().contains("cannot be led to"), "{error}");
    let joined = Joined::new(&main, 3).unwrap();
    let reward = Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap();
    let terminal = SequenceTerminal::new(&main, &reward);
    let delayed = joined.terminal(&terminal);
    let x = check::normal(1, &[2, 3, 2]);
    assert!(delayed.reward(2, &x).unwrap_err().hint_text().unwrap().contains("lookahead"));
    assert_eq!(check::distance(&delayed.reward(9, &x).unwrap(), &terminal.reward(6, &x).unwrap()), 0.0);
}

fn small(route: Route) -> InitialConfig {
    let value = ValueConfig { pairs: 64, updates: 2, batch: 16, width: 4, effective: 8.0, ..ValueConfig::default() };
    let config =
        InitialConfig { route, alpha: 0.3, lead: 4, updates: 2, batch: 12, shard: 4, ..InitialConfig::default() };
    InitialConfig { learning_rate: 0.005, value, ..config }
}

fn tokens(main: &DiffusionChain) -> Form<'_> {
    Box::new(|params| Ok(Box::new(TokenControl::new(main, &sizes(), params)?) as Box<dyn Control>))
}

#[test]
fn an_end_that_is_brought_in_shortens_the_main_chain_and_not_the_lead() {
    let main = chain(DType::F64, 3).with_eta(0.5).unwrap();
    let reward = Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap();
    let (terminal, pool) = (SequenceTerminal::new(&main, &reward), Pool::new(1).unwrap());
    let weights = |end: Option<usize>| {
        let forms = Forms { lead: StateControl::form(vec![3, 2], 6, WIDTH), main: tokens(&main) };
        let config = small(Route::StagedV1);
        let mut run = Elegant::new(config, &main, &terminal, forms, Seed::root(1), &pool).unwrap();
        if let Some(end) = end {
            run = run.ending(move |_| end);
        }
        while run.done() < run.total() {
            run.step().unwrap();
        }
        let read = |(name, tensor): (String, Tensor)| (name, read(&[&tensor]).unwrap());
        let (lead, main): (Vec<_>, Vec<_>) =
            run.weights().into_iter().map(read).partition(|(name, _)| !name.starts_with("main."));
        (lead, main)
    };
    let (whole, short) = (weights(None), weights(Some(3)));
    assert_eq!(weights(Some(6)), whole);
    assert_eq!(weights(Some(99)), whole);
    assert_eq!(short.0, whole.0);
    assert_ne!(short.1, whole.1);
}

#[test]
fn the_stages_of_a_route_have_names_and_a_lead_its_own_rate() {
    let main = chain(DType::F64, 3).with_eta(0.5).unwrap();
    let reward = Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap();
    let (terminal, pool) = (SequenceTerminal::new(&main, &reward), Pool::new(1).unwrap());
    let forms = Forms { lead: StateControl::form(vec![3, 2], 6, WIDTH), main: tokens(&main) };
    let config = InitialConfig { lead_learning_rate: Some(0.001), ..small(Route::StagedV2) };
    let mut run = Elegant::new(config, &main, &terminal, forms, Seed::root(1), &pool).unwrap();
    let mut seen = Vec::new();
    while run.done() < run.total() {
        let stage = run.stage().unwrap();
        let rate = run.step().unwrap().into_iter().find(|(name, _)| *name == "learning_rate").unwrap().1;
        seen.push((stage, rate));
    }
    let stages: Vec<&str> = seen.iter().step_by(2).map(|(stage, _)| *stage).collect();
    assert_eq!(stages, ["control from the frozen start", "value function", "initial law", "control"]);
    // no warm-up in so few steps
    let first: Vec<f64> = seen.iter().step_by(2).map(|(_, rate)| *rate).collect();
    assert_eq!(first, [0.005, 0.03, 0.001, 0.005]);
    let wrong = InitialConfig { lead_learning_rate: Some(f64::NAN), ..config };
    assert!(wrong.check().unwrap_err().to_string().contains("`lead-learning-rate` is NaN"));
    let error = Finetuning::new(FinetuneConfig::default(), &main, &terminal, Seed::root(1), &pool).err().unwrap();
    assert!(error.to_string().contains("the end remembers its start"), "{error}");
}

#[test]
fn every_route_trains_a_sequence_chain_to_the_same_bytes_on_any_number_of_threads() {
    let main = chain(DType::F32, 3);
    let reward = Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap();
    let terminal = SequenceTerminal::new(&main, &reward);
    for route in [Route::StagedV1, Route::StagedV2, Route::Joint, Route::Frozen] {
        let config = small(route);
        let weights = |threads: usize| {
            let pool = Pool::new(threads).unwrap();
            let forms = Forms { lead: StateControl::form(vec![3, 2], 6, WIDTH), main: tokens(&main) };
            let mut run = Elegant::new(config, &main, &terminal, forms, Seed::root(1), &pool).unwrap();
            while run.done() < run.total() {
                assert!(run.step().unwrap().iter().all(|(_, figure)| figure.is_finite()));
            }
            let control = run.control().unwrap();
            let drawn = Rollout::draw(run.joined(), Some(&control), 12, 5, Seed::root(2), false).unwrap();
            assert!(read(&[&drawn.cost]).unwrap()[0].iter().all(|nats| *nats > 0.0), "{route:?}");
            let read = |(name, tensor)| (name, read(&[&tensor]).unwrap());
            run.weights().into_iter().map(read).collect::<Vec<_>>()
        };
        assert_eq!(weights(1), weights(2), "{route:?}");
    }
}
