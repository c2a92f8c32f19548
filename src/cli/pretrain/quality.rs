//! How good a prior is: figures on held-out sequences, and its card.

use crate::cli::printer::columns;
use crate::diffusion::{Elbo, PretrainConfig, Prior, PriorConfig, SampleConfig, elbo, sample};
use crate::error::{Error, Result};
use crate::eval::ngram::{CountModel, NgramModel, SiteModel};
use crate::eval::spectrum::Spectrum;
use crate::eval::{Metric, novelty::Novelty};
use crate::nn::Pool;
use crate::random::Seed;
use crate::sequence::Sequence;
use crate::store::RunInfo;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::path::Path;

pub(super) const FILE: &str = "quality.json";

/// What the card calls the bound on held-out sequences.
pub(super) const BOUND: &str = "held-out bound";

/// Held-out sequences that are scored, and sequences drawn, at most.
const MOST: usize = 4096;
/// Noise levels per sequence behind the bound.
const DRAWS: usize = 128;

/// The distance of 1-, 2- or 3-mer spectra.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct SpectrumFigures {
    pub(super) k: usize,
    pub(super) samples_to_held_out: f64,
    pub(super) train_to_held_out: f64,
}

/// What `quality.json` holds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Quality {
    pub(super) train_sequences: usize,
    held_out_sequences: usize,
    pub(super) elbo_nats_per_token: Option<f64>,
    pub(super) elbo_standard_error: Option<f64>,
    pub(super) site_nats_per_token: Option<f64>,
    pub(super) trigram_nats_per_token: Option<f64>,
    uniform_nats_per_token: f64,
    samples: usize,
    pub(super) unique_share: f64,
    pub(super) novel_share: f64,
    mean_distance_to_train: f64,
    pub(super) spectra: Vec<SpectrumFigures>,
}

impl Quality {
    pub(super) fn measure(
        prior: &Prior,
        train: &[Sequence],
        held: &[Sequence],
        seed: Seed,
        pool: &Pool,
    ) -> Result<Self> {
        let letters = prior.alphabet().len();
        let drawn = sample(prior, &SampleConfig::default(), MOST, seed.child("sample"), pool)?;
        let scored = scored(held);
        let bound = bound(prior, held, seed, pool)?;
        let site = SiteModel::fit(train, letters, 0.5)?;
        let trigram = NgramModel::fit(train, letters, 3, 0.5)?;
        let known: HashSet<&Sequence> = train.iter().collect();
        let unique: HashSet<&Sequence> = drawn.iter().collect();
        let novel = drawn.iter().filter(|x| !known.contains(x)).count();
        let near = Novelty::new(&drawn[..drawn.len().min(512)], train, Metric::Hamming);
        let spectra = (1..=3)
            .filter(|_| !scored.is_empty())
            .map(|k| {
                let held_out = Spectrum::new(scored, k);
                SpectrumFigures {
                    k,
                    samples_to_held_out: Spectrum::new(&drawn, k).total_variation(&held_out),
                    train_to_held_out: Spectrum::new(&part(train, scored.len()), k).total_variation(&held_out),
                }
            })
            .collect();
        Ok(Self {
            train_sequences: train.len(),
            held_out_sequences: held.len(),
            elbo_nats_per_token: bound.as_ref().map(|b| b.nats_per_token),
            elbo_standard_error: bound.as_ref().map(|b| b.standard_error),
            site_nats_per_token: site.nats_per_token(scored),
            trigram_nats_per_token: trigram.nats_per_token(scored),
            uniform_nats_per_token: (letters as f64).ln(),
            samples: drawn.len(),
            unique_share: unique.len() as f64 / drawn.len() as f64,
            novel_share: novel as f64 / drawn.len() as f64,
            mean_distance_to_train: near.map_or(f64::NAN, |near| near.mean),
            spectra,
        })
    }

    pub(super) fn json(&self) -> Result<Vec<u8>> {
        serde_json::to_vec_pretty(self).map_err(|error| Error::data("the figures cannot be written").because(error))
    }

    pub(super) fn read(folder: &Path) -> Result<Self> {
        let path = folder.join(FILE);
        Self::parse(&std::fs::read(&path).map_err(|error| Error::io("read", &path, error))?, &path)
    }

    /// Figures that were read from `path`.
    pub(super) fn parse(bytes: &[u8], path: &Path) -> Result<Self> {
        serde_json::from_slice(bytes).map_err(|error| Error::integrity("not quality figures").at(path).because(error))
    }

    pub(super) fn card(&self, origin: &str, info: &RunInfo, shape: &PriorConfig, training: &PretrainConfig) -> String {
        let mut card = format!("# A diffusion prior over {} letters of {}\n\n", shape.length, shape.alphabet);
        let _ = writeln!(card, "Trained on {origin} by `seqtilt pretrain`, seed {}.\n", info.seed);
        let _ = writeln!(card, "```text\n{}\n```\n", crate::cli::printer::command_line());
        for (what, version) in &info.versions {
            let _ = writeln!(card, "- {what}: `{version}`");
        }
        let _ = writeln!(
            card,
            "- steps {}, batch {}, peak learning rate {}, averaging {}",
            training.steps, training.batch, training.learning_rate, training.ema
        );
        let _ = writeln!(card, "\n## Figures\n\n```text\n{self}```\n");
        let _ = writeln!(
            card,
            "## Limits\n\nIt knows the sequences it was trained on and nothing of their function; the bound \
            is a lower bound on the likelihood, and samples are read off by the most probable letter.\n"
        );
        card
    }
}

/// The held-out sequences that figures are measured on.
fn scored(held: &[Sequence]) -> &[Sequence] {
    &held[..held.len().min(MOST)]
}

/// The bound on held-out sequences, where there are any; `seed` is that of all figures.
pub(super) fn bound(prior: &Prior, held: &[Sequence], seed: Seed, pool: &Pool) -> Result<Option<Elbo>> {
    let scored = scored(held);
    if scored.is_empty() { Ok(None) } else { elbo(prior, scored, DRAWS, seed.child("elbo"), pool).map(Some) }
}

/// Every n-th of a set, so that about `count` are left.
fn part(set: &[Sequence], count: usize) -> Vec<Sequence> {
    let step = (set.len() / count.max(1)).max(1);
    set.iter().step_by(step).take(count).cloned().collect()
}

impl Quality {
    /// The figures by name.
    pub(super) fn rows(&self) -> Vec<[String; 2]> {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
        let mut rows = vec![
            [
                "trained on".to_owned(),
                format!("{} sequences, {} held out", self.train_sequences, self.held_out_sequences),
            ],
            [
                BOUND.to_owned(),
                format!("{} ± {} nats per token", number(self.elbo_nats_per_token), number(self.elbo_standard_error)),
            ],
            ["site frequencies".to_owned(), format!("{} nats per token", number(self.site_nats_per_token))],
            ["3-gram".to_owned(), format!("{} nats per token", number(self.trigram_nats_per_token))],
            ["uniform".to_owned(), format!("{:.4} nats per token", self.uniform_nats_per_token)],
            [
                "samples".to_owned(),
                format!(
                    "{}: {:.1} % unique, {:.1} % not in the training set, {:.2} letters from it on average",
                    self.samples,
                    100.0 * self.unique_share,
                    100.0 * self.novel_share,
                    self.mean_distance_to_train
                ),
            ],
        ];
        for s in &self.spectra {
            rows.push([
                format!("{}-mer distance", s.k),
                format!(
                    "samples to held-out {:.4}, training to held-out {:.4} (total variation)",
                    s.samples_to_held_out, s.train_to_held_out
                ),
            ]);
        }
        rows
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&columns(&self.rows(), ""))
    }
}
