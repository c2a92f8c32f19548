//! `seqtilt pretrain`

mod page;
mod quality;
mod recompute;

pub(super) use page::report;
pub(super) use recompute::recompute;

use super::check::{required, within};
use super::context::Context;
use super::drive::{CHECKPOINT_EVERY, drive};
use super::input::Reading;
use super::memory;
use crate::diffusion::{Embedding, Grid, PretrainConfig, Pretraining, PriorConfig, ScheduleKind, SolverKind, Warp};
use crate::diffusion::{prior_folder, prior_of, shard_rows, site_weights};
use crate::error::{Error, Result};
use crate::nn::Training;
use crate::sequence::{Alphabet, Records, Sequence, variants_of};
use crate::store::{RunFolder, RunInfo, sha256};
use quality::Quality;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Distinct sequences from which on a network learns more than the frequencies of letters at their sites.
const FEW: usize = 1000;

const EXAMPLES: &str = "\
Examples:
  seqtilt pretrain library.fasta --out prior           a prior from a FASTA file
  seqtilt pretrain variants.csv --out prior --steps 8000
  seqtilt pretrain tfbind8 --value-below 0.43929616 --out lower-half
                                                       a named data set, its lower half only
  seqtilt sample --prior prior --count 1000            draw from it

The same command again after an interruption goes on from the last checkpoint and ends in the same bytes.";

/// Train a diffusion prior from sequences
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// FASTA, CSV or TSV file, or the name of a data set
    #[serde(skip)]
    input: String,
    /// Folder of the run and the trained prior
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Keep only sequences with a value at least this
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    value_above: Option<f64>,
    /// Keep only sequences with a value at most this
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    value_below: Option<f64>,
    /// Share of the sequences held out for the quality figures [default: 0.05]
    #[arg(long, value_name = "SHARE")]
    hold_out: Option<f64>,
    /// Begin at the frequencies of letters at their sites: for variants of one molecule, on one strand
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    sites: bool,
    /// Longest sequence; shorter ones end in padding, and so do samples [default: the longest of the input]
    #[arg(long, value_name = "N")]
    #[serde(skip_serializing_if = "Option::is_none")]
    length: Option<usize>,
    /// Optimiser steps [default: 4000]
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// Sequences a step [default: 256]
    #[arg(long, value_name = "N")]
    batch: Option<usize>,
    /// Peak learning rate [default: 0.002]
    #[arg(long, value_name = "RATE")]
    learning_rate: Option<f64>,
    /// Decoupled weight decay; more of it for little data [default: 0.01]
    #[arg(long, value_name = "DECAY")]
    weight_decay: Option<f64>,
    /// Decay of the averaged weights that are kept [default: 0.998]
    #[arg(long, value_name = "DECAY")]
    ema: Option<f64>,
    /// Do not show the other strand of DNA and RNA
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    one_strand: bool,
    /// Noise schedule: cosine or linear [default: cosine]
    #[arg(long, value_name = "NAME")]
    schedule: Option<String>,
    /// Embedding table: learned or simplex [default: learned]
    #[arg(long, value_name = "NAME")]
    embedding: Option<String>,
    /// Width of the embedding [default: 4 for up to 4 letters, else 16]
    #[arg(long, value_name = "N")]
    embedding_dim: Option<usize>,
    /// Width of the transformer [default: 64]
    #[arg(long, value_name = "N")]
    dim: Option<usize>,
    /// Transformer blocks [default: 2]
    #[arg(long, value_name = "N")]
    layers: Option<usize>,
    /// Attention heads [default: 4]
    #[arg(long, value_name = "N")]
    heads: Option<usize>,
    /// Default number of sampling steps [default: 64]
    #[arg(long, value_name = "N")]
    sampling_steps: Option<usize>,
    /// Spread of the sampling steps: time, log-snr or information [default: time]
    #[arg(long, value_name = "NAME")]
    grid: Option<String>,
    /// Default solver: ancestral, euler or heun [default: ancestral]
    #[arg(long, value_name = "NAME")]
    solver: Option<String>,
    /// Log signal-to-noise ratio at which letters are read off [default: 1.25]
    #[arg(long, value_name = "LAMBDA", allow_negative_numbers = true)]
    decode_log_snr: Option<f64>,
    /// Compute activations twice instead of keeping them: less memory, more time, the same bytes
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    recompute: bool,
    /// Steps between two checkpoints [default: 100]
    #[arg(long, value_name = "N")]
    checkpoint_every: Option<u64>,
    #[command(flatten)]
    reading: Reading,
}

/// What decides the result, as `run.json` and the card keep it.
#[derive(Serialize)]
struct Recorded<'a> {
    input: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value_above: Option<f64>,
    value_below: Option<f64>,
    hold_out: f64,
    prior: &'a PriorConfig,
    training: &'a PretrainConfig,
}

impl Args {
    fn shape(&self, alphabet: &Alphabet, sequences: &[Sequence]) -> Result<PriorConfig> {
        some(sequences)?;
        let mut shape = PriorConfig::of_sequences(alphabet, sequences, self.length)?;
        if let Some(name) = &self.schedule {
            shape.schedule = ScheduleKind::named(name)?;
        }
        match self.embedding.as_deref() {
            None | Some("learned") => {}
            Some("simplex") => {
                shape.embedding = Embedding::Simplex;
                shape.embedding_dim = shape.embedding_dim.max(shape.letters.len());
            }
            Some(name) => {
                return Err(Error::usage(format!("unknown embedding `{name}`; accepted: `learned`, `simplex`")));
            }
        }
        if let Some(name) = &self.grid {
            shape.grid = Grid::named(name)?;
        }
        if let Some(name) = &self.solver {
            shape.solver = SolverKind::named(name)?;
        }
        shape.sites = self.sites;
        shape.embedding_dim = self.embedding_dim.unwrap_or(shape.embedding_dim);
        shape.denoiser.dim = self.dim.unwrap_or(shape.denoiser.dim);
        shape.denoiser.layers = self.layers.unwrap_or(shape.denoiser.layers);
        shape.denoiser.heads = self.heads.unwrap_or(shape.denoiser.heads);
        shape.decode_log_snr = self.decode_log_snr.unwrap_or(shape.decode_log_snr);
        if let Some(steps) = self.sampling_steps {
            shape.steps = steps;
            shape.hold = (1..=shape.hold).rev().find(|hold| steps.is_multiple_of(*hold)).unwrap_or(1);
        }
        let (first, last) = shape.range();
        shape.warp = Warp::new(first, last, 48);
        shape.check()?;
        Ok(shape)
    }

    fn training(&self, length: usize) -> Result<PretrainConfig> {
        let base = PretrainConfig::default();
        let config = PretrainConfig {
            steps: self.steps.unwrap_or(base.steps),
            batch: self.batch.unwrap_or(base.batch),
            learning_rate: self.learning_rate.unwrap_or(base.learning_rate),
            weight_decay: self.weight_decay.unwrap_or(base.weight_decay),
            ema: self.ema.unwrap_or(base.ema),
            reverse_complement: !(self.one_strand || self.sites),
            shard: base.shard.min(shard_rows(length)),
        };
        config.check()?;
        Ok(config)
    }

    pub(super) fn input(&self) -> &str {
        &self.input
    }

    /// The share that is held out.
    fn share(&self) -> Result<f64> {
        within("hold-out", self.hold_out.unwrap_or(0.05), 0.0..=0.5)
    }

    /// The sequences that may be seen at all.
    fn kept(&self, records: &Records) -> Result<Vec<Sequence>> {
        if self.value_below.is_none() && self.value_above.is_none() {
            return Ok(records.sequences());
        }
        let (least, most) = (self.value_above.unwrap_or(f64::NEG_INFINITY), self.value_below.unwrap_or(f64::INFINITY));
        let rows = records.sequences().into_iter().zip(records.values()?);
        Ok(rows.filter(|(_, value)| (least..=most).contains(value)).map(|(sequence, _)| sequence).collect())
    }
}

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let input = args.input.clone();
    let args = context.settings(&["pretrain"], args)?;
    let out = required("pretrain", "out", args.out.clone())?;
    let every = within("checkpoint-every", args.checkpoint_every.unwrap_or(CHECKPOINT_EVERY), 1..=u64::MAX)?;
    let share = args.share()?;
    args.training(1)?;
    let records = args.reading.records(&input, context)?;
    let kept = args.kept(&records)?;
    let shape = args.shape(&records.alphabet, &kept)?;
    let training = args.training(shape.length)?;
    fits(&shape, &training, args.recompute, context)?;
    let recorded = Recorded {
        input: &input,
        value_above: args.value_above,
        value_below: args.value_below,
        hold_out: share,
        prior: &shape,
        training: &training,
    };
    let info = RunInfo::new("pretrain", context.seed_number, &recorded)?.with_version("data", digest(&kept));
    let folder = RunFolder::open(&out, &info)?;
    if folder.is_finished() {
        context.note(format!("`{}` is complete: these are its figures", out.display()));
        return context.emit(&Quality::read(&out)?);
    }
    let task =
        Task { shape, training, hold_out: share, every, recompute: args.recompute, origin: describe(&input, &args) };
    context.emit(&fit(&task, &kept, &records.alphabet, folder, &info, context)?)
}

/// Refuses a training that the memory of this machine has no room for.
fn fits(shape: &PriorConfig, training: &PretrainConfig, recompute: bool, context: &Context) -> Result<()> {
    if !context.device()?.is_cpu() {
        return Ok(());
    }
    let need = training.footprint(shape, context.threads, recompute);
    memory::check("pretrain", need, "use --recompute, fewer --threads, or a smaller --dim")
}

/// What is trained, and how.
struct Task {
    shape: PriorConfig,
    training: PretrainConfig,
    hold_out: f64,
    every: u64,
    recompute: bool,
    origin: String,
}

/// What the data was, for the card.
fn describe(input: &str, args: &Args) -> String {
    let least = args.value_above.map_or_else(String::new, |v| format!(", values at least {v}"));
    let most = args.value_below.map_or_else(String::new, |v| format!(", values at most {v}"));
    format!("`{input}`{least}{most}")
}

/// A prior with default settings from all sequences of a table, in `out`; nothing where it is complete.
///
/// Variants of one molecule have the frequencies of letters at their sites, and so have sets too small to learn more from; without
/// `steps` nothing is trained on top of them.
///
/// # Errors
/// When there are no sequences, a step fails, or Ctrl-C was pressed.
pub(super) fn train(records: &Records, out: &Path, steps: Option<u64>, context: &Context) -> Result<()> {
    let kept = records.sequences();
    some(&kept)?;
    let mut shape = PriorConfig::of_sequences(&records.alphabet, &kept, None)?;
    let base = PretrainConfig::default();
    shape.sites = variants_of(&kept, &records.alphabet).is_some() || (steps.is_none() && records.distinct() < FEW);
    if shape.sites && steps.is_none() {
        shape.denoiser.layers = 0;
    }
    let training = PretrainConfig {
        steps: steps.unwrap_or(base.steps),
        shard: base.shard.min(shard_rows(shape.length)),
        reverse_complement: base.reverse_complement && !shape.sites,
        ..base
    };
    fits(&shape, &training, false, context)?;
    let recorded = Recorded {
        input: "the table",
        value_above: None,
        value_below: None,
        hold_out: 0.05,
        prior: &shape,
        training: &training,
    };
    let info = RunInfo::new("pretrain", context.seed_number, &recorded)?.with_version("data", digest(&kept));
    let folder = RunFolder::open(out, &info)?;
    if !folder.is_finished() {
        let origin = "the table of a design job".to_owned();
        let task = Task { shape, training, hold_out: 0.05, every: CHECKPOINT_EVERY, recompute: false, origin };
        fit(&task, &kept, &records.alphabet, folder, &info, context)?;
    }
    Ok(())
}

fn digest(sequences: &[Sequence]) -> String {
    let differ = sequences.iter().any(|x| x.len() != sequences[0].len());
    // ends are told where they are not every so many letters
    let end = differ.then_some(u8::MAX);
    sha256(&sequences.iter().flat_map(|x| x.ids().iter().copied().chain(end)).collect::<Vec<u8>>())
}

fn fit(
    task: &Task,
    kept: &[Sequence],
    alphabet: &Alphabet,
    mut folder: RunFolder,
    info: &RunInfo,
    context: &Context,
) -> Result<Quality> {
    let out = folder.path().to_owned();
    let seed = context.seed();
    let (held, rest) = hold_out(kept, task.hold_out, alphabet, seed.child("hold-out"));
    let (pool, device) = (context.pool()?, context.device()?);
    let (shape, weights) = if task.shape.sites && task.shape.denoiser.layers == 0 {
        context.note("letters are counted at their sites; there is no network to train");
        (task.shape.clone(), site_weights(&task.shape, &rest)?)
    } else {
        let mut job =
            Pretraining::new(task.shape.clone(), task.training.clone(), &rest, seed.child("prior"), &pool, &device)?
                .recomputing(task.recompute);
        drive("pretrain", &mut job, &mut folder, task.every, context)?;
        (job.shape().clone(), job.weights())
    };
    let made = prior_folder(&shape, weights)?;
    let prior = prior_of(&made, &device)?;
    let quality =
        Quality::measure(&prior, &rest, &held, task.training.reverse_complement, seed.child("quality"), &pool)?;
    let card = quality.card(&task.origin, info, &shape, &task.training);
    let manifest = made.with_card(card).save(&out)?;
    folder.write(quality::FILE, &quality.json()?)?;
    let files: Vec<&str> = manifest.files.keys().map(String::as_str).chain(["manifest.json", quality::FILE]).collect();
    folder.finish(&files)?;
    Ok(quality)
}

/// Refuses an empty set.
fn some(sequences: &[Sequence]) -> Result<&Sequence> {
    sequences.first().ok_or_else(|| {
        Error::data("no sequences are left to train on").hint("check --value-below, --value-above and the input")
    })
}

pub(super) fn one_length(sequences: &[Sequence]) -> Result<usize> {
    let first = some(sequences)?;
    match sequences.iter().find(|x| x.len() != first.len()) {
        None => Ok(first.len()),
        Some(odd) => Err(Error::data(format!(
            "sequences have {} and {} letters; one length is accepted here",
            first.len(),
            odd.len()
        ))
        .hint("align or trim them to one length first")),
    }
}

/// Held-out sequences and the rest; a sequence and its other strand stay on the same side.
fn hold_out(all: &[Sequence], share: f64, alphabet: &Alphabet, seed: crate::Seed) -> (Vec<Sequence>, Vec<Sequence>) {
    let mut molecules = std::collections::BTreeMap::<Sequence, Vec<usize>>::new();
    for (index, sequence) in all.iter().enumerate() {
        let other = sequence.reverse_complement(alphabet).unwrap_or_else(|| sequence.clone());
        molecules.entry(sequence.clone().min(other)).or_default().push(index);
    }
    let mut groups: Vec<Vec<usize>> = molecules.into_values().collect();
    seed.rng().shuffle(&mut groups);
    let wanted = (share * all.len() as f64).round() as usize;
    let mut held = vec![false; all.len()];
    let mut count = 0;
    for group in groups {
        if count >= wanted || count + group.len() >= all.len() {
            break;
        }
        count += group.len();
        for index in group {
            held[index] = true;
        }
    }
    let side = |wanted: bool| {
        all.iter().zip(&held).filter(|(_, held)| **held == wanted).map(|(x, _)| x.clone()).collect::<Vec<_>>()
    };
    (side(true), side(false))
}
