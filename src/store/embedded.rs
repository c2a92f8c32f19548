//! Models that ship inside the program, and models by name or path.

use super::ModelFolder;
use super::manifest::{Manifest, read_checked, read_folder};
use crate::error::{Error, Result};
use crate::registry::unknown;
use std::path::Path;

/// A model folder compiled into the program.
#[derive(Debug)]
pub struct Embedded {
    /// Its name, the folder's name in `models/`.
    pub name: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

/// One line per model: the folder's name in `models/`.
macro_rules! embedded {
    ($($name:literal;)*) => {
        &[$(Embedded { name: $name, files: embedded!(@files $name: "manifest.json", "config.json", "tokenizer.json",
            "model.safetensors", "CARD.md") },)*]
    };
    (@files $name:literal: $($file:literal),*) => {
        &[$(($file, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/models/", $name, "/", $file)) as &[u8]),)*]
    };
}

/// Every model that ships.
pub static MODELS: &[Embedded] = embedded! {
    "tfbind8-prior";
    "tfbind8-prior-full";
    "tfbind8-prior-hard";
    "tfbind8-consistency-full";
    "tfbind8-consistency-hard";
    "tfbind8-reward";
    "tfbind8-fit";
    "gfp-prior";
    "gfp-reward";
    "gfp-judge";
};

impl Embedded {
    fn read(&self, file: &str) -> Option<Vec<u8>> {
        self.files.iter().find(|(name, _)| *name == file).map(|(_, bytes)| bytes.to_vec())
    }

    /// The manifest, after checking every hash.
    ///
    /// # Errors
    /// An integrity error when the program itself was damaged.
    pub fn verify(&self) -> Result<Manifest> {
        read_checked(self.name, &|file| Ok(self.read(file))).map(|(manifest, _)| manifest)
    }

    /// The model.
    ///
    /// # Errors
    /// When it is not of this kind, or damaged.
    pub fn open(&self, kind: &str) -> Result<ModelFolder> {
        ModelFolder::from_files(self.name, kind, read_checked(self.name, &|file| Ok(self.read(file)))?)
    }

    /// The text of its card.
    #[must_use]
    pub fn card(&self) -> String {
        card(self.read("CARD.md"))
    }

    /// The first heading of its card.
    #[must_use]
    pub fn title(&self) -> String {
        let card = self.card();
        card.lines().find_map(|line| line.strip_prefix("# ")).unwrap_or_default().to_owned()
    }
}

fn card(bytes: Option<Vec<u8>>) -> String {
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default()
}

/// The model at a path, or, where there is no such path, the built-in one with that name.
///
/// # Errors
/// When there is neither, when it is not of this kind, or damaged.
pub fn open_model(name: &str, kind: &str) -> Result<ModelFolder> {
    if Path::new(name).exists() {
        return ModelFolder::load(name, kind);
    }
    find(name)?.open(kind)
}

/// The manifest and the card of the model that [`open_model`] would find, of whatever kind, after checking every hash.
///
/// # Errors
/// As [`open_model`], but for the kind.
pub fn inspect_model(name: &str) -> Result<(Manifest, String)> {
    if !Path::new(name).exists() {
        let model = find(name)?;
        return Ok((model.verify()?, model.card()));
    }
    let (manifest, mut files) = read_folder(Path::new(name))?;
    Ok((manifest, card(files.remove("CARD.md"))))
}

/// The built-in model with a name.
///
/// # Errors
/// When there is none.
pub fn find(name: &str) -> Result<&'static Embedded> {
    if let Some(model) = MODELS.iter().find(|model| model.name == name) {
        return Ok(model);
    }
    let names = MODELS.iter().map(|model| model.name);
    if name.contains(['/', '\\', '.']) {
        return Err(Error::data(format!("no model folder `{name}`"))
            .hint("name a folder written by seqtilt, or a model that `seqtilt models list` shows"));
    }
    Err(unknown("model", name, names))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::store::Tensors;

    #[test]
    fn a_path_is_opened_before_a_name_is_looked_up() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine");
        ModelFolder::new("reward", &1, Tensors::new()).unwrap().with_card("# Mine\n").save(&path).unwrap();
        let name = path.to_str().unwrap();
        assert_eq!(open_model(name, "reward").unwrap().card, "# Mine\n");
        let (manifest, card) = inspect_model(name).unwrap();
        assert_eq!((manifest.kind.as_str(), card.as_str()), ("reward", "# Mine\n"));
    }

    #[test]
    fn a_name_that_is_neither_is_refused_as_what_it_looks_like() {
        assert_eq!(open_model("no-such-model", "prior").unwrap_err().kind(), Kind::Usage);
        assert_eq!(open_model("no/such/folder", "prior").unwrap_err().kind(), Kind::Data);
    }

    #[test]
    fn every_model_that_ships_is_whole_and_has_a_title() {
        for model in MODELS {
            model.verify().unwrap();
            assert!(!model.title().is_empty(), "{}", model.name);
        }
    }

    #[test]
    fn a_damaged_file_inside_the_program_is_noticed() {
        let damaged = Embedded { name: "m", files: &[("manifest.json", b"{\"format\": 1}"), ("CARD.md", b"# M\n")] };
        assert_eq!(damaged.verify().unwrap_err().kind(), Kind::Integrity);
        assert_eq!(damaged.title(), "M");
    }
}
