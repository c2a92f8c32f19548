//! Whole steps: training, roll-outs, fine-tuning.

use crate::compare::{Check, Depth, Numbers};
use crate::side::Side;
use candle_core::{DType, Tensor};
use seqtilt::diffusion::{
    Chain as _, Denoiser as _, DenoiserConfig, DiffusionChain, Grid, PretrainConfig, Pretraining, Prior, PriorConfig,
    SolverKind, Transformer,
};
use seqtilt::finetune::{
    BackProp, Batch, ControlConfig, ControlKind, Estimator, FinetuneConfig, Finetuning, Problem, SequenceTerminal,
    TokenControl,
};
use seqtilt::nn::{AdamW, AdamWConfig, Params, Pool, Precision, Training, cross_entropy, gradients, reads, softmax};
use seqtilt::reward::Multilinear;
use seqtilt::sequence::{Alphabet, Sequence};
use seqtilt::store::{decode_tensors, encode_tensors};
use seqtilt::{Result, Seed};
use std::sync::Arc;

const SIZES: DenoiserConfig = DenoiserConfig { dim: 64, layers: 2, heads: 4 };
/// So large that a gradient of exactly zero but for rounding does not decide a weight's first step.
const EPS: f64 = 1e-2;

/// All steps.
pub(crate) fn checks() -> Vec<Check> {
    let kinds = [ControlKind::Transformer, ControlKind::Mlp, ControlKind::ProductMixture];
    let mut checks = vec![
        Check::new("train step, L 8", Depth::Network, |side| train(side, 8, 4, 4, 32)),
        Check::new("train step, L 237", Depth::Network, |side| train(side, 237, 20, 16, 2)),
    ];
    for kind in kinds {
        let name = format!("roll-out, {kind:?}").to_lowercase();
        checks.push(Check::new(&name, Depth::Network, move |side| roll_out(side, kind)));
    }
    checks.push(Check::new("pre-training, 3 steps", Depth::Network, pretrain));
    for kind in kinds {
        let name = format!("fine-tune, {kind:?}").to_lowercase();
        checks.push(Check::new(&name, Depth::Network, move |side| finetune(side, kind, false)));
    }
    let resumed = |side: &Side| finetune(side, ControlKind::Transformer, true);
    checks.push(Check::new("fine-tune, resumed", Depth::Network, resumed));
    checks
}

/// Forward, backward and one update of the denoiser.
fn train(side: &Side, length: usize, letters: usize, dim: usize, rows: usize) -> Result<Option<Numbers>> {
    let network = |params: &Params| Transformer::new(params, &SIZES, length, dim, letters);
    let params = side.weights(|params| network(params).map(drop))?;
    let seed = Seed::root(3);
    let z = side.normal(seed.child("z"), &[rows, length, dim])?;
    let local = softmax(&side.normal(seed.child("local"), &[rows, length, letters])?)?;
    let mut rng = seed.child("rest").rng();
    let log_snr: Vec<f64> = (0..rows).map(|_| 6.0 * rng.uniform() - 5.0).collect();
    let ids: Vec<u32> = (0..rows * length).map(|_| rng.below(letters) as u32).collect();
    let ids = Tensor::from_vec(ids, rows * length, &side.device)?;
    let logits = network(&params)?.context(&z, &local, &log_snr)?;
    let loss = cross_entropy(&logits.reshape((rows * length, letters))?, &ids)?.mean_all()?;
    let slopes = gradients(&loss, &params.vars())?;
    let mut numbers = Numbers::default();
    numbers.value("logits", &logits)?;
    numbers.value("loss", &loss)?;
    numbers.all(&slopes)?;
    let before = params.snapshot()?;
    let config = AdamWConfig { weight_decay: 0.01, eps: EPS, clip_norm: Some(1.0), ..AdamWConfig::default() };
    AdamW::new(params.vars(), config).step(&slopes, 1e-2, Pool::inline())?;
    for (name, after) in params.snapshot()? {
        numbers.gradient(&format!("update of {name}"), &(after - &before[&name])?)?;
    }
    Ok(Some(numbers))
}

fn prior_config() -> PriorConfig {
    let mut config = PriorConfig::new(&Alphabet::dna(), 6);
    config.denoiser = SIZES;
    config
}

/// A chain of 8 steps in blocks of 2 over a prior with random weights.
fn chain(side: &Side) -> Result<DiffusionChain> {
    let config = prior_config();
    let prior = Prior::new(&config, &side.held(|params| Prior::new(&config, params).map(drop))?)?;
    DiffusionChain::new(Arc::new(prior), 8, 2, Grid::Time, SolverKind::Ancestral)
}

fn reward() -> Result<Multilinear> {
    let values: Vec<f64> = Seed::root(8).rng().normals(4096).into_iter().map(|x| 0.3 * f64::from(x)).collect();
    Multilinear::new("table", &values, 4, 6)
}

fn sizes(kind: ControlKind) -> ControlConfig {
    ControlConfig { kind, dim: 32, layers: 1, heads: 2, ..ControlConfig::default() }
}

/// The gradient through the sampler, by recomputation.
fn roll_out(side: &Side, kind: ControlKind) -> Result<Option<Numbers>> {
    let (chain, reward) = (chain(side)?, reward()?);
    let build = |params: &Params| TokenControl::new(&chain, &sizes(kind), params).map(drop);
    let (params, held) = (side.weights(build)?, side.held(build)?);
    let control = TokenControl::new(&chain, &sizes(kind), &params)?;
    let frozen = TokenControl::new(&chain, &sizes(kind), &held)?;
    let terminal = SequenceTerminal::new(&chain, &reward);
    let problem = Problem { chain: &chain, terminal: &terminal, alpha: Some(0.3) };
    let batch = Batch { rows: 32, total: 32, steps: chain.steps(), seed: Seed::root(6) };
    let method = BackProp { estimator: Estimator::Landing, ..BackProp::default() };
    let part = method.gradient(&problem, &control, &frozen, &params.vars(), &batch)?;
    let mut numbers = Numbers::default();
    numbers.value("value", &part.value)?;
    numbers.value("log ratio", &part.log_ratio)?;
    numbers.value("cost", &part.cost)?;
    numbers.all(&part.gradients)?;
    Ok(Some(numbers))
}

/// Some steps with their figures; the last one's reads are counted.
fn run(training: &mut dyn Training, steps: usize, numbers: &mut Numbers) -> Result<()> {
    for _ in 0..steps {
        let before = reads();
        let figures = training.step()?;
        numbers.reads = Some(reads() - before);
        for (name, value) in figures {
            numbers.figure(name, value);
        }
    }
    Ok(())
}

/// The package's own pre-training, which is in f32 wherever it runs. On the CPU it is compared with itself: a form does not reach
/// the pool's threads.
fn pretrain(side: &Side) -> Result<Option<Numbers>> {
    if side.dtype != DType::F32 || (side.is_pretended() && side.precision != Precision::F32) {
        return Ok(None);
    }
    let mut rng = Seed::root(9).rng();
    let mut word = || Sequence::from_ids((0..6).map(|_| rng.below(4) as u8).collect::<Vec<_>>(), &Alphabet::dna());
    let data = (0..64).map(|_| word()).collect::<Result<Vec<_>>>()?;
    let pool = Pool::new(2)?;
    let config = PretrainConfig { steps: 100, batch: 32, shard: 16, ..PretrainConfig::default() };
    let mut training = Pretraining::new(prior_config(), config, &data, Seed::root(1), &pool, &side.device)?;
    let mut numbers = Numbers::default();
    run(&mut training, 3, &mut numbers)?;
    Ok(Some(numbers))
}

/// The package's own fine-tune, in one go or stored and resumed before its third step.
fn finetune(side: &Side, kind: ControlKind, resumed: bool) -> Result<Option<Numbers>> {
    // a form does not reach the pool's threads: on the CPU, f64 stands for the composed one, and nothing for a precision
    let side = match side {
        Side { precision, .. } if side.is_pretended() && *precision != Precision::F32 => return Ok(None),
        _ if side.is_pretended() => Side::exact(),
        _ => side.clone(),
    };
    let (chain, reward) = (chain(&side)?, reward()?);
    let terminal = SequenceTerminal::new(&chain, &reward);
    let pool = Pool::new(2)?;
    // the first step of Adam follows the gradient's sign alone: a small rate keeps a sign of nearly nothing from mattering
    let config = FinetuneConfig {
        batch: 32,
        shard: 16,
        steps: 100,
        learning_rate: 1e-3,
        control: sizes(kind),
        ..FinetuneConfig::default()
    };
    let start = || Finetuning::new(config.clone(), &chain, &terminal, Seed::root(1), &pool);
    let (mut training, mut numbers) = (start()?, Numbers::default());
    if !resumed {
        run(&mut training, 3, &mut numbers)?;
        return Ok(Some(numbers));
    }
    run(&mut training, 2, &mut numbers)?;
    let stored = encode_tensors(&training.state()?, None)?;
    let mut second = start()?;
    second.restore(2, &decode_tensors(&stored, "state")?.0)?;
    run(&mut second, 1, &mut numbers)?;
    Ok(Some(numbers))
}
