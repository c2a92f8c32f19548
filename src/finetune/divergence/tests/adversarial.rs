//! The solver on 10⁵ hostile vectors, and what it says of condensation.

use super::super::*;
use super::kinds;
use crate::random::{Rng, Seed};

/// Rewards with ties, outliers, constants and sizes up to 10⁶; weights some of which are 0.
fn vector(rng: &mut Rng) -> (Vec<f64>, Option<Vec<f64>>) {
    let n = 1 + rng.below(6);
    let size = 10.0_f64.powf(12.0 * rng.uniform() - 6.0);
    let mut rewards: Vec<f64> = match rng.below(6) {
        0 => vec![size; n],
        1 => (0..n).map(|_| size * (rng.below(3) as f64 - 1.0)).collect(),
        2 => (0..n).map(|_| 1e6 * (2.0 * rng.uniform() - 1.0)).collect(),
        3 => (0..n).map(|_| size * rng.normal().clamp(-4.0, 4.0) / 4.0).collect(),
        4 => (0..n).map(|_| 1e6 - size * 1e-6 * rng.uniform()).collect(),
        _ => (0..n).map(|_| rng.uniform()).collect(),
    };
    if rng.below(4) == 0 {
        let at = rng.below(n);
        rewards[at] = if rng.below(2) == 0 { 1e6 } else { -1e6 };
    }
    let weights = match rng.below(4) {
        0 | 1 => None,
        2 => Some((0..n).map(|i| if i == 0 { 1.0 } else { rng.below(3) as f64 }).collect()),
        _ => Some((0..n).map(|_| 10.0_f64.powf(-14.0 * rng.uniform())).collect()),
    };
    (rewards, weights)
}

#[test]
fn hostile_vectors_are_survived() {
    let all = kinds();
    let mut rng = Seed::root(11).rng();
    for round in 0..100_000 {
        let (rewards, weights) = vector(&mut rng);
        let alpha = 10.0_f64.powf(12.0 * rng.uniform() - 6.0);
        let kind = all[round % all.len()];
        let tilt = Tilting::solve(&rewards, weights.as_deref(), alpha, kind.get()).unwrap();
        let scale = rewards.iter().fold(tilt.value.abs().max(1.0), |a, r| a.max(r.abs()));
        let case = || format!("{kind} at {alpha:e} of {rewards:?} by {weights:?}: {tilt:?}");
        assert!(tilt.gap.abs() <= 1e-9 * scale, "{}", case());
        assert!(tilt.value.is_finite() && tilt.mean_reward.is_finite() && tilt.lambda.is_finite(), "{}", case());
        assert!(tilt.ess > 0.0 && tilt.max_weight <= 1.0 + 1e-9 && tilt.dropped <= 1.0, "{}", case());
        let share = |i: usize| weights.as_ref().map_or(1.0, |w| w[i]);
        let total: f64 = (0..rewards.len()).map(share).sum();
        let mass: f64 =
            (0..rewards.len()).filter(|i| share(*i) > 0.0).map(|i| share(i) / total * tilt.log_density[i].exp()).sum();
        assert!((mass - 1.0).abs() < 1e-9, "mass {mass}, {}", case());
    }
}

#[test]
fn unusable_input_is_refused_with_what_is_wrong() {
    let error = |rewards: &[f64], weights: Option<&[f64]>, alpha: f64| {
        Tilting::solve(rewards, weights, alpha, &ReverseKl).unwrap_err().message().to_owned()
    };
    assert!(error(&[0.0, f64::NAN], None, 1.0).contains("reward 1 is NaN"));
    assert!(error(&[f64::INFINITY], None, 1.0).contains("reward 0 is inf"));
    for alpha in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(error(&[0.0], None, alpha).contains("a positive, finite number is accepted"));
    }
    assert!(error(&[], None, 1.0).contains("no rewards"));
    assert!(error(&[1.0], Some(&[1.0, 1.0]), 1.0).contains("1 rewards but 2 weights"));
    assert!(error(&[1.0], Some(&[-1.0]), 1.0).contains("weight 0 is -1"));
    assert!(error(&[1.0], Some(&[0.0]), 1.0).contains("sum to 0"));
    assert!(error(&[-1e308, 1e308], None, 1.0).contains("too far in units of alpha"));
}

#[test]
fn a_pole_condenses_on_the_best_sample_and_says_so() {
    // r = −|x|²/2 under N(0, I) in ten dimensions: at the boundary forward KL has mass 2α/(d − 2) = ¼, so ¾ is an atom
    let mut rng = Seed::root(7).rng();
    let rewards: Vec<f64> = (0..20_000).map(|_| -0.5 * (0..10).map(|_| rng.normal().powi(2)).sum::<f64>()).collect();
    let forward = Tilting::solve(&rewards, None, 1.0, &ForwardKl).unwrap();
    // the pole is at the best of the samples and not at 0, which costs some of the ¾
    assert!(forward.atom > 0.6 && forward.atom < 0.75, "{}", forward.atom);
    assert!((forward.max_weight - forward.atom).abs() < 1e-3 && forward.ess < 3.0, "{}", forward.ess);
    assert!(forward.warnings().iter().any(|text| text.starts_with("condensation")), "{:?}", forward.warnings());
    assert!(forward.warnings().iter().any(|text| text.starts_with("few entries")));
    assert!(forward.gap.abs() < 1e-11);
    for (kind, least) in [(DivergenceKind::Kl, 0.2), (DivergenceKind::Pearson, 0.55)] {
        let tilt = Tilting::solve(&rewards, None, 1.0, kind.get()).unwrap();
        assert!(tilt.ess > least * 20_000.0 && tilt.atom == 0.0, "{kind}: {}", tilt.ess);
        assert!(!tilt.warnings().iter().any(|text| text.starts_with("condensation")));
    }
}

#[test]
fn a_level_nearer_to_the_pole_than_numbers_go_leaves_an_atom() {
    // s of the best would have to be p⁶/6 = 1e-361 below the pole; there the other sample holds (6 · 100)^(−1/6) of the mass
    let order = Order::new(-5.0).unwrap();
    let tilt = Tilting::solve(&[0.0, 1.0], Some(&[1.0, 1e-60]), 0.01, &order).unwrap();
    let held = 600.0_f64.powf(-1.0 / 6.0);
    for (got, want) in [(tilt.atom, 1.0 - held), (tilt.max_weight, 1.0 - held), (tilt.mean_reward, 1.0 - held)] {
        assert!((got - want).abs() < 1e-12, "{got} against {want}");
    }
    assert!(tilt.gap.abs() < 1e-12, "{:e}", tilt.gap);
}

#[test]
fn counts_are_samples_written_once() {
    let (rewards, counts) = ([0.3, 1.0, 0.7], [3.0, 1.0, 2.0]);
    let all = [0.3, 0.3, 0.3, 1.0, 0.7, 0.7];
    for kind in kinds() {
        let counted = Tilting::solve(&rewards, Some(&counts), 0.4, kind.get()).unwrap();
        let written = Tilting::solve(&all, None, 0.4, kind.get()).unwrap();
        for (a, b) in [
            (counted.lambda, written.lambda),
            (counted.value, written.value),
            (counted.ess, written.ess),
            (counted.kl, written.kl),
            (counted.atom, written.atom),
        ] {
            assert!((a - b).abs() < 1e-12, "{kind}: {a} against {b}");
        }
        let (s, pole) = (counted.s(1.0), kind.get().slope_at_infinity());
        assert!(s < pole && (s - (1.0 - counted.lambda) / 0.4).abs() < 1e-13, "{kind}");
    }
}
