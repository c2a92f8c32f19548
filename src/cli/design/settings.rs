//! Arguments of `design`, and what they amount to.

use super::model::{check_name, measured};
use crate::cli::asking::Asking;
use crate::cli::check::{required, within};
use crate::cli::constraining::Constraining;
use crate::cli::finetune::Tuning;
use crate::cli::input::Reading;
use crate::error::{Error, Result};
use crate::eval::Metric;
use crate::reward::Standardisation;
use crate::sequence::{Constraint, Numbering, Records, Sequence, variants_of};
use crate::store::embedded::MODELS;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  seqtilt design variants.csv --out designs
                                    everything from one table: prior, reward, judge, fine-tune, 96 designs
  seqtilt design variants.csv --out designs --count 384 --min-distance 3
  seqtilt design --prior tfbind8-prior --reward model:tfbind8-reward --judge model:tfbind8-fit --out designs
                                    from models that exist; no table is needed
  seqtilt design variants.csv --prior prior --out designs
                                    a prior of your own, the reward from the table
  seqtilt design gfp --out designs --max-mutations 8 --fixed 65-67
                                    the data set's own models, within 8 substitutions of the wild type

Designs are drawn from the tuned sampler, made unique, scored by the reward and by a judge that it never saw, and the best
by `mean - caution * sd` are kept at least --min-distance letters apart. The same command goes on after an interruption.";

/// Letters that a design may always be from a measured sequence: one alone leaves nothing to recombine.
const LEAST_TRUST: usize = 2;

/// Sequences whose nearest is looked for.
const REACH: usize = 500;

/// Price of a nat in the demonstration, about a quarter of the standard deviation of the reward's training values.
const DEMO_ALPHA: f64 = 0.02;

/// Go from a table of measured variants to a list of designs, end to end
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(in crate::cli) struct Args {
    /// Table of measured variants: CSV, TSV, or the name of a data set, whose built-in prior, reward and judge are used where
    /// there are all three
    #[serde(skip)]
    pub(super) input: Option<String>,
    /// Folder of the results
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Prior to use instead of training one: a folder, or a built-in one by name
    #[arg(long, value_name = "NAME|FOLDER")]
    prior: Option<String>,
    /// Reward to use instead of training one, as KIND:ARGUMENT
    #[arg(long, value_name = "ORACLE")]
    reward: Option<String>,
    /// Independent judge, as KIND:ARGUMENT [default: the next best family of models on the same table, or an ensemble of another
    /// architecture where networks are the reward]
    #[arg(long, value_name = "ORACLE")]
    judge: Option<String>,
    /// Oracle whose values are printed beside the designs as measured, where it knows them
    #[arg(long, value_name = "ORACLE")]
    truth: Option<String>,
    /// Designs to keep [default: 96]
    #[arg(long, value_name = "N")]
    count: Option<usize>,
    /// Sequences drawn from the tuned sampler [default: 4000]
    #[arg(long, value_name = "N")]
    samples: Option<usize>,
    /// Least letters between two designs; relaxed, and said so, where it cannot be met [default: 2]
    #[arg(long, value_name = "N")]
    min_distance: Option<usize>,
    /// Standard deviations taken off a design's score, and off what is climbed where the reward is fitted to a table of up to 2000
    /// measured sequences [default: 1]
    #[arg(long, value_name = "K", allow_negative_numbers = true)]
    caution: Option<f64>,
    /// Keep designs that the table already holds
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    allow_known: bool,
    /// Most letters between a design and the nearest measured sequence [default: what nine of ten measured sequences have to
    /// their own nearest, at least 2, where the reward is fitted to the table; else no limit]
    #[arg(long, value_name = "N")]
    trust: Option<usize>,
    /// What the reward is, where it is fitted to the table: a family of `seqtilt list table-models`, or auto, by
    /// cross-validation up to 2000 measured sequences and networks beyond [default: auto]
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// A further value that is to be high, as NAME=KIND:ARGUMENT, again for each: designs are picked by layers of trade-offs with the
    /// reward, the Pareto front first. The tilt is towards the reward alone: `--reward expr:…` combines values there
    #[arg(long, value_name = "NAME=ORACLE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    goal: Vec<String>,
    /// A bound that designs keep, again for each: NAME>=BOUND or NAME<=BOUND of the reward or a goal by name, and @P for the
    /// probability that it holds, by mean and standard deviation [default of P: 0.5]
    #[arg(long, value_name = "BOUND")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    require: Vec<String>,
    /// Go on where no model ranks held-out sequences better than chance: designs are guesses then
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unsupported: bool,
    /// Optimiser steps of the prior, where one is trained [default: 4000; none for variants of one molecule and for fewer than
    /// 1000 sequences, whose prior counts letters at their sites]
    #[arg(long, value_name = "N")]
    prior_steps: Option<u64>,
    /// Passes over the table for reward and judge, which are networks then, whatever they rank [default: 20]
    #[arg(long, value_name = "N")]
    reward_epochs: Option<u64>,
    #[command(flatten)]
    asking: Asking,
    #[command(flatten)]
    tuning: Tuning,
    #[command(flatten)]
    constraining: Constraining,
    #[command(flatten)]
    reading: Reading,
}

/// Everything that decides a design job's result.
#[derive(Clone, Debug, Default, Serialize)]
pub(in crate::cli) struct Plan {
    pub(in crate::cli) input: Option<String>,
    pub(in crate::cli) prior: Option<String>,
    pub(in crate::cli) reward: Option<String>,
    pub(in crate::cli) judge: Option<String>,
    pub(in crate::cli) truth: Option<String>,
    #[serde(skip)]
    pub(in crate::cli) asking: Asking,
    pub(in crate::cli) count: usize,
    pub(in crate::cli) samples: usize,
    pub(in crate::cli) min_distance: usize,
    pub(in crate::cli) caution: f64,
    pub(in crate::cli) allow_known: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::cli) goal: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(in crate::cli) require: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) trust: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) model: Option<String>,
    /// Whether to go on changes nothing of what is done.
    #[serde(skip)]
    pub(in crate::cli) unsupported: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) prior_steps: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::cli) reward_epochs: Option<u64>,
    pub(in crate::cli) tuning: Tuning,
    #[serde(skip_serializing_if = "is_default")]
    pub(in crate::cli) constraining: Constraining,
    pub(in crate::cli) reading: Reading,
}

fn is_default(constraining: &Constraining) -> bool {
    *constraining == Constraining::default()
}

impl Plan {
    /// What depends on the table, where it was not given and the reward is fitted to it: the price, a quarter of the standard
    /// deviation of the values, and how far designs may be from measured sequences.
    ///
    /// # Errors
    /// When the table has no values.
    pub(super) fn settle(&mut self, records: &Records) -> Result<()> {
        if self.reward.is_some() {
            return Ok(());
        }
        let measured = measured(records)?;
        let sd = Standardisation::of(measured.values()).scale;
        self.tuning.price(two_digits(sd / 4.0));
        self.trust = self.trust.or_else(|| Some(reach(measured.sequences()).max(LEAST_TRUST)));
        Ok(())
    }

    /// The rules that designs keep; mutations are counted from the table's wild type, unless a file gives another.
    ///
    /// # Errors
    /// When a file cannot be read or a flag is no rule.
    pub(super) fn rules(&self, records: Option<&Records>) -> Result<Constraint> {
        let given = self.reading.options()?.wild_type;
        self.constraining.rules(given, table_wild_type(records), self.reading.first_position)
    }

    /// What designs' mutations are counted from, and the number of its first letter: that of the rules, else of flag or table.
    ///
    /// # Errors
    /// As [`rules`](Self::rules).
    pub(super) fn origin(&self, records: Option<&Records>) -> Result<Option<(String, Numbering)>> {
        let rules = self.rules(records)?;
        let known = self.reading.options()?.wild_type.or_else(|| table_wild_type(records));
        let first = rules.first_position.or(self.reading.first_position).unwrap_or(1);
        Ok(rules.wild_type.or(known).map(|letters| (letters, Numbering { first })))
    }

    /// The built-in prior of the data set that was named, where that is used.
    pub(super) fn named_set(&self) -> Option<&str> {
        let [prior, ..] = built_in(self.input.as_deref()?)?;
        self.prior.as_deref().filter(|used| *used == prior)
    }

    /// The demonstration on TFBind8, with the models inside the program.
    pub(in crate::cli) fn demo(truth: Option<&str>) -> Self {
        Self {
            prior: Some("tfbind8-prior".to_owned()),
            reward: Some("model:tfbind8-reward".to_owned()),
            judge: Some("model:tfbind8-fit".to_owned()),
            truth: truth.map(str::to_owned),
            count: 96,
            samples: 4000,
            min_distance: 2,
            caution: 1.0,
            tuning: Tuning::quick(DEMO_ALPHA),
            ..Self::default()
        }
    }
}

/// The distance that nine of ten distinct sequences are from their nearest other one, by at most [`REACH`] of them.
fn reach(sequences: &[Sequence]) -> usize {
    if sequences.len() < 2 {
        return 0;
    }
    let step = sequences.len().div_ceil(REACH);
    let one_length = sequences.iter().all(|x| x.len() == sequences[0].len());
    let metric = if one_length { Metric::Hamming } else { Metric::Edit };
    // what is farther than the nearest so far is not measured out
    let nearer = |x: &Sequence, best: usize, y: &Sequence| {
        if x == y { best } else { metric.within(x, y, best.saturating_sub(1)).unwrap_or(best) }
    };
    let nearest = |x: &Sequence| sequences.iter().fold(x.len() + 1, |best, y| nearer(x, best, y));
    let mut all: Vec<usize> = sequences.iter().step_by(step).map(nearest).collect();
    all.sort_unstable();
    all.get((all.len() * 9).div_ceil(10).saturating_sub(1)).copied().unwrap_or(0)
}

/// Letters that leave something to design.
///
/// # Errors
/// When there are none and what is known is left out.
fn trust(letters: Option<usize>, allow_known: bool) -> Result<Option<usize>> {
    if letters == Some(0) && !allow_known {
        return Err(Error::usage("`trust` is 0, which only measured sequences are; 1 or more is accepted")
            .hint("--allow-known keeps measured sequences"));
    }
    Ok(letters)
}

/// A positive number to two digits.
fn two_digits(number: f64) -> f64 {
    format!("{number:.1e}").parse().unwrap_or(number)
}

/// The wild type that a table was read with, or the consensus of its sequences where they are variants of one molecule.
fn table_wild_type(records: Option<&Records>) -> Option<String> {
    let records = records?;
    let consensus = || variants_of(&records.sequences(), &records.alphabet);
    Some(records.report.wild_type.clone().or_else(consensus)?.text(&records.alphabet))
}

/// Prior, reward and judge inside the program that were trained on a named data set, where there are all three.
fn built_in(set: &str) -> Option<[String; 3]> {
    let model = |part: &str| {
        let name = format!("{set}-{part}");
        MODELS.iter().any(|model| model.name == name).then_some(name)
    };
    Some([model("prior")?, format!("model:{}", model("reward")?), format!("model:{}", model("judge")?)])
}

impl Args {
    /// The folder of the results.
    ///
    /// # Errors
    /// When none was named.
    pub(super) fn out(&self) -> Result<PathBuf> {
        required("design", "out", self.out.clone())
    }

    /// Defaults filled in and checked.
    ///
    /// # Errors
    /// When a value is out of range or parts are missing.
    pub(super) fn plan(mut self, input: Option<String>) -> Result<Plan> {
        let trains = self.prior_steps.is_some() || self.reward_epochs.is_some();
        let named = self.prior.is_some() || self.reward.is_some() || self.judge.is_some();
        if let Some(set) = input.as_deref().filter(|_| !named && !trains)
            && let Some([prior, reward, judge]) = built_in(set)
        {
            (self.prior, self.reward, self.judge) = (Some(prior), Some(reward), Some(judge));
        }
        if input.is_none() && (self.prior.is_none() || self.reward.is_none() || self.judge.is_none()) {
            return Err(Error::usage("`design` needs a table, or all of `--prior`, `--reward` and `--judge`")
                .hint("for example: seqtilt design variants.csv --out designs"));
        }
        check_name(self.model.as_deref().unwrap_or("auto"), self.reward_epochs.is_some())?;
        Ok(Plan {
            input,
            prior: self.prior,
            reward: self.reward,
            judge: self.judge,
            truth: self.truth,
            asking: self.asking,
            count: within("count", self.count.unwrap_or(96), 1..=100_000)?,
            samples: within("samples", self.samples.unwrap_or(4000), 1..=10_000_000)?,
            min_distance: within("min-distance", self.min_distance.unwrap_or(2), 0..=10_000)?,
            caution: within("caution", self.caution.unwrap_or(1.0), -100.0..=100.0)?,
            allow_known: self.allow_known,
            goal: self.goal,
            require: self.require,
            trust: trust(self.trust, self.allow_known)?,
            model: self.model,
            unsupported: self.unsupported,
            prior_steps: self.prior_steps.map(|steps| within("prior-steps", steps, 1..=100_000_000)).transpose()?,
            reward_epochs: self.reward_epochs.map(|n| within("reward-epochs", n, 1..=100_000)).transpose()?,
            tuning: self.tuning,
            constraining: self.constraining,
            reading: self.reading,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::Alphabet;

    #[test]
    fn nine_of_ten_sequences_are_within_reach() {
        let dna = Alphabet::dna();
        let words: Vec<Sequence> = ["AAAA", "AAAC", "AACC", "ACCC", "CCCC", "CCCG", "CCGG", "CGGG", "GGGG", "TTTT"]
            .iter()
            .map(|text| Sequence::parse(text, &dna).unwrap())
            .collect();
        // nine have a neighbour at 1, TTTT has none nearer than 4
        assert_eq!(reach(&words), 1);
        assert_eq!(reach(&words[8..10]), 4);
        assert_eq!(reach(&words[..1]), 0);
    }

    #[test]
    fn prices_are_short_numbers() {
        assert_eq!([two_digits(0.043_21), two_digits(1.0), two_digits(987.0)], [0.043, 1.0, 990.0]);
        assert_eq!(two_digits(0.0), 0.0);
    }
}
