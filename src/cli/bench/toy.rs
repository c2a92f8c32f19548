//! A landscape of 256 sequences and a prior that has barely seen it.

use crate::cli::context::{Context, Global};
use crate::cli::finetune::Tuning;
use crate::diffusion::prior_folder;
use crate::diffusion::{PretrainConfig, Pretraining, PriorConfig};
use crate::nn::{Pool, Training as _};
use crate::random::Seed;
use crate::sequence::{Alphabet, Sequence};
use candle_core::Device;
use std::fmt::Write as _;
use std::path::Path;

/// Settings of a quiet run on two threads.
pub(super) fn context() -> Context {
    Context::resolve(Global { quiet: true, threads: Some(2), ..Global::default() }).unwrap()
}

/// All words of four letters, and a value that counts G and C.
fn words() -> Vec<(Sequence, f64)> {
    let word = |i: u8| Sequence::from_ids(vec![i / 64, i / 16 % 4, i / 4 % 4, i % 4], &Alphabet::dna()).unwrap();
    let value = |x: &Sequence| x.ids().iter().zip(1_u8..).map(|(id, place)| f64::from(id * place)).sum::<f64>() / 30.0;
    (0..=255).map(|i| (word(i), value(&word(i)))).collect()
}

/// Writes the landscape as a table.
pub(super) fn landscape(folder: &Path) -> String {
    let mut text = "sequence,value\n".to_owned();
    for (word, value) in words() {
        let _ = writeln!(text, "{},{value}", word.text(&Alphabet::dna()));
    }
    let path = folder.join("landscape.csv");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Trains a small prior for a few steps.
pub(super) fn prior(folder: &Path) -> String {
    let path = folder.join("prior");
    if !path.exists() {
        let words: Vec<Sequence> = words().into_iter().map(|(word, _)| word).collect();
        let mut shape = PriorConfig::new(&Alphabet::dna(), 4);
        (shape.denoiser.dim, shape.denoiser.layers, shape.denoiser.heads) = (8, 1, 1);
        (shape.steps, shape.hold) = (8, 4);
        let config = PretrainConfig { steps: 3, batch: 32, shard: 32, ..PretrainConfig::default() };
        let pool = Pool::new(1).unwrap();
        let mut job = Pretraining::new(shape, config, &words, Seed::root(1), &pool, &Device::Cpu).unwrap();
        for _ in 0..3 {
            job.step().unwrap();
        }
        prior_folder(job.shape(), job.weights()).unwrap().save(&path).unwrap();
    }
    path.display().to_string()
}

/// A fine-tune of two steps.
pub(super) fn tuning() -> Tuning {
    Tuning {
        tuning_steps: Some(2),
        paths: Some(16),
        control_dim: Some(8),
        control_layers: Some(1),
        ..Tuning::default()
    }
}
