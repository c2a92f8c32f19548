//! A small fixed amount of work on the calling thread: what `tests/bench/instructions` counts.

use crate::case::{Case, Kind};
use crate::rollout;
use crate::train::{Batch, RATE};
use seqtilt::nn::{AdamW, AdamWConfig, Pool, gradients};
use seqtilt::{Result, Seed};

/// Two train steps on short and on long sequences, and one gradient through a sampler.
pub(crate) fn run() -> Result<()> {
    let sizes = Case {
        name: "tiny".to_owned(),
        kind: Kind::Train,
        length: 8,
        letters: 4,
        embedding: 4,
        width: 32,
        layers: 2,
        heads: 2,
        batch: 16,
        calls: 4,
    };
    train(&sizes, 2)?;
    train(&Case { length: 48, letters: 20, embedding: 16, layers: 1, batch: 4, ..sizes.clone() }, 2)?;
    let params = sizes.weights()?;
    let gradients = rollout::gradient(&sizes, &params, Seed::root(6), sizes.batch)?;
    println!("gradient norm {:.4e}", gradients.norm(Pool::inline())?);
    Ok(())
}

fn train(case: &Case, steps: usize) -> Result<()> {
    let params = case.weights()?;
    let batch = Batch::draw(case, case.batch, Seed::root(3))?;
    let mut optimiser = AdamW::new(params.vars(), AdamWConfig::default());
    for _ in 0..steps {
        let (loss, _) = batch.loss(&case.network(&params)?, case.batch)?;
        optimiser.step(&gradients(&loss, &params.vars())?, RATE, Pool::inline())?;
    }
    Ok(())
}
