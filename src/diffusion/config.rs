//! What a prior is made of and how it is trained.

use super::{Embedding, Grid, ScheduleKind, SolverKind, Warp};
use crate::error::{Error, Result};
use crate::sequence::{Alphabet, Constraint, Sequence};
use serde::{Deserialize, Serialize};

/// Sizes of the transformer denoiser.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct DenoiserConfig {
    /// Width of a token's features.
    pub dim: usize,
    /// Transformer blocks; 0 is no network at all: letters are independent and uniform ([`PriorConfig::uniform`]).
    pub layers: usize,
    /// Attention heads; divides `dim`.
    pub heads: usize,
}

impl Default for DenoiserConfig {
    fn default() -> Self {
        Self { dim: 64, layers: 2, heads: 4 }
    }
}

/// A prior's shape: everything needed to rebuild it around its weights, stored as `config.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct PriorConfig {
    /// Name of the alphabet.
    pub alphabet: String,
    /// Its letters in token order.
    pub letters: String,
    /// Number of positions, L: the length of sequences, or of the longest where the letters end in padding.
    pub length: usize,
    /// Length of the shortest sequence, where the letters end in padding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shortest: Option<usize>,
    /// Kind of embedding table.
    pub embedding: Embedding,
    /// Embedding width, D.
    pub embedding_dim: usize,
    /// Noise schedule.
    pub schedule: ScheduleKind,
    /// Log signal-to-noise ratio at which sampling ends and letters are read off.
    pub decode_log_snr: f64,
    /// Denoiser sizes.
    pub denoiser: DenoiserConfig,
    /// Whether the denoiser adds to the log frequencies of letters at their sites instead of to uniform letters: for variants of
    /// one molecule.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sites: bool,
    /// Rules that every decoded sequence keeps.
    #[serde(default, skip_serializing_if = "Constraint::is_empty")]
    pub constraint: Constraint,
    /// Log signal-to-noise ratio of a sampler's first node, where its state is pure noise: below it nothing is decided.
    pub start_log_snr: f64,
    /// Default number of sampling steps, K.
    pub steps: usize,
    /// Default number of steps between two calls of the denoiser.
    pub hold: usize,
    /// Default spread of the steps.
    pub grid: Grid,
    /// Default solver.
    pub solver: SolverKind,
    /// Measured profile of the denoising cross-entropy.
    pub warp: Warp,
}

/// Log signal-to-noise ratio at which letters are read off by default.
pub(super) const DECODE_LOG_SNR: f64 = 1.25;

/// Log signal-to-noise ratio at which sampling starts by default.
pub(super) const START_LOG_SNR: f64 = -5.0;

impl PriorConfig {
    /// The default shape for an alphabet and a length.
    #[must_use]
    pub fn new(alphabet: &Alphabet, length: usize) -> Self {
        let schedule = ScheduleKind::default();
        Self {
            alphabet: alphabet.name().to_owned(),
            letters: String::from_utf8_lossy(alphabet.letters()).into_owned(),
            length,
            shortest: None,
            embedding: Embedding::Learned,
            // five points are as far apart in four dimensions as four are in three
            embedding_dim: if alphabet.plain().len() <= 4 { 4 } else { 16 },
            schedule,
            decode_log_snr: DECODE_LOG_SNR,
            denoiser: DenoiserConfig::default(),
            sites: false,
            constraint: Constraint::default(),
            start_log_snr: START_LOG_SNR,
            steps: 64,
            hold: 4,
            grid: Grid::default(),
            solver: SolverKind::default(),
            warp: Warp::new(schedule.get().log_snr(1.0), DECODE_LOG_SNR, 48),
        }
    }

    /// The alphabet.
    ///
    /// # Errors
    /// When the letters are not accepted.
    pub fn alphabet(&self) -> Result<Alphabet> {
        Alphabet::stored(&self.alphabet, &self.letters)
    }

    /// The default shape for sequences of some letters: padded up to the longest, or to `length` where that is more, where they
    /// differ in length or are to.
    ///
    /// ```
    /// use seqtilt::diffusion::PriorConfig;
    /// use seqtilt::sequence::{Alphabet, Sequence};
    /// let dna = Alphabet::dna();
    /// let words = ["ACG", "AC"].map(|text| Sequence::parse(text, &dna));
    /// let words: Vec<Sequence> = words.into_iter().collect::<Result<_, _>>()?;
    /// let shape = PriorConfig::of_sequences(&dna, &words, None)?;
    /// assert_eq!((&*shape.letters, shape.length, shape.shortest), ("ACGT_", 3, Some(2)));
    /// assert_eq!(PriorConfig::of_sequences(&dna, &words[..1], None)?, PriorConfig::new(&dna, 3));
    /// # Ok::<(), seqtilt::Error>(())
    /// ```
    ///
    /// # Errors
    /// When there are no sequences, one is longer than `length`, or the alphabet has no room for padding.
    pub fn of_sequences(alphabet: &Alphabet, sequences: &[Sequence], length: Option<usize>) -> Result<Self> {
        let lengths = || sequences.iter().map(Sequence::len);
        let Some((least, most)) = lengths().min().zip(lengths().max()) else {
            return Err(Error::data("no sequences; at least one is needed"));
        };
        let longest = length.unwrap_or(most);
        if longest < most {
            return Err(Error::usage(format!("`length` is {longest}; the longest sequence has {most} letters")));
        }
        if least == longest {
            return Ok(Self::new(alphabet, longest));
        }
        Ok(Self { shortest: Some(least), ..Self::new(&alphabet.padded()?, longest) })
    }

    /// Whether sequences differ in length.
    #[must_use]
    pub fn is_padded(&self) -> bool {
        self.alphabet().is_ok_and(|alphabet| alphabet.padding().is_some())
    }

    /// The least and the greatest length of its sequences.
    #[must_use]
    pub fn lengths(&self) -> (usize, usize) {
        (if self.is_padded() { self.shortest.unwrap_or(1) } else { self.length }, self.length)
    }

    /// Whether a sequence has a length that this prior writes.
    ///
    /// # Errors
    /// When it has not.
    pub fn check_length(&self, sequence: &Sequence) -> Result<()> {
        let (least, most) = self.lengths();
        if (least..=most).contains(&sequence.len()) {
            return Ok(());
        }
        let wanted = if least < most { format!("{least} to {most}") } else { most.to_string() };
        Err(Error::data(format!("a sequence has {} letters where the prior takes {wanted}", sequence.len())))
    }

    /// The rules that decoded sequences keep: those of its constraint, and that none is shorter than the shortest.
    #[must_use]
    pub fn rules(&self) -> Constraint {
        let constraint = self.constraint.clone();
        Constraint { min_length: constraint.min_length.max(self.shortest), ..constraint }
    }

    /// Log signal-to-noise ratios at the noise end and at the decode.
    #[must_use]
    pub fn range(&self) -> (f64, f64) {
        (self.schedule.get().log_snr(1.0), self.decode_log_snr)
    }

    /// Log signal-to-noise ratios between which a sampler walks.
    #[must_use]
    pub fn walk(&self) -> (f64, f64) {
        (self.start_log_snr, self.decode_log_snr)
    }

    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        let d = &self.denoiser;
        for (name, value, first, last) in [
            ("length", self.length, 1, 4096),
            ("embedding-dim", self.embedding_dim, 1, 512),
            ("denoiser.dim", d.dim, 1, 4096),
            ("denoiser.layers", d.layers, 0, 64),
            ("denoiser.heads", d.heads, 1, 64),
            ("steps", self.steps, 1, 100_000),
        ] {
            if value < first || value > last {
                return Err(Error::usage(format!("`{name}` is {value}; {first} to {last} is accepted")));
            }
        }
        if let Some(shortest) = self.shortest.filter(|least| !self.is_padded() || !(1..=self.length).contains(least)) {
            let message =
                format!("`shortest` is {shortest}; 1 to {} is accepted, with padding as the last letter", self.length);
            return Err(Error::usage(message));
        }
        if d.layers == 0 && !self.sites && self.embedding != Embedding::Simplex {
            let message =
                "`denoiser.layers` is 0, which is independent uniform letters, whose `embedding` is `simplex`";
            return Err(
                Error::usage(message).hint("name such a prior `uniform:ALPHABET:LENGTH`, or use 1 layer or more")
            );
        }
        if !d.dim.is_multiple_of(d.heads) {
            return Err(Error::usage(format!(
                "`denoiser.dim` {} is not a multiple of `denoiser.heads` {}",
                d.dim, d.heads
            )));
        }
        let (first, last) = self.range();
        if !(first < last && last <= self.schedule.get().log_snr(0.0)) {
            return Err(Error::usage(format!(
                "`decode-log-snr` is {last}; it must lie between the schedule's ends, {first:.2} and {:.2}",
                self.schedule.get().log_snr(0.0)
            )));
        }
        let warp = self.warp.range();
        if !(warp.0 <= first + 1e-6 && warp.1 >= last - 1e-6) {
            return Err(Error::usage(format!(
                "`warp` covers {:.2} to {:.2}; the walk goes from {first:.2} to {last:.2}",
                warp.0, warp.1
            )));
        }
        if !(first..last).contains(&self.start_log_snr) {
            let got = self.start_log_snr;
            return Err(Error::usage(format!("`start-log-snr` is {got}; {first:.2} to below {last:.2} is accepted")));
        }
        if self.hold == 0 || !self.steps.is_multiple_of(self.hold) {
            return Err(Error::usage(format!(
                "`hold` is {}; a divisor of `steps` {} is accepted",
                self.hold, self.steps
            )));
        }
        Ok(())
    }
}

/// How a prior is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct PretrainConfig {
    /// Optimiser steps.
    pub steps: u64,
    /// Sequences a step.
    pub batch: usize,
    /// Sequences a shard; the result depends on it, the number of threads does not matter.
    pub shard: usize,
    /// Peak learning rate; warms up over the first 2 % and falls to 1 % along a cosine.
    pub learning_rate: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Decay of the averaged weights that are kept.
    pub ema: f64,
    /// Show the other strand with probability one half (DNA and RNA).
    pub reverse_complement: bool,
}

impl Default for PretrainConfig {
    fn default() -> Self {
        Self {
            steps: 4000,
            batch: 256,
            shard: 64,
            learning_rate: 2e-3,
            weight_decay: 0.01,
            ema: 0.998,
            reverse_complement: true,
        }
    }
}

impl PretrainConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        for (name, value, last) in [
            ("steps", self.steps, 100_000_000),
            ("batch", self.batch as u64, 1 << 20),
            ("shard", self.shard as u64, 1 << 20),
        ] {
            if value == 0 || value > last {
                return Err(Error::usage(format!("`{name}` is {value}; 1 to {last} is accepted")));
            }
        }
        if !(self.learning_rate > 0.0 && self.learning_rate <= 1.0) {
            return Err(Error::usage(format!("`learning-rate` is {}; above 0 to 1 is accepted", self.learning_rate)));
        }
        if !(0.0..1.0).contains(&self.ema) {
            return Err(Error::usage(format!("`ema` is {}; 0 to below 1 is accepted", self.ema)));
        }
        if !(0.0..=1.0).contains(&self.weight_decay) {
            return Err(Error::usage(format!("`weight-decay` is {}; 0 to 1 is accepted", self.weight_decay)));
        }
        Ok(())
    }
}
