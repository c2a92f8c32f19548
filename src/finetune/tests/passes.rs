//! What adjoint matching learns from: paths that are used again, steps that are drawn, residuals that are cut.

use super::adjoint::{config, drawing, largest, matched, network, numbers};
use super::fixture::{Bent, Hills, Network, flat, mean};
use super::tokens::chain;
use crate::diffusion::DiffusionChain;
use crate::finetune::objective::{Counts, Drawing, Matched, chosen};
use crate::finetune::{
    AdjointConfig, Alignment, ControlConfig, ControlKind, ControlStart, FinetuneConfig, Finetuning, Problem,
    SequenceTerminal,
};
use crate::nn::{Params, Pool, Training as _};
use crate::random::Seed;
use crate::reward::Multilinear;
use candle_core::{DType, Device};
use ndarray::{Array2, Axis};

#[test]
fn paths_of_an_earlier_control_count_by_their_densities() {
    let params = network();
    let behaviour = Network::new(&Params::frozen(params.snapshot().unwrap(), &Device::Cpu));
    for (_, var) in params.vars() {
        var.set(&(var.as_tensor() * 0.8).unwrap()).unwrap();
    }
    let now = Network::new(&Params::frozen(params.snapshot().unwrap(), &Device::Cpu));
    let (control, vars, chain) = (Network::new(&params), params.vars(), Bent { block: 2 });
    let problem = Problem { chain: &chain, terminal: &Hills, alpha: Some(0.7) };
    let steps = [1.0 / 64.0; 6];
    for lookahead in [None, Some(2)] {
        let drawing = Drawing { lookahead, ..drawing(6, Alignment::Exact) };
        let (mut weighed, mut bare, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for shard in 0..150 {
            let fresh = matched(&problem, &now, drawing, 64, Seed::root(2).index(shard));
            let kept = matched(&problem, &behaviour, drawing, 64, Seed::root(3).index(shard));
            let gradient = |paths: &Matched, weights: &Array2<f64>| {
                let counts = Counts { steps: &steps, paths: weights, most: None };
                flat(&paths.gradient(&control, &vars, &counts).unwrap().0)
            };
            let (ones, weights) = (Array2::ones((6, 64)), kept.weights(&now, 30.0).unwrap());
            // under the control that drew them, all alike
            assert!(fresh.weights(&now, 30.0).unwrap().iter().all(|w| (w - 1.0).abs() < 1e-12));
            let expected = gradient(&fresh, &ones);
            let apart = |got: Vec<f64>| got.iter().zip(&expected).map(|(a, b)| a - b).collect::<Vec<_>>();
            weighed.push(apart(gradient(&kept, &weights)));
            bare.push(apart(gradient(&kept, &ones)));
            ratios.extend(weights.rows().into_iter().next_back().unwrap().to_vec());
            if lookahead.is_some() {
                assert!(weights.row(0) == weights.row(1) && weights.row(1) != weights.row(2));
            } else {
                assert!(weights.axis_iter(Axis(0)).all(|row| row == weights.row(0)));
            }
        }
        // the largest of some thirty differences of means: 4 standard errors have odds of 1 in 500
        assert!(largest(&weighed) < 4.0 && largest(&bare) > 6.0, "{} {}", largest(&weighed), largest(&bare));
        let (ratio, se) = mean(&ratios);
        assert!((ratio - 1.0).abs() < 3.5 * se && se < 0.05, "{ratio} ± {se}");
    }
}

#[test]
fn steps_that_are_drawn_count_for_those_that_are_not() {
    let mut sums = vec![0.0; 20];
    for draw in 0..4000 {
        let counts = chosen(20, 0.4, &mut Seed::root(draw).rng());
        // three of fifteen early ones, and all of the last five
        assert_eq!(counts.iter().filter(|count| **count > 0.0).count(), 8);
        assert!(counts[15..].iter().all(|count| *count == 1.0) && (counts.iter().sum::<f64>() - 20.0).abs() < 1e-12);
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count / 4000.0);
    }
    // a count of 5 with odds of 1 in 5: standard error 2/√4000 = 0.032
    assert!(sums.iter().all(|sum| (sum - 1.0).abs() < 4.0 * 0.032), "{sums:?}");
    assert!(chosen(20, 1.0, &mut Seed::root(0).rng()).iter().all(|count| *count == 1.0));
    assert!(chosen(1, 0.3, &mut Seed::root(0).rng()) == [1.0]);
}

#[test]
fn a_skipped_step_leaves_the_others_as_they_are_and_a_residual_over_the_cut_counts_nothing() {
    let params = network();
    let (control, vars, chain) = (Network::new(&params), params.vars(), Bent { block: 3 });
    let problem = Problem { chain: &chain, terminal: &Hills, alpha: Some(0.7) };
    let paths = matched(&problem, &control, drawing(6, Alignment::Exact), 4, Seed::root(6));
    let ones = Array2::ones((6, 4));
    let gradient = |steps: [f64; 6], most: Option<f64>, weights: &Array2<f64>| {
        let (gradients, residuals) =
            paths.gradient(&control, &vars, &Counts { steps: &steps, paths: weights, most }).unwrap();
        (flat(&gradients), residuals.iter().flat_map(numbers).collect::<Vec<_>>())
    };
    let near = |a: &[f64], b: &[f64]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-12 * (1.0 + b.abs()));
    let (all, residuals) = gradient([1.0; 6], None, &ones);
    let (first, some) = gradient([0.0, 1.0, 0.0, 0.0, 0.0, 1.0], None, &ones);
    let (second, rest) = gradient([1.0, 0.0, 1.0, 1.0, 1.0, 0.0], None, &ones);
    let sum: Vec<f64> = first.iter().zip(&second).map(|(a, b)| a + b).collect();
    assert!(near(&sum, &all) && some.len() == 8 && rest.len() == 16 && some[0] == residuals[4]);
    let most = residuals[7];
    let kept = Array2::from_shape_fn((6, 4), |(k, i)| if residuals[4 * k + i] < most { 1.0 } else { 0.0 });
    assert!(near(&gradient([1.0; 6], Some(most), &ones).0, &gradient([1.0; 6], None, &kept).0));
    assert!(kept.sum() > 0.0 && kept.sum() < 24.0);
}

fn run<'a>(
    chain: &'a DiffusionChain,
    terminal: &'a SequenceTerminal<'_>,
    adjoint: AdjointConfig,
    pool: &'a Pool,
) -> Finetuning<'a> {
    let config = FinetuneConfig {
        batch: 24,
        shard: 8,
        steps: 9,
        anneal: 3.0,
        lookahead: Some(3),
        adjoint,
        control: ControlConfig { kind: ControlKind::Mlp, start: ControlStart::Zero, dim: 8, layers: 1, heads: 2 },
        ..config(0.2, Alignment::Exact)
    };
    Finetuning::new(config, chain, terminal, Seed::root(7), pool).unwrap()
}

#[test]
fn a_run_resumes_between_two_passes_with_the_same_bytes() {
    let chain = chain(DType::F32, 3);
    let reward = Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap();
    let terminal = SequenceTerminal::new(&chain, &reward);
    let (one, three) = (Pool::new(1).unwrap(), Pool::new(3).unwrap());
    let bits = |run: &Finetuning<'_>| -> Vec<u32> {
        let weights = run.weights();
        weights.values().flat_map(|w| w.flatten_all().unwrap().to_vec1::<f32>().unwrap()).map(f32::to_bits).collect()
    };
    let plain = AdjointConfig::default();
    for adjoint in [
        AdjointConfig { passes: 4, ..plain },
        AdjointConfig { passes: 5, clip: Some(0.8), share: 0.5, ..plain },
        AdjointConfig { clip: Some(0.9), alignment: Alignment::Released, ..plain },
    ] {
        let mut whole = run(&chain, &terminal, adjoint, &one);
        (0..9).for_each(|_| drop(whole.step().unwrap()));
        let mut first = run(&chain, &terminal, adjoint, &three);
        (0..6).for_each(|_| drop(first.step().unwrap()));
        let mut second = run(&chain, &terminal, adjoint, &three);
        second.restore(6, &first.state().unwrap()).unwrap();
        let figures: Vec<_> = (6..9).map(|_| second.step().unwrap()).collect();
        assert_eq!(bits(&whole), bits(&second), "{adjoint:?}");
        assert!(bits(&whole).iter().any(|bits| *bits != 0));
        let figure = |name: &str| figures[0].iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        assert!(figure("adjoint_norm").unwrap() > 0.0 && figure("residual").unwrap() > 0.0);
        assert_eq!(figure("clipped").is_some(), adjoint.clip.is_some());
        assert_eq!(figure("path_age"), (adjoint.passes > 1).then_some(6.0 % adjoint.passes as f64));
        assert!(figure("weights_ess_share").is_none_or(|share| share > 0.1 && share <= 1.0 + 1e-12));
    }
}

#[test]
fn settings_out_of_range_are_refused_with_their_names() {
    let plain = AdjointConfig::default();
    for (adjoint, said) in [
        (AdjointConfig { share: 0.25, ..plain }, "`adjoint.share` is 0.25; above 0.25 to 1"),
        (AdjointConfig { clip: Some(1.0), ..plain }, "`adjoint.clip` is 1; a quantile"),
        (AdjointConfig { passes: 0, ..plain }, "`adjoint.passes` is 0; 1 to 10000"),
    ] {
        let config = FinetuneConfig { adjoint, ..FinetuneConfig::default() };
        assert!(config.check().unwrap_err().message().contains(said));
    }
    assert!("before".parse::<Alignment>().unwrap_err().message().contains("`exact`, `released`"));
}
