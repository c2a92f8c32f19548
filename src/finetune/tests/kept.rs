//! Kept paths, and methods that learn from them.

use super::fixture::{Bent, Constant, Hills, Network, Slope, flat, mean};
use super::tokens::chain;
use crate::diffusion::{Chain as _, DiffusionChain};
use crate::finetune::analytic::{Affine, Gain, LinearChain, LinearQuadratic, Start};
use crate::finetune::backprop::Priced;
use crate::finetune::divergence::{DivergenceKind, ReverseKl, Tilting};
use crate::finetune::{
    BackProp, Batch, ClippedRatio, Control, ControlConfig, ControlKind, FinetuneConfig, Finetuning, Ledger,
    LogVariance, MirrorDescent, PathLoss, Problem, Rollout, ScoreFunction, SequenceTerminal, Trace, Undecoded,
    WeightedLikelihood,
};
use crate::nn::{Params, Pool, Training as _, check};
use crate::random::Seed;
use crate::reward::Multilinear;
use candle_core::{DType, Device};
use ndarray::{Array2, Axis, array};

const CHAIN: Bent = Bent { block: 2 };
const ALPHA: f64 = 0.8;
const EVERY: [&str; 10] =
    ["kl", "forward-kl", "jeffreys", "js", "pearson", "neyman", "hellinger", "order:1.5", "kl-chi2", "soft-chi"];

fn network() -> (Params, Network) {
    let params = check::params();
    Network::new(&params);
    check::shake(&params);
    let control = Network::new(&params);
    (params, control)
}

fn trace(control: Option<&dyn Control>, rows: usize, seed: Seed) -> Trace {
    Trace::draw(&CHAIN, control, &Undecoded(&Hills), CHAIN.steps(), &[(seed, rows)]).unwrap()
}

fn close(a: &Array2<f64>, b: &Array2<f64>) -> bool {
    a.dim() == b.dim() && a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12 * (1.0 + b.abs()))
}

#[test]
fn a_kept_path_has_the_log_ratio_of_its_roll_out_under_any_control() {
    let (_, control) = network();
    let drawn = trace(Some(&control), 5, Seed::root(1));
    let rollout = Rollout::draw(&CHAIN, Some(&control), CHAIN.steps(), 5, Seed::root(1), false).unwrap();
    let sums = drawn.increments.sum_axis(Axis(0));
    for (sum, ratio) in sums.iter().zip(rollout.log_ratio.to_vec1::<f64>().unwrap()) {
        assert!((sum - ratio).abs() < 1e-12, "{sum} {ratio}");
    }
    assert!(close(&drawn.under(&control).unwrap(), &drawn.increments));
    // another control on the same path: log N(x'; m + s u, s²) − log N(x'; m, s²) with z = (x' − m)/s = u_drawn + ε
    let other = Constant([0.2, -0.4]);
    let base = trace(None, 4, Seed::root(2));
    assert!(base.increments.iter().all(|ell| *ell == 0.0));
    let expected = Rollout::draw(&CHAIN, None, CHAIN.steps(), 4, Seed::root(2), true).unwrap();
    let got = base.under(&other).unwrap();
    for (block, noise) in expected.noises.iter().enumerate() {
        for (i, rows) in noise.to_vec3::<f64>().unwrap().iter().enumerate() {
            let u = other.at(2 * block + i);
            for (row, epsilon) in rows.iter().enumerate() {
                let ell: f64 = u.iter().zip(epsilon).map(|(u, e)| u * e - 0.5 * u * u).sum();
                assert!((got[[2 * block + i, row]] - ell).abs() < 1e-12);
            }
        }
    }
}

#[test]
fn the_weighted_gradient_is_the_slope_of_the_weighted_log_densities() {
    let (params, control) = network();
    let drawn = trace(None, 3, Seed::root(3));
    let weights = Array2::from_shape_fn((6, 3), |(k, i)| 0.3 * (k as f64) - 0.5 * (i as f64) + 0.2);
    let got = flat(&drawn.gradient(&control, &params.vars(), &weights).unwrap());
    let loss = || (&drawn.under(&Network::new(&params)).unwrap() * &weights).sum();
    let mut index = 0;
    for (_, var) in params.vars() {
        let values = var.flatten_all().unwrap().to_vec1::<f64>().unwrap();
        for i in 0..values.len() {
            let at = |h: f64| {
                let mut moved = values.clone();
                moved[i] += h;
                var.set(&candle_core::Tensor::from_vec(moved, var.shape(), &Device::Cpu).unwrap()).unwrap();
                loss()
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            at(0.0);
            assert!((slope - got[index]).abs() < 1e-7 * (1.0 + slope.abs()), "{slope} {}", got[index]);
            index += 1;
        }
    }
    assert_eq!(index, got.len());
}

/// Standard scores of the differences of two estimators' means, squared and added up, beside their number; and how many
/// standard errors the largest entry is from zero.
fn disagreement(one: &[Vec<f64>], other: &[Vec<f64>]) -> (f64, f64, f64) {
    let (mut squares, mut size) = (0.0, 0.0_f64);
    for i in 0..one[0].len() {
        let differences: Vec<f64> = one.iter().zip(other).map(|(a, b)| a[i] - b[i]).collect();
        let (difference, se) = mean(&differences);
        squares += (difference / se).powi(2);
        let (value, error) = mean(&one.iter().map(|draw| draw[i]).collect::<Vec<_>>());
        size = size.max((value / error).abs());
    }
    (squares, one[0].len() as f64, size)
}

#[test]
fn three_estimators_of_the_gradient_agree_for_every_divergence() {
    let (params, control) = network();
    // a control of less than half a nat: the prices of ratios have finite variance then
    params.vars().iter().for_each(|(_, var)| var.set(&(var.as_tensor() * 0.35).unwrap()).unwrap());
    let drawn = trace(Some(&control), 64, Seed::root(6)).increments.sum_axis(Axis(0));
    assert!((0.02..0.5).contains(&drawn.mean().unwrap()), "{drawn}");
    let held = Network::new(&Params::frozen(params.snapshot().unwrap(), &Device::Cpu));
    let problem = Problem { chain: &CHAIN, terminal: &Hills, alpha: Some(ALPHA) };
    let nearer = |tensor: &candle_core::Tensor| (tensor * 0.97).unwrap();
    let near = params.snapshot().unwrap().iter().map(|(name, tensor)| (name.clone(), nearer(tensor))).collect();
    let near = Network::new(&Params::frozen(near, &Device::Cpu));
    let vars = params.vars();
    let (draws, rows) = (40_u64, 32);
    for name in EVERY {
        let kind: DivergenceKind = name.parse().unwrap();
        let divergence = kind.get();
        let start = trace(Some(&control), 64, Seed::root(6));
        let gains = start.values.iter().zip(start.increments.sum_axis(Axis(0)));
        let baseline = mean(&gains.map(|(r, l)| r / ALPHA - divergence.path_slope(l)).collect::<Vec<_>>()).0;
        let pathwise = |draw: u64| {
            let batch = Batch { rows, total: rows, steps: CHAIN.steps(), seed: Seed::root(4).index(draw) };
            let (method, draws) = (BackProp::default(), [(batch.seed, rows)]);
            let got = method
                .gradient_from(
                    &problem,
                    &control,
                    &held,
                    &vars,
                    &batch,
                    &draws,
                    Priced { divergence: Some(divergence), anchor: None },
                )
                .unwrap();
            flat(&got.gradients)
        };
        let score = |draw: u64| {
            let drawn = trace(Some(&control), rows, Seed::root(4).index(draw));
            let ell = &drawn.increments;
            let ledger =
                Ledger { values: &drawn.values, drawn: ell, now: ell, log_shares: None, alpha: ALPHA, divergence };
            let weights = ScoreFunction.weigh(&ledger).unwrap().weights;
            let weights = weights.broadcast(ell.raw_dim()).unwrap().to_owned();
            flat(&drawn.gradient(&control, &vars, &weights).unwrap())
        };
        // on paths of another control Q: every path counts dP^θ/dQ = e^(L_θ − L_Q) times, and a constant is a baseline
        let other = |draw: u64| {
            let drawn = trace(Some(&near), rows, Seed::root(5).index(draw));
            let now = drawn.under(&control).unwrap();
            let (ratio, ratio_q) = (now.sum_axis(Axis(0)), drawn.increments.sum_axis(Axis(0)));
            let weight = |i: usize| {
                let gain = drawn.values[i] / ALPHA - divergence.path_slope(ratio[i]) - baseline;
                -gain * (ratio[i] - ratio_q[i]).exp() / rows as f64
            };
            let weights = Array2::from_shape_fn(now.dim(), |(_, i)| weight(i));
            flat(&drawn.gradient(&control, &vars, &weights).unwrap())
        };
        let all = |of: &dyn Fn(u64) -> Vec<f64>| (0..draws).map(of).collect::<Vec<_>>();
        let (pathwise, score, other) = (all(&pathwise), all(&score), all(&other));
        for (what, one, two) in [("score", &pathwise, &score), ("off-policy", &pathwise, &other)] {
            // squared t-scores of 40 draws: mean n · 39/37, and correlated, hence the width
            let (squares, n, size) = disagreement(one, two);
            assert!(squares < 1.1 * n + 6.0 * (2.0 * n).sqrt(), "{name} {what}: {squares} of {n}");
            assert!(size > 4.0, "{name}: the gradient is {size} standard errors from zero");
        }
    }
}

#[test]
fn all_weights_vanish_at_the_optimum_of_a_linear_reward() {
    // r = a Σ x on a linear chain: the best control is constant and r/α − L the same on every path
    let chain = LinearChain::euler(&LinearQuadratic::default(), Start::Joint, 4, 2).unwrap();
    let mut carry = 0.7 / ALPHA;
    let mut gains: Vec<Gain> = chain
        .all()
        .iter()
        .rev()
        .map(|step| {
            let gain = Gain { slope: 0.0, offset: step.std * carry };
            carry *= step.keep;
            gain
        })
        .collect();
    gains.reverse();
    let control = Affine::held(&gains).unwrap();
    let slope = Slope(0.7);
    let drawn = Trace::draw(&chain, Some(&control), &Undecoded(&slope), chain.steps(), &[(Seed::root(5), 32)]).unwrap();
    let ledger = Ledger {
        values: &drawn.values,
        drawn: &drawn.increments,
        now: &drawn.increments,
        log_shares: None,
        alpha: ALPHA,
        divergence: &ReverseKl,
    };
    let losses: [&dyn PathLoss; 2] = [&ScoreFunction, &WeightedLikelihood { reuse: 1 }];
    for loss in losses {
        let weights = loss.weigh(&ledger).unwrap().weights;
        assert!(weights.iter().all(|w| w.abs() < 1e-13), "{weights}");
    }
}

#[test]
fn all_weights_vanish_at_the_optimum_of_every_divergence() {
    // L = log g((r − λ)/α) at the optimum: r/α − f'(e^L) = λ/α and L − r_f/α = 0 on every path
    let mut rng = Seed::root(8).rng();
    let rewards: Vec<f64> = (0..40).map(|_| rng.normal()).collect();
    for name in EVERY {
        let kind: DivergenceKind = name.parse().unwrap();
        let (divergence, alpha) = (kind.get(), 2.5);
        let tilting = Tilting::solve(&rewards, None, alpha, divergence).unwrap();
        let inside: Vec<usize> = (0..40).filter(|i| tilting.log_density[*i].is_finite()).collect();
        let ratio = Array2::from_shape_fn((1, inside.len()), |(_, i)| tilting.log_density[inside[i]]);
        let of = |values: &[f64], loss: &dyn PathLoss| {
            let ledger = Ledger { values, drawn: &ratio, now: &ratio, log_shares: None, alpha, divergence };
            loss.weigh(&ledger).unwrap().weights.iter().map(|w| w.abs()).fold(0.0, f64::max)
        };
        let (raw, stand_in): (Vec<f64>, Vec<f64>) =
            inside.iter().map(|i| (rewards[*i], alpha * tilting.log_density[*i])).unzip();
        let direct: [&dyn PathLoss; 2] = [&ScoreFunction, &MirrorDescent { rate: 0.5, reuse: 1 }];
        for loss in direct {
            let most = of(&raw, loss);
            assert!(most < 1e-12, "{name}: {most}");
        }
        let through: [&dyn PathLoss; 2] = [&LogVariance { reuse: 1 }, &WeightedLikelihood { reuse: 1 }];
        for loss in through {
            let most = of(&stand_in, loss);
            assert!(most < 1e-12, "{name}: {most}");
        }
        // and not elsewhere
        let half: Vec<f64> = raw.iter().map(|r| 0.5 * r).collect();
        assert!(of(&half, &ScoreFunction) > 1e-3 && of(&half, &MirrorDescent { rate: 0.5, reuse: 1 }) > 1e-4, "{name}");
    }
}

#[test]
fn mirror_descent_on_a_finite_space_ends_in_the_optimum() {
    // one path per outcome and weights q: an outer step fitted exactly is w ← w exp(h (r/α − f'(w)))/norm
    let (p, rewards, alpha) = ([0.4, 0.3, 0.2, 0.1], [0.0, 0.5, 1.0, 2.0], 1.0);
    for name in EVERY {
        let kind: DivergenceKind = name.parse().unwrap();
        let divergence = kind.get();
        let best = Tilting::solve(&rewards, Some(&p), alpha, divergence).unwrap();
        let mut logs = [0.0_f64; 4];
        for _ in 0..4000 {
            let drawn = Array2::from_shape_fn((1, 4), |(_, i)| logs[i]);
            let ledger = Ledger { values: &rewards, drawn: &drawn, now: &drawn, log_shares: None, alpha, divergence };
            let weighed = MirrorDescent { rate: 0.5, reuse: 1 }.weigh(&ledger).unwrap().weights;
            // at age 0 the weights are −2/(n − 1) of the centred step
            (0..4).for_each(|i| logs[i] -= weighed[[0, i]] * 1.5);
            let norm = p.iter().zip(&logs).map(|(p, l)| p * l.exp()).sum::<f64>().ln();
            for log in &mut logs {
                *log -= norm;
            }
        }
        let apart: f64 = (0..4).map(|i| 0.5 * p[i] * (logs[i].exp() - best.log_density[i].exp()).abs()).sum();
        assert!(apart < 1e-9, "{name}: {apart}");
    }
}

#[test]
fn a_ratio_that_left_the_trust_region_is_clipped_on_the_side_that_gains() {
    let drawn = array![[0.0, 0.0, 0.0, 0.0]];
    let now = array![[1.5_f64.ln(), 0.5_f64.ln(), 1.5_f64.ln(), 0.5_f64.ln()]];
    let ledger = Ledger {
        values: &[1.0, 1.0, -1.0, -1.0],
        drawn: &drawn,
        now: &now,
        log_shares: None,
        alpha: 1.0,
        divergence: &ReverseKl,
    };
    let weighed = ClippedRatio { clip: 0.2, reuse: 2 }.weigh(&ledger).unwrap();
    // advantages ±√(3/4); raised where good, lowered where bad: clipped; the other way round: not
    let a = 0.75_f64.sqrt() / 4.0;
    for (weight, expected) in weighed.weights.iter().zip([0.0, -0.5 * a, 1.5 * a, 0.0]) {
        assert!((weight - expected).abs() < 1e-15, "{weight} {expected}");
    }
    assert_eq!(weighed.figures, [("clipped_share", 0.5)]);
}

#[test]
fn the_penalty_of_a_step_is_what_is_paid_from_it_on() {
    // reward equal everywhere: the advantage of step k is −α Σ_{j≥k} ℓ_j, normalised
    let drawn = array![[5.0, -3.0], [1.0, 2.0]];
    let ledger = Ledger {
        values: &[0.0, 0.0],
        drawn: &drawn,
        now: &drawn,
        log_shares: None,
        alpha: 0.5,
        divergence: &ReverseKl,
    };
    let weights = ClippedRatio { clip: 0.2, reuse: 1 }.weigh(&ledger).unwrap().weights;
    let a = 0.5_f64.sqrt() / 2.0;
    for (got, expected) in weights.iter().zip([a, -a, -a, a]) {
        assert!((got - expected).abs() < 1e-15, "{weights}");
    }
}

#[test]
fn the_likelihoods_baseline_has_no_bias_when_paths_are_reused() {
    // E_old[ρ ∂L] = 0: with equal rewards the gradient of a moved control is that of KL(P_old‖P^θ) alone, whose weights are
    // ρ/Σρ − 1/n
    let drawn = array![[0.0, 0.0, 0.0]];
    let now = array![[0.3, -0.1, 0.4]];
    let ledger = Ledger {
        values: &[1.0, 1.0, 1.0],
        drawn: &drawn,
        now: &now,
        log_shares: None,
        alpha: 1.0,
        divergence: &ReverseKl,
    };
    let weights = WeightedLikelihood { reuse: 2 }.weigh(&ledger).unwrap().weights;
    let sum: f64 = now.iter().map(|l: &f64| l.exp()).sum();
    for (got, l) in weights.iter().zip(&now) {
        assert!((got - (l.exp() / sum - 1.0 / 3.0)).abs() < 1e-15);
    }
}

fn run<'a>(
    chain: &'a DiffusionChain,
    terminal: &'a SequenceTerminal<'_>,
    objective: &str,
    pool: &'a Pool,
) -> Finetuning<'a> {
    let control = ControlConfig { kind: ControlKind::ProductMixture, dim: 4, ..ControlConfig::default() };
    let config = FinetuneConfig {
        objective: objective.to_owned(),
        batch: 24,
        shard: 8,
        steps: 9,
        control,
        ..FinetuneConfig::default()
    };
    Finetuning::new(config, chain, terminal, Seed::root(7), pool).unwrap()
}

#[test]
fn every_objective_resumes_in_the_middle_of_a_batch_with_the_same_bytes() {
    let chain = chain(DType::F32, 3);
    let reward = Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap();
    let terminal = SequenceTerminal::new(&chain, &reward);
    let (one, three) = (Pool::new(1).unwrap(), Pool::new(3).unwrap());
    let bits = |run: &Finetuning<'_>| -> Vec<u32> {
        let weights = run.weights();
        let flat = weights.values().flat_map(|w| w.flatten_all().unwrap().to_vec1::<f32>().unwrap());
        flat.map(f32::to_bits).collect()
    };
    for name in crate::finetune::OBJECTIVES.names() {
        let mut whole = run(&chain, &terminal, name, &one);
        (0..9).for_each(|_| drop(whole.step().unwrap()));
        let mut first = run(&chain, &terminal, name, &three);
        (0..6).for_each(|_| drop(first.step().unwrap()));
        let state = first.state().unwrap();
        let mut second = run(&chain, &terminal, name, &three);
        second.restore(6, &state).unwrap();
        (6..9).for_each(|_| drop(second.step().unwrap()));
        assert_eq!(bits(&whole), bits(&second), "{name}");
        assert!(bits(&whole).iter().any(|bits| *bits != 0), "{name} moved nothing");
    }
}
