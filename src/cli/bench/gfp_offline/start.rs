//! What may be seen of a landscape at one difficulty, and the prior that learns from it.

use crate::cli::context::Context;
use crate::cli::drive::{CHECKPOINT_EVERY, drive};
use crate::data::Difficulty;
use crate::diffusion::{PRIOR, PretrainConfig, Pretraining, PriorConfig, Warp, prior_folder, shard_rows};
use crate::error::{Error, Result};
use crate::nn::Training as _;
use crate::oracle::{Oracle as _, Table};
use crate::random::Seed;
use crate::reward::{Domain, Label, Measured, TrainingSet};
use crate::sequence::{Records, Sequence, consensus};
use crate::store::{ModelFolder, RunFolder, RunInfo};
use std::path::Path;

/// Seed of the prior: it is the same for all seeds of a method.
const SEED: u64 = 0;

/// The prior of a start set: it begins at the letters' frequencies at their sites, and has one block of width 32, since the variants
/// of a random library have nearly independent letters.
pub(super) fn shape(domain: &Domain) -> PriorConfig {
    let mut shape = PriorConfig::new(&domain.alphabet, domain.length);
    shape.sites = true;
    (shape.denoiser.dim, shape.denoiser.layers) = (32, 1);
    shape.steps = 32;
    shape.hold = (1..=shape.hold).rev().find(|hold| shape.steps.is_multiple_of(*hold)).unwrap_or(1);
    let (first, last) = shape.range();
    shape.warp = Warp::new(first, last, 48);
    shape
}

/// A start set.
pub(in crate::cli::bench) struct Start {
    /// The difficulty's name.
    pub(in crate::cli::bench) name: String,
    /// Its sequences and values as labels of round 0.
    pub(in crate::cli::bench) measured: Measured,
    /// The same as what a surrogate learns from.
    pub(in crate::cli::bench) set: TrainingSet,
    /// The most frequent letter of every site.
    pub(in crate::cli::bench) origin: Sequence,
    /// What identifies it.
    pub(in crate::cli::bench) fingerprint: String,
}

impl Start {
    /// The start set of a difficulty.
    ///
    /// # Errors
    /// When there is no such difficulty, values are missing, or fewer than two sequences are left.
    pub(in crate::cli::bench) fn of(name: &str, all: &Records) -> Result<Self> {
        Self::cut(name, all, Difficulty::named(name)?)
    }

    /// The start set that a difficulty cuts.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub(super) fn cut(name: &str, all: &Records, difficulty: Difficulty) -> Result<Self> {
        let records = all.subset(&difficulty.start(all)?);
        let empty = || Error::data(format!("no sequence of the table is in the start set `{name}`"));
        let domain = Domain { alphabet: records.alphabet.clone(), length: records.length().ok_or_else(empty)? };
        let mut measured = Measured::new(domain);
        for row in &records.rows {
            measured.push(Label { sequence: row.sequence.clone(), value: row.value, round: 0 })?;
        }
        let set = measured.training_set()?;
        Ok(Self {
            name: name.to_owned(),
            origin: consensus(set.sequences(), &records.alphabet).ok_or_else(empty)?,
            fingerprint: Table::from_records("start", &records)?.info().fingerprint.clone(),
            measured,
            set,
        })
    }

    /// Its name as part of a folder's.
    pub(in crate::cli::bench) fn folder(&self) -> String {
        self.name.replace(':', "-")
    }

    /// The prior of its sequences, trained in `out`; or what is there, where it is complete.
    ///
    /// # Errors
    /// When a step fails or Ctrl-C was pressed.
    pub(in crate::cli::bench) fn prior(&self, steps: u64, out: &Path, context: &Context) -> Result<ModelFolder> {
        let (domain, shape) = (self.set.domain(), shape(self.set.domain()));
        let base = PretrainConfig::default();
        let training = PretrainConfig {
            steps,
            batch: 64,
            learning_rate: 1e-3,
            weight_decay: 0.05,
            reverse_complement: false,
            shard: base.shard.min(shard_rows(domain.length)),
            ..base
        };
        let info = RunInfo::new("pretrain", SEED, &serde_json::json!({ "prior": shape, "training": training }))?
            .with_version("data", self.fingerprint.clone());
        let mut folder = RunFolder::open(out, &info)?;
        if !folder.is_finished() {
            let pool = context.pool()?;
            let (seed, device) = (Seed::root(SEED).child("prior"), context.device()?);
            let mut job = Pretraining::new(shape, training, self.set.sequences(), seed, &pool, &device)?;
            drive(&format!("prior of the {} start set", self.name), &mut job, &mut folder, CHECKPOINT_EVERY, context)?;
            let card = format!("# A prior of a {} start set, by `seqtilt bench gfp-offline`\n", self.name);
            let manifest = prior_folder(job.shape(), job.weights())?.with_card(card).save(out)?;
            let files: Vec<&str> = manifest.files.keys().map(String::as_str).chain(["manifest.json"]).collect();
            folder.finish(&files)?;
        }
        ModelFolder::load(out, PRIOR)
    }
}
