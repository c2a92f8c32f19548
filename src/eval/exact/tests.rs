mod divergences;
mod padded;

use super::*;
use crate::eval::diversity;
use std::collections::BTreeMap;

#[test]
fn two_points_follow_the_closed_form() {
    let (p, a, alpha) = (0.2, 1.3, 0.4);
    let tilt = Tilt::kl(&[1.0 - p, p], &[0.0, a], alpha).unwrap();
    let z = 1.0 - p + p * (a / alpha).exp();
    let q = p * (a / alpha).exp() / z;
    let kl = q * (q / p).ln() + (1.0 - q) * ((1.0 - q) / (1.0 - p)).ln();
    for (got, want) in [
        (tilt.probabilities[1], q),
        (tilt.log_z, z.ln()),
        (tilt.mean_reward, q * a),
        (tilt.kl, kl),
        (tilt.ess, 1.0 / (q * q / p + (1.0 - q) * (1.0 - q) / (1.0 - p))),
        (tilt.value, q * a - alpha * kl),
    ] {
        // rounding of a handful of operations
        assert!((got - want).abs() < 1e-13, "{got} against {want}");
    }
}

#[test]
fn small_prices_and_huge_rewards_stay_finite() {
    let tilt = Tilt::kl(&[0.25, 0.25, 0.0, 0.5], &[-1e6, 1e6, f64::INFINITY, 1e6 - 1e-3], 1e-3).unwrap();
    assert_eq!((tilt.probabilities[0], tilt.probabilities[2]), (0.0, 0.0));
    // the last two differ by one α: weights ¼ and ½ e⁻¹
    let want = 0.25 / (0.25 + 0.5 * (-1.0_f64).exp());
    // 1e6 − 1e-3 is held to 1e-10 and divided by α = 1e-3
    assert!((tilt.probabilities[1] - want).abs() < 1e-6);
    assert!(tilt.log_z.is_finite() && tilt.kl.is_finite() && tilt.value <= 1e6);
    assert!(tilt.probabilities.iter().all(|q| q.is_finite()));
}

#[test]
fn unusable_input_is_refused_with_the_number_that_is_wrong() {
    let message = |prior: &[f64], reward: &[f64], alpha| Tilt::kl(prior, reward, alpha).unwrap_err().to_string();
    assert_eq!(message(&[0.5, 0.6], &[0.0, 1.0], 1.0), "prior probabilities sum to 1.1; 1 within 1e-6 is accepted");
    assert!(message(&[1.0], &[0.0, 1.0], 1.0).contains("1 prior probabilities but 2 rewards"));
    assert!(message(&[0.5, 0.5], &[0.0, f64::NAN], 1.0).contains("reward 1 is NaN"));
    assert!(message(&[1.5, -0.5], &[0.0, 1.0], 1.0).contains("probability 1 is -0.5"));
    assert!(message(&[1.0], &[0.0], 0.0).contains("alpha is 0"));
}

#[test]
fn the_frontier_inverts_the_tilt_and_keeps_its_ends() {
    let prior: Vec<f64> = (1..=50).map(|i| f64::from(i) / 1275.0).collect();
    let reward: Vec<f64> = (0..50).map(|i| f64::from((i * 37) % 50).sqrt()).collect();
    let frontier = Frontier::new(&prior, &reward).unwrap();
    for alpha in [100.0, 3.0, 0.3, 0.03] {
        let point = frontier.at(alpha);
        // KL is flat in α at both ends, so reward is compared, not α
        assert!((frontier.reward_at(point.kl) - point.reward).abs() < 1e-9, "{alpha}");
    }
    let best = reward.iter().position(|r| *r == frontier.max_reward()).unwrap();
    assert!((frontier.max_kl() + prior[best].ln()).abs() < 1e-12);
    assert_eq!(frontier.reward_at(-1.0), frontier.prior_mean());
    assert_eq!(frontier.reward_at(1e9), 7.0);
    let curve = frontier.curve(40);
    assert_eq!(curve.len(), 40);
    assert!(curve.windows(2).all(|w| w[1].reward > w[0].reward && w[1].kl > w[0].kl));
    let constant = Frontier::new(&[0.5, 0.5], &[2.0, 2.0]).unwrap();
    assert_eq!((constant.max_kl(), constant.reward_at(0.3)), (0.0, 2.0));
}

/// E-scores of all 65,536 8-mers in the order of base-4 numbers, min–max normalised; `None` without the data folder.
fn tfbind8() -> Option<Vec<f64>> {
    let Ok(folder) = std::env::var("SEQTILT_DATA") else {
        #[allow(clippy::print_stderr, reason = "a skipped test says why")]
        {
            eprintln!("skipped: SEQTILT_DATA does not name the data folder");
        }
        return None;
    };
    let text = std::fs::read_to_string(std::path::Path::new(&folder).join("SIX6_REF_R1_8mers.txt")).unwrap();
    let number =
        |word: &str| word.bytes().fold(0, |n, letter| 4 * n + b"ACGT".iter().position(|l| *l == letter).unwrap());
    let mut scores = BTreeMap::new();
    for line in text.lines().skip(1) {
        let field: Vec<&str> = line.split('\t').collect();
        let score: f64 = field[2].parse().unwrap();
        scores.insert(number(field[0]), score);
        scores.insert(number(field[1]), score);
    }
    assert_eq!(scores.len(), 65_536);
    let (low, high) = scores.values().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), s| (l.min(*s), h.max(*s)));
    Some(scores.values().map(|s| (s - low) / (high - low)).collect())
}

#[test]
fn the_uniform_prior_table_of_tfbind8_is_reproduced_to_its_digits() {
    let Some(reward) = tfbind8() else { return };
    let prior = vec![1.0 / 65_536.0; 65_536];
    let frontier = Frontier::new(&prior, &reward).unwrap();
    // α, E r, KL, ESS, mean pairwise Hamming, J*
    let table = [
        (1.0, 0.4956, 0.016, 63388.0, 5.998, 0.4794),
        (0.5, 0.5303, 0.068, 56806.0, 5.993, 0.4961),
        (0.2, 0.6440, 0.468, 26963.0, 5.955, 0.5504),
        (0.1, 0.7983, 1.590, 6688.0, 5.867, 0.6393),
        (0.05, 0.9097, 3.127, 1570.0, 5.746, 0.7534),
        (0.02, 0.9669, 4.851, 306.0, 5.529, 0.8699),
        (0.01, 0.9837, 6.008, 93.0, 5.289, 0.9236),
        (0.005, 0.9929, 7.302, 24.0, 4.841, 0.9564),
    ];
    for (alpha, mean, kl, ess, hamming, value) in table {
        let tilt = Tilt::kl(&prior, &reward, alpha).unwrap();
        let apart = diversity::mean_pairwise_of_law(&tilt.probabilities, 4, 8);
        for (got, want, half_digit) in [
            (tilt.mean_reward, mean, 5e-5),
            (tilt.kl, kl, 5e-4),
            (tilt.ess * 65_536.0, ess, 0.5),
            (apart, hamming, 5e-4),
            (tilt.value, value, 5e-5),
        ] {
            assert!((got - want).abs() <= half_digit * 1.000_001, "α {alpha}: {got} against {want}");
        }
        assert!((frontier.reward_at(tilt.kl) - tilt.mean_reward).abs() < 1e-9);
    }
    assert!((frontier.max_kl() - 32_768_f64.ln()).abs() < 1e-9, "AGGTATCA and its reverse complement");
}

#[test]
fn points_of_the_frontier_survive_json() {
    let frontier = Frontier::new(&[0.75, 0.25], &[0.0, 1.0]).unwrap();
    let curve = frontier.curve(3);
    assert_eq!(curve[0].alpha, f64::INFINITY);
    let text = serde_json::to_string(&curve).unwrap();
    assert_eq!(serde_json::from_str::<Vec<FrontierPoint>>(&text).unwrap(), curve);
}
