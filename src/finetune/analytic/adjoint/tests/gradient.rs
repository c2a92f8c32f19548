//! The expected gradient of matching, exactly, and that of back-propagation beside it.

use super::*;
use crate::finetune::Alignment;

/// A step `x ← keep x + push + std (slope x + offset + ε)` of an affine chain under an affine control.
#[derive(Clone, Copy)]
struct Step {
    keep: f64,
    push: f64,
    std: f64,
    gain: Gain,
}

fn steps(chain: &MixtureChain, gain: impl Fn(usize) -> Gain) -> Vec<Step> {
    (0..chain.steps())
        .map(|k| {
            let step = chain.advance(k, &states(&[0.0, 1.0]), &mut Memory::default()).unwrap();
            let mean = column(&step.mean);
            Step { keep: mean[1] - mean[0], push: mean[0], std: step.std, gain: gain(k) }
        })
        .collect()
}

/// An affine function of the state.
#[derive(Clone, Copy, Debug)]
struct Line(f64, f64);

/// `E[u_k + s_k a_{k+1} | x_k]` of every step, with the lean adjoint and with the full one, and mean and variance of x_k.
///
/// ```text
/// lean:  ã_k = p ã_{k+1}                         full:  a_k = g u_k + (p + s g) a_{k+1}
/// ```
fn residuals(all: &[Step], reward: &Quadratic, alpha: f64) -> Vec<(Line, Line, f64, f64)> {
    let (q, l) = (reward.curvature / alpha, (reward.slope + reward.curvature * reward.centre) / alpha);
    // expected adjoints at x_{k+1}, and what the end is on average from there
    let (mut full, mut product, mut end) = (Line(q, -l), 1.0, Line(1.0, 0.0));
    let mut lines = Vec::new();
    for Step { keep, push, std, gain } in all.iter().rev() {
        let closed = Line(keep + std * gain.slope, push + std * gain.offset);
        let after = |f: Line| Line(f.0 * closed.0, f.0 * closed.1 + f.1);
        end = after(end);
        let (lean, ahead) = (Line(product * q * end.0, product * (q * end.1 - l)), after(full));
        let with = |f: Line| Line(gain.slope + std * f.0, gain.offset + std * f.1);
        lines.push((with(lean), with(ahead)));
        full = Line(gain.slope.powi(2) + closed.0 * ahead.0, gain.slope * gain.offset + closed.0 * ahead.1);
        product *= keep;
    }
    lines.reverse();
    let (mut mean, mut variance) = (0.0, 1.0);
    let with_moments = lines.into_iter().zip(all).map(|((lean, full), Step { keep, push, std, gain })| {
        let here = (mean, variance);
        let slope = keep + std * gain.slope;
        mean = slope * mean + push + std * gain.offset;
        variance = slope * slope * variance + std * std;
        (lean, full, here.0, here.1)
    });
    with_moments.collect()
}

/// The gradient with respect to slope and offset of a step.
fn gradient(line: Line, mean: f64, variance: f64) -> (f64, f64) {
    (line.0 * (variance + mean * mean) + line.1 * mean, line.0 * mean + line.1)
}

/// `share` of the optimum of continuous time, in units of the noise of `count` steps.
fn continuous(problem: &MixtureProblem, count: usize, share: f64) -> impl Fn(usize) -> Gain + '_ {
    move |k| {
        let h = 1.0 / count as f64;
        let at = |x: f64| share * h.sqrt() * problem.memoryless_value(k as f64 * h, x).control;
        Gain { slope: at(1.0) - at(0.0), offset: at(0.0) }
    }
}

#[test]
fn a_large_batch_has_the_exact_gradient() {
    let problem = vp(Fixture::B);
    let chain = MixtureChain::euler(&problem, 8).unwrap();
    let all = steps(&chain, continuous(&problem, 8, 0.6));
    let gains: Vec<Gain> = all.iter().map(|step| step.gain).collect();
    let params = Params::trainable_from(
        [("slope", 0), ("offset", 1)]
            .map(|(name, which)| {
                let values = gains.iter().map(|gain| if which == 0 { gain.slope } else { gain.offset });
                (name.to_owned(), Tensor::from_vec(values.collect::<Vec<f64>>(), 8, &Device::Cpu).unwrap())
            })
            .into_iter()
            .collect(),
        &Device::Cpu,
    );
    let control = Affine::new(&params, 8).unwrap();
    let held = Affine::held(&gains).unwrap();
    let chosen: Vec<usize> = (0..8).collect();
    let matching = Matching {
        chain: &chain,
        terminal: &problem.reward,
        alpha: problem.alpha,
        alignment: Alignment::Exact,
        steps: &chosen,
        level: None,
    };
    // twenty batches of 1000 paths give the standard errors
    let (count, rows) = (20, 1000);
    let batches: Vec<[Vec<f64>; 2]> = (0..count)
        .map(|i| {
            let seed = Seed::root(6).index(i);
            let got = matching.gradient(&control, &held, &params.vars(), rows, rows, seed).unwrap();
            ["slope", "offset"].map(|name| column(got.gradients.get(name).unwrap()))
        })
        .collect();
    for (k, (lean, _, mean, variance)) in residuals(&all, &problem.reward, problem.alpha).into_iter().enumerate() {
        let (slope, offset) = gradient(lean, mean, variance);
        for (which, expected) in [slope, offset].into_iter().enumerate() {
            let values: Vec<f64> = batches.iter().map(|batch| 8.0 * batch[which][k]).collect();
            let n = values.len() as f64;
            let got = values.iter().sum::<f64>() / n;
            let se = (values.iter().map(|x| (x - got).powi(2)).sum::<f64>() / (n * (n - 1.0))).sqrt();
            // sixteen comparisons with 19 degrees of freedom: 4.5 standard errors
            assert!((got - expected).abs() < 4.5 * se, "{k} {which}: {got} ± {se}, exact {expected}");
        }
    }
}

#[test]
fn at_the_optimum_matching_and_back_propagation_agree_as_the_steps_go_to_zero() {
    let problem = vp(Fixture::B);
    let apart = |count: usize, share: f64| {
        let chain = MixtureChain::euler(&problem, count).unwrap();
        let all = steps(&chain, continuous(&problem, count, share));
        // as functions of time: over √h
        let root = (count as f64).sqrt();
        let each = residuals(&all, &problem.reward, problem.alpha).into_iter().map(|(lean, full, mean, variance)| {
            let (one, other) = (gradient(lean, mean, variance), gradient(full, mean, variance));
            root * (one.0 - other.0).abs().max((one.1 - other.1).abs())
        });
        each.fold(0.0, f64::max)
    };
    let (coarse, fine) = (apart(200, 1.0), apart(400, 1.0));
    assert!(((coarse / fine).log2() - 1.0).abs() < 0.1, "{coarse} {fine}");
    // away from it they are different gradients
    let (coarse, fine) = (apart(200, 0.5), apart(400, 0.5));
    assert!(fine > 0.1 && (coarse / fine).log2() < 0.3, "{coarse} {fine}");
}

#[test]
fn at_the_best_control_of_the_chain_both_gradients_vanish() {
    // by the backward recursion of the linear-quadratic problem with a push
    let problem = vp(Fixture::B);
    let chain = MixtureChain::euler(&problem, 30).unwrap();
    let (q, l) = (problem.reward.curvature, problem.reward.curvature * problem.reward.centre);
    let (mut p, mut b) = (q, l);
    let mut gains = vec![];
    for Step { keep, push, std, .. } in steps(&chain, |_| Gain::default()).into_iter().rev() {
        let price = 1.0 + p * std * std;
        gains.push(Gain { slope: -std * p * keep / price, offset: std * (b - p * push) / price });
        (p, b) = (keep * keep * p / price, keep * (b - p * push) / price);
    }
    gains.reverse();
    let best = Lattice::new(&chain, &problem.reward, problem.alpha, RANGE).unwrap();
    let got = best.outcome(&Affine::held(&gains).unwrap()).unwrap();
    assert!((got.gap - best.best().gap).abs() < 1e-6);
    for (lean, full, mean, variance) in residuals(&steps(&chain, |k| gains[k]), &problem.reward, problem.alpha) {
        for line in [lean, full] {
            let (slope, offset) = gradient(line, mean, variance);
            assert!(slope.abs() < 1e-12 && offset.abs() < 1e-12, "{slope} {offset}");
        }
    }
}
