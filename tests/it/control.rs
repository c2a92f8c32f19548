//! Certificates of controlled chains against exact optima.

use candle_core::{DType, Device, Tensor};
use seqtilt::diffusion::{Decode, Denoiser, DiffusionChain, Embedding, Grid, Prior, PriorConfig, SolverKind, Warp};
use seqtilt::eval::certificate::{Certificate, PathSample};
use seqtilt::eval::exact::Tilt;
use seqtilt::finetune::analytic::{Affine, Gain, LinearChain, LinearQuadratic, Start, best, outcome};
use seqtilt::finetune::{
    Control, ControlConfig, ControlKind, FinetuneConfig, Finetuning, SequenceTerminal, TokenControl, roll_out,
};
use seqtilt::nn::{Params, Pool, Training};
use seqtilt::reward::Multilinear;
use seqtilt::sequence::Alphabet;
use seqtilt::{Result, Seed};
use std::sync::Arc;

const PATHS: usize = 3072;

fn linear(problem: &LinearQuadratic, chain: &LinearChain, gains: &[Gain], seed: Seed) -> Certificate {
    let pool = Pool::new(1).unwrap();
    let control = Affine::held(gains).unwrap();
    let walk = |control: Option<&dyn Control>, seed: Seed| {
        roll_out(chain, control, PATHS, seed, &pool, |x| Ok(x.flatten_all()?.to_vec1::<f64>()?)).unwrap()
    };
    let tuned = walk(Some(&control), seed.child("tuned"));
    let paths: Vec<PathSample> = (0..PATHS)
        .map(|i| PathSample {
            reward: problem.reward(tuned.ends[i]),
            log_ratio: tuned.log_ratio[i],
            cost: tuned.cost[i],
        })
        .collect();
    let base: Vec<f64> = walk(None, seed.child("base")).ends.into_iter().map(|x| problem.reward(x)).collect();
    Certificate::new(problem.alpha, &paths, &base).unwrap()
}

#[test]
fn the_certificate_of_an_exact_control_is_zero_up_to_its_error() {
    let problem = LinearQuadratic::default();
    let chain = LinearChain::euler(&problem, Start::Joint, 24, 8).unwrap();
    let gains = best(&problem, &chain);
    let exact = outcome(&problem, &chain, &gains);
    let certificate = linear(&problem, &chain, &gains, Seed::root(41));
    // what is left of it is the noise of a step, which no control changes
    assert!(exact.gap > 0.0 && exact.gap < 0.12, "{}", exact.gap);
    assert!(certificate.gap.z(exact.gap).abs() < 3.5 && certificate.gap.se < 0.04, "{}", certificate.gap);
    assert!(certificate.is_consistent() && certificate.is_reliable());
    // a linear reward has none of it, and leaves nothing but the error of log Z
    let flat = LinearQuadratic { curvature: 1e-6, centre: 4e5, ..problem };
    let gains = best(&flat, &chain);
    let certificate = linear(&flat, &chain, &gains, Seed::root(42));
    assert!(outcome(&flat, &chain, &gains).gap.abs() < 1e-6);
    assert!(certificate.gap.z(0.0).abs() < 3.5 && certificate.gap.se < 0.05, "{}", certificate.gap);
    assert!((certificate.gap.se - certificate.log_z.se).abs() < 1e-3);
}

#[test]
fn the_certificate_shows_the_bias_of_a_frozen_start() {
    // (α log Z − J)/α = (−0.972 + 1.266)/0.5 in continuous time
    let problem = LinearQuadratic::default();
    let chain = LinearChain::euler(&problem, Start::Frozen, 24, 1).unwrap();
    let gains = best(&problem, &chain);
    let exact = outcome(&problem, &chain, &gains);
    let certificate = linear(&problem, &chain, &gains, Seed::root(43));
    assert!(exact.gap > 0.5, "{}", exact.gap);
    assert!(certificate.gap.z(exact.gap).abs() < 3.5, "{} exact {}", certificate.gap, exact.gap);
    assert!(certificate.gap.z(0.0) > 10.0);
    // no control at all: the gap is KL(base‖tilt)
    let still = vec![Gain::default(); 24];
    let certificate = linear(&problem, &chain, &still, Seed::root(44));
    let exact = outcome(&problem, &chain, &still);
    assert!(certificate.gap.z(exact.gap).abs() < 3.5, "{} exact {}", certificate.gap, exact.gap);
}

/// Exact for two positions of two letters with any joint law.
struct Pair([[f64; 2]; 2]);

impl Denoiser for Pair {
    fn context(&self, _: &Tensor, local: &Tensor, _: &[f64]) -> Result<Tensor> {
        let joint = Tensor::new(&self.0, local.device())?.to_dtype(local.dtype())?;
        let first = local.narrow(1, 1, 1)?.squeeze(1)?.matmul(&joint.t()?.contiguous()?)?;
        let second = local.narrow(1, 0, 1)?.squeeze(1)?.matmul(&joint)?;
        Ok(Tensor::stack(&[first, second], 1)?.log()?)
    }
}

#[test]
fn the_exact_change_of_logits_for_independent_letters_reaches_the_tilt() {
    // r = Σ a·[letter B]: the tilted posterior has logits ℓ + (0, a/α), so a constant change of logits is the optimum of a
    // walk in small steps
    let (alpha, bonus) = (0.5, 0.6);
    let alphabet = Alphabet::custom("two", "AB").unwrap();
    let mut config = PriorConfig::new(&alphabet, 2);
    config.embedding = Embedding::Simplex;
    config.embedding_dim = 2;
    config.decode_log_snr = 2.0;
    config.warp = Warp::new(config.range().0, config.decode_log_snr, 48);
    let none = Params::trainable(Seed::root(1), DType::F64, &Device::Cpu);
    let prior = Prior::with_denoiser(&config, &none, Box::new(Pair([[0.49, 0.21], [0.21, 0.09]]))).unwrap();
    let chain = DiffusionChain::new(Arc::new(prior), 64, 4, Grid::LogSnr, SolverKind::Ancestral).unwrap();
    let params = Params::trainable(Seed::root(2), DType::F64, &Device::Cpu);
    let sizes = ControlConfig { kind: ControlKind::Mlp, dim: 4, layers: 1, heads: 1, ..ControlConfig::default() };
    let control = TokenControl::new(&chain, &sizes, &params).unwrap();
    let (_, bias) = params.vars().into_iter().find(|(name, _)| name == "output.bias").unwrap();
    bias.set(&Tensor::new(&[0.0, bonus / alpha, 0.0, bonus / alpha], &Device::Cpu).unwrap()).unwrap();
    let pool = Pool::new(1).unwrap();
    let read = |x: &Tensor| {
        let words = Decode::Hard.read(&chain.read(64, x)?, chain.prior(), &mut Seed::root(0).rng())?;
        Ok(words.iter().map(|x| x.ids().iter().map(|id| f64::from(*id)).sum::<f64>()).collect::<Vec<_>>())
    };
    let count = 2048;
    let tuned = roll_out(&chain, Some(&control), count, Seed::root(5), &pool, read).unwrap();
    let base = roll_out(&chain, None, count, Seed::root(6), &pool, read).unwrap();
    let paths: Vec<PathSample> = (0..count)
        .map(|i| PathSample { reward: bonus * tuned.ends[i], log_ratio: tuned.log_ratio[i], cost: tuned.cost[i] })
        .collect();
    let base: Vec<f64> = base.ends.iter().map(|letters| bonus * letters).collect();
    let certificate = Certificate::new(alpha, &paths, &base).unwrap();
    let weight = 0.3 * (bonus / alpha).exp();
    assert!(certificate.log_z.z(2.0 * (0.7 + weight).ln()).abs() < 3.5, "{}", certificate.log_z);
    // steps of 0.11 in λ leave a few hundredths of a nat
    assert!(certificate.gap.value.abs() < 0.08 && certificate.is_consistent(), "{certificate:?}");
    assert!(
        (certificate.mean_reward.value - 2.0 * bonus * weight / (0.7 + weight)).abs() < 0.05,
        "{}",
        certificate.mean_reward
    );
}

#[test]
fn the_certificate_of_a_token_control_falls_towards_zero_and_its_law_towards_the_tilt() {
    let law = [[0.4, 0.2], [0.25, 0.15]];
    let rewards = [0.0, 0.3, 0.2, 1.0];
    let alpha = 0.5;
    let alphabet = Alphabet::custom("two", "AB").unwrap();
    let mut config = PriorConfig::new(&alphabet, 2);
    config.embedding = Embedding::Simplex;
    config.embedding_dim = 2;
    // letters still soft enough for the gradient of their reward to be spread out, and read with an error of 1 %
    config.decode_log_snr = 1.0;
    let none = Params::trainable(Seed::root(1), DType::F32, &Device::Cpu);
    let prior = Arc::new(Prior::with_denoiser(&config, &none, Box::new(Pair(law))).unwrap());
    let chain = DiffusionChain::new(prior, 16, 2, Grid::LogSnr, SolverKind::Ancestral).unwrap();
    let reward = Multilinear::new("and", &rewards, 2, 2).unwrap();
    let terminal = SequenceTerminal::new(&chain, &reward);
    let pool = Pool::new(1).unwrap();
    let settings = FinetuneConfig {
        alpha,
        steps: 80,
        batch: 64,
        learning_rate: 0.03,
        ema: 0.9,
        ramp_share: 0.3,
        control: ControlConfig { kind: ControlKind::Mlp, dim: 16, layers: 1, heads: 1, ..ControlConfig::default() },
        ..FinetuneConfig::default()
    };
    let mut training = Finetuning::new(settings, &chain, &terminal, Seed::root(2), &pool).unwrap();
    let read = |x: &Tensor| {
        let words = Decode::Hard.read(&chain.read(16, x)?, chain.prior(), &mut Seed::root(0).rng())?;
        Ok(words.iter().map(|x| usize::from(x.ids()[0]) * 2 + usize::from(x.ids()[1])).collect::<Vec<_>>())
    };
    let base = roll_out(&chain, None, PATHS, Seed::root(3), &pool, read).unwrap();
    let base: Vec<f64> = base.ends.iter().map(|x| rewards[*x]).collect();
    let measure = |training: &Finetuning<'_>| {
        let control = training.control().unwrap();
        let tuned = roll_out(&chain, Some(&control), PATHS, Seed::root(4), &pool, read).unwrap();
        let paths: Vec<PathSample> = (0..PATHS)
            .map(|i| PathSample { reward: rewards[tuned.ends[i]], log_ratio: tuned.log_ratio[i], cost: tuned.cost[i] })
            .collect();
        (Certificate::new(alpha, &paths, &base).unwrap(), tuned.ends)
    };
    let tilt = Tilt::kl(law.as_flattened(), &rewards, alpha).unwrap();
    let (before, _) = measure(&training);
    // with no control the gap is log Z − E[r]/α: KL(prior‖tilt)
    let prior_mean: f64 = law.as_flattened().iter().zip(&rewards).map(|(p, r)| p * r).sum();
    assert!(before.gap.z(tilt.log_z - prior_mean / alpha).abs() < 3.5, "{} {}", before.gap, tilt.log_z);
    assert!(before.log_z.z(tilt.log_z).abs() < 3.5);
    while training.done() < training.total() {
        training.step().unwrap();
    }
    let (after, ends) = measure(&training);
    assert!(after.is_consistent(), "{after:?}");
    assert!(after.gap.value < 0.4 * before.gap.value, "{} after {}", after.gap, before.gap);
    for (letter, q) in tilt.probabilities.iter().enumerate() {
        let share = ends.iter().filter(|x| **x == letter).count() as f64 / PATHS as f64;
        // KL of the ends is below the gap: by Pinsker's inequality no share is further off than √(gap/2)
        // and a letter is read wrongly once in a hundred
        let allowed = 0.01 + (0.5 * after.gap.value.max(0.0)).sqrt() + 3.5 * (q * (1.0 - q) / PATHS as f64).sqrt();
        assert!((share - q).abs() < allowed, "{letter}: {share}, tilt {q}");
    }
    let target = tilt.probabilities[3];
    let share = ends.iter().filter(|x| **x == 3).count() as f64 / PATHS as f64;
    assert!(share > 0.5 * (0.15 + target), "{share} of {target}");
}
