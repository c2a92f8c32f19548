//! Choice by weight.

use crate::inference::{effective, systematic};
use crate::random::Seed;

#[test]
fn children_are_the_weights_on_average_and_never_further_than_one() {
    let weights = [0.05_f64, 0.0, 0.4, 0.25, 0.3];
    let logs: Vec<f64> = weights.iter().map(|w| w.ln() + 700.0).collect();
    let (count, rounds) = (7, 4000);
    let mut rng = Seed::root(3).rng();
    let mut children = [0_u32; 5];
    for _ in 0..rounds {
        let mut round = [0_u32; 5];
        for parent in systematic(&logs, count, &mut rng) {
            round[parent as usize] += 1;
        }
        for (i, (got, weight)) in round.iter().zip(weights).enumerate() {
            let expected = weight * count as f64;
            assert!((f64::from(*got) - expected).abs() < 1.0, "particle {i}: {got} children, {expected} expected");
            children[i] += got;
        }
    }
    for (got, weight) in children.iter().zip(weights) {
        let (mean, expected) = (f64::from(*got) / f64::from(rounds), weight * count as f64);
        // a whole number beside the mean: its variance is at most 1/4, so the standard error is at most 1/(2 √4000) = 0.0079
        assert!((mean - expected).abs() < 3.5 * 0.0079, "{mean} {expected}");
    }
}

#[test]
fn the_effective_number_counts_equal_weights() {
    assert!((effective(&[900.0; 6]) - 6.0).abs() < 1e-12);
    assert!((effective(&[0.0, -1e5, -1e5]) - 1.0).abs() < 1e-12);
    // (1 + 1/2)² / (1 + 1/4)
    assert!((effective(&[0.0, 0.5_f64.ln()]) - 1.8).abs() < 1e-12);
}
