//! Fused layers against the same layers composed of candle operations: `cargo bench --bench kernels`.
//!
//! Set `CANDLE_NUM_THREADS=1` and `RAYON_NUM_THREADS=1` (`.cargo/config.toml` does): everything is timed on one thread.
#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark stops at the first surprise")]

use candle_core::{DType, Device, Tensor, Var};
use criterion::{Criterion, criterion_group, criterion_main};
use seqtilt::nn::{
    AdamW, AdamWConfig, Block, Conv1d, Init, LayerNorm, Linear, Mlp, Params, Pool, SelfAttention, composed,
    cross_entropy, embedding, gelu, gradients, softmax,
};
use seqtilt::{Result, Seed};
use std::hint::black_box;
use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn params() -> Params {
    Params::trainable(Seed::root(1), DType::F32, &Device::Cpu)
}

fn input(dims: &[usize]) -> Var {
    let values = Seed::root(2).rng().normals(dims.iter().product());
    Var::from_tensor(&Tensor::from_vec(values, dims, &Device::Cpu).unwrap()).unwrap()
}

/// Forward alone, and forward with backward, of both forms.
fn compare(c: &mut Criterion, name: &str, params: &Params, x: &Var, forward: impl Fn(&Tensor) -> Result<Tensor>) {
    let mut vars = params.vars();
    vars.push(("input".to_owned(), x.clone()));
    let step = || {
        let loss = forward(x.as_tensor()).unwrap().sqr().unwrap().sum_all().unwrap();
        black_box(gradients(&loss, &vars).unwrap());
    };
    let frozen = x.as_detached_tensor();
    let mut group = c.benchmark_group(name);
    group.bench_function("fused forward", |b| b.iter(|| black_box(forward(&frozen).unwrap())));
    group.bench_function("composed forward", |b| composed(|| b.iter(|| black_box(forward(&frozen).unwrap()))));
    group.bench_function("fused step", |b| b.iter(step));
    group.bench_function("composed step", |b| composed(|| b.iter(step)));
    group.finish();
}

fn layers(c: &mut Criterion) {
    let x = input(&[64, 8, 64]);
    let p = params();
    let layer = Linear::new(&p, 64, 256).unwrap();
    compare(c, "linear 64x8x64 to 256", &p, &x, |x| layer.forward(x));
    compare(c, "linear and gelu 64x8x64 to 256", &p, &x, |x| layer.forward_gelu(x));
    let p = params();
    let layer = LayerNorm::new(&p, 64).unwrap();
    compare(c, "layer norm 64x8x64", &p, &x, |x| layer.forward(x));
    let p = params();
    let layer = SelfAttention::new(&p, 64, 4).unwrap();
    compare(c, "attention 64x8x64", &p, &x, |x| layer.forward(x, None));
    compare(c, "gelu 64x8x64", &params(), &x, gelu);
    let p = params();
    let layer = Conv1d::new(&p, 64, 64, 5).unwrap();
    compare(c, "conv 64x8x64, 5 taps", &p, &x, |x| layer.forward(x));
    let p = params();
    let layer = Mlp::new(&p, &[64, 256, 64]).unwrap();
    compare(c, "perceptron 64x8x64, 256 hidden", &p, &x, |x| layer.forward(x));
    let p = params();
    let layer = SelfAttention::new(&p, 128, 4).unwrap();
    compare(c, "attention 4x128x128", &p, &input(&[4, 128, 128]), |x| layer.forward(x, None));
}

fn letters(c: &mut Criterion) {
    for width in [4, 20] {
        let x = input(&[512, width]);
        compare(c, &format!("softmax 512x{width}"), &params(), &x, softmax);
        let ids = Tensor::from_vec((0..512_u32).map(|i| i % 4).collect(), 512, &Device::Cpu).unwrap();
        compare(c, &format!("cross-entropy 512x{width}"), &params(), &x, |x| cross_entropy(x, &ids));
    }
}

fn lookup(c: &mut Criterion) {
    for (letters, width) in [(4, 4), (20, 16), (20, 128)] {
        let ids = Tensor::from_vec((0..2048_u32).map(|i| i * i % letters).collect(), (256, 8), &Device::Cpu).unwrap();
        let table = input(&[letters as usize, width]);
        compare(c, &format!("embedding 256x8 of {letters}x{width}"), &params(), &table, |table| embedding(table, &ids));
    }
}

fn block(c: &mut Criterion) {
    for (batch, length, dim) in [(64, 8, 64), (32, 8, 32), (64, 8, 128)] {
        let p = params();
        let block = Block::new(&p, dim, 4, dim).unwrap();
        // away from the identity a new block is
        for (index, (_, var)) in p.vars().iter().enumerate() {
            let noise = Seed::root(3).index(index as u64).rng().normals(var.elem_count());
            var.set(&(Tensor::from_vec(noise, var.shape(), &Device::Cpu).unwrap() * 0.1).unwrap()).unwrap();
        }
        let cond = input(&[batch, dim]);
        compare(c, &format!("block {batch}x{length}x{dim}"), &p, &input(&[batch, length, dim]), |x| {
            block.forward(x, cond.as_tensor(), None)
        });
    }
}

fn optimiser(c: &mut Criterion) {
    let p = params();
    for index in 0..56 {
        p.get(&index.to_string(), (120, 120), Init::FanIn).unwrap();
    }
    let mut loss = Tensor::zeros((), DType::F32, &Device::Cpu).unwrap();
    for (_, var) in p.vars() {
        loss = (loss + var.sqr().unwrap().sum_all().unwrap()).unwrap();
    }
    let gradients = gradients(&loss, &p.vars()).unwrap();
    let mut adamw = AdamW::new(p.vars(), AdamWConfig::default());
    c.bench_function("adamw 0.8 M in 56 tensors", |b| b.iter(|| adamw.step(&gradients, 1e-6, Pool::inline()).unwrap()));
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(800));
    targets = block, layers, letters, lookup, optimiser
}
criterion_main!(benches);
