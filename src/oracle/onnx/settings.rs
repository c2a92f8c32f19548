//! What an ONNX file is read with.

use crate::error::{Error, Result};
use crate::oracle::option;
use crate::registry::unknown;
use crate::sequence::Alphabet;
use std::path::PathBuf;

/// An ONNX file, and what it may not say itself.
///
/// Written `FILE`, or with settings in front, `alphabet=dna,length=8:FILE`. A model says the same in its metadata, under the same names;
/// what stands in front wins.
///
/// | setting | |
/// |---|---|
/// | `alphabet` | a name, such as `dna`, or its letters in the order of ids, such as `ACGT` |
/// | `length` | letters of a sequence, or the fewest and the most, such as `1-64`, where the model's input leaves them open |
/// | `direction` | `max`, or `min` where less is better: the sign is turned then; default `max` |
/// | `output` | the name of the output to read; default the first |
///
/// ```
/// use seqtilt::oracle::OnnxConfig;
/// let config = OnnxConfig::parse("alphabet=dna,length=4-8,direction=min:models/affinity.onnx")?;
/// assert_eq!((config.length, config.less_is_better), (Some((4, 8)), Some(true)));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct OnnxConfig {
    /// The file.
    pub file: PathBuf,
    /// Letters in the order of their ids.
    pub alphabet: Option<Alphabet>,
    /// The least and the greatest length, both included.
    pub length: Option<(usize, usize)>,
    /// Whether less is better.
    pub less_is_better: Option<bool>,
    /// The output that is read.
    pub output: Option<String>,
}

/// Names of settings, in front of a file and in a model's metadata.
pub(super) const SETTINGS: [&str; 4] = ["alphabet", "length", "direction", "output"];

impl OnnxConfig {
    /// Reads `FILE` or `KEY=VALUE,…:FILE`.
    ///
    /// # Errors
    /// When a setting is unknown or not accepted.
    pub fn parse(argument: &str) -> Result<Self> {
        let (front, file) = option::split(argument);
        let mut config = Self { file: PathBuf::from(file), ..Self::default() };
        for (key, value) in option::pairs(front) {
            config.set(key, value)?;
        }
        Ok(config)
    }

    /// One setting.
    pub(super) fn set(&mut self, key: &str, value: &str) -> Result<()> {
        match key {
            "alphabet" => self.alphabet = Some(Alphabet::named(value).or_else(|_| Alphabet::of_letters(value))?),
            "length" => self.length = Some(lengths(value)?),
            "direction" => {
                self.less_is_better = Some(match value {
                    "max" => false,
                    "min" => true,
                    _ => {
                        let message = format!("`direction` of `onnx` is `{value}`; `max` and `min` are accepted");
                        return Err(Error::usage(message));
                    }
                });
            }
            "output" => self.output = Some(value.to_owned()),
            _ => return Err(unknown("option of `onnx`", key, SETTINGS)),
        }
        Ok(())
    }

    /// The same with the settings of `other` where there are none.
    #[cfg(feature = "onnx")]
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            file: self.file,
            alphabet: self.alphabet.or(other.alphabet),
            length: self.length.or(other.length),
            less_is_better: self.less_is_better.or(other.less_is_better),
            output: self.output.or(other.output),
        }
    }
}

/// `8`, or `1-64`.
fn lengths(text: &str) -> Result<(usize, usize)> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    let read = |text: &str| option::value("onnx", "length", text, "a number of letters, or two such as 1-64,");
    let (least, most) = (read(least)?, read(most)?);
    if least == 0 || least > most {
        return Err(Error::usage(format!("`length` of `onnx` is `{text}`; 1 or more, the fewest first, is accepted")));
    }
    Ok((least, most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_stand_in_front_of_the_file() {
        let plain = OnnxConfig::parse("models/a.onnx").unwrap();
        assert_eq!(plain, OnnxConfig { file: "models/a.onnx".into(), ..OnnxConfig::default() });
        let set = OnnxConfig::parse("alphabet=TGCA,length=8,output=kd:a.onnx").unwrap();
        // ids of letters count: TGCA is not the built-in order
        assert_eq!(set.alphabet.unwrap().letters(), b"TGCA");
        assert_eq!((set.length, set.output.as_deref(), set.less_is_better), (Some((8, 8)), Some("kd"), None));
    }

    #[test]
    fn what_is_not_accepted_says_what_is() {
        let message = |argument: &str| OnnxConfig::parse(argument).unwrap_err().message().to_owned();
        assert!(message("letters=4:a.onnx").starts_with("unknown option of `onnx` `letters`"));
        assert!(message("length=x:a.onnx").contains("`length` of `onnx` is `x`"));
        for wrong in ["0", "9-8"] {
            assert!(message(&format!("length={wrong}:a.onnx")).contains("the fewest first"), "{wrong}");
        }
        assert!(message("direction=up:a.onnx").contains("`max` and `min`"));
    }

    #[cfg(not(feature = "onnx"))]
    #[test]
    fn a_build_without_the_feature_names_it_and_a_way_round() {
        let error =
            crate::oracle::open("onnx:alphabet=dna:a.onnx", &crate::oracle::OracleOptions::default()).err().unwrap();
        assert_eq!(error.kind(), crate::Kind::Usage);
        assert_eq!(error.message(), "this build has no `onnx` oracles: `a.onnx` needs the feature `onnx`");
        assert!(error.hint_text().unwrap().contains("--features onnx"));
    }
}
