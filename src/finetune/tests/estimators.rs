//! The two estimators of the divergence's gradient.

use super::fixture::{Slope, flat, mean};
use crate::diffusion::Chain as _;
use crate::finetune::analytic::{Affine, Gain, LinearChain, LinearQuadratic, Start, best};
use crate::finetune::{BackProp, Batch, Estimator, Problem, Terminal};
use crate::nn::{Params, check};
use crate::random::Seed;
use candle_core::{Device, Tensor};

const ALPHA: f64 = 0.5;

/// Gradients of `draws` batches at fixed gains, one list of numbers each.
fn draws(
    chain: &LinearChain,
    terminal: &dyn Terminal,
    gains: &[Gain],
    estimator: Estimator,
    draws: u64,
) -> Vec<Vec<f64>> {
    let params = check::params();
    let control = Affine::new(&params, gains.len()).unwrap();
    let frozen = Affine::held(gains).unwrap();
    for (name, var) in params.vars() {
        let pick = |gain: &Gain| if name == "slope" { gain.slope } else { gain.offset };
        let values: Vec<f64> = gains.iter().map(pick).collect();
        var.set(&Tensor::from_vec(values, gains.len(), &Device::Cpu).unwrap()).unwrap();
    }
    let problem = Problem { chain, terminal, alpha: Some(ALPHA) };
    let method = BackProp { estimator, ..BackProp::default() };
    let gradient = |params: &Params, draw: u64| {
        let batch = Batch { rows: 16, total: 16, steps: chain.steps(), seed: Seed::root(17).index(draw) };
        flat(&method.gradient(&problem, &control, &frozen, &params.vars(), &batch).unwrap().gradients)
    };
    (0..draws).map(|draw| gradient(&params, draw)).collect()
}

/// Sum over parameters of the variance over draws.
fn variance(draws: &[Vec<f64>]) -> f64 {
    let column = |i: usize| mean(&draws.iter().map(|draw| draw[i]).collect::<Vec<_>>()).1.powi(2);
    (0..draws[0].len()).map(column).sum::<f64>() * draws.len() as f64
}

#[test]
fn both_estimators_have_the_same_mean() {
    let problem = LinearQuadratic::default();
    let chain = LinearChain::euler(&problem, Start::Frozen, 4, 1).unwrap();
    let gains: Vec<Gain> = (0..4).map(|k| Gain { slope: 0.3 - 0.2 * f64::from(k), offset: 0.4 }).collect();
    let landing = draws(&chain, &problem, &gains, Estimator::Landing, 300);
    let cost = draws(&chain, &problem, &gains, Estimator::Cost, 300);
    // nothing comes after the last step, so there both are the same
    for i in (0..8).filter(|i| i % 4 != 3) {
        // common noise: the standard error is of the difference
        let differences: Vec<f64> = landing.iter().zip(&cost).map(|(a, b)| a[i] - b[i]).collect();
        let (difference, se) = mean(&differences);
        assert!((difference / se).abs() < 3.5, "parameter {i}: {difference} ± {se}");
        assert!(se < 0.1, "{se}");
    }
}

#[test]
fn landing_has_no_variance_at_the_optimum_of_a_linear_reward() {
    // r = a x: the best control is constant in x, u_k = s_k (a/α) Π_{j>k} keep_j, and r − αL is constant on every path
    let problem = LinearQuadratic::default();
    let chain = LinearChain::euler(&problem, Start::Joint, 4, 2).unwrap();
    let slope = 0.8;
    let mut carry = slope / ALPHA;
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
    let landing = draws(&chain, &Slope(slope), &gains, Estimator::Landing, 20);
    assert!(landing.iter().flatten().all(|g| g.abs() < 1e-12), "{landing:?}");
    let cost = draws(&chain, &Slope(slope), &gains, Estimator::Cost, 20);
    assert!(variance(&cost) < 1e-20, "a constant control has no stochastic integral in its gradient either");
    let mut moved = gains;
    moved[2].slope = 0.1;
    assert!(variance(&draws(&chain, &Slope(slope), &moved, Estimator::Landing, 20)) > 1e-4);
}

#[test]
fn landing_variance_at_the_best_control_vanishes_with_the_step() {
    // the curvature of the value leaves −½ P s² (ε² − 1) per step: its share of Cost's variance falls as 1/K
    let problem = LinearQuadratic::default();
    let share = |steps: usize| {
        let chain = LinearChain::euler(&problem, Start::Frozen, steps, 1).unwrap();
        let gains = best(&problem, &chain);
        let of = |estimator| variance(&draws(&chain, &problem, &gains, estimator, 60));
        of(Estimator::Landing) / of(Estimator::Cost)
    };
    let (coarse, fine) = (share(4), share(32));
    assert!(fine < 0.15 && fine < 0.3 * coarse, "{coarse} {fine}");
}
