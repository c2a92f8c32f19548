//! Priors whose law is known, walked and bounded.

mod consistency;

use super::*;
use crate::error::Result;
use crate::nn::{Params, Pool, check};
use crate::random::Seed;
use crate::sequence::{Alphabet, Sequence};
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Exact for independent letters of log-probabilities `.0`, the same at every position.
struct Independent(Vec<f64>);

impl Denoiser for Independent {
    fn context(&self, _: &Tensor, local: &Tensor, _: &[f64]) -> Result<Tensor> {
        let logs = Tensor::new(self.0.as_slice(), local.device())?.to_dtype(local.dtype())?;
        Ok(logs.broadcast_as(local.shape())?.contiguous()?)
    }
}

/// Exact for two positions of two letters with any joint law: `p(x_i = v | z_j) ∝ Σ_w p(v, w) local_j(w)`.
struct Pair([[f64; 2]; 2]);

impl Denoiser for Pair {
    fn context(&self, _: &Tensor, local: &Tensor, _: &[f64]) -> Result<Tensor> {
        let joint = Tensor::new(&self.0, local.device())?.to_dtype(local.dtype())?;
        let first = local.narrow(1, 1, 1)?.squeeze(1)?.matmul(&joint.t()?.contiguous()?)?;
        let second = local.narrow(1, 0, 1)?.squeeze(1)?.matmul(&joint)?;
        Ok(Tensor::stack(&[first, second], 1)?.log()?)
    }
}

/// Uniform independent letters; counts its calls.
struct Counting(Arc<AtomicUsize>);

impl Denoiser for Counting {
    fn context(&self, _: &Tensor, local: &Tensor, _: &[f64]) -> Result<Tensor> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(local.zeros_like()?)
    }
}

const JOINT: [[f64; 2]; 2] = [[0.5, 0.1], [0.15, 0.25]];

/// From the log signal-to-noise ratio −10 to 2, where letters are certain to 1e-4: two lie 2√2 apart, the noise is e^(−λ/2).
fn prior(letters: &str, length: usize, denoiser: impl Denoiser + 'static) -> Prior {
    between(-10.0, 2.0, letters, length, denoiser)
}

fn between(first: f64, last: f64, letters: &str, length: usize, denoiser: impl Denoiser + 'static) -> Prior {
    let alphabet = Alphabet::of_letters(letters).unwrap();
    let mut config = PriorConfig::new(&alphabet, length);
    config.embedding = Embedding::Simplex;
    config.embedding_dim = letters.len();
    config.schedule = ScheduleKind::Cosine(Cosine { first_log_snr: 10.0, last_log_snr: first });
    config.start_log_snr = (config.range().0 + 1e-9).max(-5.0);
    config.decode_log_snr = last;
    config.warp = Warp::new(config.range().0, last, 48);
    let params = Params::trainable(Seed::root(1), DType::F64, &Device::Cpu);
    Prior::with_denoiser(&config, &params, Box::new(denoiser)).unwrap()
}

/// Shares of the four pairs of letters.
fn shares(samples: &[Sequence]) -> [f64; 4] {
    let mut counts = [0.0; 4];
    for x in samples {
        counts[usize::from(x.ids()[0]) * 2 + usize::from(x.ids()[1])] += 1.0 / samples.len() as f64;
    }
    counts
}

fn assert_law(samples: &[Sequence], law: [f64; 4], what: &str) {
    for (share, p) in shares(samples).into_iter().zip(law) {
        let se = (p * (1.0 - p) / samples.len() as f64).sqrt();
        assert!(((share - p) / se).abs() < 3.5, "{what}: {share}, exact {p} ± {se}");
    }
}

#[test]
fn a_profile_that_ends_before_the_walk_is_refused() {
    let mut config = PriorConfig::new(&Alphabet::dna(), 4);
    config.decode_log_snr = 2.0;
    let error = config.check().unwrap_err();
    assert_eq!(error.message(), "`warp` covers -10.00 to 1.25; the walk goes from -10.00 to 2.00");
}

#[test]
fn a_silent_denoiser_is_exactly_uniform() {
    let pool = Pool::new(1).unwrap();
    let silent = prior("ACGT", 4, Independent(vec![0.0; 4]));
    let words: Vec<Sequence> = ["AAAA", "ACGT", "TTGA"]
        .iter()
        .cycle()
        .take(240)
        .map(|w| Sequence::parse(w, silent.alphabet()).unwrap())
        .collect();
    let bound = elbo(&silent, &words, 24, Seed::root(2), &pool).unwrap();
    // nothing but the start lies between its bound and ln 4: at log SNR −10 that is signal² = 5e-5 at most
    assert!((bound.nats_per_token - 4.0_f64.ln()).abs() < 5e-5, "{}", bound.nats_per_token);
    let two = prior("AB", 2, Independent(vec![0.0; 2]));
    let config = SampleConfig { steps: Some(32), ..SampleConfig::default() };
    let samples = sample(&two, &config, 1024, Seed::root(3), &pool).unwrap();
    assert_law(&samples, [0.25; 4], "uniform");
}

#[test]
fn the_bound_of_an_exact_denoiser_is_the_log_probability() {
    let pool = Pool::new(1).unwrap();
    let iid = [0.7_f64, 0.3];
    let single = prior("AB", 2, Independent(iid.iter().map(|p| p.ln()).collect()));
    let pair = prior("AB", 2, Pair(JOINT));
    for (a, b) in [(0, 0), (0, 1), (1, 1)] {
        for (prior, p) in [(&single, iid[a] * iid[b]), (&pair, JOINT[a][b])] {
            let word = Sequence::from_ids([a as u8, b as u8], prior.alphabet()).unwrap();
            let bound = elbo(prior, &vec![word; 256], 24, Seed::root(4), &pool).unwrap();
            let z = (bound.nats_per_token + 0.5 * p.ln()) / bound.standard_error;
            assert!(
                z.abs() < 3.5 && bound.standard_error < 0.05,
                "({a}, {b}): {} exact {}",
                bound.nats_per_token,
                -0.5 * p.ln()
            );
        }
    }
}

#[test]
fn the_bound_counts_letters_that_are_open_at_the_decode() {
    // independent letters: reading them one by one loses nothing, so that the bound stays tight however soft they are
    let pool = Pool::new(1).unwrap();
    let p = [0.7_f64, 0.3];
    let soft = between(-10.0, -2.0, "AB", 2, Independent(p.iter().map(|p| p.ln()).collect()));
    let word = Sequence::from_ids([0, 1], soft.alphabet()).unwrap();
    let bound = elbo(&soft, &vec![word; 512], 16, Seed::root(9), &pool).unwrap();
    let exact = -0.5 * (p[0] * p[1]).ln();
    assert!(
        ((bound.nats_per_token - exact) / bound.standard_error).abs() < 3.5 && bound.standard_error < 0.03,
        "{} exact {exact}",
        bound.nats_per_token
    );
}

#[test]
fn the_bound_pays_for_a_walk_that_does_not_start_in_pure_noise() {
    // −bound = −log p(x) + E log q(z₁)/N(z₁; 0, I) over z₁ given x, with q the mixture over letters
    let pool = Pool::new(1).unwrap();
    let p = [0.7_f64, 0.3];
    let early = between(0.0, 2.0, "AB", 1, Independent(p.iter().map(|p| p.ln()).collect()));
    let word = Sequence::from_ids([0], early.alphabet()).unwrap();
    let bound = elbo(&early, &vec![word; 1024], 16, Seed::root(10), &pool).unwrap();
    let scales = Scales::at_log_snr(0.0);
    let table = early.codec().table().to_vec2::<f64>().unwrap();
    let mut rng = Seed::root(11).rng();
    let draws: Vec<f64> = (0..20_000)
        .map(|_| {
            let z: Vec<f64> = table[0].iter().map(|c| scales.signal * c + scales.noise * rng.normal()).collect();
            let log_normal = |centre: &[f64], sd: f64| -> f64 {
                z.iter().zip(centre).map(|(z, c)| -0.5 * ((z - c) / sd).powi(2) - sd.ln()).sum()
            };
            let letters = p.iter().zip(&table);
            let mixture: f64 = letters
                .map(|(p, row)| {
                    let centre: Vec<f64> = row.iter().map(|c| scales.signal * c).collect();
                    p * log_normal(&centre, scales.noise).exp()
                })
                .sum();
            mixture.ln() - log_normal(&[0.0, 0.0], 1.0)
        })
        .collect();
    let n = draws.len() as f64;
    let start = draws.iter().sum::<f64>() / n;
    let variance = draws.iter().map(|x| (x - start).powi(2)).sum::<f64>() / n;
    let se = bound.standard_error.hypot((variance / n).sqrt());
    let exact = -p[0].ln() + start;
    assert!(
        ((bound.nats_per_token - exact) / se).abs() < 3.5 && se < 0.03,
        "{} exact {exact} ± {se}",
        bound.nats_per_token
    );
    assert!(start > 0.2, "{start}");
}

#[test]
fn any_solver_and_share_of_noise_leaves_a_known_law() {
    let pool = Pool::new(1).unwrap();
    let pair = prior("AB", 2, Pair(JOINT));
    let law = [JOINT[0][0], JOINT[0][1], JOINT[1][0], JOINT[1][1]];
    for (solver, eta, steps) in [
        (SolverKind::Ancestral, 1.0, 96),
        (SolverKind::Ancestral, 0.5, 96),
        (SolverKind::Ancestral, 0.0, 96),
        (SolverKind::Euler, 1.0, 96),
        (SolverKind::Euler, 0.0, 96),
        (SolverKind::Heun, 0.0, 24),
    ] {
        let config = SampleConfig {
            steps: Some(steps),
            grid: Some(Grid::LogSnr),
            solver: Some(solver),
            eta: Some(eta),
            decode: Decode::Draw,
        };
        let samples = sample(&pair, &config, 1024, Seed::root(6), &pool).unwrap();
        assert_law(&samples, law, &format!("{solver:?} eta {eta}"));
    }
}

#[test]
fn a_chain_without_hold_walks_as_the_sampler_does() {
    let alphabet = Alphabet::dna();
    let mut config = PriorConfig::new(&alphabet, 4);
    config.denoiser = DenoiserConfig { dim: 8, layers: 1, heads: 2 };
    let params = Params::trainable(Seed::root(7), DType::F64, &Device::Cpu);
    Prior::new(&config, &params).unwrap();
    check::shake(&params);
    let prior = Arc::new(Prior::new(&config, &params).unwrap());
    let pool = Pool::new(1).unwrap();
    for (solver, eta) in [
        (SolverKind::Ancestral, 1.0),
        (SolverKind::Ancestral, 0.25),
        (SolverKind::Euler, 1.0),
        (SolverKind::Euler, 0.5),
    ] {
        let settings =
            SampleConfig { steps: Some(24), solver: Some(solver), eta: Some(eta), ..SampleConfig::default() };
        let samples = sample(&prior, &settings, 64, Seed::root(8), &pool).unwrap();
        let chain = DiffusionChain::new(Arc::clone(&prior), 24, 1, config.grid, solver).unwrap();
        let chain = chain.with_eta(eta).unwrap();
        assert_eq!(chain.eta(), eta);
        let mut rng = Seed::root(8).index(0).rng();
        let mut draw = || {
            let noise = Tensor::from_vec(rng.normals(64 * 16), (64, 4, 4), &Device::Cpu).unwrap();
            noise.to_dtype(DType::F64).unwrap()
        };
        let mut z = chain.start(&draw()).unwrap();
        for k in 0..chain.steps() {
            let step = chain.advance(k, &z, &mut Memory::default()).unwrap();
            z = (step.mean + (draw() * step.std).unwrap()).unwrap();
        }
        let read = Decode::Hard.read(&chain.read(24, &z).unwrap(), &prior, &mut Seed::root(0).rng()).unwrap();
        assert_eq!(read, samples, "{solver:?} {eta}");
        assert!(samples.iter().any(|x| *x != samples[0]));
    }
    for (eta, wrong) in
        [(0.0, "nothing to control"), (-0.5, "`eta` is -0.5"), (1.5, "`eta` is 1.5"), (f64::NAN, "`eta` is NaN")]
    {
        let chain = DiffusionChain::new(Arc::clone(&prior), 24, 1, config.grid, SolverKind::Ancestral).unwrap();
        let error = chain.with_eta(eta).unwrap_err();
        assert!(error.to_string().contains(wrong) && error.to_string().contains("above 0 to 1"), "{error}");
    }
}

#[test]
fn a_block_calls_the_denoiser_once_and_renews_the_evidence() {
    let calls = Arc::new(AtomicUsize::new(0));
    let prior = Arc::new(prior("AB", 2, Counting(Arc::clone(&calls))));
    let chain = DiffusionChain::new(prior, 12, 4, Grid::LogSnr, SolverKind::Ancestral).unwrap();
    let mut z = Tensor::zeros((3, 2, 2), DType::F64, &Device::Cpu).unwrap();
    let mut memory = Memory::default();
    let mut beliefs = Vec::new();
    for k in 0..chain.steps() {
        if k % chain.block() == 0 {
            memory = Memory::default();
        }
        let step = chain.advance(k, &z, &mut memory).unwrap();
        beliefs.push(step.belief.unwrap());
        z = (step.mean + 0.3).unwrap().broadcast_mul(&Tensor::new(&[1.0_f64, 0.5], &Device::Cpu).unwrap()).unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 3);
    assert!(check::distance(&beliefs[1], &beliefs[2]) > 1e-3);
}
