//! Where the ODE ends, in closed form, and models that are to answer it.

use super::*;
use crate::Kind;
use crate::nn::{Tensors, Training as _, gradients_with};
use crate::store::ModelFolder;
use candle_core::Var;

fn uniform(letters: &str, length: usize) -> Prior {
    prior(letters, length, Independent(vec![0.0; letters.len()]))
}

fn shaken(prior: &Arc<Prior>) -> Consistency {
    let params = check::params();
    Consistency::new(Arc::clone(prior), &params).unwrap();
    check::shake(&params);
    Consistency::new(Arc::clone(prior), &params).unwrap()
}

/// ∫ of the normal density up to x, by Simpson's rule: 1e-10 off at most for |x| < 8.
fn phi(x: f64) -> f64 {
    const N: usize = 400;
    let h = x / N as f64;
    let weight = |i: usize| if i == 0 || i == N { 1.0 } else { [2.0, 4.0][i % 2] };
    let sum: f64 = (0..=N).map(|i| weight(i) * (-0.5 * (i as f64 * h).powi(2)).exp()).sum();
    0.5 + sum * h / 3.0 / std::f64::consts::TAU.sqrt()
}

/// The share of noisy letters ±√2 of probability `p` and 1 − p below a point.
fn below(y: f64, log_snr: f64, p: f64) -> f64 {
    let Scales { signal, noise } = Scales::at_log_snr(log_snr);
    let centre = signal * 2.0_f64.sqrt();
    p * phi((y - centre) / noise) + (1.0 - p) * phi((y + centre) / noise)
}

/// In one dimension a flow keeps the order of points, so that it keeps their quantile.
fn transported(y: f64, from: f64, to: f64, p: f64) -> f64 {
    let share = below(y, from, p);
    let (mut low, mut high) = (-6.0, 6.0);
    for _ in 0..80 {
        let middle = 0.5 * (low + high);
        if below(middle, to, p) < share { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[test]
fn the_ode_of_two_letters_keeps_quantiles_at_second_order() {
    // E = (1, −1), (−1, 1): the letters lie at ±√2 along (1, −1)/√2, and across it there is noise alone
    let p = 0.7_f64;
    let prior = prior("AB", 1, Independent(vec![p.ln(), (1.0 - p).ln()]));
    let (first, last) = (-3.0, prior.config().decode_log_snr);
    let points = [-1.3, -0.6, -0.45, 0.1, 0.9];
    let z: Vec<f64> = points.iter().flat_map(|y| [y * 0.5_f64.sqrt() + 0.2, -y * 0.5_f64.sqrt() + 0.2]).collect();
    let z = Tensor::from_vec(z, (points.len(), 1, 2), &Device::Cpu).unwrap();
    let worst = |steps: usize| {
        let end = Flow::new(&prior).end(&z, first, steps).unwrap().squeeze(1).unwrap().to_vec2::<f64>().unwrap();
        let scales = Scales::at_log_snr(last);
        points.iter().zip(end).fold(0.0_f64, |worst, (y, logits)| {
            let odds = logits[0] - logits[1] - (p / (1.0 - p)).ln();
            let found = odds * scales.noise.powi(2) / scales.signal / 8.0_f64.sqrt();
            worst.max((found - transported(*y, first, last, p)).abs())
        })
    };
    let (coarse, fine) = (worst(100), worst(200));
    assert!(fine < 1e-3 && ((coarse / fine).log2() - 2.0).abs() < 0.3, "{coarse} {fine}");
}

#[test]
fn the_ode_of_uniform_letters_ends_in_the_letter_of_the_most_evidence() {
    let prior = uniform("ACGT", 3);
    let z = check::normal(5, &[64, 3, 4]);
    let letters = |logits: &Tensor| logits.argmax(2).unwrap().to_vec2::<u32>().unwrap();
    let end = Flow::new(&prior).end(&z, -4.0, 48).unwrap();
    assert_eq!(letters(&end), letters(&prior.codec().project(&z).unwrap()));
    // and is certain of it: at the decode two letters lie 4.4 standard deviations of the noise from the middle between them
    let sure = crate::nn::softmax(&end).unwrap().max(2).unwrap().mean_all().unwrap().to_scalar::<f64>().unwrap();
    assert!(sure > 0.99, "{sure}");
}

#[test]
fn at_the_decode_the_model_is_the_frozen_head_and_without_noise_the_letter_whatever_its_weights() {
    let prior = Arc::new(prior("AB", 2, Pair(JOINT)));
    let f = shaken(&prior);
    let z = check::normal(6, &[4, 2, 2]);
    let (first, last) = prior.config().walk();
    let apart = |level: f64| check::distance(&f.logits(&z, level).unwrap(), &prior.belief(&z, &[level]).unwrap());
    assert_eq!((apart(last), apart(last + 1.0)), (0.0, 0.0));
    // the difference is of the order of the distance to the decode
    assert!(apart(last - 1e-6) < 1e-4 && apart(last - 1e-6) > 0.0 && apart(first) > 0.1, "{}", apart(last - 1e-6));
    let rows = f.logits_at(&z, &[first, -1.0, last, last]).unwrap();
    for (row, level) in [first, -1.0, last, last].into_iter().enumerate() {
        let one = f.logits(&z.narrow(0, row, 1).unwrap(), level).unwrap();
        assert!(check::distance(&rows.narrow(0, row, 1).unwrap(), &one) < 1e-12, "{level}");
    }
    let ids = Tensor::new(&[0_u32, 1, 1, 1], &Device::Cpu).unwrap();
    let clean = prior.codec().embed(&ids, 2).unwrap();
    let scales = Scales::at_log_snr(9.0);
    let noisy = ((&clean * scales.signal).unwrap() + (check::normal(7, &[2, 2, 2]) * scales.noise).unwrap()).unwrap();
    let letters = crate::nn::softmax(&f.logits(&noisy, 9.0).unwrap()).unwrap();
    let vertices = Tensor::new(&[[[1.0_f64, 0.0], [0.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]]], &Device::Cpu).unwrap();
    assert!(check::distance(&letters, &vertices) < 1e-12);
    assert!(check::distance(&f.estimate(&noisy, 9.0).unwrap(), &clean) < 1e-10);
}

#[test]
fn its_logits_have_a_slope_in_the_state_and_frozen_weights_have_none() {
    let prior = Arc::new(uniform("ACGT", 2));
    let f = shaken(&prior);
    let z = check::normal(8, &[2, 2, 4]);
    check::input(&z, |z| f.logits(z, -1.0));
    let params = check::params();
    Consistency::new(Arc::clone(&prior), &params).unwrap();
    let frozen = Params::frozen(params.snapshot().unwrap(), &Device::Cpu);
    let f = Consistency::new(prior, &frozen).unwrap();
    assert!(frozen.vars().is_empty() && !f.logits(&z, -1.0).unwrap().track_op());
    let z = Var::from_tensor(&z).unwrap();
    let (_, slopes) = gradients_with(&f.logits(z.as_tensor(), -1.0).unwrap().sum_all().unwrap(), &[], &[&z]).unwrap();
    assert_eq!(slopes[0].dims(), [2, 2, 4]);
}

fn config(steps: u64) -> DistilConfig {
    DistilConfig { steps, batch: 32, shard: 8, samples: 64, ode_steps: 8, skip: 4, ..DistilConfig::default() }
}

/// Two correlated letters, and a model of width 8.
fn small() -> Prior {
    let mut config = prior("AB", 2, Pair(JOINT)).config().clone();
    config.denoiser = DenoiserConfig { dim: 8, layers: 1, heads: 2 };
    config.steps = 16;
    Prior::with_denoiser(&config, &check::params(), Box::new(Pair(JOINT))).unwrap()
}

#[test]
fn distilling_has_the_same_bytes_on_any_number_of_threads_and_after_a_stop() {
    let prior = Arc::new(small());
    let bytes = |weights: Tensors| -> Vec<Vec<f64>> {
        weights.values().map(|t| t.flatten_all().unwrap().to_vec1::<f64>().unwrap()).collect()
    };
    let (one, three) = (Pool::new(1).unwrap(), Pool::new(3).unwrap());
    let start = |pool| Distilling::new(Arc::clone(&prior), &Tensors::new(), config(6), Seed::root(3), pool).unwrap();
    let mut whole = start(&one);
    let begun = bytes(whole.weights());
    for _ in 0..6 {
        whole.step().unwrap();
    }
    let mut first = start(&three);
    for _ in 0..3 {
        first.step().unwrap();
    }
    let mut second = start(&three);
    second.restore(3, &first.state().unwrap()).unwrap();
    for _ in 0..3 {
        second.step().unwrap();
    }
    assert_eq!(bytes(whole.weights()), bytes(second.weights()));
    assert_ne!(bytes(whole.weights()), begun);
}

#[test]
fn distilling_brings_the_answer_nearer_to_the_end_of_the_ode_than_the_belief() {
    let (prior, pool) = (Arc::new(small()), Pool::new(2).unwrap());
    let settings = DistilConfig { learning_rate: 0.02, ema: 0.9, ..config(100) };
    let mut job = Distilling::new(prior, &Tensors::new(), settings, Seed::root(4), &pool).unwrap();
    let before = fidelity(&job.consistency().unwrap(), 3, 128, Seed::root(5), &pool).unwrap();
    for _ in 0..100 {
        job.step().unwrap();
    }
    let after = fidelity(&job.consistency().unwrap(), 3, 128, Seed::root(5), &pool).unwrap();
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(before.tweedie, after.tweedie);
        assert_eq!(before.consistency, before.tweedie, "it begins as the belief");
    }
    let (f, belief) = (after[0].consistency, after[0].tweedie);
    let apart = (belief.variation[0] - f.variation[0]) / belief.variation[1].hypot(f.variation[1]);
    assert!(apart > 4.0, "{f:?} {belief:?}");
    // at the decode both are the frozen head after no step at all
    assert_eq!(after[2].consistency.variation, [0.0, 0.0]);
    assert_eq!(after[2].consistency.agreement, [1.0, 0.0]);
}

#[test]
fn a_few_calls_draw_letters_as_they_should() {
    let (even, pool) = (Arc::new(uniform("AB", 2)), Pool::new(2).unwrap());
    let f = Consistency::new(even, &check::params()).unwrap();
    for steps in [1, 3] {
        let drawn = few_steps(&f, steps, 1024, Decode::Hard, Seed::root(6), &pool).unwrap();
        assert_law(&drawn, [0.25; 4], "uniform");
    }
    // f is the belief: the first call leaves 0.7 E_A + 0.3 E_B = 0.4 E_A, which the second sees in noise of its level
    let skewed = Arc::new(prior("AB", 2, Independent(vec![0.7_f64.ln(), 0.3_f64.ln()])));
    let f = Consistency::new(Arc::clone(&skewed), &check::params()).unwrap();
    let drawn = few_steps(&f, 2, 1024, Decode::Hard, Seed::root(7), &pool).unwrap();
    let share = drawn.iter().flat_map(Sequence::ids).filter(|id| **id == 0).count() as f64 / 2048.0;
    let (config, (first, last)) = (skewed.config(), skewed.config().walk());
    let level = config.grid.log_snrs(2, first, last, &config.schedule, &config.warp).unwrap()[1];
    let Scales { signal, noise } = Scales::at_log_snr(level);
    let exact = phi(((7.0_f64 / 3.0).ln() * noise.powi(2) / (2.0 * signal) + 0.8 * signal) / (noise * 2.0_f64.sqrt()));
    // s.e. 0.01; what the first call sees of its own noise, and a clean start, change the share by as much
    assert!((share - exact).abs() < 0.04 && exact > 0.7, "{share} {exact}");
    assert!(few_steps(&f, 0, 1, Decode::Hard, Seed::root(6), &pool).is_err());
}

#[test]
fn it_begins_as_the_prior_and_is_refused_around_another() {
    let alphabet = Alphabet::dna();
    let mut shape = PriorConfig::new(&alphabet, 4);
    shape.denoiser = DenoiserConfig { dim: 8, layers: 1, heads: 2 };
    let folder = |seed: u64| -> ModelFolder {
        let params = Params::trainable(Seed::root(seed), DType::F64, &Device::Cpu);
        Prior::new(&shape, &params).unwrap();
        if seed == 1 {
            check::shake(&params);
        }
        prior_folder(&shape, params.snapshot().unwrap()).unwrap()
    };
    let source = folder(1);
    let prior = Arc::new(prior_of(&source, &Device::Cpu).unwrap());
    let pool = Pool::new(1).unwrap();
    let mut job = Distilling::new(Arc::clone(&prior), &source.weights, config(2), Seed::root(2), &pool).unwrap();
    let z = check::normal(9, &[3, 4, 4]);
    let f = job.consistency().unwrap();
    assert_eq!(check::distance(&f.logits(&z, -3.0).unwrap(), &prior.belief(&z, &[-3.0]).unwrap()), 0.0);
    let weights = job.weights();
    assert_eq!(check::distance(&weights["network.input.weight"], &source.weights["denoiser.input.weight"]), 0.0);
    job.step().unwrap();
    let reference = PriorRef { name: "p".to_owned(), fingerprint: fingerprint(&source).unwrap() };
    let config = ConsistencyConfig { prior: reference, shape: shape.clone() };
    let stored = consistency_folder(&config, job.weights()).unwrap();
    let loaded = consistency_of(&stored, &source, Arc::clone(&prior)).unwrap();
    let trained = job.consistency().unwrap();
    assert_eq!(check::distance(&loaded.logits(&z, -3.0).unwrap(), &trained.logits(&z, -3.0).unwrap()), 0.0);
    // the prior is not trained: what it answers is the same
    assert_eq!(
        check::distance(
            &prior.belief(&z, &[0.0]).unwrap(),
            &prior_of(&source, &Device::Cpu).unwrap().belief(&z, &[0.0]).unwrap()
        ),
        0.0
    );
    let other = folder(2);
    // the same weights by shape, so that nothing but the fingerprint can tell
    let shape = PriorConfig { start_log_snr: -4.0, ..shape };
    let moved = prior_folder(&shape, source.weights.clone()).unwrap();
    for wrong in [other, moved] {
        let error = consistency_of(&stored, &wrong, Arc::clone(&prior)).unwrap_err();
        assert_eq!(error.kind(), Kind::Integrity);
        assert!(error.message().contains("follows the prior `p`"), "{error}");
    }
}
