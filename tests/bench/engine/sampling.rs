//! Sequences drawn from a prior.

use crate::case::{Case, shake};
use candle_core::{DType, Device};
use seqtilt::diffusion::{Prior, PriorConfig, SampleConfig, sample};
use seqtilt::nn::{Params, Pool};
use seqtilt::sequence::Alphabet;
use seqtilt::{Result, Seed};

/// A prior of the case's sizes with random weights.
pub(crate) fn prior(case: &Case) -> Result<Prior> {
    let alphabet = if case.letters == 4 { Alphabet::dna() } else { Alphabet::protein() };
    let mut config = PriorConfig::new(&alphabet, case.length);
    config.denoiser = case.denoiser();
    config.embedding_dim = case.embedding;
    let params = Params::trainable(Seed::root(1), DType::F32, &Device::Cpu);
    Prior::new(&config, &params)?;
    shake(&params)?;
    Prior::new(&config, &Params::frozen(params.snapshot()?, &Device::Cpu))
}

/// Draws the case's batch; the last call of the denoiser is the one that reads the letters.
pub(crate) fn draw(case: &Case, prior: &Prior, pool: &Pool) -> Result<()> {
    let config = SampleConfig { steps: Some(case.calls - 1), ..SampleConfig::default() };
    std::hint::black_box(sample(prior, &config, case.batch, Seed::root(5), pool)?);
    Ok(())
}
