//! Which column of a table plays which role.

use super::{Table, list};
use crate::error::{Error, Result};
use crate::sequence::{Numbering, ReadOptions};

const SEQUENCE: &[&str] =
    &["sequence", "seq", "mutated_sequence", "aa_seq", "protein_sequence", "dna_sequence", "nt_seq"];
const VALUE: &[&str] = &["fitness", "score", "target", "value", "DMS_score", "log_fitness", "medianBrightness"];
const SD: &[&str] = &["sd", "std", "stdev", "value_sd"];
const ID: &[&str] = &["id", "seq_id", "sequence_id", "variant_id"];
const MUTATIONS: &[&str] = &["mutant", "mutations", "mutation", "aaMutations"];

/// The roles of the columns of one table.
#[derive(Debug)]
pub(super) struct Layout {
    pub(super) format: &'static str,
    pub(super) sequence: Option<usize>,
    /// The second strand of a k-mer table.
    pub(super) other_strand: Option<usize>,
    pub(super) mutations: Option<usize>,
    pub(super) value: Option<usize>,
    pub(super) sd: Option<usize>,
    pub(super) id: Option<usize>,
    pub(super) numbering: Numbering,
}

impl Layout {
    /// Recognises the format, columns named in the options first.
    pub(super) fn of(table: &Table, options: &ReadOptions) -> Result<Self> {
        let role = |named: &Option<String>, names: &[&str]| match named {
            Some(name) => table.column(name).map(Some),
            // two columns of one name are refused: which is meant is not guessed
            None => table.find(names).map(|index| table.column(&table.columns[index])).transpose(),
        };
        let named = [&options.sequence_column, &options.id_column, &options.sd_column, &options.mutations_column];
        let strands = if named.iter().all(|name| name.is_none()) { strand_columns(table) } else { None };
        let value = match (&options.value_column, strands) {
            (None, Some(_)) => Some(table.column("E-score")?),
            _ => role(&options.value_column, VALUE)?,
        };
        let mut layout = Self {
            format: "table",
            sequence: role(&options.sequence_column, SEQUENCE)?,
            other_strand: None,
            mutations: role(&options.mutations_column, MUTATIONS)?,
            value,
            sd: role(&options.sd_column, SD)?,
            id: role(&options.id_column, ID)?,
            numbering: options.numbering.unwrap_or_default(),
        };
        if let Some((first, second)) = strands {
            layout = Self { format: "kmer-pairs", sequence: Some(first), other_strand: Some(second), ..layout };
            return Ok(Self { mutations: None, sd: None, id: None, ..layout });
        }
        if table.find(&["aaMutations"]).is_some() && table.find(&["medianBrightness"]).is_some() {
            layout.format = "genotypes";
            layout.numbering = options.numbering.unwrap_or(Numbering::AFTER_MET_ZERO_BASED);
        } else if table.find(&["mutant"]).is_some() && table.find(&["DMS_score"]).is_some() {
            layout.format = "proteingym";
        }
        if layout.sequence.is_none() && layout.mutations.is_none() {
            return Err(no_sequence_column(table));
        }
        Ok(layout)
    }

    /// `(role, column name)` of every role that is filled.
    pub(super) fn roles(&self, table: &Table) -> Vec<(String, String)> {
        let roles = [
            ("id", self.id),
            ("sequence", self.sequence),
            ("other strand", self.other_strand),
            ("mutations", self.mutations),
            ("value", self.value),
            ("sd", self.sd),
        ];
        let filled = roles.into_iter().filter_map(|(role, column)| Some((role, column?)));
        filled.map(|(role, column)| (role.to_owned(), table.columns[column].clone())).collect()
    }
}

/// The two columns of a k-mer table, both called `8-mer` or the like.
fn strand_columns(table: &Table) -> Option<(usize, usize)> {
    let is_kmer = |name: &String| name.strip_suffix("-mer").is_some_and(|k| k.parse::<u8>().is_ok());
    let mut columns = (0..table.columns.len()).filter(|index| is_kmer(&table.columns[*index]));
    let (first, second) = (columns.next()?, columns.next()?);
    (table.columns[first] == table.columns[second]).then_some((first, second))
}

fn no_sequence_column(table: &Table) -> Error {
    let message = format!(
        "no sequence column found; the columns are {}; recognised are {}",
        list(&table.columns),
        list(&SEQUENCE.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
    );
    let headless = table.columns.iter().any(|name| name.len() >= 4 && name.bytes().all(|b| b"ACGTU".contains(&b)))
        || table.columns.iter().any(|name| name.parse::<f64>().is_ok());
    let hint = if headless {
        "the first line looks like data: add a header line such as `sequence,value`"
    } else {
        "name the column with --sequence-column"
    };
    table.place(Error::data(message)).hint(hint)
}
