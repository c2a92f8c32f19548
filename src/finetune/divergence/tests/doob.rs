//! Control by the transform `h = E[g | x_t]` reaches the tilt, for every divergence.

use super::super::*;
use super::kinds;
use crate::random::Seed;

const STATES: usize = 5;
const STEPS: usize = 3;
type Matrix = [[f64; STATES]; STATES];

fn rows(rng: &mut crate::random::Rng) -> [f64; STATES] {
    let raw: [f64; STATES] = std::array::from_fn(|_| rng.uniform() + 0.05);
    let total: f64 = raw.iter().sum();
    raw.map(|p| p / total)
}

#[test]
fn a_chain_steered_by_the_expected_density_ends_in_the_tilt() {
    let mut rng = Seed::root(21).rng();
    let start = rows(&mut rng);
    let kernels: [Matrix; STEPS] = std::array::from_fn(|_| std::array::from_fn(|_| rows(&mut rng)));
    let walk = |start: [f64; STATES], kernels: &[Matrix; STEPS]| {
        kernels
            .iter()
            .fold(start, |law, kernel| std::array::from_fn(|y| (0..STATES).map(|x| law[x] * kernel[x][y]).sum()))
    };
    let prior = walk(start, &kernels);
    let reward: [f64; STATES] = std::array::from_fn(|_| rng.normal());
    for kind in kinds() {
        let tilt = Tilting::solve(&reward, Some(&prior), 0.5, kind.get()).unwrap();
        // h at the end, then h_t(x) = E[h_{t+1} | x] backwards
        let mut h: Vec<[f64; STATES]> = vec![std::array::from_fn(|x| tilt.log_density[x].exp())];
        for kernel in kernels.iter().rev() {
            let next = h[h.len() - 1];
            h.push(std::array::from_fn(|x| (0..STATES).map(|y| kernel[x][y] * next[y]).sum()));
        }
        h.reverse();
        let mean: f64 = start.iter().zip(h[0]).map(|(p, h)| p * h).sum();
        assert!((mean - 1.0).abs() < 1e-13, "{kind}: E h₀ = {mean}");
        let steered: [Matrix; STEPS] = std::array::from_fn(|t| {
            std::array::from_fn(|x| std::array::from_fn(|y| kernels[t][x][y] * h[t + 1][y] / h[t][x]))
        });
        let end = walk(std::array::from_fn(|x| start[x] * h[0][x]), &steered);
        let wanted: Vec<f64> = prior.iter().zip(&tilt.log_density).map(|(p, l)| p * l.exp()).collect();
        let apart = TotalVariation.between(&end, &wanted);
        assert!(apart < 1e-12, "{kind}: {apart:e}");
    }
}
