//! `seqtilt evaluate`

use super::check::within;
use super::context::Context;
use super::input::Reading;
use super::printer::columns;
use crate::diffusion::elbo;
use crate::diffusion::open_prior;
use crate::error::{Error, Result};
use crate::eval::diversity::{cluster_count, mean_pairwise};
use crate::eval::novelty::Novelty;
use crate::eval::quantile::quantile;
use crate::eval::{Estimate, Metric, spectrum::Spectrum};
use crate::oracle::OracleName;
use crate::sequence::{Alphabet, Sequence};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::fmt;

const EXAMPLES: &str = "\
Examples:
  seqtilt evaluate designs.csv --oracle table:tfbind8
  seqtilt evaluate designs.csv samples.fasta --oracle model:reward --prior tfbind8-prior --reference train.csv
                                    several sets side by side: reward, diversity, novelty, naturalness";

/// Compare sets of sequences: reward, diversity, novelty, naturalness
#[derive(Debug, Default, clap::Args, Serialize, Deserialize)]
#[command(after_long_help = EXAMPLES)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Args {
    /// Sets: FASTA, CSV or TSV files, or names of data sets
    #[arg(required = true, value_name = "SET")]
    #[serde(skip)]
    sets: Vec<String>,
    /// Oracle that scores them, as KIND:ARGUMENT (see `seqtilt oracle list`)
    #[arg(long, value_name = "ORACLE")]
    oracle: Option<String>,
    /// Prior whose evidence lower bound measures naturalness
    #[arg(long, value_name = "NAME|FOLDER")]
    prior: Option<String>,
    /// Known sequences that novelty is measured against
    #[arg(long, value_name = "SET")]
    reference: Option<String>,
    /// Clusters join sequences at most this many letters apart [default: 2]
    #[arg(long, value_name = "N")]
    cluster_distance: Option<usize>,
    /// Only sequences with at least this score count as modes
    #[arg(long, value_name = "VALUE", allow_negative_numbers = true)]
    threshold: Option<f64>,
    #[command(flatten)]
    reading: Reading,
}

/// The figures of one set.
#[derive(Serialize)]
struct Figures {
    set: String,
    sequences: usize,
    unique: usize,
    mean_pairwise_distance: Option<f64>,
    clusters: usize,
    scored: Option<usize>,
    reward_mean: Option<f64>,
    reward_se: Option<f64>,
    reward_median: Option<f64>,
    reward_max: Option<f64>,
    novelty_mean: Option<f64>,
    novelty_median: Option<f64>,
    spectrum_3mer_distance: Option<f64>,
    nats_per_token: Option<f64>,
    nats_per_token_se: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outside_prior: Option<usize>,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Sets(Vec<Figures>);

pub(super) fn run(args: Args, context: &Context) -> Result<()> {
    let sets = args.sets.clone();
    let args = context.settings(&["evaluate"], args)?;
    if args.threshold.is_some() && args.oracle.is_none() {
        return Err(Error::usage("`--threshold` is about scores, and no oracle gives them")
            .hint("name one with --oracle, or leave out --threshold"));
    }
    let reference = args.reference.as_ref().map(|name| args.reading.records(name, context)).transpose()?;
    let mut figures = Vec::new();
    for set in &sets {
        let records = args.reading.records(set, context)?;
        let sequences = records.sequences();
        if let Some(reference) = reference.as_ref().filter(|r| r.alphabet != records.alphabet) {
            return Err(Error::data(format!(
                "`{set}` is {} and the reference {}; one alphabet is needed",
                records.alphabet.name(),
                reference.alphabet.name()
            ))
            .hint("name it with --alphabet"));
        }
        let known = reference.as_ref().map(crate::sequence::Records::sequences);
        figures.push(measure(set, &sequences, &records.alphabet, known.as_deref(), &args, context)?);
    }
    context.emit(&Sets(figures))
}

fn measure(
    set: &str,
    sequences: &[Sequence],
    alphabet: &Alphabet,
    known: Option<&[Sequence]>,
    args: &Args,
    context: &Context,
) -> Result<Figures> {
    let metric = match sequences.first() {
        Some(first) if sequences.iter().all(|x| x.len() == first.len()) => Metric::Hamming,
        _ => Metric::Edit,
    };
    let limit = within("cluster-distance", args.cluster_distance.unwrap_or(2), 0..=1000)?;
    let unique: Vec<Sequence> = {
        let mut seen = HashSet::new();
        sequences.iter().filter(|x| seen.insert(*x)).cloned().collect()
    };
    let mut scores = Vec::new();
    if let Some(name) = &args.oracle {
        let options = context.oracle_options();
        let mut oracle = name.parse::<OracleName>()?.open(&options)?;
        if oracle.info().alphabet != *alphabet {
            return Err(Error::data(format!(
                "`{set}` is {}, `{name}` takes {}",
                alphabet.name(),
                oracle.info().alphabet.name()
            ))
            .hint("name the set's alphabet with --alphabet"));
        }
        let outcomes = oracle.evaluate(sequences)?;
        scores = sequences.iter().zip(&outcomes).filter_map(|(x, o)| Some((x.clone(), o.value()?))).collect();
    }
    let values: Vec<f64> = scores.iter().map(|(_, value)| *value).collect();
    let modes: Vec<Sequence> = match args.threshold {
        Some(least) => {
            let mut seen = HashSet::new();
            scores.iter().filter(|(x, value)| *value >= least && seen.insert(x)).map(|(x, _)| x.clone()).collect()
        }
        None => unique.clone(),
    };
    let novelty = known.and_then(|known| Novelty::new(&unique, known, metric));
    let spectrum = known.map(|known| Spectrum::new(sequences, 3).total_variation(&Spectrum::new(known, 3)));
    let bound = match &args.prior {
        Some(name) => {
            let (prior, _) = open_prior(name, &context.device()?)?;
            if prior.alphabet().plain() != *alphabet {
                let (reads, writes) = (alphabet.name(), prior.alphabet().name());
                return Err(Error::data(format!("`{set}` is {reads}, the prior `{name}` knows {writes}"))
                    .hint("name the set's alphabet with --alphabet, or another prior"));
            }
            let pool = context.pool()?;
            Some(elbo(&prior, sequences, 32, context.seed().child("evaluate"), &pool)?)
        }
        None => None,
    };
    let reward = (!values.is_empty()).then(|| Estimate::mean(&values));
    Ok(Figures {
        set: set.to_owned(),
        sequences: sequences.len(),
        unique: unique.len(),
        mean_pairwise_distance: mean_pairwise(sequences, metric),
        clusters: cluster_count(&modes, metric, limit),
        scored: args.oracle.as_ref().map(|_| values.len()),
        reward_mean: reward.map(|r| r.value),
        reward_se: reward.map(|r| r.se),
        reward_median: quantile(&values, 0.5),
        reward_max: values.iter().copied().reduce(f64::max),
        novelty_mean: novelty.as_ref().map(|n| n.mean),
        novelty_median: novelty.as_ref().map(|n| n.median),
        spectrum_3mer_distance: spectrum,
        nats_per_token: bound.as_ref().filter(|b| b.outside < sequences.len()).map(|b| b.nats_per_token),
        nats_per_token_se: bound.as_ref().filter(|b| b.outside < sequences.len()).map(|b| b.standard_error),
        outside_prior: bound.as_ref().map(|b| b.outside).filter(|outside| *outside > 0),
    })
}

impl fmt::Display for Sets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.4}"));
        for figures in &self.0 {
            let rows = [
                ["set".to_owned(), figures.set.clone()],
                ["sequences".to_owned(), format!("{}, {} unique", figures.sequences, figures.unique)],
                ["mean pairwise distance".to_owned(), number(figures.mean_pairwise_distance)],
                ["clusters".to_owned(), figures.clusters.to_string()],
                ["scored".to_owned(), figures.scored.map_or_else(|| "-".to_owned(), |n| n.to_string())],
                ["reward, mean".to_owned(), format!("{} ± {}", number(figures.reward_mean), number(figures.reward_se))],
                ["reward, median".to_owned(), number(figures.reward_median)],
                ["reward, best".to_owned(), number(figures.reward_max)],
                ["novelty, mean".to_owned(), number(figures.novelty_mean)],
                ["novelty, median".to_owned(), number(figures.novelty_median)],
                ["3-mer distance".to_owned(), number(figures.spectrum_3mer_distance)],
                [
                    "nats per token".to_owned(),
                    format!("{} ± {}", number(figures.nats_per_token), number(figures.nats_per_token_se)),
                ],
            ];
            let outside = figures
                .outside_prior
                .map(|n| ["outside the prior".to_owned(), format!("{n}: they have other lengths or break its rules")]);
            let rows: Vec<[String; 2]> = rows.into_iter().chain(outside).collect();
            writeln!(f, "{}", columns(&rows, ""))?;
        }
        Ok(())
    }
}
