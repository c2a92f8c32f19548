//! Guidance against the Doob transform.

use super::fixture::{ALPHA, Asked, REWARDS, chain, drawn, log_z, mean, ratio_to_z, shares, table, tilt, variation};
use crate::diffusion::{Chain as _, Memory};
use crate::finetune::Control as _;
use crate::inference::{Guidance, Guide, Guided};
use crate::nn::check;
use candle_core::Tensor;

/// KL(Pᵘ‖P*) = log Z − E[r/α − L] with its standard error, and the mean of e^{r/α − L}/Z.
fn gap(steps: usize, guide: Guide, scale: f64) -> (f64, f64) {
    let chain = chain(steps, 1);
    let drawn = drawn(&Guided { guide: Some(guide), scale }, &chain, Asked::default(), 3000, 61).unwrap();
    let (ratio, error) = ratio_to_z(&drawn, 1);
    // a drift the wrong way leaves weights whose mean no 3,000 paths find
    assert!(scale < 0.5 || ((ratio - 1.0) / error).abs() < 3.5, "{guide:?} {steps}: {ratio} ± {error}");
    let (work, se) = mean(&drawn.log_weights);
    (log_z() - work, se)
}

#[test]
fn the_slope_of_the_soft_value_moves_letters_to_their_tilted_marginals() {
    // one step from a known state: u = predict/std (q − p) E, with q the marginals of p tilted over all eight words
    let chain = chain(6, 1);
    let (table, x) = (table(), check::normal(7, &[1, 3, 2]));
    let base = chain.advance(2, &x, &mut Memory::default()).unwrap();
    let logits = base.belief.as_ref().unwrap().to_vec3::<f64>().unwrap()[0].clone();
    let p: Vec<[f64; 2]> = logits
        .iter()
        .map(|row| {
            let odds = (row[1] - row[0]).exp();
            [1.0 / (1.0 + odds), odds / (1.0 + odds)]
        })
        .collect();
    let letter = |word: usize, i: usize| word >> (2 - i) & 1;
    let joint: Vec<f64> = (0..8)
        .map(|word| (0..3).map(|i| p[i][letter(word, i)]).product::<f64>() * (REWARDS[word] / ALPHA).exp())
        .collect();
    let total: f64 = joint.iter().sum();
    let shift: Vec<f64> = (0..3)
        .flat_map(|i| {
            let q: f64 = (0..8).filter(|word| letter(*word, i) == 1).map(|word| joint[word] / total).sum();
            [p[i][1] - q, q - p[i][1]]
        })
        .collect();
    let shift = Tensor::from_vec(shift, (1, 3, 2), x.device()).unwrap();
    let c = chain.coefficients(2);
    let exact = (chain.prior().codec().relax(&shift).unwrap() * (c.predict / c.std)).unwrap();
    let guidance = Guidance::new(&chain, &table, None, ALPHA, 1.0).unwrap();
    assert_eq!(guidance.guide(), Guide::Soft);
    let u = guidance.control(2, &x, &base, &mut Memory::default()).unwrap();
    assert!(check::distance(&u, &exact) < 1e-12, "{u} {exact}");
    let twice = Guidance::new(&chain, &table, None, ALPHA, 2.0).unwrap();
    let twice = twice.control(2, &x, &base, &mut Memory::default()).unwrap();
    assert!(check::distance(&twice, &(exact * 2.0).unwrap()) < 1e-12);
}

#[test]
fn the_soft_value_leaves_a_gap_of_the_order_of_the_step_and_the_mean_does_not() {
    let gaps = [16, 32, 64].map(|steps| gap(steps, Guide::Soft, 1.0));
    // twice the steps, half the gap
    for pair in gaps.windows(2) {
        let ratio = pair[0].0 / pair[1].0;
        assert!((1.5..2.7).contains(&ratio), "{gaps:?}");
    }
    assert!(gaps[2].0 < 0.1 && gaps[2].1 < 0.01, "{gaps:?}");
    let means = [32, 64].map(|steps| gap(steps, Guide::Mean, 1.0));
    let excess = [means[0].0 - gaps[1].0, means[1].0 - gaps[2].0];
    assert!(excess[1] > 0.12 && excess[1] > 0.75 * excess[0], "{means:?} {gaps:?}");
    // half the drift is further away, and so is its opposite
    for scale in [0.5, -1.0] {
        let (far, se) = gap(32, Guide::Soft, scale);
        assert!(far - gaps[1].0 > 4.0 * se.hypot(gaps[1].1), "scale {scale}: {far} {gaps:?}");
    }
}

#[test]
fn guided_sequences_follow_the_tilt() {
    let drawn = drawn(&Guided::default(), &chain(48, 1), Asked::default(), 4000, 62).unwrap();
    // noise of 4,000 draws in 8 cells: 0.012
    assert!(variation(&shares(&drawn, false), &tilt()) < 0.06, "{:?} {:?}", shares(&drawn, false), tilt());
    assert!(variation(&shares(&drawn, true), &tilt()) < 0.03);
    let (ratio, se) = mean(&drawn.log_ratio.iter().zip(&drawn.cost).map(|(l, c)| l - c).collect::<Vec<_>>());
    assert!((ratio / se).abs() < 3.5, "E[L] = E[cost]: {ratio} ± {se}");
    let none = Guidance::new(&chain(4, 1), &table(), None, 0.0, 1.0).err().unwrap();
    assert!(none.message().contains("alpha is 0"));
}
