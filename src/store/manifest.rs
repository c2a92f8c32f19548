//! `manifest.json`: what belongs to a folder, with the hash of each file.

use super::sha256;
use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// The version of the folder's layout that this build writes. Older ones are read for ever; newer ones are refused.
pub(super) const FORMAT: u32 = 1;

pub(super) const MANIFEST: &str = "manifest.json";
/// Length and hash of one file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHash {
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

impl FileHash {
    /// Of some bytes.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        Self { bytes: content.len() as u64, sha256: sha256(content) }
    }

    /// Compares with what was read from `path`.
    ///
    /// # Errors
    /// An integrity error that says what was expected and what was found.
    pub fn check(&self, content: &[u8], path: &Path) -> Result<()> {
        let got = Self::of(content);
        if got == *self {
            return Ok(());
        }
        Err(Error::integrity(format!(
            "expected {} bytes with SHA-256 `{}`, got {} bytes with `{}`",
            self.bytes, self.sha256, got.bytes, got.sha256
        ))
        .at(path)
        .hint("the file was cut short or changed after it was written; copy the whole folder again or make it anew"))
    }
}

/// `manifest.json`: what is in a model folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of the folder's layout.
    pub format: u32,
    /// What the model is: `prior`, `reward`, `control` and so on.
    pub kind: String,
    /// The files by name.
    pub files: BTreeMap<String, FileHash>,
}

/// Files by name.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The manifest of a folder on disk and the files that it lists, all hashes checked.
pub(super) fn read_folder(folder: &Path) -> Result<(Manifest, Files)> {
    if !folder.is_dir() {
        return Err(Error::data(format!("no model folder `{}`", folder.display()))
            .hint("name a folder written by seqtilt, or a model that `seqtilt models list` shows"));
    }
    read_checked(&folder.display().to_string(), &|name| {
        let path = folder.join(name);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("read", path, error)),
        }
    })
}

/// The manifest of anything that has files by name and the files that it lists, all hashes checked.
pub(super) fn read_checked(origin: &str, read: &dyn Fn(&str) -> Result<Option<Vec<u8>>>) -> Result<(Manifest, Files)> {
    let path = Path::new(origin);
    let missing = |name: &str| {
        Error::integrity(format!("`{name}` is missing from the model folder"))
            .at(path.join(name))
            .hint("copy the whole folder; a folder without its manifest was never finished")
    };
    let manifest: Value = from_json(&read(MANIFEST)?.ok_or_else(|| missing(MANIFEST))?, &path.join(MANIFEST))?;
    let format = manifest.get("format").and_then(Value::as_u64);
    match format {
        Some(version) if version > u64::from(FORMAT) => {
            return Err(Error::integrity(format!(
                "format {version} is newer than {FORMAT}, the newest this build reads"
            ))
            .at(path.join(MANIFEST))
            .hint("install a newer seqtilt"));
        }
        Some(version) if version > 0 => {}
        _ => return Err(Error::integrity("not a manifest: `format` is missing or 0").at(path.join(MANIFEST))),
    }
    let manifest: Manifest = serde_json::from_value(manifest).map_err(|error| {
        Error::integrity("not a manifest of the accepted form").at(path.join(MANIFEST)).because(error)
    })?;
    let mut files = BTreeMap::new();
    for (name, hash) in &manifest.files {
        if name.contains(['/', '\\']) || name == ".." {
            return Err(Error::integrity(format!("file name `{name}` leaves the folder")).at(path.join(MANIFEST)));
        }
        let bytes = read(name)?.ok_or_else(|| missing(name))?;
        hash.check(&bytes, &path.join(name))?;
        files.insert(name.clone(), bytes);
    }
    Ok((manifest, files))
}

/// Indented JSON with a closing line feed.
pub(super) fn to_json(value: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = serde_json::to_vec_pretty(value)
        .map_err(|error| Error::usage("a value cannot be written as JSON").because(error))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// JSON that a seqtilt wrote earlier.
pub(super) fn from_json<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T> {
    serde_json::from_slice(bytes).map_err(|error| {
        let (line, column) = (error.line() as u64, error.column() as u64);
        Error::integrity("not JSON of the accepted form").at(path).line(line).column(column).because(error)
    })
}
