//! Samples of the base chain, counted by sequence and kept between runs.

use crate::cli::bench::folder::BenchFolder;
use crate::cli::certify::count_base;
use crate::cli::context::Context;
use crate::cli::tilted::ChainConfig;
use crate::diffusion::DiffusionChain;
use crate::error::{Error, Result};
use crate::eval::histogram::Histogram;
use crate::nn::Pool;
use crate::random::Seed;
use crate::store::sha256;
use serde::{Deserialize, Serialize};

/// What decides the samples; the reward is not among it.
#[derive(Serialize)]
pub(super) struct Source<'a> {
    pub(super) prior: &'a str,
    pub(super) chain: ChainConfig,
    pub(super) paths: usize,
    pub(super) seed: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    key: String,
    sha256: String,
    counts: Vec<u64>,
}

impl Source<'_> {
    /// What identifies the samples.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub(super) fn key(&self) -> Result<String> {
        let json = serde_json::to_vec(self)
            .map_err(|error| Error::data("the base chain cannot be written as JSON").because(error))?;
        Ok(format!("sha256:{}", sha256(&json)))
    }

    /// The counts: read from the folder, or drawn and written there.
    ///
    /// # Errors
    /// When the file is damaged, a step fails, or Ctrl-C was pressed.
    pub(super) fn counts(&self, chain: &DiffusionChain, folder: &BenchFolder, context: &Context) -> Result<Histogram> {
        let key = self.key()?;
        let name = format!("base-{}.json", key.trim_start_matches("sha256:").get(..16).unwrap_or_default());
        let path = folder.join(&name);
        let (letters, length) = (chain.prior().alphabet().len(), chain.prior().config().length);
        if path.exists() {
            let bytes = std::fs::read(&path).map_err(|error| Error::io("read", &path, error))?;
            let damaged = |why: &str| {
                Error::integrity(format!("the counts of base samples are damaged: {why}"))
                    .at(&path)
                    .hint("remove the file to draw them again")
            };
            let stored: Stored = serde_json::from_slice(&bytes).map_err(|error| damaged("not JSON").because(error))?;
            if stored.key != key || stored.sha256 != digest(&stored.counts) {
                return Err(damaged("a hash differs"));
            }
            let counts = Histogram::from_counts(letters, length, stored.counts).map_err(|e| damaged(e.message()))?;
            if counts.total() != self.paths as u64 {
                return Err(damaged("the number of samples differs"));
            }
            return Ok(counts);
        }
        context.note(format!("drawing {} base paths, once for all cells", self.paths));
        let seed = Seed::root(self.seed).child("bench").child("base");
        let counts = count_base(chain, self.paths, seed, &Pool::new(context.threads)?, context)?;
        let stored = Stored { key, sha256: digest(counts.counts()), counts: counts.counts().to_vec() };
        let json = serde_json::to_vec(&stored)
            .map_err(|error| Error::data("the counts cannot be written as JSON").because(error))?;
        folder.write(&name, &json)?;
        Ok(counts)
    }
}

fn digest(counts: &[u64]) -> String {
    sha256(&counts.iter().flat_map(|count| count.to_le_bytes()).collect::<Vec<u8>>())
}
