//! The closed law of the choice among N.

use super::fixture::{ALPHA, Asked, REWARDS, chain, drawn, ratio_to_z, shares};
use crate::inference::BestOfN;

const COUNT: usize = 4000;

/// The law of the choice among three uniform words, by all 512 triples.
fn among_three(greedy: bool) -> [f64; 8] {
    let mut law = [0.0; 8];
    for triple in 0..512_usize {
        let words = [triple / 64, triple / 8 % 8, triple % 8];
        let weights = words.map(|word| (REWARDS[word] / ALPHA).exp());
        let best = weights.iter().copied().fold(0.0, f64::max);
        for (word, weight) in words.into_iter().zip(weights) {
            let ties = weights.iter().filter(|weight| **weight == best).count() as f64;
            let share =
                if greedy { f64::from(u8::from(weight == best)) / ties } else { weight / weights.iter().sum::<f64>() };
            law[word] += share / 512.0;
        }
    }
    law
}

#[test]
fn the_law_of_the_choice_is_the_one_in_closed_form() {
    let chain = chain(4, 2);
    for greedy in [false, true] {
        let method = BestOfN { candidates: 3, greedy };
        let drawn = drawn(&method, &chain, Asked::default(), COUNT, 51).unwrap();
        let law = among_three(greedy);
        for (share, p) in shares(&drawn, false).into_iter().zip(law) {
            let se = (p * (1.0 - p) / COUNT as f64).sqrt();
            assert!((share - p).abs() < 3.5 * se, "greedy {greedy}: {share}, exact {p} ± {se}");
        }
        let kl: f64 = law.iter().map(|q| q * (8.0 * q).ln()).sum();
        assert!(kl > 0.1 && kl < method.kl_bound(), "{kl} {}", method.kl_bound());
        assert_eq!(drawn.calls.scores, 3 * COUNT as u64);
    }
}

#[test]
fn the_mean_weight_of_the_pool_is_z_and_the_best_has_none() {
    let chain = chain(4, 2);
    let by_weight = drawn(&BestOfN { candidates: 3, greedy: false }, &chain, Asked::default(), COUNT, 52).unwrap();
    let (ratio, se) = ratio_to_z(&by_weight, 1);
    assert!(((ratio - 1.0) / se).abs() < 3.5 && se < 0.02, "{ratio} ± {se}");
    let best = drawn(&BestOfN { candidates: 3, greedy: true }, &chain, Asked::default(), 4, 52).unwrap();
    assert!(best.log_weights.is_empty());
}
