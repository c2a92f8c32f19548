//! A reward of one's own: tilt a built-in prior towards sequences rich in G and C, and ask how far that is from the optimum.
#![allow(clippy::print_stdout, reason = "an example shows its result")]
use candle_core::{DType, Device, Tensor};
use seqtilt::diffusion::open_prior;
use seqtilt::diffusion::{Chain, Decode, DiffusionChain, Grid, SolverKind};
use seqtilt::eval::certificate::{Certificate, PathSample};
use seqtilt::finetune::{ControlConfig, FinetuneConfig, Finetuning, SequenceTerminal, roll_out};
use seqtilt::nn::{Pool, Training};
use seqtilt::reward::{Reward, one_hot};
use seqtilt::{Result, Seed};
use std::sync::Arc;

/// Share of G and C, linear in the letter probabilities.
struct GcContent;

impl Reward for GcContent {
    fn name(&self) -> &'static str {
        "gc"
    }

    fn reward(&self, probs: &Tensor) -> Result<Tensor> {
        let gc = (probs.narrow(2, 1, 1)? + probs.narrow(2, 2, 1)?)?;
        Ok(gc.mean((1, 2))?)
    }
}

fn main() -> Result<()> {
    let (prior, _) = open_prior("tfbind8-prior", &Device::Cpu)?;
    let chain = DiffusionChain::new(Arc::new(prior), 32, 4, Grid::Time, SolverKind::Ancestral)?;
    let (terminal, pool, seed) = (SequenceTerminal::new(&chain, &GcContent), Pool::new(2)?, Seed::root(1));
    let alpha = 0.1;
    let config = FinetuneConfig {
        alpha,
        steps: 40,
        batch: 64,
        control: ControlConfig { dim: 32, layers: 1, ..ControlConfig::default() },
        ..FinetuneConfig::default()
    };
    let mut run = Finetuning::new(config, &chain, &terminal, seed.child("finetune"), &pool)?;
    while run.done() < run.total() {
        run.step()?;
    }
    // what a final state reads as, and its reward on the letters themselves
    let read = |x: &Tensor| -> Result<Vec<f64>> {
        let letters = Decode::Hard.read(&chain.read(chain.steps(), x)?, chain.prior(), &mut seed.rng())?;
        let values = GcContent.reward(&one_hot(&letters, 4, &Device::Cpu)?)?;
        Ok(values.to_dtype(DType::F64)?.to_vec1()?)
    };
    let base = roll_out(&chain, None, 2000, seed.child("base"), &pool, read)?;
    let control = run.control()?;
    let tuned = roll_out(&chain, Some(&control), 2000, seed.child("tuned"), &pool, read)?;
    let paths = tuned.ends.iter().zip(tuned.log_ratio.iter().zip(&tuned.cost));
    let samples: Vec<PathSample> = paths
        .map(|(reward, (log_ratio, cost))| PathSample { reward: *reward, log_ratio: *log_ratio, cost: *cost })
        .collect();
    let certificate = Certificate::new(alpha, &samples, &base.ends)?;
    let before = base.ends.iter().sum::<f64>() / base.ends.len() as f64;
    println!("mean GC {before:.3} in the prior, {} when tilted", certificate.mean_reward);
    println!("{}", certificate.verdict());
    assert!(certificate.mean_reward.value > before && certificate.is_consistent());
    Ok(())
}
