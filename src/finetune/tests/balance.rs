//! Log-ratio against reward on paths of any law.

use super::fixture::{Bent, Constant, Hills, Network, Shift, Slope, Trial, flat};
use super::tokens::chain;
use crate::diffusion::{Chain, Memory, Move};
use crate::error::Result;
use crate::finetune::analytic::{
    Fixture, Interpolant, LinearChain, LinearQuadratic, Mixture, MixtureChain, MixtureProblem, Noise, Start,
};
use crate::finetune::divergence::ReverseKl;
use crate::finetune::{
    BalanceConfig, Control, FinetuneConfig, Finetuning, Ledger, LogVariance, OBJECTIVES, PathLoss as _,
    SequenceTerminal, Trace, TrajectoryBalance, Undecoded, roll_out,
};
use crate::nn::{AdamWConfig, Learner, Mlp, Params, Pool, check};
use crate::random::Seed;
use crate::reward::Multilinear;
use candle_core::{DType, Device, Tensor};
use ndarray::Axis;

/// How a one-dimensional chain's step moves the state: `m(x) = keep x + push`, and its standard deviation.
fn step(chain: &dyn Chain, k: usize) -> (f64, f64) {
    let ends = Tensor::new(&[[0.0_f64], [1.0]], &Device::Cpu).unwrap();
    let base = chain.advance(k, &ends, &mut Memory::default()).unwrap();
    let means = base.mean.flatten_all().unwrap().to_vec1::<f64>().unwrap();
    (means[1] - means[0], base.std)
}

/// The best push of every step towards `slope x_K`, in nats, and the slope of the soft value in x_0.
fn best_push(chain: &dyn Chain, slope: f64) -> (Vec<f64>, f64) {
    let mut carry = slope;
    let mut pushes: Vec<f64> = (0..chain.steps())
        .rev()
        .map(|k| {
            let (keep, std) = step(chain, k);
            let push = std * carry;
            carry *= keep;
            push
        })
        .collect();
    pushes.reverse();
    (pushes, carry)
}

fn shift(pushes: &[f64]) -> Shift {
    let (steps, held) = (pushes.len(), Tensor::from_slice(pushes, pushes.len(), &Device::Cpu).unwrap());
    Shift::new(&Params::frozen([("shift".to_owned(), held)].into(), &Device::Cpu), steps)
}

fn ledger<'a>(trace: &'a Trace, now: &'a ndarray::Array2<f64>, alpha: f64) -> Ledger<'a> {
    Ledger { values: &trace.values, drawn: &trace.increments, now, log_shares: None, alpha, divergence: &ReverseKl }
}

fn spread_of(values: &[f64]) -> f64 {
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

/// Paths of the control itself, of the base, and with twice the noise.
fn laws<'a>(chain: &dyn Chain, control: &'a dyn Control, slope: f64, rows: usize) -> [Trace; 3] {
    let (terminal, draws) = (Slope(slope), [(Seed::root(11), rows)]);
    let draw = |control: Option<&'a dyn Control>, spread: f64| {
        Trace::explore(chain, control, &Undecoded(&terminal), chain.steps(), &draws, spread).unwrap()
    };
    [draw(Some(control), 1.0), draw(None, 1.0), draw(Some(control), 2.0)]
}

#[test]
fn loss_and_weights_vanish_at_the_exact_tilt_whoever_drew_the_paths() {
    // r = a x from a fixed point: log Z = ½ (a/α)² Var x_K
    let chain = LinearChain::euler(&LinearQuadratic::default(), Start::Joint, 5, 3).unwrap();
    let (slope, alpha) = (0.7, 0.4);
    let (pushes, _) = best_push(&chain, slope / alpha);
    let log_z = 0.5 * pushes.iter().map(|u| u * u).sum::<f64>();
    let control = shift(&pushes);
    for trace in laws(&chain, &control, slope, 64) {
        let now = trace.under(&control).unwrap();
        let ledger = ledger(&trace, &now, alpha);
        let exact = TrajectoryBalance { reuse: 1, rate: 0.3, log_z: Some(log_z) };
        let mut learning = exact;
        learning.learn(&ledger).unwrap();
        // sums of 8 steps of a few nats, in f64
        assert!((learning.log_z.unwrap() - log_z).abs() < 1e-12);
        let mut fresh = TrajectoryBalance { log_z: None, ..exact };
        fresh.learn(&ledger).unwrap();
        assert!((fresh.log_z.unwrap() - log_z).abs() < 1e-12, "{:?} {log_z}", fresh.log_z);
        let balance = exact.weigh(&ledger).unwrap();
        assert!(balance.weights.iter().all(|w| w.abs() < 1e-13) && balance.figures[0].1 < 1e-24);
        let variance = LogVariance { reuse: 1 }.weigh(&ledger).unwrap();
        assert!(variance.weights.iter().all(|w| w.abs() < 1e-13) && variance.figures[0].1 < 1e-24);
        // and not elsewhere
        let off = TrajectoryBalance { log_z: Some(log_z + 0.1), ..exact }.weigh(&ledger).unwrap();
        assert!(off.weights.iter().all(|w| (w - 0.2 / 64.0).abs() < 1e-13));
    }
}

#[test]
fn the_residual_of_fixture_a_is_constant_but_for_the_memory_of_the_start() {
    // 100 steps of the variance-preserving chain of fixture A; best control of the discrete chain times θ
    let problem = MixtureProblem {
        interpolant: Interpolant::Vp,
        noise: Noise::Memoryless,
        ..MixtureProblem::fixture(Fixture::A)
    };
    let chain = MixtureChain::euler(&problem, 100).unwrap();
    let slope = problem.reward.slope / problem.alpha;
    let (pushes, memory) = best_push(&chain, slope);
    assert!((memory - 6.6e-3).abs() < 1e-4, "{memory}");
    let rows = 512;
    let size = pushes.iter().map(|u| u * u).sum::<f64>().sqrt();
    for theta in [1.0, 0.5, 0.0] {
        let scaled: Vec<f64> = pushes.iter().map(|u| theta * u).collect();
        let control = shift(&scaled);
        for (law, trace) in laws(&chain, &control, problem.reward.slope, rows).into_iter().enumerate() {
            let ratios = trace.under(&control).unwrap().sum_axis(Axis(0));
            let starts: Vec<f64> = trace
                .tracks(0, true)
                .unwrap()
                .iter()
                .map(|track| track.states.to_vec2::<f64>().unwrap()[0][0])
                .collect();
            let residuals = ratios.iter().zip(&trace.values).zip(&starts);
            let residuals: Vec<f64> = residuals.map(|((l, r), x)| l - r / problem.alpha + memory * x).collect();
            let std = spread_of(&residuals);
            if theta == 1.0 {
                assert!(std < 1e-12, "law {law}: {std}");
                continue;
            }
            // |1 − θ| k s, with the noise of the explorer; a standard deviation of n normals has the error 1/√(2n)
            let expected = (1.0 - theta) * size * if law == 2 { 2.0 } else { 1.0 };
            let error = expected / (2.0 * rows as f64).sqrt();
            assert!(((std - expected) / error).abs() < 4.0, "θ {theta}, law {law}: {std} {expected}");
        }
    }
    // k s = 2 · 0.8 up to the discretisation of the base's variance, 0.6494 instead of 0.64
    assert!((size - 1.6).abs() < 0.02, "{size}");
}

#[test]
fn the_gradient_is_the_slope_of_the_loss() {
    let chain = Bent { block: 2 };
    let params = check::params();
    Network::new(&params);
    check::shake(&params);
    let mut trace = laws(&chain, &Network::new(&params), 0.0, 4).into_iter().last().unwrap();
    trace.values = vec![0.3, -0.4, 1.1, 0.2];
    let loss = TrajectoryBalance { reuse: 1, rate: 0.2, log_z: Some(0.37) };
    let at = || {
        let now = trace.under(&Network::new(&params)).unwrap();
        loss.weigh(&ledger(&trace, &now, 0.8)).unwrap()
    };
    let weights = at().weights.broadcast((6, 4)).unwrap().to_owned();
    let got = flat(&trace.gradient(&Network::new(&params), &params.vars(), &weights).unwrap());
    let mut index = 0;
    for (_, var) in params.vars() {
        let values = var.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for i in 0..values.len() {
            let moved = |h: f64| {
                let mut moved = values.clone();
                moved[i] += h;
                var.set(&Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap()).unwrap();
                at().figures[0].1
            };
            // central differences of h = 1e-5: error about h² times a third derivative, and 1e-16/h
            let slope = (moved(1e-5) - moved(-1e-5)) / 2e-5;
            moved(0.0);
            assert!((slope - got[index]).abs() < 1e-6 * (1.0 + slope.abs()), "{slope} {}", got[index]);
            index += 1;
        }
    }
    assert!(index == got.len() && got.iter().any(|g| g.abs() > 1e-2));
}

#[test]
fn an_explored_path_has_the_log_ratio_of_its_states() {
    // log N(y; m + s u, s²) − log N(y; m, s²) from states alone, with the chain's own s
    let (chain, control) = (Bent { block: 1 }, Constant([0.2, -0.3]));
    let draws = [(Seed::root(4), 9)];
    let trace = Trace::explore(&chain, Some(&control), &Undecoded(&Hills), 6, &draws, 1.7).unwrap();
    let plain = Trace::draw(&chain, Some(&control), &Undecoded(&Hills), 6, &draws).unwrap();
    let mut size = [0.0, 0.0];
    for (row, (wide, narrow)) in
        trace.tracks(0, true).unwrap().into_iter().zip(plain.tracks(0, true).unwrap()).enumerate()
    {
        for k in 0..6 {
            let x = wide.states.narrow(0, k, 1).unwrap();
            let base = chain.advance(k, &x, &mut Memory::default()).unwrap();
            let y = wide.states.get(k + 1).unwrap().to_vec1::<f64>().unwrap();
            let m = base.mean.get(0).unwrap().to_vec1::<f64>().unwrap();
            let ell: f64 = (0..2)
                .map(|i| {
                    let (near, far) = ((y[i] - m[i]) / base.std, (y[i] - m[i]) / base.std - control.at(k)[i]);
                    0.5 * (near * near - far * far)
                })
                .sum();
            assert!((trace.increments[[k, row]] - ell).abs() < 1e-12);
        }
        for (size, track) in size.iter_mut().zip([wide, narrow]) {
            *size += track.innovations.unwrap().sqr().unwrap().sum_all().unwrap().to_scalar::<f64>().unwrap();
        }
    }
    // 1.7² of the noise and the same of the control: 108 normals and Σ|u|² = 11 a path
    assert!(size[0] > 1.5 * size[1], "{size:?}");
}

#[test]
fn log_z_and_control_converge_to_the_exact_ones_with_exploration_and_replay() {
    let chain = LinearChain::euler(&LinearQuadratic::default(), Start::Joint, 4, 2).unwrap();
    let (slope, alpha) = (0.5, 0.8);
    let (best, _) = best_push(&chain, slope / alpha);
    let log_z = 0.5 * best.iter().map(|u| u * u).sum::<f64>();
    let terminal = Slope(slope);
    for (exploration, capacity) in [(1.0, None), (2.0, None), (2.0, Some(200))] {
        let mut config = FinetuneConfig {
            objective: "trajectory-balance".to_owned(),
            alpha,
            batch: 64,
            reuse: 1,
            steps: 120,
            balance: BalanceConfig { log_z_rate: 0.3, exploration },
            ..FinetuneConfig::default()
        };
        (config.replay.capacity, config.replay.fresh) = (capacity, 0.25);
        let mut objective = (OBJECTIVES.get(&config.objective).unwrap().make)(&config);
        let trial = Trial::new(&chain, &terminal, config);
        let params = check::params();
        Shift::new(&params, chain.steps());
        let control = |params: &Params| -> Box<dyn Control> { Box::new(Shift::new(params, 6)) };
        // the curvature is 2 E[z²], up to 8 with twice the noise
        let rate = if exploration > 1.0 { 0.06 } else { 0.2 };
        for step in 0..120 {
            let gradients = trial.gradient(objective.as_mut(), &params, &control, Seed::root(5).index(step));
            for (name, var) in params.vars() {
                var.set(&(var.as_tensor() - (gradients.get(&name).unwrap() * rate).unwrap()).unwrap()).unwrap();
            }
        }
        let learned = objective.state().unwrap()["loss/log_z"].to_vec1::<f64>().unwrap()[0];
        // nothing is left of the noise where the residual is 0; what is left is the rate of descent
        assert!((learned - log_z).abs() < 1e-3, "{exploration} {capacity:?}: {learned} {log_z}");
        for (got, best) in params.vars()[0].1.to_vec1::<f64>().unwrap().iter().zip(&best) {
            assert!((got - best).abs() < 1e-3, "{exploration} {capacity:?}: {got} {best}");
        }
    }
}

#[test]
fn a_chain_that_remembers_its_start_and_methods_that_need_its_law_are_refused() {
    let pool = Pool::new(1).unwrap();
    let reward = Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap();
    let refused = |objective: &str, eta: f64, exploration: f64| {
        let chain = chain(DType::F32, 3).with_eta(eta).unwrap();
        let terminal = SequenceTerminal::new(&chain, &reward);
        let mut config = FinetuneConfig { objective: objective.to_owned(), ..FinetuneConfig::default() };
        config.balance.exploration = exploration;
        let message = Finetuning::new(config, &chain, &terminal, Seed::root(1), &pool).err();
        message.map(|error| error.message().to_owned()).unwrap_or_default()
    };
    for objective in ["trajectory-balance", "log-variance", "implicit-tilt-matching"] {
        assert!(refused(objective, 0.5, 1.0).contains("remembers its start"), "{objective}");
        assert_eq!(refused(objective, 1.0, 1.0), "", "{objective}");
    }
    // without noise there are no densities to balance
    assert!(chain(DType::F32, 3).with_eta(0.0).unwrap_err().message().contains("without noise"));
    for objective in ["ppo", "weighted-likelihood", "mirror-descent", "control", "implicit-tilt-matching"] {
        assert!(refused(objective, 1.0, 2.0).contains("explores none"), "{objective}");
    }
    assert_eq!(refused("log-variance", 1.0, 2.0), "");
}

/// A perceptron of state and time.
struct Perceptron {
    layers: Mlp,
    steps: usize,
}

impl Control for Perceptron {
    fn control(&self, k: usize, x: &Tensor, _: &Move, _: &mut Memory) -> Result<Tensor> {
        let time = (x.zeros_like()? + k as f64 / self.steps as f64)?;
        self.layers.forward(&Tensor::cat(&[x, &time], 1)?)
    }
}

/// Wasserstein-1 distance of ends to the exact tilt of fixture C, `∫|F − G|`, on a grid whose error is about its step.
fn distance(ends: &mut [f64], target: &Mixture) -> f64 {
    ends.sort_by(f64::total_cmp);
    let (step, mut mass, mut below, mut sum) = (0.01, 0.0, 0, 0.0);
    for i in 0..1400 {
        let x = step * f64::from(i) - 7.0;
        mass += step * target.log_density(x).exp();
        while below < ends.len() && ends[below] <= x {
            below += 1;
        }
        sum += step * (mass - below as f64 / ends.len() as f64).abs();
    }
    sum
}

/// Distance to the tilt of fixture C before and after training on values alone.
fn trained_on_c(objective: &str, steps: usize, updates: u64, batch: usize, width: usize) -> (f64, f64) {
    let problem = MixtureProblem {
        interpolant: Interpolant::Vp,
        noise: Noise::Memoryless,
        ..MixtureProblem::fixture(Fixture::C)
    };
    let chain = MixtureChain::euler(&problem, steps).unwrap();
    let (terminal, target) = (Slope(problem.reward.slope), problem.tilted().0);
    let config = FinetuneConfig {
        objective: objective.to_owned(),
        alpha: problem.alpha,
        batch,
        shard: batch,
        reuse: 1,
        steps: updates,
        ..FinetuneConfig::default()
    };
    let params = check::params();
    let control = |params: &Params| -> Box<dyn Control> {
        let layers = Mlp::zero_last(params, &[2, width, width, 1]).unwrap();
        Box::new(Perceptron { layers, steps })
    };
    control(&params);
    let settings = AdamWConfig { lr: 0.01, weight_decay: 0.0, clip_norm: Some(1.0), ..AdamWConfig::default() };
    let mut learner = Learner::new(params.clone(), settings, 0.9, updates).unwrap();
    let far = |params: &Params| {
        let read = |x: &Tensor| Ok(x.flatten_all()?.to_vec1::<f64>()?);
        let tuned = control(params);
        let paths = roll_out(&chain, Some(tuned.as_ref()), 4096, Seed::root(8), Pool::inline(), read).unwrap();
        distance(&mut paths.ends.clone(), &target)
    };
    let before = far(&params);
    let mut method = (OBJECTIVES.get(objective).unwrap().make)(&config);
    let trial = Trial::new(&chain, &terminal, config);
    for update in 0..updates {
        let gradients = trial.gradient(method.as_mut(), &params, &control, Seed::root(6).index(update));
        learner.learn(&[gradients], Pool::inline(), &[], |_| Ok(())).unwrap();
    }
    (before, far(&params))
}

#[test]
fn a_perceptron_learns_to_move_between_modes_from_values_alone() {
    for objective in ["log-variance", "trajectory-balance"] {
        let (before, after) = trained_on_c(objective, 10, 80, 64, 16);
        // the base's mean is 2 away; 80 steps of a coarse chain go most of the way
        assert!(before > 1.8 && after < 0.5 * before, "{objective}: {before} {after}");
    }
}

#[test]
#[ignore = "a minute or more"]
fn values_alone_reach_the_tilt_of_two_modes() {
    for objective in ["log-variance", "trajectory-balance"] {
        let (before, after) = trained_on_c(objective, 50, 1200, 128, 32);
        assert!(after < 0.1, "{objective}: {before} {after}");
    }
}
