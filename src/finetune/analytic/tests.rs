//! The closed forms against each other, and the trainer against them.

use super::*;
use crate::finetune::roll_out;
use crate::nn::{Pool, Training as _};
use crate::random::Seed;

/// Mean with its standard error.
fn mean(values: impl IntoIterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.into_iter().collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    (mean, (values.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n * (n - 1.0))).sqrt())
}

#[test]
fn the_closed_form_has_the_published_values() {
    let problem = LinearQuadratic::default();
    let (joint, frozen, start) = (problem.optimum(Start::Joint), problem.optimum(Start::Frozen), problem.best_start());
    for (got, expected, digits) in [
        (joint.law.mean, 1.054_107, 1e-6),
        (joint.law.variance, 0.175_685, 1e-6),
        (joint.value, -0.972_124, 1e-6),
        (start.mean, 0.885_695, 1e-6),
        (start.variance, 0.706_785, 1e-6),
        // measured by simulation with Euler steps: the last digit is theirs
        (frozen.law.mean, 0.868, 2e-3),
        (frozen.law.variance, 0.189, 2e-3),
        (frozen.value, -1.267, 2e-3),
    ] {
        assert!((got - expected).abs() < digits, "{got} is not {expected}");
    }
    // what a frozen start costs is KL(ν‖ν*), the divergence of the law it keeps from the one it should have
    let spread = problem.initial.powi(2) / start.variance;
    let kl = 0.5 * (spread + start.mean.powi(2) / start.variance - 1.0 - spread.ln());
    assert!(((joint.value - frozen.value) / problem.alpha - kl).abs() < 1e-12);
}

#[test]
fn value_and_control_solve_the_equation_of_optimality() {
    // ∂v/∂τ + b ∂v/∂x + ½ σ² ∂²v/∂x² + σ²/(2α) (∂v/∂x)² = 0, central differences of h = 1e-4: error about h²
    let problem = LinearQuadratic::default();
    let h = 1e-4;
    for (tau, x) in [(0.1, -0.7), (0.5, 0.3), (0.9, 2.0)] {
        let v = |tau: f64, x: f64| problem.value(tau, x);
        let slope = (v(tau, x + h) - v(tau, x - h)) / (2.0 * h);
        let bend = (v(tau, x + h) - 2.0 * v(tau, x) + v(tau, x - h)) / (h * h);
        let rate = (v(tau + h, x) - v(tau - h, x)) / (2.0 * h);
        let s2 = problem.noise.powi(2);
        let rest = rate - problem.drift * x * slope + 0.5 * s2 * bend + 0.5 * s2 / problem.alpha * slope * slope;
        assert!(rest.abs() < 1e-6, "{rest} at {tau}, {x}");
        let control = problem.noise * slope / problem.alpha;
        assert!((problem.control(tau, x) - control).abs() < 1e-6);
    }
    assert_eq!(problem.value(1.0, 0.3), problem.reward(0.3));
}

#[test]
fn the_best_of_the_chain_converges_to_the_closed_form_at_order_one() {
    let problem = LinearQuadratic::default();
    for start in [Start::Joint, Start::Frozen] {
        let exact = problem.optimum(start);
        let errors = |steps: usize| {
            let chain = LinearChain::euler(&problem, start, steps, steps).unwrap();
            let got = outcome(&problem, &chain, &best(&problem, &chain));
            let law = exact.law;
            [got.law.mean - law.mean, got.law.variance - law.variance, got.value - exact.value]
        };
        for (coarse, fine) in errors(1000).into_iter().zip(errors(2000)) {
            assert!(((coarse / fine).log2() - 1.0).abs() < 0.02, "{start:?}: {coarse} {fine}");
            assert!(fine.abs() < 2e-3, "{start:?}: {fine}");
        }
    }
}

#[test]
fn no_neighbour_of_the_recursions_control_is_better() {
    let problem = LinearQuadratic::default();
    let chain = LinearChain::euler(&problem, Start::Joint, 6, 3).unwrap();
    let gains = best(&problem, &chain);
    let top = outcome(&problem, &chain, &gains).value;
    for k in 0..gains.len() {
        for (slope, offset) in [(1e-3, 0.0), (-1e-3, 0.0), (0.0, 1e-3), (0.0, -1e-3)] {
            let mut moved = gains.clone();
            moved[k].slope += slope;
            moved[k].offset += offset;
            // the first step starts at 0, where a slope does nothing
            let idle = k == 0 && offset == 0.0;
            assert!(idle || outcome(&problem, &chain, &moved).value < top, "step {k}: {slope} {offset}");
        }
    }
    // the base itself: its end has variance S², so E[r] is known
    let base = outcome(&problem, &chain, &[]);
    assert_eq!((base.path_kl, base.law.mean), (0.0, 0.0));
    assert!((base.reward + 0.5 * problem.curvature * (base.law.variance + problem.centre.powi(2))).abs() < 1e-12);
}

#[test]
fn continuous_control_on_200_euler_steps_has_the_known_discretisation_bias() {
    // variance 0.177 with the exact continuous control on 200 steps and 0.241 on 5, the initial law exact
    let problem = LinearQuadratic::default();
    for (steps, variance) in [(5, 0.241), (20, 0.190), (50, 0.181), (200, 0.177)] {
        let h = problem.horizon / steps as f64;
        let walk = LinearChain::euler(&problem, Start::Frozen, steps, 1).unwrap();
        let gains: Vec<Gain> = (0..steps)
            .map(|k| {
                let (tau, root) = (k as f64 * h, h.sqrt());
                let offset = root * problem.control(tau, 0.0);
                Gain { slope: root * problem.control(tau, 1.0) - offset, offset }
            })
            .collect();
        let start = problem.best_start();
        // the affine map of the initial state: two outcomes without initial spread give its factor
        let end = |initial: f64| {
            let chain = LinearChain::new(initial, walk.all().to_vec()).unwrap();
            outcome(&problem, &chain, &gains).law.variance
        };
        let got = end(0.0) + (end(1.0) - end(0.0)) * start.variance;
        assert!((got - variance).abs() < 1e-3, "{steps}: {got}");
    }
}

#[test]
fn sampled_paths_have_the_exact_outcome() {
    let problem = LinearQuadratic::default();
    let pool = Pool::new(1).unwrap();
    for start in [Start::Joint, Start::Frozen] {
        let chain = LinearChain::euler(&problem, start, 6, 3).unwrap();
        let gains = best(&problem, &chain);
        let exact = outcome(&problem, &chain, &gains);
        let control = Affine::held(&gains).unwrap();
        let read = |x: &candle_core::Tensor| Ok(x.flatten_all()?.to_vec1::<f64>()?);
        let paths = roll_out(&chain, Some(&control), 8192, Seed::root(31), &pool, read).unwrap();
        let at = exact.law.mean;
        for (name, (value, se), expected) in [
            ("mean", mean(paths.ends.clone()), at),
            ("variance", mean(paths.ends.iter().map(|x| (x - at).powi(2))), exact.law.variance),
            ("reward", mean(paths.ends.iter().map(|x| problem.reward(*x))), exact.reward),
            ("log-ratio", mean(paths.log_ratio.clone()), exact.path_kl),
            ("cost", mean(paths.cost.clone()), exact.path_kl),
        ] {
            assert!(((value - expected) / se).abs() < 3.5, "{start:?} {name}: {value} ± {se}, exact {expected}");
        }
    }
}

#[test]
fn back_propagation_reaches_the_optimum_of_the_chain_and_keeps_the_bias_of_a_frozen_start() {
    let problem = LinearQuadratic::default();
    let pool = Pool::new(1).unwrap();
    for (start, continuous) in [(Start::Joint, -0.972_124), (Start::Frozen, -1.267)] {
        let config = AnalyticConfig {
            start,
            steps: 8,
            lead: 4,
            updates: 150,
            batch: 128,
            learning_rate: 0.05,
            ..AnalyticConfig::default()
        };
        let mut run = AnalyticTraining::new(problem, config, Seed::root(5), &pool).unwrap();
        while run.done() < run.total() {
            run.step().unwrap();
        }
        let top = outcome(&problem, run.chain(), &best(&problem, run.chain()));
        let got = outcome(&problem, run.chain(), &run.control().unwrap().gains().unwrap());
        // nothing is sampled here: what is left is the optimiser's noise at batch 128
        assert!(top.value - got.value < 2e-3, "{start:?}: {got:?} {top:?}");
        assert!((top.law.mean - got.law.mean).abs() < 0.02, "{start:?}: {got:?} {top:?}");
        assert!((top.law.variance - got.law.variance).abs() < 0.02, "{start:?}: {got:?} {top:?}");
        // eight steps leave a discretisation error of up to 0.1
        assert!((got.value - continuous).abs() < 0.1, "{start:?}: {}", got.value);
    }
}
