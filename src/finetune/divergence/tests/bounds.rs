//! Identities and inequalities that hold for every optimum.

use super::super::*;
use super::kinds;
use crate::random::{Rng, Seed};

/// A law and rewards on a few sequences.
fn case(rng: &mut Rng) -> (Vec<f64>, Vec<f64>) {
    let n = 2 + rng.below(7);
    let raw: Vec<f64> = (0..n).map(|_| rng.uniform() + 0.02).collect();
    let total: f64 = raw.iter().sum();
    (raw.iter().map(|p| p / total).collect(), (0..n).map(|_| rng.normal()).collect())
}

fn mean(p: &[f64], r: &[f64]) -> f64 {
    p.iter().zip(r).map(|(p, r)| p * r).sum()
}

fn law(tilt: &Tilting, prior: &[f64]) -> Vec<f64> {
    prior.iter().zip(&tilt.log_density).map(|(p, l)| p * l.exp()).collect()
}

fn spread(r: &[f64]) -> f64 {
    r.iter().fold(f64::MIN, |a, b| a.max(*b)) - r.iter().fold(f64::MAX, |a, b| a.min(*b))
}

#[test]
fn divergence_is_paid_for_in_reward_and_reward_falls_with_the_price() {
    let mut rng = Seed::root(1).rng();
    for _ in 0..40 {
        let (p, r) = case(&mut rng);
        for kind in kinds() {
            let mut last = f64::INFINITY;
            for alpha in [0.1, 0.3, 1.0, 3.0, 10.0] {
                let tilt = Tilting::solve(&r, Some(&p), alpha, kind.get()).unwrap();
                let gain = (tilt.mean_reward - mean(&p, &r)) / alpha;
                assert!(tilt.divergence <= gain + 1e-12 && gain <= spread(&r) / alpha, "{kind} at {alpha}");
                assert!(tilt.mean_reward <= last + 1e-12, "{kind}: a dearer nat buys more reward");
                assert!(tilt.gap.abs() < 1e-12, "{kind} at {alpha}: gap {:e}", tilt.gap);
                let total: f64 = law(&tilt, &p).iter().sum();
                assert!((total - 1.0).abs() < 1e-13, "{kind}");
                last = tilt.mean_reward;
            }
        }
    }
}

#[test]
fn no_other_law_has_a_higher_value() {
    let mut rng = Seed::root(2).rng();
    for _ in 0..20 {
        let (p, r) = case(&mut rng);
        for kind in kinds() {
            let alpha = (rng.normal()).exp();
            let tilt = Tilting::solve(&r, Some(&p), alpha, kind.get()).unwrap();
            let best = law(&tilt, &p);
            for share in [1e-3, 0.1, 1.0] {
                let (other, _) = case(&mut rng);
                let total: f64 = (0..p.len()).map(|i| other[i % other.len()]).sum();
                let q: Vec<f64> =
                    (0..p.len()).map(|i| (1.0 - share) * best[i] + share * other[i % other.len()] / total).collect();
                let paid: f64 = q.iter().zip(&p).map(|(q, p)| p * kind.get().f(q / p)).sum();
                let value = mean(&q, &r) - alpha * paid;
                assert!(value <= tilt.value + 1e-12, "{kind}: {value} above {}", tilt.value);
            }
        }
    }
}

#[test]
fn kl_has_its_own_bounds_and_its_gap_is_a_divergence() {
    let mut rng = Seed::root(3).rng();
    for _ in 0..200 {
        let (p, r) = case(&mut rng);
        let alpha = rng.normal().exp();
        let tilt = Tilting::solve(&r, Some(&p), alpha, &ReverseKl).unwrap();
        let best = law(&tilt, &p);
        assert!(tilt.kl <= spread(&r).powi(2) / (8.0 * alpha * alpha) + 1e-14);
        assert!(TotalVariation.between(&best, &p) <= (tilt.kl / 2.0).sqrt() + 1e-14);
        assert!((tilt.kl - tilt.divergence).abs() < 1e-13 && (tilt.value - tilt.lambda).abs() < 1e-12);
        let kl = |q: &[f64], p: &[f64]| q.iter().zip(p).map(|(q, p)| q * (q / p).ln()).sum::<f64>();
        let (other, _) = case(&mut rng);
        let total: f64 = (0..p.len()).map(|i| other[i % other.len()]).sum();
        let q: Vec<f64> = (0..p.len()).map(|i| other[i % other.len()] / total).collect();
        let gap = tilt.value - (mean(&q, &r) - alpha * kl(&q, &p));
        assert!((gap - alpha * kl(&q, &best)).abs() < 1e-11 * (1.0 + gap), "J* − J(q) = α KL(q‖q*)");
        assert!(TotalVariation.between(&q, &best) <= (gap / (2.0 * alpha)).sqrt() + 1e-12);
    }
}

#[test]
fn small_penalties_see_the_curvature_alone() {
    let mut rng = Seed::root(4).rng();
    for _ in 0..20 {
        let (p, r) = case(&mut rng);
        let centre = mean(&p, &r);
        for kind in kinds() {
            let alpha = curvature_matched(1e4, kind.get());
            let tilt = Tilting::solve(&r, Some(&p), alpha, kind.get()).unwrap();
            for (l, r) in tilt.log_density.iter().zip(&r) {
                // the next order is |f'''(1)| up to 6 times the square of 3 standard deviations over 1e4
                assert!((l.exp() - 1.0 - (r - centre) / 1e4).abs() < 1e-6, "{kind}");
            }
        }
    }
}

#[test]
fn pearson_and_forward_kl_have_levels_in_closed_form() {
    let mut rng = Seed::root(5).rng();
    for _ in 0..100 {
        let (p, r) = case(&mut rng);
        let centre = mean(&p, &r);
        let variance: f64 = p.iter().zip(&r).map(|(p, r)| p * (r - centre).powi(2)).sum();
        let worst = r.iter().fold(f64::MAX, |a, b| a.min(*b));
        let threshold = 0.5 * (centre - worst);
        let open = Tilting::solve(&r, Some(&p), 1.01 * threshold, &Pearson).unwrap();
        assert!((open.lambda - centre).abs() < 1e-12 && open.dropped == 0.0);
        assert!((open.value - centre - variance / (4.0 * open.alpha)).abs() < 1e-12);
        let cut = Tilting::solve(&r, Some(&p), 0.99 * threshold, &Pearson).unwrap();
        assert!(cut.dropped > 0.0 && cut.lambda > centre);
        let forward = Tilting::solve(&r, Some(&p), rng.normal().exp(), &ForwardKl).unwrap();
        assert!((forward.lambda - forward.mean_reward).abs() < 1e-11, "λ = E_q r");
        let (range, floor) = (spread(&r), forward.log_density.iter().fold(f64::MAX, |a, b| a.min(*b)).exp());
        assert!(floor >= 1.0 / (1.0 + range / forward.alpha) - 1e-12, "the floor of forward KL");
    }
}

#[test]
fn bounded_divergences_stay_below_their_bounds() {
    let (p, r) = ([0.25; 4], [0.0, 0.1, 0.2, 100.0]);
    for (kind, most) in [(DivergenceKind::JensenShannon, 2.0_f64.ln()), (DivergenceKind::Hellinger, 2.0)] {
        let tilt = Tilting::solve(&r, Some(&p), 1e-3, kind.get()).unwrap();
        assert!(tilt.divergence < most && tilt.mean_reward > 99.0, "{kind}: {}", tilt.divergence);
    }
}
