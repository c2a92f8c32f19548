//! Four sequences whose optimum is known for every divergence (checked against a general solver).

use super::super::*;

const PRIOR: [f64; 4] = [0.4, 0.3, 0.2, 0.1];
const REWARD: [f64; 4] = [0.0, 0.5, 1.0, 2.0];

fn solve(name: &str, alpha: f64) -> Tilting {
    let kind: DivergenceKind = name.parse().unwrap();
    Tilting::solve(&REWARD, Some(&PRIOR), alpha, kind.get()).unwrap()
}

fn law(tilt: &Tilting) -> [f64; 4] {
    std::array::from_fn(|i| PRIOR[i] * tilt.log_density[i].exp())
}

/// Half of the last printed digit.
const DIGIT: f64 = 0.500_001e-6;

#[test]
fn every_optimum_at_alpha_1_has_the_printed_digits() {
    // λ, q, E r, D, J
    let table = [
        ("kl", 0.778_030, [0.183_724, 0.227_182, 0.249_707, 0.339_387], 1.042_072, 0.264_042, 0.778_030),
        ("forward-kl", 1.209_197, [0.181_061, 0.175_521, 0.165_399, 0.478_019], 1.209_197, 0.359_402, 0.849_795),
        ("jeffreys", 0.720_943, [0.287_572, 0.269_429, 0.231_094, 0.211_905], 0.789_618, 0.128_916, 0.660_702),
        ("js", 1.703_408, [0.006_741, 0.014_153, 0.027_910, 0.951_196], 1.937_379, 0.439_598, 1.497_781),
        ("pearson", 0.55, [0.29, 0.2925, 0.245, 0.1725], 0.736_250, 0.093_125, 0.643_125),
        ("neyman", 1.111_997, [0.275_241, 0.236_287, 0.189_661, 0.298_811], 0.905_427, 0.206_570, 0.698_856),
        ("hellinger", 1.368_603, [0.071_298, 0.085_919, 0.106_776, 0.736_007], 1.621_750, 0.506_295, 1.115_456),
        ("order:-1", 1.520_905, [0.198_963, 0.172_011, 0.139_966, 0.489_061], 1.204_092, 0.316_812, 0.887_280),
        ("order:0.5", 0.976_891, [0.180_549, 0.195_599, 0.204_703, 0.419_149], 1.140_800, 0.327_819, 0.812_981),
        ("order:1.5", 0.645_400, [0.183_494, 0.257_966, 0.277_207, 0.281_333], 0.968_857, 0.215_638, 0.753_219),
        ("order:3", 0.406_655, [0.172_831, 0.326_806, 0.295_749, 0.204_614], 0.868_380, 0.153_909, 0.714_472),
        ("kl-chi2", 0.594_538, [0.290_344, 0.285_988, 0.242_530, 0.181_138], 0.747_800, 0.100_465, 0.647_335),
        ("soft-chi", 0.613_936, [0.216_486, 0.267_694, 0.277_213, 0.238_606], 0.888_273, 0.163_373, 0.724_900),
    ];
    for (name, lambda, q, mean, divergence, value) in table {
        let tilt = solve(name, 1.0);
        let got = law(&tilt);
        let pairs =
            [(tilt.lambda, lambda), (tilt.mean_reward, mean), (tilt.divergence, divergence), (tilt.value, value)];
        for (got, want) in pairs.into_iter().chain(got.into_iter().zip(q)) {
            assert!((got - want).abs() <= DIGIT, "{name}: {got} against {want}");
        }
        // rounding of a few operations
        assert!(tilt.gap.abs() < 1e-14, "{name}: gap {:e}", tilt.gap);
        assert!((tilt.dual - tilt.value - tilt.gap).abs() < 1e-14);
        assert_eq!((tilt.dropped, tilt.clamped), (0.0, 0));
    }
}

#[test]
fn truncated_and_concentrated_optima_have_the_printed_digits() {
    let table = [
        ("pearson", Some(0.583_333), [0.0, 0.25, 0.366_667, 0.383_333], 0.920_833, 0.4),
        ("order:1.5", Some(1.051_597), [0.0, 0.0, 0.160_852, 0.839_148], 1.314_114, 0.7),
        ("order:3", Some(0.557_838), [0.0, 0.219_901, 0.426_019, 0.354_080], 1.015_366, 0.4),
        ("kl", None, [0.001_284, 0.007_113, 0.035_040, 0.956_563], 1.435_456, 0.0),
    ];
    for (name, lambda, q, value, dropped) in table {
        let tilt = solve(name, 0.25);
        let lambdas = lambda.map(|lambda| (tilt.lambda, lambda));
        let pairs = lambdas.into_iter().chain([(tilt.value, value)]).chain(law(&tilt).into_iter().zip(q));
        for (got, want) in pairs {
            assert!((got - want).abs() <= DIGIT, "{name}: {got} against {want}");
        }
        assert!((tilt.dropped - dropped).abs() < 1e-15 && tilt.gap.abs() < 1e-14, "{name}");
        assert_eq!(tilt.warnings().iter().any(|text| text.starts_with("truncation")), dropped > 0.0);
    }
    let forward = solve("forward-kl", 0.25);
    assert!((forward.lambda - 1.779_305).abs() <= DIGIT && (forward.value - 1.416_907).abs() <= DIGIT);
    assert!((forward.lambda - forward.mean_reward).abs() < 1e-14, "λ = E_q r");
}

#[test]
fn total_variation_keeps_what_is_within_alpha_of_the_best() {
    let q = TotalVariation.optimum(&PRIOR, &REWARD, 1.0).unwrap();
    let mean: f64 = q.iter().zip(REWARD).map(|(q, r)| q * r).sum();
    let apart = TotalVariation.between(&q, &PRIOR);
    // sums of four rounded numbers
    for (got, want) in [(q[2], 0.2), (q[3], 0.8), (mean, 1.8), (apart, 0.7), (mean - apart, 1.1)] {
        assert!((got - want).abs() < 1e-15, "{got} against {want}");
    }
    assert_eq!((q[0], q[1]), (0.0, 0.0));
    assert!(TotalVariation.optimum(&[0.0], &[1.0], 1.0).is_err());
}
