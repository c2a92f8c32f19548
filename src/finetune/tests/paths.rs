//! What a controlled path costs.

use super::fixture::{Bent, Constant, mean};
use crate::diffusion::{Chain as _, Memory};
use crate::finetune::{Rollout, roll_out};
use crate::nn::Pool;
use crate::random::Seed;
use candle_core::Tensor;

const CHAIN: Bent = Bent { block: 1 };
const CONTROL: Constant = Constant([0.05, -0.1]);

fn rows(tensor: &Tensor) -> Vec<Vec<f64>> {
    tensor.to_vec2::<f64>().unwrap()
}

/// log N(y; m + s u, s²) − log N(y; m, s²) summed over the path, from its states alone.
fn density_ratio(states: &[Tensor]) -> Vec<f64> {
    let mut ratio = vec![0.0; states[0].dim(0).unwrap()];
    for (k, pair) in states.windows(2).enumerate() {
        let step = CHAIN.advance(k, &pair[0], &mut Memory::default()).unwrap();
        for (row, (y, m)) in rows(&pair[1]).iter().zip(rows(&step.mean)).enumerate() {
            for (i, u) in CONTROL.at(k).into_iter().enumerate() {
                let far = (y[i] - m[i] - step.std * u) / step.std;
                let near = (y[i] - m[i]) / step.std;
                ratio[row] += 0.5 * (near * near - far * far);
            }
        }
    }
    ratio
}

fn kl() -> f64 {
    (0..6).map(|k| CONTROL.at(k).iter().map(|u| 0.5 * u * u).sum::<f64>()).sum()
}

#[test]
fn the_log_ratio_is_the_ratio_of_path_densities() {
    let drawn = Rollout::draw(&CHAIN, Some(&CONTROL), 6, 16, Seed::root(1), true).unwrap();
    let [log_ratio, cost] = [&drawn.log_ratio, &drawn.cost].map(|nats| nats.to_vec1::<f64>().unwrap());
    for (row, expected) in density_ratio(&drawn.states).into_iter().enumerate() {
        let mut sum = 0.0;
        for (k, noise) in drawn.noises.iter().enumerate() {
            sum += CONTROL
                .at(k)
                .iter()
                .zip(&rows(&noise.squeeze(0).unwrap())[row])
                .map(|(u, e)| u * e + 0.5 * u * u)
                .sum::<f64>();
        }
        assert!((log_ratio[row] - expected).abs() < 1e-12, "{} {expected}", log_ratio[row]);
        assert!((log_ratio[row] - sum).abs() < 1e-12);
        assert!((cost[row] - kl()).abs() < 1e-12);
    }
}

#[test]
fn a_constant_control_has_the_same_divergence_both_ways() {
    let pool = Pool::new(1).unwrap();
    let paths = roll_out(&CHAIN, Some(&CONTROL), 4096, Seed::root(2), &pool, |x| Ok(rows(x))).unwrap();
    let (forward, se) = mean(&paths.log_ratio);
    assert!(((forward - kl()) / se).abs() < 3.5, "{forward} ± {se}, exact {}", kl());
    // sd(L) = √(Σ|u|²) = √(2 KL)
    assert!((se * 64.0 / (2.0 * kl()).sqrt() - 1.0).abs() < 0.05);
    let base = Rollout::draw(&CHAIN, None, 6, 4096, Seed::root(3), true).unwrap();
    let backward: Vec<f64> = density_ratio(&base.states).into_iter().map(|ratio| -ratio).collect();
    let (backward, se) = mean(&backward);
    assert!(((backward - kl()) / se).abs() < 3.5, "{backward} ± {se}, exact {}", kl());
    // E_base[dPᵘ/dP] = 1
    let (one, se) = mean(&density_ratio(&base.states).into_iter().map(f64::exp).collect::<Vec<_>>());
    assert!(((one - 1.0) / se).abs() < 3.5 && se < 0.1, "{one} ± {se}");
}

#[test]
fn a_control_moves_the_mean_of_a_step_by_its_standard_deviation() {
    let tuned = Rollout::draw(&CHAIN, Some(&CONTROL), 1, 8, Seed::root(4), true).unwrap();
    let base = Rollout::draw(&CHAIN, None, 1, 8, Seed::root(4), true).unwrap();
    for (tuned, base) in rows(tuned.last()).iter().zip(rows(base.last())) {
        for i in 0..2 {
            assert!((tuned[i] - base[i] - 0.4 * CONTROL.at(0)[i]).abs() < 1e-12);
        }
    }
}
