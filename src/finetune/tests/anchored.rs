//! A price on leaving an earlier control.

use super::fixture::{Bent, Hills, Network, Shift, Slope, Trial, flat, unrolled};
use super::tokens::chain;
use crate::diffusion::{Chain as _, Memory};
use crate::finetune::analytic::{Gain, LinearChain, LinearQuadratic, Start, outcome};
use crate::finetune::backprop::Priced;
use crate::finetune::{
    Anchor, BackProp, Batch, Control as _, ControlConfig, ControlKind, Estimator, FinetuneConfig, Finetuning, Problem,
    ReplayConfig, Rollout, SequenceTerminal, SoftQConfig, two_priced_tilt,
};
use crate::nn::{Params, Pool, Training as _, check, gradients};
use crate::random::Seed;
use crate::reward::Multilinear;
use candle_core::{DType, Device, Tensor};

#[test]
fn the_gradient_with_an_anchor_is_that_of_the_unrolled_graph() {
    let params = check::params();
    Network::new(&params);
    check::shake(&params);
    let held = Params::frozen(params.snapshot().unwrap(), &Device::Cpu);
    let other = check::params();
    Network::new(&other);
    let moved = params.snapshot().unwrap().into_iter().map(|(name, w)| (name, (w * 0.4).unwrap())).collect();
    let earlier = Network::new(&Params::frozen(moved, &Device::Cpu));
    let (control, frozen) = (Network::new(&params), Network::new(&held));
    let (alpha, beta, batch) = (0.7, 0.4, Batch { rows: 5, total: 10, steps: 6, seed: Seed::root(9) });
    for (block, estimator) in [(1, Estimator::Cost), (3, Estimator::Landing), (2, Estimator::Cost)] {
        let chain = Bent { block };
        let problem = Problem { chain: &chain, terminal: &Hills, alpha: Some(alpha) };
        // the same loss in one graph, with β/α (½|u − v|² + (ū − v)·ε) of every step on top
        let drawn = Rollout::draw(&chain, None, 6, 5, batch.seed, true).unwrap();
        let mut x = drawn.states[0].clone();
        let (mut one, mut two, mut three) = (Memory::default(), Memory::default(), Memory::default());
        let mut extra = Tensor::zeros((), DType::F64, &Device::Cpu).unwrap();
        let noises = drawn.noises.iter().flat_map(|block| block.chunk(block.dim(0).unwrap(), 0).unwrap());
        for (k, epsilon) in noises.map(|noise| noise.squeeze(0).unwrap()).enumerate() {
            if k % block == 0 {
                (one, two, three) = (Memory::default(), Memory::default(), Memory::default());
            }
            let base = chain.advance(k, &x, &mut one).unwrap();
            let u = control.control(k, &x, &base, &mut one).unwrap();
            let v = earlier.control(k, &x, &base, &mut two).unwrap();
            extra = (extra + ((&u - &v).unwrap().sqr().unwrap().sum_all().unwrap() * 0.5).unwrap()).unwrap();
            if estimator == Estimator::Landing {
                let still = frozen.control(k, &x, &base, &mut three).unwrap();
                let product = ((still - &v).unwrap() * &epsilon).unwrap().sum_all().unwrap();
                extra = (extra + product).unwrap();
            }
            x = (base.mean + ((u + epsilon).unwrap() * base.std).unwrap()).unwrap();
        }
        let loss = unrolled(&problem, &control, &frozen, estimator, &batch);
        let loss = (loss + (extra * (beta / alpha / 10.0)).unwrap()).unwrap();
        let whole = flat(&gradients(&loss, &params.vars()).unwrap());
        let anchor = Some(Anchor { control: &earlier, beta });
        for keep in [0, 6] {
            let method = BackProp { estimator, keep, ..BackProp::default() };
            let (draws, priced) = ([(batch.seed, batch.rows)], Priced { divergence: None, anchor });
            let got =
                method.gradient_from(&problem, &control, &frozen, &params.vars(), &batch, &draws, priced).unwrap();
            for (got, whole) in flat(&got.gradients).iter().zip(&whole) {
                assert!((got - whole).abs() < 1e-10, "block {block} {estimator:?}: {got} {whole}");
            }
        }
    }
}

#[test]
fn training_with_an_anchor_ends_in_the_closed_form() {
    // r = a x on a chain from a fixed point: base N(0, V), earlier law N(m, V) under a constant push, and the best law is
    // exp(r/(α+β)) p^{α/(α+β)} q^{β/(α+β)} = N((V a + β m)/(α + β), V)
    let chain = LinearChain::euler(&LinearQuadratic::default(), Start::Joint, 5, 3).unwrap();
    let (steps, slope, alpha, beta) = (chain.steps(), 0.9, 0.6, 0.4);
    let gains = |pushes: &[f64]| pushes.iter().map(|offset| Gain { slope: 0.0, offset: *offset }).collect::<Vec<_>>();
    let problem = LinearQuadratic::default();
    let law = |pushes: &[f64]| outcome(&problem, &chain, &gains(pushes)).law;
    // a push in the direction of the reward: the optimum of another price
    let mut carry = 0.35;
    let mut before: Vec<f64> = chain
        .all()
        .iter()
        .rev()
        .map(|step| {
            let push = step.std * carry;
            carry *= step.keep;
            push
        })
        .collect();
    before.reverse();
    let (base, earlier) = (law(&[0.0; 8]), law(&before));
    let target = (base.variance * slope + beta * earlier.mean) / (alpha + beta);
    // the same by the finite form on a grid of ends: 2401 points of ±6 standard deviations, whose sums are exact to rounding
    let at = |i: usize| (i as f64 - 1200.0) * 0.005 * base.variance.sqrt();
    let log = |mean: f64, x: f64| -0.5 * (x - mean).powi(2) / base.variance;
    let column = |f: &dyn Fn(f64) -> f64| (0..2401).map(|i| f(at(i))).collect::<Vec<f64>>();
    let (reward, pre) = (column(&|x| slope * x), column(&|x| log(0.0, x)));
    let prev = column(&|x| log(earlier.mean, x));
    let best = two_priced_tilt(&reward, &pre, &prev, alpha, beta).unwrap();
    let mean: f64 = best.log_probs.iter().enumerate().map(|(i, log)| log.exp() * at(i)).sum();
    // a grid that ends 6 − 0.9 standard deviations from the mean misses 1e-6 of the law
    assert!((mean - target).abs() < 1e-5, "{mean} {target}");
    let weights = [("shift".to_owned(), Tensor::from_slice(&before, 8, &Device::Cpu).unwrap())].into();
    let earlier = Shift::new(&Params::frozen(weights, &Device::Cpu), steps);
    let terminal = Slope(slope);
    for objective in ["control", "sqdf"] {
        let config = FinetuneConfig {
            objective: objective.to_owned(),
            alpha,
            batch: 8,
            soft_q: SoftQConfig { pairs: Some(160), ..SoftQConfig::default() },
            replay: ReplayConfig { capacity: Some(0), ..ReplayConfig::default() },
            ..FinetuneConfig::default()
        };
        // for the one-step objective the end is read through what the chain keeps of a state
        let read = Read { chain: &chain, slope: &terminal };
        let mut trial = Trial::new(&chain, if objective == "sqdf" { &read } else { &terminal }, config);
        trial.anchor = Some(Anchor { control: &earlier, beta });
        let params = check::params();
        Shift::new(&params, steps);
        // the curvature of the loss over α is 1 + β/α, in every number alike, up to how often sqdf draws a step
        let control = |params: &Params| -> Box<dyn crate::finetune::Control> { Box::new(Shift::new(params, 8)) };
        trial.descend(&params, &control, 0.7 * alpha / (alpha + beta), 24);
        let pushes = params.vars()[0].1.to_vec1::<f64>().unwrap();
        assert!((law(&pushes).mean - target).abs() < 1e-8, "{objective}: {} {target}", law(&pushes).mean);
    }
}

/// r = a E[x_K | x_k] of the base.
struct Read<'a> {
    chain: &'a LinearChain,
    slope: &'a Slope,
}

impl crate::finetune::Terminal for Read<'_> {
    fn reward(&self, k: usize, x: &Tensor) -> crate::Result<Tensor> {
        let keep: f64 = self.chain.all()[k..].iter().map(|step| step.keep).product();
        self.slope.reward(k, &(x * keep)?)
    }
}

#[test]
fn a_sequence_run_pays_for_leaving_its_anchor_and_others_say_that_they_cannot() {
    let chain = chain(DType::F32, 3);
    let reward = Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap();
    let (terminal, pool) = (SequenceTerminal::new(&chain, &reward), Pool::new(1).unwrap());
    let start = |objective: &str| {
        let control = ControlConfig { kind: ControlKind::ProductMixture, dim: 4, ..ControlConfig::default() };
        let config = FinetuneConfig {
            objective: objective.to_owned(),
            batch: 32,
            shard: 16,
            steps: 12,
            control,
            ..FinetuneConfig::default()
        };
        Finetuning::new(config, &chain, &terminal, Seed::root(7), &pool).unwrap()
    };
    for objective in ["control", "sqdf"] {
        let train = |mut run: Finetuning<'_>| {
            (0..12).for_each(|_| drop(run.step().unwrap()));
            let control = run.control().unwrap();
            let drawn = Rollout::draw(&chain, Some(&control), 6, 256, Seed::root(2), false).unwrap();
            (run.weights(), drawn.cost.mean_all().unwrap().to_scalar::<f64>().unwrap())
        };
        let (first, free) = train(start(objective));
        // held to the prior, whose control is zero, at nine times the price of a nat
        let zero = start(objective).weights();
        let bits = |weights: &crate::nn::Tensors| -> Vec<f32> {
            weights.values().flat_map(|w| w.flatten_all().unwrap().to_vec1::<f32>().unwrap()).collect()
        };
        let (_, held) = train(start(objective).anchored(zero, 0.9).unwrap());
        assert!(held < 0.5 * free, "{objective}: {held} {free}");
        // a second round goes on from the first one's weights, averages included, and leaves them once it steps
        let mut second = start(objective).continuing(&first).unwrap().anchored(first.clone(), 0.1).unwrap();
        assert!(bits(&second.weights()) == bits(&first) && second.done() == 0);
        second.step().unwrap();
        assert!(bits(&second.weights()) != bits(&first));
    }
    let weights = start("ppo").weights();
    let Err(refused) = start("ppo").anchored(weights.clone(), 0.1) else { panic!("ppo was anchored") };
    assert!(refused.message().contains("cannot pay for leaving"));
    let Err(refused) = start("sqdf").anchored(weights, f64::NAN) else { panic!("a price of NaN") };
    assert!(refused.message().contains("`beta` is NaN"));
}
