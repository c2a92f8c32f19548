//! Path weights against Gaussian works, and against chains whose Z is known.

mod analytic;
mod crooks;

use super::*;
use crate::random::Seed;

/// Forward works N(μ, σ²); the reverse ones are then N(μ + σ², σ²), and log Z = μ + σ²/2.
fn gaussian(mean: f64, spread: f64, n: usize, label: &str) -> Vec<f64> {
    let mut rng = Seed::root(11).child(label).rng();
    (0..n).map(|_| mean + spread * rng.normal()).collect()
}

#[test]
fn gaussian_works_have_the_closed_forms() {
    let (mean, spread) = (0.7, 0.8);
    let n = 40_000;
    let weights = PathWeights::of(&gaussian(mean, spread, n, "forward")).unwrap();
    let log_z = mean + 0.5 * spread * spread;
    assert!(weights.log_z.z(log_z).abs() < 3.0 && weights.log_z.se < 0.006, "{weights:?}");
    assert!(weights.lower.z(mean).abs() < 3.0);
    assert!(weights.upper.z(mean + spread * spread).abs() < 3.0 && weights.upper.se < 0.02, "{weights:?}");
    // the variance of a variance of normal draws is 2σ⁴/n
    assert!((weights.variance - spread * spread).abs() < 3.0 * (2.0 / n as f64).sqrt() * spread * spread);
    // ESS/n = e^{−σ²} = 0.527; its own standard error is about 0.005 here
    assert!((weights.ess_share() - (-spread * spread).exp()).abs() < 0.02, "{}", weights.ess_share());
}

#[test]
fn bennett_is_right_where_each_side_alone_is_not() {
    // works of spread 3: e^{9} samples would be needed one-sidedly
    let (mean, spread) = (-2.0, 3.0);
    let log_z = mean + 0.5 * spread * spread;
    for (n, m) in [(4000, 4000), (6000, 500), (500, 6000)] {
        let forward = gaussian(mean, spread, n, "forward");
        let reverse = gaussian(mean + spread * spread, spread, m, "reverse");
        let got = bennett(&Side::plain(&forward), &Side::plain(&reverse)).unwrap();
        assert!(got.z(log_z).abs() < 3.0 && got.se < 0.25, "{n} {m}: {got}");
        // the other direction is the same estimate with the sign of everything turned
        let minus = |works: &[f64]| works.iter().map(|w| -w).collect::<Vec<_>>();
        let turned = bennett(&Side::plain(&minus(&reverse)), &Side::plain(&minus(&forward))).unwrap();
        assert!((turned.value + got.value).abs() < 1e-9 && (turned.se - got.se).abs() < 1e-9);
    }
    // the standard error is the spread of repetitions: 40 of them know theirs to 11 %
    let repeated: Vec<Estimate> = (0..40)
        .map(|i| {
            let forward = gaussian(mean, spread, 400, &format!("forward {i}"));
            let reverse = gaussian(mean + spread * spread, spread, 400, &format!("reverse {i}"));
            bennett(&Side::plain(&forward), &Side::plain(&reverse)).unwrap()
        })
        .collect();
    let values: Vec<f64> = repeated.iter().map(|e| e.value).collect();
    let found = Estimate::mean(&values).se * 40.0_f64.sqrt();
    let claimed = repeated.iter().map(|e| e.se).sum::<f64>() / 40.0;
    assert!((found / claimed - 1.0).abs() < 0.4, "{found} {claimed}");
    assert!(Estimate::mean(&values).z(log_z).abs() < 3.0);
}

#[test]
fn weighted_reverse_paths_stand_for_their_law() {
    // N(0, 1) weighted by e^{x} is N(1, 1); works 0.5 x there and one below forward
    let x = gaussian(0.0, 1.0, 20_000, "weighted");
    let works: Vec<f64> = x.iter().map(|x| 0.5 * x + 0.5).collect();
    let plain = gaussian(1.0, 0.5, 20_000, "plain");
    // reverse N(1, ¼), so forward N(¾, ¼) and log Z = ⅞
    let forward = gaussian(0.75, 0.5, 20_000, "forward");
    let weighted = bennett(&Side::plain(&forward), &Side::weighted(&works, &x)).unwrap();
    let direct = bennett(&Side::plain(&forward), &Side::plain(&plain)).unwrap();
    assert!(weighted.z(0.875).abs() < 3.0 && direct.z(0.875).abs() < 3.0, "{weighted} {direct}");
    assert!(self_normalised(&x, &x).z(1.0).abs() < 3.0);
    assert!(bennett(&Side::plain(&forward), &Side::weighted(&works, &x[1..])).is_err());
}

#[test]
fn weights_that_span_2000_nats_are_not_lost() {
    let n = std::f64::consts::LN_2;
    // two words of gains 0 and 2000 with even odds under the base and the tuned chain, drawn in their exact proportions
    let both = bennett(&Side::plain(&[0.0, 2000.0]), &Side::weighted(&[0.0, 2000.0], &[0.0, 2000.0])).unwrap();
    assert!((both.value - (2000.0 - n)).abs() < 1e-9, "{both}");
    // the tuned chain has never been at the second word, and has density e^-2000 there: reverse works 0 and 4000. With
    // c = C + log 2 the ratio is zero where 2 e^-c = e^-2000 + e^(c - 4000), at c = 2000: the two words weigh e^-2000 to 1 and
    // have half of the reverse mean each, so that its relative error is the root of ½² + ½². Numbers near 2000 have 13 digits
    let missed = bennett(&Side::plain(&[0.0; 2]), &Side::weighted(&[0.0, 4000.0], &[0.0, 2000.0])).unwrap();
    assert!((missed.value - (2000.0 - n)).abs() < 1e-9 && (missed.se - 0.5_f64.sqrt()).abs() < 1e-9, "{missed}");
    // the same with the gains in the other order, and all of them a thousand lower
    let moved = bennett(&Side::plain(&[-1000.0; 2]), &Side::weighted(&[3000.0, -1000.0], &[1000.0, -1000.0])).unwrap();
    assert!((moved.value - (1000.0 - n)).abs() < 1e-9 && (moved.se - missed.se).abs() < 1e-9, "{moved}");
}

/// Base N(0, 1) with gain `a x`; tuned N(m, 1), `L = m x − ½m²`.
fn shifted(m: f64, a: f64, n: usize, base: bool) -> Vec<BasePath> {
    gaussian(if base { 0.0 } else { m }, 1.0, n, if base { "base" } else { "tuned" })
        .into_iter()
        .map(|x| BasePath { gain: a * x, log_ratio: m * x - 0.5 * m * m })
        .collect()
}

#[test]
fn both_directions_close_on_log_z() {
    let (m, a, n) = (0.7, 1.2, 20_000);
    let weighed = Weighed::new(&shifted(m, a, n, false), &shifted(m, a, n, true)).unwrap();
    let (log_z, base) = (0.5 * a * a, weighed.base.unwrap());
    // W = (a − m) x + ½m², x ~ N(m, 1) forward and N(a, 1) under the tilt
    for (estimate, exact, most) in [
        (weighed.forward.log_z, log_z, 0.01),
        (weighed.forward.lower, (a - m) * m + 0.5 * m * m, 0.01),
        (base.upper, (a - m) * a + 0.5 * m * m, 0.02),
        (base.log_z, log_z, 0.02),
        (base.bennett, log_z, 0.01),
        (base.mixture.log_z, log_z, 0.01),
    ] {
        assert!(estimate.z(exact).abs() < 3.0 && estimate.se < most, "{estimate} against {exact}: {weighed:?}");
    }
    assert!(base.mixture.log_z.se < base.log_z.se);
    assert!(matches!(weighed.verdict, Verdict::Healthy { .. }), "{weighed:?}");
    let json = serde_json::to_string(&weighed).unwrap();
    assert_eq!(serde_json::from_str::<Weighed>(&json).unwrap(), weighed);
    let alone = Weighed::new(&shifted(m, a, n, false), &[]).unwrap();
    assert!(alone.base.is_none() && alone.forward == weighed.forward);
    assert!(matches!(alone.verdict, Verdict::Unchecked { .. }));
}

#[test]
fn a_log_ratio_of_the_wrong_sign_is_seen() {
    let wrong = |paths: Vec<BasePath>| -> Vec<BasePath> {
        paths.into_iter().map(|path| BasePath { log_ratio: -path.log_ratio, ..path }).collect()
    };
    let weighed =
        Weighed::new(&wrong(shifted(0.7, 1.2, 20_000, false)), &wrong(shifted(0.7, 1.2, 20_000, true))).unwrap();
    assert!(!matches!(weighed.verdict, Verdict::Healthy { .. } | Verdict::Unchecked { .. }), "{weighed:?}");
    assert!(weighed.forward.log_z.z(0.72).abs() > 10.0, "{weighed:?}");
}

#[test]
fn verdicts_name_what_is_wrong() {
    let n = 20_000;
    // two modes of gain 0 and 1 with even odds; the tuned chain goes to the first with probability p
    let modes = |p: f64, n: usize, base: bool| -> Vec<BasePath> {
        let mut rng = Seed::root(3).child(if base { "b" } else { "t" }).rng();
        let one = |rng: &mut crate::random::Rng| {
            if rng.uniform() < if base { 0.5 } else { p } {
                BasePath { gain: 0.0, log_ratio: (2.0 * p).ln() }
            } else {
                BasePath { gain: 1.0, log_ratio: (2.0 * (1.0 - p)).ln() }
            }
        };
        (0..n).map(|_| one(&mut rng)).collect()
    };
    let of = |p: f64| Weighed::new(&modes(p, n, false), &modes(p, n, true)).unwrap();
    let missed = of(1.0 - 1e-4);
    let Verdict::MissesModes { tilt, tuned } = missed.verdict else { panic!("{missed:?}") };
    // the tilt has e/(1 + e) = 73.1 % in the mode that gets one path in ten thousand
    assert!((tilt - 0.731).abs() < 0.01 && tuned < 0.001, "{tilt} {tuned}");
    assert!(missed.verdict.to_string().starts_with("The sampler misses modes: base paths put 73."));
    assert!(matches!(of(0.3).verdict, Verdict::Healthy { share } if share > 0.99));
    let few = Weighed::new(&shifted(0.0, 4.0, 500, false), &[]).unwrap();
    assert!(few.verdict.to_string().contains("log Z is a lower bound"), "{few:?}");
    let spread = Weighed::new(&shifted(0.2, 1.2, n, false), &shifted(0.2, 1.2, n, true)).unwrap();
    assert!(matches!(spread.verdict, Verdict::Spread { variance, .. } if (variance - 1.0).abs() < 0.05), "{spread:?}");
    // base paths of another reward
    let other: Vec<BasePath> =
        shifted(0.7, 1.2, n, true).iter().map(|p| BasePath { gain: p.gain + 1.0, ..*p }).collect();
    let apart = Weighed::new(&shifted(0.7, 1.2, n, false), &other).unwrap();
    assert!(matches!(apart.verdict, Verdict::Disagrees { errors } if errors < -10.0), "{apart:?}");
}

#[test]
fn numbers_that_say_nothing_are_refused() {
    assert!(PathWeights::of(&[1.0]).is_err() && PathWeights::of(&[1.0, f64::NAN]).is_err());
    let path = BasePath { gain: 0.0, log_ratio: 0.0 };
    assert!(Weighed::new(&[path; 3], &[path]).is_err());
    assert!(Weighed::new(&[path; 3], &[path, BasePath { gain: f64::INFINITY, ..path }]).is_err());
    assert!(Weighed::new(&[path; 3], &[path; 2]).is_ok());
}
