//! How good a prior is: figures on held-out sequences, and its card.

use crate::cli::printer::columns;
use crate::diffusion::{Elbo, PretrainConfig, Prior, PriorConfig, SampleConfig, elbo, sample};
use crate::error::{Error, Result};
use crate::eval::changes::Changes;
use crate::eval::ngram::{CountModel, NgramModel, SiteModel};
use crate::eval::spectrum::Spectrum;
use crate::eval::{Metric, novelty::Novelty};
use crate::nn::Pool;
use crate::random::Seed;
use crate::sequence::{Alphabet, Sequence, variants_of};
use crate::store::RunInfo;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt::{self, Write as _};
use std::path::Path;

pub(super) const FILE: &str = "quality.json";

/// What the card calls the bound on held-out sequences.
pub(super) const BOUND: &str = "held-out bound";

/// Held-out sequences that are scored, and sequences drawn, at most; of long sequences fewer, down to [`LEAST`].
const MOST: usize = 4096;
const LEAST: usize = 512;
/// Letters that are scored, and drawn, at most.
const LETTERS: usize = 1 << 18;
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
    /// The same two fitted on both strands, where the prior was shown strands that the data do not have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    both_strands: Option<[f64; 2]>,
    uniform_nats_per_token: f64,
    samples: usize,
    pub(super) unique_share: f64,
    pub(super) novel_share: f64,
    mean_distance_to_train: f64,
    /// Changes from the consensus of the training set: samples against held-out sequences, where the set is one of variants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changes: Option<Changes>,
    pub(super) spectra: Vec<SpectrumFigures>,
    /// Lengths of samples against those of held-out sequences, where they differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) lengths: Option<Lengths>,
}

/// How lengths of two sets compare.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Lengths {
    samples_mean: f64,
    held_out_mean: f64,
    /// Total variation between the two distributions of lengths.
    total_variation: f64,
}

impl Lengths {
    fn between(samples: &[Sequence], held: &[Sequence], longest: usize) -> Option<Self> {
        let shares = |set: &[Sequence]| {
            let mut shares = vec![0.0; longest + 1];
            for x in set {
                shares[x.len().min(longest)] += 1.0 / set.len() as f64;
            }
            shares
        };
        if samples.is_empty() || held.is_empty() {
            return None;
        }
        let (p, q) = (shares(samples), shares(held));
        let mean = |shares: &[f64]| shares.iter().enumerate().map(|(length, share)| length as f64 * share).sum();
        let total_variation = 0.5 * p.iter().zip(&q).map(|(p, q)| (p - q).abs()).sum::<f64>();
        Some(Self { samples_mean: mean(&p), held_out_mean: mean(&q), total_variation })
    }
}

impl Quality {
    pub(super) fn measure(
        prior: &Prior,
        train: &[Sequence],
        held: &[Sequence],
        other_strand: bool,
        seed: Seed,
        pool: &Pool,
    ) -> Result<Self> {
        let drawn = sample(prior, &SampleConfig::default(), most(prior.config().length), seed.child("sample"), pool)?;
        let scored = scored(held);
        let bound = bound(prior, held, seed, pool)?;
        let known: HashSet<&Sequence> = train.iter().collect();
        let unique: HashSet<&Sequence> = drawn.iter().collect();
        let both_strands = if other_strand { both_strands(prior, train, scored)? } else { None };
        let novel = drawn.iter().filter(|x| !known.contains(x)).count();
        let padded = prior.alphabet().padding().is_some();
        let (metric, count) = if padded { (Metric::Edit, 128) } else { (Metric::Hamming, 512) };
        let near = Novelty::new(&drawn[..drawn.len().min(count)], train, metric);
        let counted = count_models(prior, train, scored)?;
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
            site_nats_per_token: counted.map(|[site, _]| site),
            trigram_nats_per_token: counted.map(|[_, trigram]| trigram),
            both_strands,
            uniform_nats_per_token: uniform(prior, scored),
            samples: drawn.len(),
            unique_share: unique.len() as f64 / drawn.len() as f64,
            novel_share: novel as f64 / drawn.len() as f64,
            mean_distance_to_train: near.map_or(f64::NAN, |near| near.mean),
            changes: variants_of(train, prior.alphabet()).and_then(|origin| Changes::between(&drawn, held, &origin)),
            spectra,
            lengths: padded.then(|| Lengths::between(&drawn, scored, prior.config().length)).flatten(),
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
        let mut card = format!("# A diffusion prior over {} letters of {}\n\n", lengths(shape), shape.alphabet);
        let _ = writeln!(card, "Trained on {origin} by `seqtilt pretrain`, seed {}.\n", info.seed);
        let _ = writeln!(card, "```text\n{}\n```\n", crate::cli::printer::command_line());
        for (what, version) in &info.versions {
            let _ = writeln!(card, "- {what}: `{version}`");
        }
        let _ = writeln!(
            card,
            "- steps {}, batch {}, peak learning rate {}, weight decay {}, averaging {}",
            training.steps, training.batch, training.learning_rate, training.weight_decay, training.ema
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

/// The lengths of a prior's sequences.
fn lengths(shape: &PriorConfig) -> String {
    match shape.lengths() {
        (least, most) if least < most => format!("{least} to {most}"),
        (_, most) => most.to_string(),
    }
}

/// The held-out sequences that figures are measured on.
fn scored(held: &[Sequence]) -> &[Sequence] {
    &held[..held.len().min(held.first().map_or(0, |x| most(x.len())))]
}

/// How many sequences of a length are scored or drawn.
fn most(length: usize) -> usize {
    (LETTERS / length.max(1)).clamp(LEAST, MOST)
}

/// The bound on held-out sequences, where there are any; `seed` is that of all figures.
pub(super) fn bound(prior: &Prior, held: &[Sequence], seed: Seed, pool: &Pool) -> Result<Option<Elbo>> {
    let scored = scored(held);
    if scored.is_empty() { Ok(None) } else { elbo(prior, scored, DRAWS, seed.child("elbo"), pool).map(Some) }
}

/// Site frequencies and 3-grams of both strands, in nats per token; `None` where the data have both.
fn both_strands(prior: &Prior, train: &[Sequence], scored: &[Sequence]) -> Result<Option<[f64; 2]>> {
    let alphabet: &Alphabet = prior.alphabet();
    let known: HashSet<&Sequence> = train.iter().collect();
    let others: Vec<Sequence> = train.iter().filter_map(|x| x.reverse_complement(alphabet)).collect();
    if others.iter().all(|x| known.contains(x)) {
        return Ok(None);
    }
    count_models(prior, &[train, &others].concat(), scored)
}

/// Site frequencies and 3-grams in nats per letter, with what they pay for lengths where those differ: padding is a letter of sites,
/// and one more letter ends a sequence of 3-grams that is not the longest.
fn count_models(prior: &Prior, train: &[Sequence], scored: &[Sequence]) -> Result<Option<[f64; 2]>> {
    let (alphabet, length) = (prior.alphabet(), prior.config().length);
    let letters: usize = scored.iter().map(Sequence::len).sum();
    if letters == 0 {
        return Ok(None);
    }
    let padded = |x: &Sequence| x.padded(alphabet, length);
    let ended = |x: &Sequence| x.padded(alphabet, length.min(x.len() + 1));
    let rows = |set: &[Sequence], row: &dyn Fn(&Sequence) -> Vec<u8>| set.iter().map(row).collect::<Vec<Vec<u8>>>();
    let price = |model: &dyn CountModel, row: &dyn Fn(&Sequence) -> Vec<u8>| {
        rows(scored, row).iter().map(|ids| model.nats_of(ids)).sum::<f64>() / letters as f64
    };
    let (sites, chains) = (rows(train, &padded), rows(train, &ended));
    let [sites, chains] = [&sites, &chains].map(|rows| rows.iter().map(Vec::as_slice).collect::<Vec<&[u8]>>());
    let site = SiteModel::fit_ids(&sites, alphabet.len(), 0.5)?;
    let trigram = NgramModel::fit_ids(&chains, alphabet.len(), 3, 0.5)?;
    Ok(Some([price(&site, &padded), price(&trigram, &ended)]))
}

/// Nats per letter of uniform letters, and uniform lengths from the shortest to the longest where they differ.
fn uniform(prior: &Prior, scored: &[Sequence]) -> f64 {
    let (least, most) = prior.config().lengths();
    let letter = (prior.alphabet().plain().len() as f64).ln();
    let letters: usize = scored.iter().map(Sequence::len).sum();
    let ends = scored.len() as f64 * ((most - least + 1) as f64).ln();
    if least == most || letters == 0 { letter } else { letter + ends / letters as f64 }
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
        let both = self.both_strands.map_or_else(String::new, |[site, trigram]| {
            format!("{site:.4} by site frequencies, {trigram:.4} by 3-gram, both shown the other strand too")
        });
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
            ["both strands".to_owned(), both],
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
        if let Some(changes) = &self.changes {
            let Changes { mean, other_mean, total_variation } = changes;
            let text = format!(
                "{mean:.2} letters from the consensus, held-out {other_mean:.2} (total variation {total_variation:.3})"
            );
            rows.push(["changes".to_owned(), text]);
        }
        if let Some(Lengths { samples_mean, held_out_mean, total_variation }) = &self.lengths {
            let text = format!(
                "samples {samples_mean:.2}, held-out {held_out_mean:.2} (total variation {total_variation:.3})"
            );
            rows.push(["length".to_owned(), text]);
        }
        rows.retain(|[_, value]| !value.is_empty());
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
