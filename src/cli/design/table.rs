//! `designs.csv` and `designs.fasta`.

use super::pick::{Picked, Row};
use super::prepare::Parts;
use crate::error::{Error, Result};
use crate::sequence::{Sequence, format_mutations};
use std::fmt::Write as _;

const COLUMNS: [&str; 28] = [
    "id",
    "sequence",
    "mutations",
    "n_mut",
    "rank",
    "role",
    "reason",
    "predicted_mean",
    "predicted_sd",
    "judge_mean",
    "log_weight",
    "naturalness",
    "nearest_train_id",
    "nearest_train_dist",
    "nearest_train_value",
    "min_batch_dist",
    "cluster",
    "gc",
    "max_homopolymer",
    "flags",
    "plate",
    "well",
    "replicate",
    "measured_mean",
    "measured_sd",
    "n_rep",
    "status",
    "times_drawn",
];

/// The id of a design.
pub(super) fn id(row: &Row) -> String {
    format!("d{:04}", row.rank)
}

/// The table; missing is empty, never 0.
///
/// # Errors
/// When a field cannot be written.
pub(super) fn csv(picked: &Picked, parts: &Parts) -> Result<String> {
    let alphabet = parts.prior.alphabet();
    let dna = matches!(alphabet.name(), "dna" | "rna");
    let number = |value: f64| format!("{value:.6}");
    let maybe = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.6}"));
    let mut writer = csv::Writer::from_writer(Vec::new());
    let failed = |error: csv::Error| Error::device("cannot write the table of designs").because(error);
    let mut names: Vec<String> = COLUMNS.map(str::to_owned).to_vec();
    if !parts.goals.is_empty() {
        names.push("front".to_owned());
        names.extend(parts.goals.iter().flat_map(|goal| [format!("{}_mean", goal.name), format!("{}_sd", goal.name)]));
    }
    writer.write_record(&names).map_err(failed)?;
    for row in &picked.rows {
        let near = row.nearest.as_ref();
        let letters = row.sequence.text(alphabet);
        let mutations = parts.mutations(&row.sequence);
        let mut fields = vec![
            id(row),
            letters,
            mutations.as_deref().map_or_else(String::new, format_mutations),
            mutations.map_or_else(String::new, |mutations| mutations.len().to_string()),
            row.rank.to_string(),
            "design".to_owned(),
            row.reason.clone(),
            number(row.mean),
            maybe(row.sd),
            maybe(row.judge),
            number(row.log_weight),
            number(row.naturalness),
            near.map_or_else(String::new, |near| near.0.clone()),
            near.map_or_else(String::new, |near| near.1.to_string()),
            maybe(near.and_then(|near| near.2)),
            row.batch_distance.map_or_else(String::new, |d| d.to_string()),
            (row.cluster + 1).to_string(),
            if dna { format!("{:.4}", gc(&row.sequence)) } else { String::new() },
            homopolymer(&row.sequence).to_string(),
            String::new(),
            String::new(),
            String::new(),
            String::new(),
            maybe(row.truth),
            String::new(),
            String::new(),
            if row.truth.is_some() { "ok".to_owned() } else { String::new() },
            row.times_drawn.to_string(),
        ];
        if !parts.goals.is_empty() {
            fields.push(row.layer.map_or_else(String::new, |layer| (layer + 1).to_string()));
            fields.extend(row.goals.iter().flat_map(|(mean, sd)| [maybe(*mean), maybe(*sd)]));
        }
        writer.write_record(&fields).map_err(failed)?;
    }
    let bytes =
        writer.into_inner().map_err(|error| Error::device("cannot write the table").because(error.to_string()))?;
    String::from_utf8(bytes).map_err(|error| Error::device("cannot write the table of designs").because(error))
}

/// The designs as FASTA.
pub(super) fn fasta(picked: &Picked, parts: &Parts) -> String {
    let mut text = String::new();
    for row in &picked.rows {
        let sd = row.sd.map_or_else(String::new, |sd| format!(" sd={sd:.4}"));
        let letters = row.sequence.text(parts.prior.alphabet());
        let _ = writeln!(text, ">{} predicted={:.4}{sd}\n{letters}", id(row), row.mean);
    }
    text
}

/// Share of G and C.
fn gc(sequence: &Sequence) -> f64 {
    sequence.ids().iter().filter(|id| matches!(id, 1 | 2)).count() as f64 / sequence.len() as f64
}

/// Length of the longest run of one letter.
fn homopolymer(sequence: &Sequence) -> usize {
    let (mut best, mut run, mut last) = (0, 0, None);
    for id in sequence.ids() {
        run = if last == Some(*id) { run + 1 } else { 1 };
        last = Some(*id);
        best = best.max(run);
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::Alphabet;

    #[test]
    fn runs_and_gc_are_counted() {
        let word = Sequence::parse("AAACGGTT", &Alphabet::dna()).unwrap();
        assert_eq!(homopolymer(&word), 3);
        assert_eq!(gc(&word), 3.0 / 8.0);
    }
}
