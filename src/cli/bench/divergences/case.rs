//! A prior, a reward and the truth over all sequences of one length.

use crate::cli::certify::count_base;
use crate::cli::context::Context;
use crate::cli::tilted::ChainConfig;
use crate::diffusion::{fingerprint, open_prior};
use crate::error::{Error, Result};
use crate::eval::exact::Frontier;
use crate::eval::histogram::Histogram;
use crate::nn::Pool;
use crate::oracle::{OracleInfo, OracleName, OracleOptions};
use crate::random::Seed;
use crate::reward::{enumerable, one_hot};
use crate::sequence::{Alphabet, Sequence};
use crate::store::{RunFolder, RunInfo};
use candle_core::{DType, Device};
use serde_json::json;
use std::path::Path;
use std::sync::Arc;

/// The name of the prior that needs none.
pub(super) const UNIFORM: &str = "uniform";

/// What is tilted, what it is tilted towards, and what it is judged by; in the order of [`Histogram::cell`].
pub(super) struct Case {
    /// `truth` where the reward is the truth, `model` where it only stands in for it.
    pub(super) name: &'static str,
    pub(super) letters: usize,
    pub(super) length: usize,
    pub(super) prior: Vec<f64>,
    pub(super) reward: Vec<f64>,
    pub(super) truth: Vec<f64>,
    /// Sequences of at least this true value are good.
    pub(super) good: f64,
    /// The best mean reward at every KL.
    pub(super) frontier: Frontier,
}

impl Case {
    /// Where all lengths agree.
    ///
    /// # Errors
    /// When the prior is no law or a reward is not finite.
    pub(super) fn new(
        name: &'static str,
        shape: &Shape,
        prior: &[f64],
        reward: &[f64],
        truth: &[f64],
        good: f64,
    ) -> Result<Self> {
        Ok(Self {
            name,
            letters: shape.alphabet.len(),
            length: shape.length,
            frontier: Frontier::new(prior, reward)?,
            prior: prior.to_vec(),
            reward: reward.to_vec(),
            truth: truth.to_vec(),
            good,
        })
    }

    /// Whether a sequence is good.
    pub(super) fn is_good(&self, cell: usize) -> bool {
        self.truth[cell] >= self.good
    }
}

/// All sequences of one length over one alphabet.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shape {
    pub(super) alphabet: Alphabet,
    pub(super) length: usize,
}

impl Shape {
    /// What an oracle reads, where that can be enumerated.
    ///
    /// # Errors
    /// When it reads several lengths, or there are too many sequences.
    pub(super) fn of(name: &OracleName, info: &OracleInfo) -> Result<Self> {
        let ((length, most), letters) = (info.length, info.alphabet.len());
        if length != most {
            return Err(Error::usage(format!("`{name}` reads {length} to {most} letters; one length is needed")));
        }
        if !enumerable(letters, length) {
            return Err(Error::usage(format!(
                "`{name}` reads {length} letters of {letters}: {letters}^{length} sequences are too many to enumerate"
            ))
            .hint("the exact study is for up to 262,144 sequences, as of DNA up to nine letters"));
        }
        Ok(Self { alphabet: info.alphabet.clone(), length })
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        (0..self.length).fold(1, |count, _| count * self.alphabet.len())
    }

    fn sequence(&self, cell: usize) -> Result<Sequence> {
        let (mut left, mut ids) = (cell, vec![0_u8; self.length]);
        for id in ids.iter_mut().rev() {
            *id = (left % self.alphabet.len()) as u8;
            left /= self.alphabet.len();
        }
        Sequence::from_ids(ids, &self.alphabet)
    }
}

/// An oracle's value of every sequence, what it reads, and its fingerprint.
///
/// # Errors
/// When it cannot be opened, is a table that is not complete, or there are too many sequences.
pub(super) fn values(name: &OracleName, options: &OracleOptions, pool: &Pool) -> Result<(Shape, Vec<f64>, String)> {
    const SHARD: usize = 512;
    let info = name.open(options)?.info().clone();
    let shape = Shape::of(name, &info)?;
    let reward = name.reward(options)?;
    if let Some(words) = reward.words() {
        return Ok((shape, words.to_vec(), info.fingerprint));
    }
    let count = shape.count();
    let parts = pool.map(count.div_ceil(SHARD), |part| {
        let cells = part * SHARD..((part + 1) * SHARD).min(count);
        let sequences: Vec<Sequence> = cells.map(|cell| shape.sequence(cell)).collect::<Result<_>>()?;
        let vertices = one_hot(&sequences, shape.alphabet.len(), &Device::Cpu)?;
        Ok(reward.reward(&vertices)?.to_dtype(DType::F64)?.to_vec1::<f64>()?)
    })?;
    Ok((shape, parts.into_iter().flatten().collect(), info.fingerprint))
}

/// The law of a prior over all sequences, and what identifies it: uniform, or counted on `paths` base paths that are kept in a
/// folder.
///
/// # Errors
/// When the prior cannot be opened, reads other sequences, or Ctrl-C was pressed.
pub(super) fn prior(
    name: &str,
    paths: usize,
    shape: &Shape,
    folder: &Path,
    pool: &Pool,
    context: &Context,
) -> Result<(Vec<f64>, String)> {
    const COUNTS: &str = "counts.json";
    if name == UNIFORM {
        let count = shape.count();
        return Ok((vec![1.0 / count as f64; count], UNIFORM.to_owned()));
    }
    let (prior, model) = open_prior(name, &context.device()?)?;
    let config = prior.config().clone();
    if (prior.alphabet(), config.length) != (&shape.alphabet, shape.length) {
        return Err(Error::usage(format!(
            "prior `{name}` draws {} letters of `{}`; the truth is about {} of `{}`",
            config.length,
            prior.alphabet().name(),
            shape.length,
            shape.alphabet.name()
        )));
    }
    let hash = fingerprint(&model)?;
    let info = RunInfo::new("bench divergences", context.seed_number, &json!({ "prior": hash, "paths": paths }))?;
    let run = RunFolder::open(folder, &info)?;
    let file = folder.join(COUNTS);
    let (letters, length) = (shape.alphabet.len(), shape.length);
    let counts = if run.is_finished() {
        let bytes = std::fs::read(&file).map_err(|error| Error::io("read", &file, error))?;
        let counts = serde_json::from_slice(&bytes)
            .map_err(|error| Error::integrity("not the counts of a prior").at(file).because(error))?;
        Histogram::from_counts(letters, length, counts)?
    } else {
        context.note(format!("drawing {paths} paths of the prior, once"));
        let chain =
            ChainConfig { steps: config.steps, hold: config.hold, grid: config.grid, solver: config.solver, eta: 1.0 };
        let seed = context.seed().child("bench").child("divergences").child("prior");
        let counts = count_base(&chain.chain(Arc::new(prior))?, paths, seed, pool, context)?;
        run.write(COUNTS, json!(counts.counts()).to_string().as_bytes())?;
        run.finish(&[COUNTS])?;
        counts
    };
    Ok((counts.probabilities(0.0), hash))
}

/// The seed of a named kind of draw under one of the benchmark's seeds: the same for all divergences, which are thereby compared
/// on common numbers.
pub(super) fn seed(number: u64, what: &str) -> Seed {
    Seed::root(number).child("bench").child("divergences").child(what)
}
