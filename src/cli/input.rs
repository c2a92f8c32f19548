//! Sequences named on the command line: a data set of the manifest or a file, and how a file is read.

use super::context::Context;
use crate::data;
use crate::error::{Error, Result};
use crate::sequence::{Alphabet, Numbering, ReadOptions, Records, read_file};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// How a file of sequences is read; everything left out is decided from the file and said on standard error.
#[derive(Clone, Debug, Default, PartialEq, clap::Args, Serialize, Deserialize)]
#[command(next_help_heading = "Reading")]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Reading {
    /// dna, rna, protein, or the letters of an alphabet [default: decided from the letters]
    #[arg(long, value_name = "NAME")]
    pub(super) alphabet: Option<String>,
    /// Column of the sequences [default: sequence, seq, mutated_sequence, aa_seq and the like]
    #[arg(long, value_name = "NAME")]
    pub(super) sequence_column: Option<String>,
    /// Column of the values, higher is better [default: fitness, score, target, value, DMS_score, log_fitness]
    #[arg(long, value_name = "NAME")]
    pub(super) value_column: Option<String>,
    /// Column of the values' standard deviations [default: sd, std, stdev, value_sd]
    #[arg(long, value_name = "NAME")]
    pub(super) sd_column: Option<String>,
    /// Column of ids, all different [default: id, seq_id, sequence_id, variant_id]
    #[arg(long, value_name = "NAME")]
    pub(super) id_column: Option<String>,
    /// Column of mutations such as A123V:C2D [default: mutant, mutations, mutation, aaMutations]
    #[arg(long, value_name = "NAME")]
    pub(super) mutations_column: Option<String>,
    /// The wild type: its letters, or a FASTA file with it
    #[arg(long, value_name = "LETTERS|FILE")]
    pub(super) wild_type: Option<String>,
    /// The number that mutations give to the wild type's first letter [default: 1]
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(super) first_position: Option<i64>,
    /// Leave out rows that cannot be used, and count them, instead of stopping
    #[arg(long)]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) skip_invalid: bool,
}

impl Reading {
    /// What the library's readers are told.
    ///
    /// # Errors
    /// When the alphabet is not one, or the wild type cannot be read.
    pub(super) fn options(&self) -> Result<ReadOptions> {
        Ok(ReadOptions {
            alphabet: self.alphabet.as_deref().map(alphabet).transpose()?,
            sequence_column: self.sequence_column.clone(),
            value_column: self.value_column.clone(),
            sd_column: self.sd_column.clone(),
            id_column: self.id_column.clone(),
            mutations_column: self.mutations_column.clone(),
            wild_type: self.wild_type.as_deref().map(wild_type).transpose()?,
            numbering: self.first_position.map(|first| Numbering { first }),
            skip_invalid: self.skip_invalid,
        })
    }

    /// The records of `source`: the name of a data set, else a file. Says what was decided and left out.
    ///
    /// # Errors
    /// When there is no such data set or file, it cannot be read, or a data set's reading is given a second time.
    pub(super) fn records(&self, source: &str, context: &Context) -> Result<Records> {
        let records = match named(source, context)? {
            Some(dir) if *self == Self::default() => data::load(source, dir)?,
            Some(_) => {
                let message = format!("how data set `{source}` is read stands in its manifest and cannot be changed");
                return Err(Error::usage(message).hint("leave out the reading flags, or name a file"));
            }
            None if Path::new(source).exists() || source.contains(['.', '/', '\\']) => {
                read_file(Path::new(source), &self.options()?)?
            }
            None => return Err(no_source(source, context)),
        };
        tell(&records, context);
        Ok(records)
    }
}

/// The data directory, when a data set has this name.
fn named<'a>(source: &str, context: &'a Context) -> Result<Option<&'a Path>> {
    let Ok(dir) = context.data_dir() else { return Ok(None) };
    Ok(data::datasets(dir)?.iter().any(|set| set.name == source).then_some(dir))
}

fn no_source(source: &str, context: &Context) -> Error {
    match context.data_dir().and_then(|dir| data::find(source, dir).map(drop)) {
        Err(error) => {
            let found = Error::usage(format!("{}, and no file `{source}`", error.message()));
            match error.hint_text() {
                Some(hint) => found.hint(hint),
                None => found,
            }
        }
        Ok(()) => Error::usage(format!("no file `{source}`")),
    }
}

/// What a reader decided and left out, on standard error.
pub(super) fn tell(records: &Records, context: &Context) {
    for note in &records.report.notes {
        context.note(note);
    }
    let skipped: Vec<_> = records.report.skipped.iter().map(|(reason, count)| format!("{reason} {count}")).collect();
    if !skipped.is_empty() {
        let (rows, out) = (records.report.rows, records.report.skipped_rows());
        context.note(format!("{out} of {rows} rows left out: {}", skipped.join(", ")));
    }
}

fn alphabet(text: &str) -> Result<Alphabet> {
    match text {
        "dna" | "rna" | "protein" => Alphabet::named(text),
        _ if text.bytes().any(|byte| byte.is_ascii_lowercase()) => Alphabet::named(text),
        letters => Alphabet::of_letters(letters),
    }
}

pub(super) fn wild_type(text: &str) -> Result<String> {
    let path = Path::new(text);
    if !path.is_file() {
        if text.contains(['.', '/', '\\']) {
            return Err(Error::usage(format!("no file `{text}` with the wild type"))
                .hint("pass its letters, or a FASTA file that exists"));
        }
        return Ok(text.to_owned());
    }
    let records = read_file(path, &ReadOptions::default())?;
    match records.rows.as_slice() {
        [one] => Ok(one.sequence.text(&records.alphabet)),
        several => {
            let message = format!("the file holds {} sequences; the wild type alone is accepted", several.len());
            Err(Error::data(message).at(path))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alphabets_are_names_or_letters() {
        assert_eq!(alphabet("rna").unwrap(), Alphabet::rna());
        assert_eq!(alphabet("ACGT").unwrap(), Alphabet::dna());
        assert_eq!(alphabet("ACGTN").unwrap().len(), 5);
        assert!(alphabet("dan").unwrap_err().message().contains("accepted: `dna`"));
    }

    #[test]
    fn a_wild_type_is_letters_or_a_file_of_one_sequence() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("wt.fa");
        std::fs::write(&file, ">wt\nMSK\nGEE\n").unwrap();
        assert_eq!(wild_type(file.to_str().unwrap()).unwrap(), "MSKGEE");
        assert_eq!(wild_type("MSK").unwrap(), "MSK");
        assert_eq!(wild_type("none.fa").unwrap_err().kind(), crate::Kind::Usage);
        std::fs::write(&file, ">a\nMSK\n>b\nGEE\n").unwrap();
        assert!(wild_type(file.to_str().unwrap()).unwrap_err().message().contains("2 sequences"));
    }
}
