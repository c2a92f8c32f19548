//! Whole gradient steps: `cargo bench --bench steps`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark stops at the first surprise")]

use candle_core::Device;
use criterion::{Criterion, criterion_group, criterion_main};
use seqtilt::Seed;
use seqtilt::diffusion::{DiffusionChain, PretrainConfig, Pretraining, PriorConfig, SolverKind, open_prior};
use seqtilt::finetune::{FinetuneConfig, Finetuning, SequenceTerminal};
use seqtilt::nn::{Pool, Training as _};
use seqtilt::reward::Multilinear;
use seqtilt::sequence::{Alphabet, Sequence};
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const THREADS: [usize; 2] = [1, 4];

/// More steps than are ever taken.
const ENDLESS: u64 = 1_000_000;

/// The default fine-tune of the built-in prior, with a random table of all 8-mers as reward, as `seqtilt finetune` sets it
/// up; the chain is walked to its end from the first step on, so that all steps cost the same.
fn finetune(c: &mut Criterion) {
    let (prior, _) = open_prior("tfbind8-prior", &Device::Cpu).unwrap();
    let shape = prior.config().clone();
    let solver = if shape.solver == SolverKind::Heun { SolverKind::Ancestral } else { shape.solver };
    let chain = DiffusionChain::new(Arc::new(prior), shape.steps, shape.hold, shape.grid, solver).unwrap();
    let mut rng = Seed::root(1).rng();
    let values: Vec<f64> = (0..4_usize.pow(8)).map(|_| rng.uniform()).collect();
    let table = Multilinear::new("random", &values, 4, 8).unwrap();
    let terminal = SequenceTerminal::new(&chain, &table);
    let config = FinetuneConfig {
        steps: ENDLESS,
        ramp_share: 0.0,
        ramp_short: 0.0,
        lookahead: Some(2 * shape.hold),
        ..FinetuneConfig::default()
    };
    for threads in THREADS {
        let pool = Pool::new(threads).unwrap();
        let mut run = Finetuning::new(config.clone(), &chain, &terminal, Seed::root(2), &pool).unwrap();
        c.bench_function(&format!("finetune step, {threads} threads"), |b| b.iter(|| black_box(run.step().unwrap())));
    }
}

/// The default prior of 8-mers.
fn pretrain(c: &mut Criterion) {
    let dna = Alphabet::dna();
    let mut rng = Seed::root(3).rng();
    let mut word = || (0..8).map(|_| rng.below(4) as u8).collect::<Vec<u8>>();
    let words: Vec<Sequence> = (0..4096).map(|_| Sequence::from_ids(word(), &dna).unwrap()).collect();
    let config = PretrainConfig { steps: ENDLESS, ..PretrainConfig::default() };
    for threads in THREADS {
        let pool = Pool::new(threads).unwrap();
        let shape = PriorConfig::new(&dna, 8);
        let mut run = Pretraining::new(shape, config.clone(), &words, Seed::root(4), &pool, &Device::Cpu).unwrap();
        c.bench_function(&format!("pretrain step, {threads} threads"), |b| b.iter(|| black_box(run.step().unwrap())));
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(4));
    targets = finetune, pretrain
}
criterion_main!(benches);
