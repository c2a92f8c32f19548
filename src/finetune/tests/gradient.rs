//! The recomputed gradient against the unrolled graph and against differences.

use super::fixture::{Bent, Hills, Network, Slope, flat, unrolled};
use crate::error::Result;
use crate::finetune::analytic::{Affine, LinearChain, LinearQuadratic, Start};
use crate::finetune::{BackProp, Batch, Estimator, Problem, ShardGradient, Terminal};
use crate::nn::{Params, check, gradients, read};
use crate::random::Seed;
use candle_core::{Device, Tensor};

fn batch(rows: usize) -> Batch {
    Batch { rows, total: 2 * rows, steps: 6, seed: Seed::root(9) }
}

/// Trainable weights away from zero, and a copy that is held.
fn weights() -> (Params, Params) {
    let params = check::params();
    Network::new(&params);
    check::shake(&params);
    let held = Params::frozen(params.snapshot().unwrap(), &Device::Cpu);
    (params, held)
}

#[test]
fn the_recomputed_gradient_is_that_of_the_unrolled_graph() {
    let (params, held) = weights();
    let (control, frozen, vars) = (Network::new(&params), Network::new(&held), params.vars());
    for block in [1, 2, 3, 6] {
        let chain = Bent { block };
        for alpha in [Some(0.7), None] {
            let problem = Problem { chain: &chain, terminal: &Hills, alpha };
            for estimator in [Estimator::Cost, Estimator::Landing] {
                let loss = unrolled(&problem, &control, &frozen, estimator, &batch(5));
                let whole = flat(&gradients(&loss, &vars).unwrap());
                let gradient = |keep| {
                    let method = BackProp { estimator, keep, ..BackProp::default() };
                    method.gradient(&problem, &control, &frozen, &vars, &batch(5)).unwrap()
                };
                let got = gradient(0);
                for kept in [gradient(3), gradient(6)] {
                    assert_eq!(flat(&got.gradients), flat(&kept.gradients));
                    let figures = |part: &ShardGradient| read(&[&part.log_ratio, &part.cost, &part.value]).unwrap();
                    assert_eq!(figures(&got), figures(&kept));
                }
                assert!(whole.iter().any(|g| g.abs() > 0.1));
                for (got, whole) in flat(&got.gradients).iter().zip(&whole) {
                    assert!((got - whole).abs() < 1e-10, "block {block} {estimator:?} {alpha:?}: {got} {whole}");
                }
            }
        }
    }
}

#[test]
fn the_gradient_is_the_slope_of_the_objective_on_common_noise() {
    let (params, held) = weights();
    let (control, frozen) = (Network::new(&params), Network::new(&held));
    for block in [1, 3] {
        let chain = Bent { block };
        let problem = Problem { chain: &chain, terminal: &Hills, alpha: Some(0.7) };
        for estimator in [Estimator::Cost, Estimator::Landing] {
            let method = BackProp { estimator, ..BackProp::default() };
            let whole = method.gradient(&problem, &control, &frozen, &params.vars(), &batch(3)).unwrap();
            for (name, var) in params.vars() {
                let exact = whole.gradients.get(&name).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap()[0];
                let start = var.as_detached_tensor().copy().unwrap();
                let values = start.flatten_all().unwrap().to_vec1::<f64>().unwrap();
                // central differences of step h err by h² f‴ + 1e-16/h: about 1e-9 at h = 1e-5
                let at = |step: f64| {
                    let mut moved = values.clone();
                    moved[0] += step;
                    var.set(&Tensor::from_vec(moved, start.shape(), &Device::Cpu).unwrap()).unwrap();
                    unrolled(&problem, &control, &frozen, estimator, &batch(3)).to_scalar::<f64>().unwrap()
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                var.set(&start).unwrap();
                assert!((slope - exact).abs() < 1e-6 * (1.0 + exact.abs()), "{name} {estimator:?}: {exact} {slope}");
            }
        }
    }
}

#[test]
fn the_sampled_figures_are_those_of_the_same_paths() {
    let (params, held) = weights();
    let (control, frozen) = (Network::new(&params), Network::new(&held));
    let problem = Problem { chain: &Bent { block: 2 }, terminal: &Hills, alpha: Some(0.7) };
    let part = BackProp::default().gradient(&problem, &control, &frozen, &params.vars(), &batch(5)).unwrap();
    for (estimator, nats) in [(Estimator::Cost, &part.cost), (Estimator::Landing, &part.log_ratio)] {
        let loss = unrolled(&problem, &control, &frozen, estimator, &batch(5)).to_scalar::<f64>().unwrap();
        let rows = crate::nn::read(&[&part.value, nats]).unwrap();
        let sum: f64 = rows[0].iter().zip(&rows[1]).map(|(r, nats)| nats - r / 0.7).sum();
        assert!((sum / 10.0 - loss).abs() < 1e-10, "{estimator:?}");
    }
}

#[test]
fn without_a_divergence_nothing_but_the_reward_has_a_gradient() {
    let (params, held) = weights();
    let (control, frozen, vars) = (Network::new(&params), Network::new(&held), params.vars());
    let gradient = |alpha: Option<f64>, slope: f64| {
        let problem = Problem { chain: &Bent { block: 1 }, terminal: &Slope(slope), alpha };
        flat(&BackProp::default().gradient(&problem, &control, &frozen, &vars, &batch(4)).unwrap().gradients)
    };
    assert!(gradient(None, 0.0).iter().all(|g| *g == 0.0));
    assert!(gradient(Some(1.0), 0.0).iter().any(|g| g.abs() > 0.1));
    for (twice, once) in gradient(None, 2.0).iter().zip(gradient(None, 1.0)) {
        assert!((twice - 2.0 * once).abs() < 1e-12);
    }
}

#[test]
fn truncation_drops_the_reward_of_early_steps_and_keeps_the_cost_of_their_own() {
    let problem = LinearQuadratic::default();
    let chain = LinearChain::euler(&problem, Start::Frozen, 6, 1).unwrap();
    let params = check::params();
    Affine::new(&params, 6).unwrap();
    check::shake(&params);
    let control = Affine::new(&params, 6).unwrap();
    let frozen = Affine::held(&control.gains().unwrap()).unwrap();
    let gradient = |alpha: Option<f64>, truncate: Option<usize>| {
        let problem = Problem { chain: &chain, terminal: &problem, alpha };
        let method = BackProp { estimator: Estimator::Cost, truncate, ..BackProp::default() };
        // offsets of the six steps, then their slopes
        flat(&method.gradient(&problem, &control, &frozen, &params.vars(), &batch(8)).unwrap().gradients)
    };
    let (whole, cut) = (gradient(None, None), gradient(None, Some(2)));
    for k in 0..12 {
        if k % 6 < 4 {
            assert!(cut[k] == 0.0 && whole[k].abs() > 1e-3, "{k}: {} {}", cut[k], whole[k]);
        } else {
            assert!((cut[k] - whole[k]).abs() < 1e-12, "{k}: {} {}", cut[k], whole[k]);
        }
    }
    // with a divergence the early steps keep the gradient of their own cost: ∂/∂offset ½u² = u
    let drawn = crate::finetune::Rollout::draw(&chain, Some(&frozen), 6, 8, batch(8).seed, true).unwrap();
    let cut = gradient(Some(0.5), Some(2));
    for (k, gain) in control.gains().unwrap().into_iter().enumerate().take(4) {
        let x = drawn.states[k].flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let own: f64 = x.iter().map(|x| gain.slope * x + gain.offset).sum::<f64>() / 16.0;
        assert!((cut[k] - own).abs() < 1e-12 && own != 0.0, "step {k}: {} {own}", cut[k]);
    }
    assert_eq!(gradient(Some(0.5), Some(6)), gradient(Some(0.5), None));
}

/// A value that depends on when it is asked.
struct Valued;

impl Terminal for Valued {
    fn reward(&self, k: usize, x: &Tensor) -> Result<Tensor> {
        self.value(k, x, None)
    }

    fn value(&self, k: usize, x: &Tensor, alpha: Option<f64>) -> Result<Tensor> {
        Ok((x.sqr()?.sum(1)? * (alpha.unwrap_or(2.0) - k as f64))?)
    }
}

#[test]
fn a_stretch_ends_in_the_value_of_its_last_state() {
    let problem = LinearQuadratic::default();
    let chain = LinearChain::euler(&problem, Start::Frozen, 7, 1).unwrap();
    let params = check::params();
    Affine::new(&params, 7).unwrap();
    check::shake(&params);
    let control = Affine::new(&params, 7).unwrap();
    let frozen = Affine::held(&control.gains().unwrap()).unwrap();
    for estimator in [Estimator::Cost, Estimator::Landing] {
        let gradient = |steps: usize, lookahead: Option<usize>| {
            let problem = Problem { chain: &chain, terminal: &Valued, alpha: Some(0.5) };
            let method = BackProp { estimator, lookahead, ..BackProp::default() };
            let batch = Batch { steps, ..batch(8) };
            // offsets of the seven steps, then their slopes
            flat(&method.gradient(&problem, &control, &frozen, &params.vars(), &batch).unwrap().gradients)
        };
        let whole = gradient(7, None);
        assert_eq!(whole, gradient(7, Some(7)));
        // stretches of two blocks keep their graphs, longer ones rebuild them
        for stretch in [1, 2, 3] {
            let cut = gradient(7, Some(stretch));
            for end in (1..=7).rev().step_by(stretch) {
                // the same paths, ended where the stretch ends
                let (short, steps) = (gradient(end, None), end.saturating_sub(stretch)..end);
                for k in steps.clone().chain(steps.start + 7..steps.end + 7) {
                    assert!((cut[k] - short[k]).abs() < 1e-12 && cut[k] != 0.0, "{k}: {} {}", cut[k], short[k]);
                }
            }
            assert!((cut[0] - whole[0]).abs() > 1e-3);
        }
    }
}

#[test]
fn a_control_that_multiplies_the_state_by_its_weights_gets_each_steps_gradient_once() {
    // the adjoint of such a step is a product with the weights themselves: it must not lead back to them
    let problem = LinearQuadratic::default();
    let chain = LinearChain::euler(&problem, Start::Joint, 4, 2).unwrap();
    let params = check::params();
    let control = Affine::new(&params, 6).unwrap();
    check::shake(&params);
    let frozen = Affine::held(&control.gains().unwrap()).unwrap();
    let problem = Problem { chain: &chain, terminal: &problem, alpha: Some(0.5) };
    for estimator in [Estimator::Cost, Estimator::Landing] {
        let loss = unrolled(&problem, &control, &frozen, estimator, &batch(8));
        let whole = flat(&gradients(&loss, &params.vars()).unwrap());
        let method = BackProp { estimator, ..BackProp::default() };
        let got = method.gradient(&problem, &control, &frozen, &params.vars(), &batch(8)).unwrap();
        for (got, whole) in flat(&got.gradients).iter().zip(&whole) {
            assert!((got - whole).abs() < 1e-10, "{estimator:?}: {got} {whole}");
        }
    }
}
