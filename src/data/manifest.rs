//! What the data sets are called, where they come from, and what they must hash to.

use crate::error::{Error, Result};
use crate::sequence::{Alphabet, Numbering, ReadOptions, nearest_name};
use crate::store::write_atomic;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

const BUILT_IN: &str = include_str!("../../data/manifest.toml");

/// The manifest of the user's own tables, in the data directory.
const OWN: &str = "manifest.toml";

/// One named data set: a line of the manifest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Dataset {
    /// Its name: lower-case letters, digits, `-`, `_` and `.`.
    pub name: String,
    /// What it is, in a line.
    #[serde(default)]
    pub description: String,
    /// The file, relative to the data directory.
    pub file: PathBuf,
    /// Where `fetch` gets it; absent when it has no public origin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The SHA-256 of the file, 64 hexadecimal digits.
    pub sha256: String,
    /// The size of the file.
    pub bytes: u64,
    /// Lines under the header (or FASTA records).
    pub rows: u64,
    /// Usable sequences.
    pub records: u64,
    /// The format, as [`Report::format`](crate::sequence::Report::format).
    pub format: String,
    /// `dna`, `rna`, `protein`, or the letters of a custom alphabet.
    pub alphabet: String,
    /// The letters of the wild type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wild_type: Option<String>,
    /// The number of the wild type's first letter in mutation strings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_position: Option<i64>,
    /// The column of sequences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence_column: Option<String>,
    /// The column of values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_column: Option<String>,
    /// The column of standard deviations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sd_column: Option<String>,
    /// The column of ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id_column: Option<String>,
    /// The column of mutations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mutations_column: Option<String>,
    /// Whether rows that cannot be used are left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skip_invalid: bool,
    /// The licence.
    #[serde(default)]
    pub licence: String,
    /// What to cite.
    #[serde(default)]
    pub citation: String,
}

impl Dataset {
    /// How its file is read.
    ///
    /// # Errors
    /// When its alphabet is not one.
    pub fn options(&self) -> Result<ReadOptions> {
        let named = Alphabet::named(&self.alphabet);
        Ok(ReadOptions {
            alphabet: Some(named.or_else(|_| Alphabet::of_letters(&self.alphabet))?),
            sequence_column: self.sequence_column.clone(),
            value_column: self.value_column.clone(),
            sd_column: self.sd_column.clone(),
            id_column: self.id_column.clone(),
            mutations_column: self.mutations_column.clone(),
            wild_type: self.wild_type.clone(),
            numbering: self.first_position.map(|first| Numbering { first }),
            skip_invalid: self.skip_invalid,
        })
    }

    /// The licence and citation, for reports.
    #[must_use]
    pub fn credit(&self) -> String {
        [&self.citation, &self.licence]
            .into_iter()
            .filter(|text| !text.is_empty())
            .cloned()
            .collect::<Vec<_>>()
            .join("; ")
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    #[serde(default, rename = "dataset")]
    datasets: Vec<Dataset>,
}

fn parse(text: &str) -> Result<Vec<Dataset>> {
    let manifest: Manifest = toml::from_str(text).map_err(|source| {
        let place = source.span().map_or("", |span| &text[..span.start.min(text.len())]);
        let line = place.split('\n').count() as u64;
        Error::data(format!("not a data manifest: {}", source.message())).line(line).because(source)
    })?;
    for set in &manifest.datasets {
        check_name(&set.name)?;
        let hex = set.sha256.len() == 64 && set.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !hex {
            let message = format!(
                "data set `{}`: sha256 is `{}`; 64 lower-case hexadecimal digits are needed",
                set.name, set.sha256
            );
            return Err(Error::data(message));
        }
        let inside = set.file.components().all(|part| matches!(part, std::path::Component::Normal(_)));
        if !inside {
            let message =
                format!("data set `{}`: file `{}` is not inside the data directory", set.name, set.file.display());
            return Err(Error::data(message));
        }
    }
    Ok(manifest.datasets)
}

/// Refuses a name that could not be a file's.
pub(super) fn check_name(name: &str) -> Result<()> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'_' | b'.');
    let first = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if first && name.len() <= 64 && name.bytes().all(good) {
        return Ok(());
    }
    Err(Error::usage(format!(
        "`{}` cannot name a data set; accepted are up to 64 of `a`-`z`, `0`-`9`, `-`, `_`, `.`, a letter or digit first",
        name.escape_debug()
    )))
}

/// The data sets that ship with the package.
///
/// ```
/// let names: Vec<_> = seqtilt::data::built_in()?.into_iter().map(|set| set.name).collect();
/// assert_eq!(names, ["tfbind8", "gfp", "tfbind8-hard-start"]);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Errors
/// Never, as long as the package's own tests pass.
pub fn built_in() -> Result<Vec<Dataset>> {
    parse(BUILT_IN)
}

/// The user's own data sets in a data directory; none when it has no manifest.
///
/// # Errors
/// When the manifest there cannot be read.
pub fn own(dir: &Path) -> Result<Vec<Dataset>> {
    let path = dir.join(OWN);
    if !path.exists() {
        return Ok(Vec::new());
    }
    parse(&crate::sequence::read_text(&path)?).map_err(|error| error.at(path))
}

/// All data sets: the built-in ones, then the user's.
///
/// # Errors
/// When the user's manifest cannot be read.
pub fn datasets(dir: &Path) -> Result<Vec<Dataset>> {
    let mut all = built_in()?;
    all.extend(own(dir)?);
    Ok(all)
}

/// The data set of a name.
///
/// # Errors
/// When there is none, with the names there are and the nearest.
pub fn find(name: &str, dir: &Path) -> Result<Dataset> {
    let all = datasets(dir)?;
    let names: Vec<String> = all.iter().map(|set| set.name.clone()).collect();
    all.into_iter().find(|set| set.name == name).ok_or_else(|| {
        let list = names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let error = Error::usage(format!("no data set `{}`; there are {list}", name.escape_debug()));
        match nearest_name(name, &names) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint("`seqtilt data import TABLE --name NAME` adds one of your own"),
        }
    })
}

/// Replaces the user's manifest.
pub(super) fn write_own(dir: &Path, datasets: Vec<Dataset>) -> Result<()> {
    let text = toml::to_string(&Manifest { datasets })
        .map_err(|source| Error::data("the data manifest cannot be written").because(source))?;
    write_atomic(dir.join(OWN), text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_sets_can_be_read_and_have_credits() {
        for set in built_in().unwrap() {
            let options = set.options().unwrap();
            assert!(options.alphabet.is_some() && !set.credit().is_empty(), "{}", set.name);
            assert!(set.url.as_ref().is_none_or(|url| url.starts_with("https://")), "{}", set.name);
        }
    }

    #[test]
    fn bad_manifests_are_refused_with_their_line() {
        let error = parse("[[dataset]]\nname = \"a\"\nfiel = \"x\"\n").unwrap_err();
        assert!(error.to_string().starts_with("3:") && error.message().contains("fiel"), "{error}");
        let text = BUILT_IN.replace("SIX6_REF_R1_8mers.txt", "../x");
        assert!(parse(&text).unwrap_err().message().contains("not inside"));
        let text = BUILT_IN.replace("cf586a49b", "CF");
        assert!(parse(&text).unwrap_err().message().contains("hexadecimal"));
        for name in ["", "A", "-a", "a/b", "..", "a b"] {
            assert!(check_name(name).is_err(), "{name}");
        }
    }

    #[test]
    fn an_unknown_name_proposes_the_nearest() {
        let dir = tempfile::tempdir().unwrap();
        let error = find("tfbind", dir.path()).unwrap_err();
        assert_eq!(error.hint_text(), Some("did you mean `tfbind8`?"));
    }
}
