//! Against direct sums, quadrature and limits.

use super::{NetworkLean, WordLaw, WordTarget, WordVariance};
use crate::diffusion::{Cosine, Denoiser, DiffusionChain, Embedding, Grid, Prior, PriorConfig, Scales, ScheduleKind};
use crate::diffusion::{SolverKind, Warp};
use crate::error::Result;
use crate::nn::{Pool, check};
use crate::random::Seed;
use crate::sequence::Alphabet;
use candle_core::Tensor;
use ndarray::{Array1, Array2, array};
use std::sync::Arc;

/// A law of this many cells that is nowhere 0.
fn law(cells: usize, seed: u64) -> Vec<f64> {
    let mut rng = Seed::root(seed).rng();
    let logs: Vec<f64> = (0..cells).map(|_| rng.normal()).collect();
    let total: f64 = logs.iter().map(|log| log.exp()).sum();
    logs.into_iter().map(|log| log.exp() / total).collect()
}

#[test]
fn halves_give_what_a_sum_over_all_words_gives() {
    // three points on a circle; an even and an odd length, and one without a second half
    let points = Array2::from_shape_fn((3, 2), |(v, d)| {
        2.0_f64.sqrt() * (v as f64 * 2.0 + d as f64 * std::f64::consts::FRAC_PI_2).cos()
    });
    for length in [1, 2, 3] {
        let cells = 3_usize.pow(length as u32);
        let p = law(cells, 1);
        let words = WordLaw::new(points.clone(), length, &p).unwrap();
        let z = super::sampled::normals(2, 2 * length, &mut Seed::root(2).rng());
        let v = super::sampled::normals(2, 2 * length, &mut Seed::root(3).rng());
        let at = words.beliefs(&z).unwrap();
        let (means, slopes) = (at.mean().clone(), at.covariance(&v));
        for b in 0..2 {
            let embed = |word: usize| -> Array1<f64> {
                (0..length).flat_map(|i| points.row(word / 3_usize.pow((length - 1 - i) as u32) % 3).to_vec()).collect()
            };
            let weights: Vec<f64> = (0..cells).map(|word| p[word] * embed(word).dot(&z.row(b)).exp()).collect();
            let total: f64 = weights.iter().sum();
            let sum = |of: &dyn Fn(usize) -> Array1<f64>| {
                (0..cells).fold(Array1::zeros(2 * length), |sum, word| sum + of(word) * (weights[word] / total))
            };
            let mean = sum(&embed);
            let slope = sum(&|word| (embed(word) - &mean) * (embed(word) - &mean).dot(&v.row(b)));
            let far =
                |a: &Array1<f64>, b: ndarray::ArrayView1<'_, f64>| (a - &b).iter().map(|d| d.abs()).fold(0.0, f64::max);
            assert!(far(&mean, means.row(b)) < 1e-13 && far(&slope, slopes.row(b)) < 1e-13, "{length}");
        }
    }
}

#[test]
fn what_is_no_law_of_words_is_refused() {
    let two = || array![[-1.0], [1.0]];
    assert!(WordLaw::new(two(), 1, &[0.5, 0.6]).unwrap_err().message().contains("sum to 1.1"));
    assert!(WordLaw::new(two(), 2, &[0.5, 0.5]).unwrap_err().message().contains("2^2 are needed"));
    assert!(WordLaw::new(array![[-1.0], [1.5]], 1, &[0.5, 0.5]).unwrap_err().message().contains("norms"));
    assert!(WordLaw::new(two(), 1, &[0.5, 0.5]).unwrap().beliefs(&array![[0.0, 1.0]]).is_err());
}

/// One letter at −1 or 1, of odds e^{2h}, in evidence z: E[e|z] = tanh(z + h), on a fine grid under a standard deviation.
struct Two {
    up: f64,
}

impl Two {
    fn mean(&self, z: f64) -> f64 {
        (z + 0.5 * (self.up / (1.0 - self.up)).ln()).tanh()
    }

    /// `E|s|²` of the noised law.
    fn fisher(&self, at: Scales) -> f64 {
        let step = 0.01;
        let normal = |u: f64| (-0.5 * u * u).exp() / (2.0 * std::f64::consts::PI).sqrt();
        let grid = (-1200..=1200).map(|i| f64::from(i) * step);
        let term = |x: f64| {
            let density = |e: f64| normal((x - at.signal * e) / at.noise) / at.noise;
            let score = (at.signal * self.mean(at.signal / at.noise.powi(2) * x) - x) / at.noise.powi(2);
            (self.up * density(1.0) + (1.0 - self.up) * density(-1.0)) * score * score * step
        };
        grid.map(term).sum()
    }

    /// `E[y_0²]` of the base with even odds from the last state at `snr`, by the exact kernels of the tilt on a grid.
    fn lean_square(&self, snr: f64) -> f64 {
        const STEPS: usize = 32;
        let (piece, space) = (snr / STEPS as f64, 0.04);
        let even = Self { up: 0.5 };
        let grid: Vec<f64> = (-150..=150).map(|i| f64::from(i) * space).collect();
        let slope = |z: f64| 1.0 - even.mean(z).powi(2);
        let mut g: Vec<f64> = grid.iter().map(|z| (self.mean(*z) - even.mean(*z)).powi(2)).collect();
        for _ in 0..STEPS {
            let before = |z: &f64| {
                let up = 0.5 * (1.0 + self.mean(*z));
                let kernel = |to: f64, e: f64| (-0.5 * (to - z - e * piece).powi(2) / piece).exp();
                let sums = grid.iter().zip(&g).fold((0.0, 0.0), |(mass, sum), (to, value)| {
                    let density = up * kernel(*to, 1.0) + (1.0 - up) * kernel(*to, -1.0);
                    (mass + density, sum + density * (piece * (slope(*z) + slope(*to))).exp() * value)
                });
                sums.1 / sums.0
            };
            g = grid.iter().map(before).collect();
        }
        g[150]
    }
}

#[test]
fn one_position_of_two_letters_has_the_variances_of_quadrature() {
    let (up, end) = (0.8, 0.0);
    let of = |up: f64| WordLaw::new(array![[-1.0], [1.0]], 1, &[1.0 - up, up]).unwrap();
    let pool = Pool::new(2).unwrap();
    let report = WordVariance::sampled(&of(0.5), &of(up), end, 1024, Seed::root(5), &pool).unwrap();
    let two = Two { up };
    let last = two.fisher(Scales::at_log_snr(end));
    for level in report.levels.iter().skip(20).step_by(40) {
        let (at, relative) = (Scales::at_log_snr(level.log_snr), Scales::at_log_snr(level.relative));
        let (a, b) = (relative.signal.powi(2), relative.noise.powi(2));
        let here = two.fisher(at);
        // E|target|² − E|s*|²; the mixed target is a s*(X_1) − b ε
        let expected = [at.noise.powi(-2) - here, 1.0 / b - here, last / a - here, a * last + b - here];
        for (which, expected) in expected.into_iter().enumerate() {
            let got = level.variance[which];
            // 24 comparisons
            assert!(
                (got.mean - expected).abs() < 3.5 * got.error + 1e-9,
                "{which} at {}: {got:?} {expected}",
                level.relative
            );
        }
        assert!((level.score / here - 1.0).abs() < 0.2, "{} {here}", level.score);
    }
    // the lean target where nothing is seen yet
    let (first, at) = (&report.levels[0], Scales::at_log_snr(report.levels[0].log_snr));
    let gain = two.mean(0.0);
    let expected = (at.signal / at.noise.powi(2)).powi(2) * (two.lean_square(1.0) - gain * gain);
    let got = first.variance[4];
    // and 2 % for both clocks' pieces
    assert!((got.mean - expected).abs() < 3.0 * got.error + 0.02 * expected, "{got:?} {expected}");
    let whole = report.whole().unwrap();
    assert!((whole.recovered.mean - 1.0).abs() < 3.0 * whole.recovered.error, "{whole:?}");
    assert!(whole.recovered.error < 0.05, "{whole:?}");
    // log-concave from snr 1 on; the bound is counted from ½ on
    assert!((of(0.5).log_concave_below()).abs() < 1e-15);
    assert!(first.growth.of_bound.is_some_and(|share| share > 0.0 && share <= 1.0), "{:?}", first.growth);
    let [mixed, lean] = [WordTarget::Mixed, WordTarget::Lean].map(|target| report.grows(target).unwrap());
    assert_eq!((mixed, lean), ((false, false), (false, false)));
    assert_eq!(report.grows(WordTarget::Terminal), Some((true, false)));
    assert_eq!(report.grows(WordTarget::End), Some((false, true)));
}

#[test]
fn letters_cost_the_entropy_and_the_control_the_divergence() {
    // at log SNR 4 letters are certain: Q(√54) is 1e-13
    let (p, q) = (law(4, 1), law(4, 2));
    let points = array![[-1.0], [1.0]];
    let (base, tilted) = (WordLaw::new(points.clone(), 2, &p).unwrap(), WordLaw::new(points, 2, &q).unwrap());
    let pool = Pool::new(2).unwrap();
    let report = WordVariance::sampled(&base, &tilted, 4.0, 640, Seed::root(6), &pool).unwrap();
    let whole = report.whole().unwrap();
    let letters = whole.totals[0];
    assert!((letters.mean - tilted.entropy()).abs() < 3.0 * letters.error + 0.005, "{letters:?} {}", tilted.entropy());
    let kl: f64 = p.iter().zip(&q).map(|(p, q)| q * (q / p).ln()).sum();
    // the midpoint rule of pieces of 0.05 to 0.25
    assert!((whole.control.mean - kl).abs() < 3.0 * whole.control.error + 0.005 * kl, "{:?} {kl}", whole.control);
    assert!(report.levels.iter().all(|level| level.length > 0.0));
}

/// Exact for uniform letters.
struct Uniform;

impl Denoiser for Uniform {
    fn context(&self, _: &Tensor, local: &Tensor, _: &[f64]) -> Result<Tensor> {
        Ok(local.zeros_like()?)
    }
}

#[test]
fn a_network_that_is_exact_has_exact_adjoints() {
    let mut config = PriorConfig::new(&Alphabet::of_letters("ABC").unwrap(), 2);
    (config.embedding, config.embedding_dim) = (Embedding::Simplex, 3);
    config.schedule = ScheduleKind::Cosine(Cosine { first_log_snr: 10.0, last_log_snr: -10.0 });
    (config.start_log_snr, config.decode_log_snr) = (-5.0, 1.0);
    config.warp = Warp::new(config.range().0, 1.0, 48);
    let prior = Prior::with_denoiser(&config, &check::params(), Box::new(Uniform)).unwrap();
    let table = prior.codec().table().to_vec2::<f64>().unwrap().concat();
    let points = Array2::from_shape_vec((3, 3), table).unwrap();
    let (base, tilted) = (WordLaw::new(points.clone(), 2, &[1.0 / 9.0; 9]), WordLaw::new(points, 2, &law(9, 3)));
    let (base, tilted, pool) = (base.unwrap(), tilted.unwrap(), Pool::new(2).unwrap());
    for hold in [1, 4] {
        let grid = (Grid::LogSnr, SolverKind::Ancestral);
        let prior = Prior::with_denoiser(&config, &check::params(), Box::new(Uniform)).unwrap();
        let chain = DiffusionChain::new(Arc::new(prior), 8, hold, grid.0, grid.1).unwrap();
        let lean = NetworkLean::sampled(&chain, &base, &tilted, 100, Seed::root(4), &pool).unwrap();
        // two orders of the same f64 sums
        assert!(lean.wrong.mean < 1e-20 && (lean.total.mean / lean.exact.mean - 1.0).abs() < 1e-9, "{lean:?}");
        assert!((lean.total.error / lean.exact.error - 1.0).abs() < 1e-9 && lean.exact.mean > 0.0);
        // 8 steps of a Gaussian chain are not the process: a tenth
        assert!((lean.recovered.mean - 1.0).abs() < 0.1 + 3.0 * lean.recovered.error, "{:?}", lean.recovered);
        assert_eq!(lean.levels.len(), 8);
    }
}

#[test]
fn norms_of_adjoints_are_of_paths_that_have_a_gradient() {
    let growth = super::Growth::of(vec![f64::NAN, 3.0, 1.0, 2.0, f64::INFINITY], None);
    assert_eq!((growth.median, growth.high, growth.max), (Some(2.0), Some(3.0), Some(3.0)));
    let none = super::Growth::of(vec![f64::NAN], None);
    // what is kept can be read again
    let text = serde_json::to_string(&none).unwrap();
    assert_eq!(serde_json::from_str::<super::Growth>(&text).unwrap(), none);
    assert!(none.median.is_none());
}
