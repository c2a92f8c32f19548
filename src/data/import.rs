//! A user's own table under a name.

use super::manifest::{Dataset, built_in, check_name, own, write_own};
use crate::error::{Error, Result};
use crate::sequence::{ReadOptions, Records, decode_text, read_bytes, read_str};
use crate::store::{sha256, write_atomic};
use std::path::{Path, PathBuf};

/// Folder of imported files inside the data directory.
const TABLES: &str = "tables";

/// What an import is called and credited with.
#[derive(Clone, Debug, Default)]
pub struct ImportOptions {
    /// What it is, in a line.
    pub description: String,
    /// The licence.
    pub licence: String,
    /// What to cite.
    pub citation: String,
    /// Replace an own data set of the same name.
    pub replace: bool,
}

/// Copies a FASTA file or table into the data directory and registers it with its hash, alphabet and columns.
///
/// The columns and the alphabet that were decided on reading are written down, so that a later version of the package
/// reads the same records.
///
/// # Errors
/// When the file cannot be read as `read` says, the name is not usable or taken, or the directory cannot be written.
pub fn import(
    path: &Path,
    name: &str,
    dir: &Path,
    read: &ReadOptions,
    options: ImportOptions,
) -> Result<(Dataset, Records)> {
    check_name(name)?;
    if built_in()?.iter().any(|set| set.name == name) {
        let message = format!("`{name}` is a data set of the package; a name of your own is needed");
        return Err(Error::usage(message).hint(format!("choose another, for example `my-{name}`")));
    }
    let mut sets = own(dir)?;
    if sets.iter().any(|set| set.name == name) && !options.replace {
        let error = Error::usage(format!("there is a data set `{name}` already; a new name is needed"));
        return Err(error.hint("choose another name, or pass --replace"));
    }
    let bytes = read_bytes(path)?;
    let text = decode_text(bytes.clone()).map_err(|error| error.at(path))?;
    let records = read_str(&text, Some(path), read)?;
    let file = PathBuf::from(TABLES).join(format!("{name}.{}", extension(path)));
    let set = Dataset {
        name: name.to_owned(),
        description: options.description,
        url: None,
        sha256: sha256(&bytes),
        bytes: bytes.len() as u64,
        rows: records.report.rows as u64,
        records: records.len() as u64,
        format: records.report.format.clone(),
        alphabet: written_alphabet(&records),
        wild_type: read.wild_type.clone(),
        first_position: read.numbering.map(|numbering| numbering.first),
        sequence_column: role(&records, "sequence"),
        value_column: role(&records, "value"),
        sd_column: role(&records, "sd"),
        id_column: role(&records, "id"),
        mutations_column: role(&records, "mutations"),
        skip_invalid: read.skip_invalid,
        licence: options.licence,
        citation: options.citation,
        file,
    };
    write_atomic(dir.join(&set.file), &bytes)?;
    sets.retain(|other| other.name != name);
    sets.push(set.clone());
    write_own(dir, sets)?;
    Ok((set, records))
}

fn role(records: &Records, role: &str) -> Option<String> {
    if records.report.format == "kmer-pairs" {
        return None; // its columns follow from the format; two have one name
    }
    records.report.roles.iter().find(|(name, _)| name == role).map(|(_, column)| column.clone())
}

fn written_alphabet(records: &Records) -> String {
    match records.alphabet.name() {
        name @ ("dna" | "rna" | "protein") => name.to_owned(),
        _ => String::from_utf8_lossy(records.alphabet.letters()).into_owned(),
    }
}

/// The file's extension with a leading `.gz` taken into account, such as `csv.gz`.
fn extension(path: &Path) -> String {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or("").to_ascii_lowercase();
    let (stem, gz) = match name.strip_suffix(".gz") {
        Some(stem) => (stem, ".gz"),
        None => (name.as_str(), ""),
    };
    let plain = |text: &&str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let last = stem.rsplit_once('.').map(|(_, last)| last).filter(plain).unwrap_or("txt");
    format!("{last}{gz}")
}
