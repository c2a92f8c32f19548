//! Soft-Q fine-tuning against closed forms, differences and published values.

use super::fixture::{Bent, Hills, Network, Shift, Slope, Trial, flat};
use crate::diffusion::{Chain as _, Memory};
use crate::finetune::analytic::LinearQuadratic;
use crate::finetune::analytic::{DenoisedChain, Gain, Guessed, LinearChain, LinearStep, Mixture, outcome};
use crate::finetune::{Control, FinetuneConfig, ReplayConfig, SoftQConfig};
use crate::nn::{Params, check};
use candle_core::{Device, Tensor};

/// Alpha, discount at 50 steps, mean of the end, KL of the path: r(x) = x on N(0, 1) data, 50 steps.
const ROWS: [[f64; 4]; 12] = [
    [1.0, 1.00, 0.857_509, 0.428_755],
    [1.0, 0.95, 0.439_093, 0.125_155],
    [1.0, 0.90, 0.243_444, 0.049_317],
    [1.0, 0.85, 0.144_189, 0.023_618],
    [0.5, 1.00, 1.715_018, 1.715_018],
    [0.5, 0.95, 0.878_186, 0.500_620],
    [0.5, 0.90, 0.486_887, 0.197_268],
    [0.5, 0.85, 0.288_378, 0.094_473],
    [2.0, 1.00, 0.857_509 / 2.0, 0.428_755 / 4.0],
    [2.0, 0.95, 0.439_093 / 2.0, 0.125_155 / 4.0],
    [2.0, 0.90, 0.243_444 / 2.0, 0.049_317 / 4.0],
    [2.0, 0.85, 0.144_189 / 2.0, 0.023_618 / 4.0],
];

/// The chain of one Gaussian, as the linear chain that it is.
fn linear(chain: &DenoisedChain) -> LinearChain {
    let one = Tensor::new(&[[1.0]], &Device::Cpu).unwrap();
    let steps = (0..chain.steps()).map(|k| {
        let step = chain.advance(k, &one, &mut Memory::default()).unwrap();
        LinearStep { keep: step.mean.flatten_all().unwrap().to_vec1::<f64>().unwrap()[0], std: step.std }
    });
    LinearChain::new(1.0, steps.collect()).unwrap()
}

fn config(alpha: f64, discount: f64, pairs: usize, capacity: usize) -> FinetuneConfig {
    FinetuneConfig {
        objective: "sqdf".to_owned(),
        alpha,
        batch: 6,
        soft_q: SoftQConfig { discount, pairs: Some(pairs), ..SoftQConfig::default() },
        replay: ReplayConfig { capacity: Some(capacity), ..ReplayConfig::default() },
        ..FinetuneConfig::default()
    }
}

#[test]
fn a_push_a_step_is_trained_to_the_published_means_and_divergences() {
    let chain = DenoisedChain::new(&Mixture::gaussian(0.0, 1.0), 50).unwrap();
    let (reward, exact) = (Slope(1.0), linear(&chain));
    let terminal = Guessed { chain: &chain, reward: &reward };
    for (row, [alpha, discount, mean, kl]) in ROWS.into_iter().enumerate() {
        // with and without a buffer; the reward is linear, so that no gradient has any noise but that of which steps are drawn
        let trial = Trial::new(&chain, &terminal, config(alpha, discount, 300, 12 * (row % 2)));
        let params = check::params();
        Shift::new(&params, 50);
        let control = |params: &Params| -> Box<dyn Control> { Box::new(Shift::new(params, 50)) };
        trial.descend(&params, &control, 0.7, 12);
        let pushes = params.vars()[0].1.to_vec1::<f64>().unwrap();
        let gains: Vec<Gain> = pushes.into_iter().map(|offset| Gain { slope: 0.0, offset }).collect();
        let got = outcome(&LinearQuadratic::default(), &exact, &gains);
        assert!((got.law.mean - mean).abs() < 1e-3, "{alpha} {discount}: {} {mean}", got.law.mean);
        assert!((got.path_kl - kl).abs() < 1e-3, "{alpha} {discount}: {} {kl}", got.path_kl);
        assert!((got.law.variance - 0.857_552).abs() < 1e-6);
    }
}
