//! Tilts, divergences and curves of enumerated laws for every divergence.

use super::*;
use crate::finetune::divergence::{DIVERGENCES, DivergenceKind, ReverseKl, curvature_matched};

fn kinds() -> Vec<DivergenceKind> {
    let plain = DIVERGENCES.names().filter(|name| *name != "order");
    plain.chain(["order:-1", "order:0.5", "order:1.5"]).map(|name| name.parse().unwrap()).collect()
}

/// A prior with a gap in its support, and rewards.
fn case() -> (Vec<f64>, Vec<f64>) {
    let raw: Vec<f64> = (0..40).map(|i| f64::from((i * 13) % 40 * (i % 7).min(1))).collect();
    let total: f64 = raw.iter().sum();
    (raw.iter().map(|p| p / total).collect(), (0..40).map(|i| f64::from((i * 29) % 40) / 20.0).collect())
}

#[test]
fn the_tilt_of_kl_is_the_kl_tilt() {
    let (p, r) = case();
    for alpha in [0.02, 0.3, 5.0] {
        let (general, plain) = (Tilt::of(&p, &r, alpha, &ReverseKl).unwrap(), Tilt::kl(&p, &r, alpha).unwrap());
        for (a, b) in [
            (general.log_z, plain.log_z),
            (general.lambda, plain.lambda),
            (general.mean_reward, plain.mean_reward),
            (general.kl, plain.kl),
            (general.divergence, plain.divergence),
            (general.ess, plain.ess),
            (general.value, plain.value),
            (general.max_weight, plain.max_weight),
        ] {
            // sums of forty rounded terms, log Z up to 100
            assert!((a - b).abs() < 1e-12 * (1.0 + b.abs()), "{a} against {b} at {alpha}");
        }
        assert!(general.gap.abs() < 1e-13 && plain.gap.abs() < 1e-13);
    }
}

#[test]
fn a_tilt_says_of_itself_what_its_law_shows() {
    let (p, r) = case();
    for kind in kinds() {
        let alpha = curvature_matched(0.2, kind.get());
        let tilt = Tilt::of(&p, &r, alpha, kind.get()).unwrap();
        let q = &tilt.probabilities;
        let mean: f64 = q.iter().zip(&r).map(|(q, r)| q * r).sum();
        let paid = divergence(q, &p, kind.get()).unwrap();
        let dropped: f64 = p.iter().zip(q).filter(|(_, q)| **q == 0.0).map(|(p, _)| p).sum();
        for (a, b) in [
            (tilt.mean_reward, mean),
            (tilt.divergence, paid),
            (tilt.kl, divergence(q, &p, &ReverseKl).unwrap()),
            (tilt.value, mean - alpha * paid),
            (tilt.dropped, dropped),
        ] {
            assert!((a - b).abs() < 1e-12, "{kind}: {a} against {b}");
        }
        assert!(p.iter().zip(q).all(|(p, q)| *p > 0.0 || *q == 0.0), "no mass outside the prior");
        assert!((q.iter().sum::<f64>() - 1.0).abs() < 1e-13 && tilt.gap.abs() < 1e-12, "{kind}");
    }
}

#[test]
fn mass_outside_the_prior_costs_the_slope_at_infinity() {
    let (q, p) = ([0.5, 0.5], [1.0, 0.0]);
    for kind in kinds() {
        let d = kind.get();
        let want = d.f(0.5) + 0.5 * d.slope_at_infinity();
        let got = divergence(&q, &p, d).unwrap();
        assert!(got == want || (got - want).abs() < 1e-15, "{kind}: {got} against {want}");
        assert_eq!(divergence(&p, &p, d).unwrap(), 0.0);
    }
    assert!(divergence(&q, &[1.0], &ReverseKl).is_err() && divergence(&q, &[-1.0, 2.0], &ReverseKl).is_err());
}

#[test]
fn every_curve_rises_and_lies_below_the_frontier_of_kl() {
    let (p, r) = case();
    let frontier = Frontier::new(&p, &r).unwrap();
    let alphas = [10.0, 1.0, 0.3, 0.1, 0.03, 0.01];
    for kind in kinds() {
        let curve = divergence_curve(&p, &r, kind.get(), &alphas).unwrap();
        assert!(curve.windows(2).all(|w| w[0].reward < w[1].reward && w[0].divergence < w[1].divergence), "{kind}");
        for point in &curve {
            let short = frontier.shortfall(point.kl, point.reward);
            assert!(short > -1e-9, "{kind}: {point:?} is {short} below");
            assert!(kind != DivergenceKind::Kl || short < 1e-9);
        }
    }
}

/// The printed figures were rounded to one digit more first: 5.8645 to 5.865 to 5.87.
const TWICE: f64 = 1.1;

#[test]
fn the_uniform_prior_table_of_tfbind8_is_reproduced_for_every_divergence() {
    let Some(reward) = tfbind8() else { return };
    let prior = vec![1.0 / 65_536.0; 65_536];
    // E r, KL, ESS, mean pairwise Hamming at the price that curvature matches to KL at 0.05
    let table = [
        ("kl", 0.910, 3.13, 1570.0, 5.75),
        ("jeffreys", 0.917, 3.66, 582.0, 5.67),
        ("pearson", 0.754, 1.40, 13_652.0, 5.88),
        ("order:1.5", 0.819, 1.93, 7307.0, 5.85),
        ("kl-chi2", 0.788, 1.64, 9973.0, 5.87),
        ("soft-chi", 0.745, 1.24, 14_507.0, 5.89),
        ("forward-kl", 0.950, 8.77, 2.6, 2.90),
        ("js", 0.993, 9.78, 2.2, 2.34),
        ("hellinger", 0.976, 8.25, 4.5, 3.13),
        ("neyman", 0.886, 7.44, 3.4, 3.64),
    ];
    for (name, mean, kl, ess, hamming) in table {
        let kind: DivergenceKind = name.parse().unwrap();
        let tilt = Tilt::of(&prior, &reward, curvature_matched(0.05, kind.get()), kind.get()).unwrap();
        let apart = diversity::mean_pairwise_of_law(&tilt.probabilities, 4, 8);
        let size = tilt.ess * 65_536.0;
        let digit = if ess < 100.0 { 0.05 } else { 0.5 };
        for (got, want, half_digit) in
            [(tilt.mean_reward, mean, 5e-4), (tilt.kl, kl, 5e-3), (size, ess, digit), (apart, hamming, 5e-3)]
        {
            assert!((got - want).abs() <= half_digit * TWICE, "{name}: {got} against {want}");
        }
        assert!(tilt.gap.abs() < 1e-9, "{name}: {:e}", tilt.gap);
        assert_eq!(ess < 10.0, tilt.warnings.iter().any(|text| text.starts_with("condensation")), "{name}");
        if name == "pearson" {
            assert_eq!(tilt.probabilities.iter().filter(|q| **q > 0.0).count(), 22_245);
        }
    }
    for (name, mean, kl) in [("kl", 0.644, 0.47), ("hellinger", 0.710, 0.98), ("forward-kl", 0.800, 4.73)] {
        let kind: DivergenceKind = name.parse().unwrap();
        let tilt = Tilt::of(&prior, &reward, curvature_matched(0.2, kind.get()), kind.get()).unwrap();
        assert!((tilt.mean_reward - mean).abs() <= 5e-4 * TWICE, "{name}: {}", tilt.mean_reward);
        assert!((tilt.kl - kl).abs() <= 5e-3 * TWICE, "{name}: {}", tilt.kl);
    }
}
