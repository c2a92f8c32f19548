//! What is in a set of records, in numbers.

use crate::sequence::{Records, Sequence, hamming};
use serde::Serialize;
use std::collections::BTreeMap;

/// The answer of [`describe`]; serialises for `--json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Description {
    /// The format of the file.
    pub format: String,
    /// Rows in the file.
    pub rows: usize,
    /// Records in use.
    pub records: usize,
    /// Distinct sequences.
    pub distinct: usize,
    /// Records whose sequence had occurred before.
    pub duplicates: usize,
    /// Rows left out, by reason.
    pub skipped: BTreeMap<String, usize>,
    /// The alphabet's name.
    pub alphabet: String,
    /// Share of every letter.
    pub letters: Vec<(char, f64)>,
    /// Lengths.
    pub lengths: Lengths,
    /// The values, where there are any.
    pub values: Option<Values>,
    /// The wild type, where one is known.
    pub wild_type: Option<WildType>,
    /// Which column plays which role.
    pub columns: Vec<(String, String)>,
    /// What was decided on reading.
    pub notes: Vec<String>,
}

/// Lengths of sequences.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Lengths {
    /// The least.
    pub min: usize,
    /// The middle one.
    pub median: f64,
    /// The greatest.
    pub max: usize,
}

/// Figures of the values.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Values {
    /// Records that have one.
    pub count: usize,
    /// The mean.
    pub mean: f64,
    /// `(probability, quantile)`, with the least at 0 and the greatest at 1.
    pub quantiles: Vec<(f64, f64)>,
    /// The sequence with the greatest value, the first of equals.
    pub best: String,
    /// `(min, max)` of the raw values, where they were normalised.
    pub normalised_from: Option<(f64, f64)>,
}

/// The wild type and the distances of the records from it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct WildType {
    /// Its letters.
    pub sequence: String,
    /// Its own value, if it was measured.
    pub value: Option<f64>,
    /// Records by the number of substitutions.
    pub mutations: BTreeMap<usize, usize>,
}

/// Counts and quantiles of records.
#[must_use]
pub fn describe(records: &Records) -> Description {
    let report = &records.report;
    Description {
        format: report.format.clone(),
        rows: report.rows,
        records: records.len(),
        distinct: records.distinct(),
        duplicates: report.duplicates,
        skipped: report.skipped.clone(),
        alphabet: records.alphabet.name().to_owned(),
        letters: letter_shares(records),
        lengths: lengths(records),
        values: values(records),
        wild_type: report.wild_type.as_ref().map(|wild_type| distances(records, wild_type)),
        columns: report.roles.clone(),
        notes: report.notes.clone(),
    }
}

fn letter_shares(records: &Records) -> Vec<(char, f64)> {
    let mut counts = vec![0_u64; records.alphabet.len()];
    for id in records.rows.iter().flat_map(|row| row.sequence.ids()) {
        counts[usize::from(*id)] += 1;
    }
    let total = counts.iter().sum::<u64>().max(1) as f64;
    let letters = records.alphabet.letters().iter().map(|letter| char::from(*letter));
    letters.zip(counts).map(|(letter, count)| (letter, count as f64 / total)).collect()
}

fn lengths(records: &Records) -> Lengths {
    let mut all: Vec<f64> = records.rows.iter().map(|row| row.sequence.len() as f64).collect();
    all.sort_by(f64::total_cmp);
    let at = |p: f64| quantile(&all, p);
    Lengths { min: at(0.0) as usize, median: at(0.5), max: at(1.0) as usize }
}

fn values(records: &Records) -> Option<Values> {
    let measured = || records.rows.iter().filter_map(|row| Some((row, row.value?)));
    let mut sorted: Vec<f64> = measured().map(|(_, value)| value).collect();
    sorted.sort_by(f64::total_cmp);
    let best = measured().reduce(|best, next| if next.1 > best.1 { next } else { best })?;
    let points = [0.0, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0];
    Some(Values {
        count: sorted.len(),
        mean: sorted.iter().sum::<f64>() / sorted.len() as f64,
        quantiles: points.into_iter().map(|p| (p, quantile(&sorted, p))).collect(),
        best: best.0.sequence.text(&records.alphabet),
        normalised_from: records.report.normalisation.map(|constants| (constants.min, constants.max)),
    })
}

fn distances(records: &Records, wild_type: &Sequence) -> WildType {
    let mut mutations = BTreeMap::new();
    for found in records.rows.iter().filter_map(|row| hamming(&row.sequence, wild_type)) {
        *mutations.entry(found).or_default() += 1;
    }
    let itself = records.rows.iter().find(|row| row.sequence == *wild_type);
    WildType { sequence: wild_type.text(&records.alphabet), value: itself.and_then(|row| row.value), mutations }
}

/// The quantile of sorted values at probability `p`, by linear interpolation between order statistics (type 7 of
/// Hyndman and Fan 1996, as in R and NumPy). 0 for no values.
///
/// ```
/// assert_eq!(seqtilt::data::quantile(&[1.0, 2.0, 4.0], 0.75), 3.0);
/// ```
#[must_use]
pub fn quantile(sorted: &[f64], p: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return 0.0 };
    let place = p.clamp(0.0, 1.0) * last as f64;
    let (low, high) = (place.floor() as usize, place.ceil() as usize);
    sorted[low] + (sorted[high] - sorted[low]) * (place - place.floor())
}
