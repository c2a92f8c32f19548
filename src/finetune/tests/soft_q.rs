//! Soft-Q fine-tuning against closed forms, differences and published values.

use super::fixture::{Bent, Hills, Network, Shift, Slope, Trial, flat};
use crate::diffusion::{Chain, Memory, Move};
use crate::error::Result;
use crate::finetune::analytic::{
    DenoisedChain, Gain, Guessed, Lattice, LinearChain, LinearQuadratic, LinearStep, Mixture, Normal, Outcome,
    Quadratic, outcome,
};
use crate::finetune::rollout::Noise;
use crate::finetune::trace::Trace;
use crate::finetune::{Anchor, Control, FinetuneConfig, OBJECTIVES, ReplayConfig, SoftQConfig, Terminal, Undecoded};
use crate::nn::{Init, Params, check};
use crate::random::Seed;
use candle_core::{D, DType, Device, Tensor};

/// Alpha, discount at 50 steps, mean of the end, KL of the path: r(x) = x on N(0, 1) data, 50 steps.
const ROWS: [[f64; 4]; 12] = [
    [1.0, 1.00, 0.857_509, 0.428_755],
    [1.0, 0.95, 0.439_093, 0.125_155],
    [1.0, 0.90, 0.243_444, 0.049_317],
    [1.0, 0.85, 0.144_189, 0.023_618],
    [0.5, 1.00, 1.715_018, 1.715_018],
    [0.5, 0.95, 0.878_186, 0.500_620],
    [0.5, 0.90, 0.486_887, 0.197_268],
    [0.5, 0.85, 0.288_378, 0.094_473],
    [2.0, 1.00, 0.857_509 / 2.0, 0.428_755 / 4.0],
    [2.0, 0.95, 0.439_093 / 2.0, 0.125_155 / 4.0],
    [2.0, 0.90, 0.243_444 / 2.0, 0.049_317 / 4.0],
    [2.0, 0.85, 0.144_189 / 2.0, 0.023_618 / 4.0],
];

/// The chain of one Gaussian, as the linear chain that it is.
fn linear(chain: &DenoisedChain) -> LinearChain {
    let one = Tensor::new(&[[1.0]], &Device::Cpu).unwrap();
    let steps = (0..chain.steps()).map(|k| {
        let step = chain.advance(k, &one, &mut Memory::default()).unwrap();
        LinearStep { keep: step.mean.flatten_all().unwrap().to_vec1::<f64>().unwrap()[0], std: step.std }
    });
    LinearChain::new(1.0, steps.collect()).unwrap()
}

fn config(alpha: f64, discount: f64, pairs: usize, capacity: usize) -> FinetuneConfig {
    FinetuneConfig {
        objective: "sqdf".to_owned(),
        alpha,
        batch: 6,
        soft_q: SoftQConfig { discount, pairs: Some(pairs), ..SoftQConfig::default() },
        replay: ReplayConfig { capacity: Some(capacity), ..ReplayConfig::default() },
        ..FinetuneConfig::default()
    }
}

#[test]
fn a_push_a_step_is_trained_to_the_published_means_and_divergences() {
    let chain = DenoisedChain::new(&Mixture::gaussian(0.0, 1.0), 50).unwrap();
    let (reward, exact) = (Slope(1.0), linear(&chain));
    let terminal = Guessed { chain: &chain, reward: &reward };
    for (row, [alpha, discount, mean, kl]) in ROWS.into_iter().enumerate() {
        // with and without a buffer; the reward is linear, so that no gradient has any noise but that of which steps are drawn
        let trial = Trial::new(&chain, &terminal, config(alpha, discount, 300, 12 * (row % 2)));
        let params = check::params();
        Shift::new(&params, 50);
        let control = |params: &Params| -> Box<dyn Control> { Box::new(Shift::new(params, 50)) };
        trial.descend(&params, &control, 0.7, 12);
        let pushes = params.vars()[0].1.to_vec1::<f64>().unwrap();
        let gains: Vec<Gain> = pushes.into_iter().map(|offset| Gain { slope: 0.0, offset }).collect();
        let got = outcome(&LinearQuadratic::default(), &exact, &gains);
        assert!((got.law.mean - mean).abs() < 1e-3, "{alpha} {discount}: {} {mean}", got.law.mean);
        assert!((got.path_kl - kl).abs() < 1e-3, "{alpha} {discount}: {} {kl}", got.path_kl);
        assert!((got.law.variance - 0.857_552).abs() < 1e-6);
    }
}

/// The loss of the pairs of a batch without a buffer, one by one, on states of the control that walked them.
fn reference(trial: &Trial<'_>, walked: &dyn Control, control: &dyn Control, seed: Seed) -> f64 {
    let (chain, config) = (trial.chain, &trial.config);
    let (steps, block, step) = (chain.steps(), chain.block(), seed.child("step").index(0));
    let draws = [(step.index(0), config.batch)];
    let trace = Trace::draw(chain, Some(walked), &Undecoded(trial.terminal), steps, &draws).unwrap();
    let tracks = trace.tracks(0, false).unwrap();
    let mut rng = step.child("replay").rng();
    let pairs = config.soft_q.pairs.unwrap();
    let square = |x: &Tensor| x.sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap();
    let mut loss = 0.0;
    for d in 0..pairs {
        let (track, k) = (&tracks[d % config.batch], rng.below(steps));
        let state = |k: usize| track.states.get(k).unwrap().unsqueeze(0).unwrap();
        let (mut memory, mut earlier) = (Memory::default(), Memory::default());
        let mut at = |k: usize| {
            let base = chain.advance(k, &state(k), &mut memory).unwrap();
            let u = control.control(k, &state(k), &base, &mut memory).unwrap();
            let v = trial.anchor.map(|anchor| anchor.control.control(k, &state(k), &base, &mut earlier).unwrap());
            (base, u, v)
        };
        if !k.is_multiple_of(block) {
            at(k - k % block);
        }
        let (base, u, v) = at(k);
        let noise = Noise::new(chain, &[(step.child("pairs").index(d as u64), 1)]).next(1).unwrap().squeeze(0).unwrap();
        let next = (&base.mean + ((&u + noise).unwrap() * base.std).unwrap()).unwrap();
        let trust = config.soft_q.discount.powf(50.0 * (steps - 1 - k) as f64 / steps as f64);
        let reward = trial.terminal.reward(k + 1, &next).unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap();
        let mut one = 0.5 * square(&u) - trust * reward / config.alpha;
        if let (Some(v), Some(anchor)) = (v, trial.anchor) {
            one += 0.5 * anchor.beta / config.alpha * square(&(&u - v).unwrap());
        }
        loss += one * steps as f64 / pairs as f64;
    }
    loss
}

#[test]
fn the_gradient_is_the_slope_of_the_loss_on_held_states() {
    let params = check::params();
    Network::new(&params);
    check::shake(&params);
    let frozen = Network::new(&Params::frozen(params.snapshot().unwrap(), &Device::Cpu));
    let moved = params.snapshot().unwrap().into_iter().map(|(name, w)| (name, (w * 0.4).unwrap())).collect();
    let earlier = Network::new(&Params::frozen(moved, &Device::Cpu));
    for (block, anchored) in [(1, false), (3, true)] {
        let chain = Bent { block };
        let mut trial = Trial::new(&chain, &Hills, config(0.7, 0.97, 9, 0));
        trial.anchor = anchored.then_some(Anchor { control: &earlier, beta: 0.4 });
        let build = |params: &Params| -> Box<dyn Control> { Box::new(Network::new(params)) };
        let mut objective = (OBJECTIVES.get("sqdf").unwrap().make)(&trial.config);
        let seed = Seed::root(12);
        let got = flat(&trial.gradient(objective.as_mut(), &params, &build, seed));
        let mut index = 0;
        for (name, var) in params.vars() {
            let values = var.flatten_all().unwrap().to_vec1::<f64>().unwrap();
            for i in 0..values.len() {
                let at = |h: f64| {
                    let mut moved = values.clone();
                    moved[i] += h;
                    var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap()).unwrap();
                    reference(&trial, &frozen, &Network::new(&params), seed)
                };
                // central differences of h = 1e-5: error about h² f‴ + 1e-16/h
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                at(0.0);
                assert!((slope - got[index]).abs() < 1e-7 * (1.0 + slope.abs()), "{name} {i}: {slope} {}", got[index]);
                index += 1;
            }
        }
        assert!(index == got.len() && got.iter().any(|g| g.abs() > 0.1));
    }
}

/// A chain, a guess at its end, a head that reads it and a reward, each with a weight that could be trained.
pub(super) struct Wired(pub(super) Params);

impl Wired {
    pub(super) fn weight(&self, name: &str) -> Tensor {
        self.0.get(name, 1, Init::Const(0.8)).unwrap()
    }
}

impl Chain for Wired {
    fn steps(&self) -> usize {
        4
    }

    fn shape(&self) -> Vec<usize> {
        vec![2]
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

    fn block(&self) -> usize {
        2
    }

    fn advance(&self, _: usize, x: &Tensor, _: &mut Memory) -> Result<Move> {
        let mean = x.broadcast_mul(&self.weight("prior"))?;
        Ok(Move { belief: Some(mean.clone()), mean, std: 0.5 })
    }
}

impl Terminal for Wired {
    fn reward(&self, k: usize, x: &Tensor) -> Result<Tensor> {
        let end =
            if k < 4 { x.broadcast_mul(&self.weight("guess"))?.sin()? } else { x.broadcast_mul(&self.weight("head"))? };
        Ok(end.broadcast_mul(&self.weight("reward"))?.sum(D::Minus1)?)
    }
}

/// A control that reads the belief of its prior, as those of sequences do.
pub(super) struct Reading(pub(super) Tensor);

impl Control for Reading {
    fn control(&self, _: usize, _: &Tensor, base: &Move, memory: &mut Memory) -> Result<Tensor> {
        let push = base.belief.as_ref().unwrap().broadcast_mul(&self.0)?;
        let head = memory.change.take().unwrap_or_else(|| push.clone());
        memory.change = Some(head.clone());
        Ok((push + head)?)
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
    for capacity in [0, 8] {
        let trial = Trial::new(&wired, &wired, config(0.5, 1.0, 40, capacity));
        let mut objective = (OBJECTIVES.get("sqdf").unwrap().make)(&trial.config);
        let gradients = trial.gradient(objective.as_mut(), &params, &build, Seed::root(3));
        for (name, gradient) in gradients.iter() {
            assert_eq!(gradient.is_some(), name == "control", "{name}");
        }
        assert!(flat_of(gradients.get("control").unwrap())[0].abs() > 1e-3);
    }
}

fn flat_of(tensor: &Tensor) -> Vec<f64> {
    tensor.flatten_all().unwrap().to_vec1::<f64>().unwrap()
}

#[test]
fn a_constant_reward_leaves_the_prior_alone_and_asks_anything_else_back() {
    let chain = Bent { block: 2 };
    let trial = Trial::new(&chain, &Slope(0.0), config(0.5, 0.95, 30, 0));
    let build = |params: &Params| -> Box<dyn Control> { Box::new(Shift::new(params, 6)) };
    let params = check::params();
    Shift::new(&params, 6);
    let gradient = |params: &Params| {
        let mut objective = (OBJECTIVES.get("sqdf").unwrap().make)(&trial.config);
        flat(&trial.gradient(objective.as_mut(), params, &build, Seed::root(4)))
    };
    // at the prior: neither a divergence nor a slope of the reward
    assert!(gradient(&params).iter().all(|g| *g == 0.0));
    // away from it: the slope of the divergence alone, K/D · n_k · 2 u_k for two numbers a state, n_k how often step k was drawn
    check::shake(&params);
    let pushes = flat_of(params.vars()[0].1.as_tensor());
    let counts: Vec<f64> = gradient(&params).iter().zip(&pushes).map(|(g, u)| g / u / 2.0 * 30.0 / 6.0).collect();
    assert!(counts.iter().all(|n| (n - n.round()).abs() < 1e-9), "{counts:?}");
    assert!((counts.iter().sum::<f64>() - 30.0).abs() < 1e-9);
}

/// 3 exp(−(x − 2)²/2) + 2 exp(−(x + 2)²/2).
struct Bumps;

impl Terminal for Bumps {
    fn reward(&self, _: usize, x: &Tensor) -> Result<Tensor> {
        let bump =
            |centre: f64, height: f64| -> Result<Tensor> { Ok(((((x - centre)?.sqr()? * -0.5)?).exp()? * height)?) };
        Ok((bump(2.0, 3.0)? + bump(-2.0, 2.0)?)?.sum(D::Minus1)?)
    }
}

/// Whether an end is in the right mode.
struct Right;

impl Terminal for Right {
    fn reward(&self, _: usize, x: &Tensor) -> Result<Tensor> {
        Ok(x.ge(0.0)?.to_dtype(DType::F64)?.sum(D::Minus1)?)
    }
}

/// What the control that is best for the guesses of a discount reaches on two modes, and the share of ends in the right one: exact up to
/// the lattice.
fn guessed_best(reward: &dyn Terminal, alpha: f64, discount: f64) -> (Outcome, f64) {
    let law = |mean: f64| (0.5, Normal { mean, variance: 0.25 });
    let chain = DenoisedChain::new(&Mixture::new(&[law(-2.0), law(2.0)]), 50).unwrap();
    let noisy = chain.noisy().unwrap();
    let worth = |k: usize, x: &Tensor| -> Result<Tensor> {
        let guess = Guessed { chain: &chain, reward }.reward(k + 1, x)?;
        Ok((guess * (discount.powf((49 - k) as f64) / alpha))?)
    };
    let of = |end: &dyn Terminal| {
        let end = Guessed { chain: &noisy, reward: end };
        Lattice::new(&noisy, &end, alpha, (-6.0, 6.0)).unwrap().stepwise(worth).unwrap()
    };
    (of(reward), of(&Right).reward)
}

/// Reward, price, and per discount 1, 0.95, 0.9 and 0.85 the published reward, share of the right mode and objective.
struct Published {
    reward: Box<dyn Terminal>,
    alpha: f64,
    cells: [[f64; 3]; 4],
}

const DISCOUNTS: [f64; 4] = [1.0, 0.95, 0.90, 0.85];

fn published() -> Vec<Published> {
    let linear = || Box::new(Quadratic { slope: 1.0, curvature: 0.0, centre: 0.0 });
    let cells = [
        [[1.60, 0.87, 0.84], [0.68, 0.66, 0.55], [0.27, 0.56, 0.24], [0.12, 0.52, 0.11]],
        [[2.22, 0.99, 1.16], [1.26, 0.78, 1.01], [0.53, 0.62, 0.48], [0.23, 0.55, 0.21]],
        [[2.54, 1.00, 1.33], [2.01, 0.93, 1.64], [1.01, 0.72, 0.90], [0.46, 0.59, 0.42]],
        [[-0.30, 1.00, -1.22], [-0.40, 0.98, -0.85], [-1.03, 0.77, -1.27], [-1.67, 0.60, -1.80]],
        [[2.58, 0.70, 1.62], [2.49, 0.62, 2.29], [2.41, 0.55, 2.36], [2.36, 0.52, 2.34]],
    ];
    let rewards: [(Box<dyn Terminal>, f64); 5] = [
        (linear(), 2.0),
        (linear(), 1.0),
        (linear(), 0.5),
        (Box::new(Quadratic { slope: 0.0, curvature: 1.0, centre: 1.0 }), 0.5),
        (Box::new(Bumps), 0.5),
    ];
    rewards.into_iter().zip(cells).map(|((reward, alpha), cells)| Published { reward, alpha, cells }).collect()
}

/// Checks cells of a row against the published ones: numbers, and which discount is better.
fn check_row(row: &Published, columns: &[usize]) {
    let mut got = Vec::new();
    for column in columns {
        let (outcome, right) = guessed_best(row.reward.as_ref(), row.alpha, DISCOUNTS[*column]);
        // published numbers are of 150,000 paths, rounded: a standard error of 0.005 to 0.007 and 0.005 of rounding
        for (got, published) in [outcome.reward, right, outcome.value].into_iter().zip(row.cells[*column]) {
            assert!(
                (got - published).abs() < 0.025,
                "alpha {} discount {}: {got} {published}",
                row.alpha,
                DISCOUNTS[*column]
            );
        }
        got.push(outcome.value);
    }
    for (i, a) in columns.iter().enumerate() {
        for (j, b) in columns.iter().enumerate() {
            let apart = row.cells[*a][2] - row.cells[*b][2];
            assert!(
                apart * (got[i] - got[j]) >= 0.0,
                "discounts {} and {} of alpha {}",
                DISCOUNTS[*a],
                DISCOUNTS[*b],
                row.alpha
            );
        }
    }
}

#[test]
fn which_discount_is_best_on_two_modes_is_as_published() {
    check_row(&published()[2], &[0, 1]);
}

#[test]
#[ignore = "all five rows of the published table at all discounts: half a minute"]
fn the_whole_table_of_two_modes_is_as_published() {
    for row in published() {
        check_row(&row, &[0, 1, 2, 3]);
    }
}
