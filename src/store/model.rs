//! A trained model on disk.

use super::atomic::{create_folder, remove_partials};
use super::manifest::{FORMAT, FileHash, Files, MANIFEST, Manifest, from_json, read_folder, to_json};
use super::{Tensors, decode_tensors, encode_tensors, write_atomic};
use crate::error::{Error, Result};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

const CONFIG: &str = "config.json";
const TOKENIZER: &str = "tokenizer.json";
const WEIGHTS: &str = "model.safetensors";
const CARD: &str = "CARD.md";

#[derive(Serialize, Deserialize)]
struct Config {
    format: u32,
    kind: String,
    config: Value,
}

/// A model as a folder holds it: `config.json`, `tokenizer.json`, `model.safetensors`, `CARD.md`, and
/// `manifest.json` with the hash of each.
#[derive(Clone, Debug)]
pub struct ModelFolder {
    /// What it is: `prior`, `reward`, `control` and so on.
    pub kind: String,
    /// The owner's configuration; read it with [`config`](Self::config).
    pub config: Value,
    /// `tokenizer.json`, where the model has one.
    pub tokenizer: Option<Vec<u8>>,
    /// The weights, on the host.
    pub weights: Tensors,
    /// `CARD.md`: command, data, seed, metrics, licence, limits.
    pub card: String,
}

impl ModelFolder {
    /// A model without tokenizer and card.
    ///
    /// # Errors
    /// When the configuration cannot be written as JSON.
    pub fn new(kind: impl Into<String>, config: &impl Serialize, weights: Tensors) -> Result<Self> {
        let config = serde_json::to_value(config)
            .map_err(|error| Error::usage("the configuration cannot be written as JSON").because(error))?;
        Ok(Self { kind: kind.into(), config, tokenizer: None, weights, card: String::new() })
    }

    /// With the bytes of `tokenizer.json`.
    #[must_use]
    pub fn with_tokenizer(mut self, tokenizer: Vec<u8>) -> Self {
        self.tokenizer = Some(tokenizer);
        self
    }

    /// With the text of `CARD.md`.
    #[must_use]
    pub fn with_card(mut self, card: impl Into<String>) -> Self {
        self.card = card.into();
        self
    }

    /// The owner's configuration.
    ///
    /// # Errors
    /// An integrity error when it does not have the asked form.
    pub fn config<C: DeserializeOwned>(&self) -> Result<C> {
        C::deserialize(&self.config).map_err(|error| {
            Error::integrity(format!("the configuration of this {} is not of the accepted form", self.kind))
                .because(error)
        })
    }

    /// The files of the folder, without the manifest.
    fn files(&self) -> Result<BTreeMap<&'static str, Vec<u8>>> {
        let config = Config { format: FORMAT, kind: self.kind.clone(), config: self.config.clone() };
        let mut files = BTreeMap::from([
            (CONFIG, to_json(&config)?),
            (WEIGHTS, encode_tensors(&self.weights, None)?),
            (CARD, self.card.clone().into_bytes()),
        ]);
        if let Some(tokenizer) = &self.tokenizer {
            files.insert(TOKENIZER, tokenizer.clone());
        }
        Ok(files)
    }

    /// Writes the folder. The manifest is removed first and written last, so that a folder with a manifest is whole.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<Manifest> {
        let folder = folder.as_ref();
        let files = self.files()?;
        create_folder(folder)?;
        remove_partials(folder);
        let manifest_path = folder.join(MANIFEST);
        match fs::remove_file(&manifest_path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(Error::io("replace", manifest_path, error));
            }
            _ => {}
        }
        let mut hashes = BTreeMap::new();
        for (name, bytes) in files {
            write_atomic(folder.join(name), &bytes)?;
            hashes.insert(name.to_owned(), FileHash::of(&bytes));
        }
        let manifest = Manifest { format: FORMAT, kind: self.kind.clone(), files: hashes };
        write_atomic(manifest_path, &to_json(&manifest)?)?;
        Ok(manifest)
    }

    /// Reads a folder and checks every hash. `kind` is what the caller can use.
    ///
    /// # Errors
    /// When the folder or a file is missing, a hash does not match, the format is newer than this build, or the model
    /// is of another kind.
    pub fn load(folder: impl AsRef<Path>, kind: &str) -> Result<Self> {
        let folder = folder.as_ref();
        Self::from_files(&folder.display().to_string(), kind, read_folder(folder)?)
    }

    /// A model from its checked files; `origin` is named in errors.
    pub(super) fn from_files(origin: &str, kind: &str, checked: (Manifest, Files)) -> Result<Self> {
        let (manifest, mut files) = checked;
        if manifest.kind != kind {
            return Err(Error::usage(format!("`{origin}` is a {}, not a {kind}", manifest.kind))
                .hint(format!("name a {kind}; `seqtilt models list` shows the built-in ones")));
        }
        let path = Path::new(origin);
        let mut take = |name: &str| {
            files.remove(name).ok_or_else(|| {
                Error::integrity(format!("`{name}` is not in the folder's manifest")).at(path.join(MANIFEST))
            })
        };
        let config: Config = from_json(&take(CONFIG)?, &path.join(CONFIG))?;
        if config.kind != manifest.kind || config.format != manifest.format {
            return Err(Error::integrity("format or kind differs from the manifest's").at(path.join(CONFIG)));
        }
        let (weights, _) = decode_tensors(&take(WEIGHTS)?, path.join(WEIGHTS))?;
        let card = String::from_utf8(take(CARD)?)
            .map_err(|error| Error::integrity("not UTF-8 text").at(path.join(CARD)).because(error))?;
        Ok(Self { kind: manifest.kind, config: config.config, tokenizer: take(TOKENIZER).ok(), weights, card })
    }
}

#[cfg(test)]
mod tests {
    use super::super::sha256;
    use super::*;
    use crate::Kind;
    use candle_core::{Device, Tensor};
    use std::path::PathBuf;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Settings {
        width: usize,
        dropout: f64,
    }

    fn saved(folder: &Path) -> PathBuf {
        let weight = Tensor::new(&[[1.0_f32, 2.0]], &Device::Cpu).unwrap();
        let settings = Settings { width: 2, dropout: 0.1 };
        let model = ModelFolder::new("prior", &settings, Tensors::from([("w".into(), weight)])).unwrap();
        let path = folder.join("m");
        model.with_tokenizer(b"{}".to_vec()).with_card("# A prior\n").save(&path).unwrap();
        path
    }

    #[test]
    fn a_model_comes_back_as_it_was_and_saves_to_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let path = saved(folder.path());
        let model = ModelFolder::load(&path, "prior").unwrap();
        assert_eq!(model.config::<Settings>().unwrap(), Settings { width: 2, dropout: 0.1 });
        assert_eq!((model.card.as_str(), model.tokenizer.as_deref()), ("# A prior\n", Some(&b"{}"[..])));
        let first = fs::read(path.join(MANIFEST)).unwrap();
        model.save(folder.path().join("again")).unwrap();
        assert_eq!(fs::read(folder.path().join("again").join(MANIFEST)).unwrap(), first);
    }

    #[test]
    fn truncated_weights_are_an_integrity_error_that_names_file_expected_and_got() {
        let folder = tempfile::tempdir().unwrap();
        let path = saved(folder.path()).join(WEIGHTS);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, &bytes[..bytes.len() - 3]).unwrap();
        let error = ModelFolder::load(path.parent().unwrap(), "prior").unwrap_err();
        assert_eq!(error.kind(), Kind::Integrity);
        let (message, hash) = (error.to_string(), sha256(&bytes));
        assert!(message.contains(WEIGHTS), "{message}");
        assert!(message.contains(&format!("expected {} bytes with SHA-256 `{hash}`", bytes.len())), "{message}");
        assert!(message.contains(&format!("got {} bytes", bytes.len() - 3)), "{message}");
    }

    #[test]
    fn a_changed_or_missing_file_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = saved(folder.path());
        fs::write(path.join(CARD), "# A quite different card\n").unwrap();
        assert!(ModelFolder::load(&path, "prior").unwrap_err().to_string().contains(CARD));
        for name in [TOKENIZER, MANIFEST] {
            let path = saved(folder.path());
            fs::remove_file(path.join(name)).unwrap();
            let error = ModelFolder::load(&path, "prior").unwrap_err();
            assert_eq!(error.kind(), Kind::Integrity);
            assert!(error.message().contains(&format!("`{name}` is missing")), "{error}");
        }
    }

    #[test]
    fn a_newer_format_and_a_foreign_kind_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = saved(folder.path());
        let error = ModelFolder::load(&path, "reward").unwrap_err();
        assert_eq!(error.kind(), Kind::Usage);
        assert!(error.message().ends_with("is a prior, not a reward"), "{error}");
        let manifest = fs::read_to_string(path.join(MANIFEST)).unwrap();
        fs::write(path.join(MANIFEST), manifest.replace("\"format\": 1", "\"format\": 2")).unwrap();
        let error = ModelFolder::load(&path, "prior").unwrap_err();
        assert!(error.message().contains("format 2 is newer than 1"), "{error}");
        assert_eq!(error.hint_text(), Some("install a newer seqtilt"));
    }

    #[test]
    fn a_manifest_cannot_reach_outside_its_folder() {
        let folder = tempfile::tempdir().unwrap();
        let path = saved(folder.path());
        let manifest = fs::read_to_string(path.join(MANIFEST)).unwrap();
        fs::write(path.join(MANIFEST), manifest.replace("\"CARD.md\"", "\"../CARD.md\"")).unwrap();
        assert!(ModelFolder::load(&path, "prior").unwrap_err().message().contains("leaves the folder"));
    }

    #[test]
    fn a_path_that_is_not_a_folder_is_bad_data() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(ModelFolder::load(folder.path().join("none"), "prior").unwrap_err().kind(), Kind::Data);
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        let model = ModelFolder::new("prior", &1, Tensors::new()).unwrap();
        assert_eq!(model.save(&file).unwrap_err().kind(), Kind::Device);
    }
}
