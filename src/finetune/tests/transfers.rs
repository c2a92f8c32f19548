//! What is otherwise in a step whose tensors live on a device: one read, and one graph.

use super::tokens::chain;
use crate::finetune::{ControlConfig, ControlKind, FinetuneConfig, Finetuning, SequenceTerminal};
use crate::nn::{Pool, Training as _, reads};
use crate::random::Seed;
use crate::reward::Multilinear;
use candle_core::DType;

#[test]
fn a_step_reads_back_once() {
    // f64 takes the composed form of everything, as a device does, and its gradients are read as a device's are
    let chain = chain(DType::F64, 3);
    let reward = Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap();
    let terminal = SequenceTerminal::new(&chain, &reward);
    // reads are counted by thread, so all work is on this one
    let pool = Pool::inline();
    for kind in [ControlKind::Mlp, ControlKind::Transformer, ControlKind::ProductMixture] {
        let control = ControlConfig { kind, dim: 8, layers: 1, heads: 2, ..ControlConfig::default() };
        let config = FinetuneConfig { batch: 12, shard: 4, steps: 1000, control, ..FinetuneConfig::default() };
        let mut run = Finetuning::new(config, &chain, &terminal, Seed::root(1), pool).unwrap();
        let mut count = || {
            let before = reads();
            run.step().unwrap();
            reads() - before
        };
        assert_eq!([(); 4].map(|()| count()), [1; 4], "{kind:?}");
    }
}

#[test]
fn shards_in_one_graph_walk_the_same_paths() {
    let chain = chain(DType::F64, 3);
    let reward = Multilinear::new("sum", &[0.0, 0.2, 0.3, 0.9, 0.1, 0.4, 0.8, 1.0], 2, 3).unwrap();
    let terminal = SequenceTerminal::new(&chain, &reward);
    let pool = Pool::new(2).unwrap();
    let control = ControlConfig { kind: ControlKind::Mlp, dim: 8, layers: 1, heads: 2, ..ControlConfig::default() };
    // a small rate: Adam's first step follows signs, also that of a gradient of nearly nothing
    let config =
        FinetuneConfig { batch: 10, shard: 4, steps: 100, control, learning_rate: 1e-3, ..FinetuneConfig::default() };
    let figures = |joined: bool| {
        let mut run = Finetuning::new(config.clone(), &chain, &terminal, Seed::root(1), &pool).unwrap();
        run.joined = joined;
        (0..3).flat_map(|_| run.step().unwrap()).collect::<Vec<_>>()
    };
    for ((name, apart), (_, joined)) in figures(false).into_iter().zip(figures(true)) {
        assert!((apart - joined).abs() < 1e-9 * (1.0 + apart.abs()), "{name}: {apart} {joined}");
    }
}
