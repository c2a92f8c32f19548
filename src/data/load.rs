//! From a name to checked records.

use super::manifest::{Dataset, datasets, find};
use crate::error::{Error, Kind, Result};
use crate::sequence::{Records, decode_text, read_bytes, read_str};
use crate::store::sha256;
use std::path::{Path, PathBuf};

/// Where the file of a data set lies.
///
/// # Errors
/// When there is no such data set, or its file is not there.
pub fn locate(name: &str, dir: &Path) -> Result<PathBuf> {
    path_of(&find(name, dir)?, dir)
}

fn path_of(set: &Dataset, dir: &Path) -> Result<PathBuf> {
    let path = dir.join(&set.file);
    if path.exists() {
        return Ok(path);
    }
    let message = format!("data set `{}` is not there: `{}` does not exist", set.name, path.display());
    Err(Error::data(message).hint(match set.url {
        Some(_) => format!("run `seqtilt data fetch {}`, or name the folder that holds it with --data-dir", set.name),
        None => "name the folder that holds it with --data-dir or SEQTILT_DATA".to_owned(),
    }))
}

/// Reads a data set; the bytes that are parsed are the ones that were hashed.
///
/// # Errors
/// When it is not there, does not have the hash of the manifest (exit code 7), or cannot be read.
pub fn load(name: &str, dir: &Path) -> Result<Records> {
    let set = find(name, dir)?;
    let path = path_of(&set, dir)?;
    let bytes = checked_bytes(&set, &path)?;
    let text = decode_text(bytes).map_err(|error| error.at(&path))?;
    let records = read_str(&text, Some(&path), &set.options()?)?;
    if records.len() as u64 != set.records {
        let message = format!("data set `{name}` has {} records; the manifest says {}", records.len(), set.records);
        return Err(Error::integrity(message).at(path));
    }
    Ok(records)
}

fn checked_bytes(set: &Dataset, path: &Path) -> Result<Vec<u8>> {
    let bytes = read_bytes(path)?;
    let got = sha256(&bytes);
    if got == set.sha256 {
        return Ok(bytes);
    }
    let message = format!(
        "data set `{}` has changed: expected sha256 {} ({} bytes), got {got} ({} bytes)",
        set.name,
        set.sha256,
        set.bytes,
        bytes.len()
    );
    let hint = match set.url {
        Some(_) => format!("remove the file and run `seqtilt data fetch {}`", set.name),
        None => "restore the file from its source, or import it again under a new name".to_owned(),
    };
    Err(Error::integrity(message).at(path).hint(hint))
}

/// What [`verify`] found out about a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The file has the hash of the manifest.
    Intact,
    /// There is no file.
    Absent,
    /// The file has another hash.
    Changed {
        /// The hash it has.
        got: String,
    },
}

/// Hashes every data set of a directory.
///
/// # Errors
/// When a manifest or a file that exists cannot be read; a wrong hash is an answer, not an error.
pub fn verify(dir: &Path) -> Result<Vec<(Dataset, Condition)>> {
    let state = |set: &Dataset| {
        let path = dir.join(&set.file);
        if !path.exists() {
            return Ok(Condition::Absent);
        }
        match checked_bytes(set, &path) {
            Ok(_) => Ok(Condition::Intact),
            Err(error) if error.kind() == Kind::Integrity => {
                Ok(Condition::Changed { got: sha256(&read_bytes(&path)?) })
            }
            Err(error) => Err(error),
        }
    };
    datasets(dir)?.into_iter().map(|set| state(&set).map(|condition| (set, condition))).collect()
}
