//! Oracles by name: `KIND:ARGUMENT`.

use super::{Model, Oracle, Table, command, ehrlich, expression, fitted, formula, noisy, onnx, rules};
use crate::data::{self, Landscape};
use crate::error::{Error, Result};
use crate::registry::registry;
use crate::reward::{Ensemble, KIND, Multilinear, Reward};
use crate::sequence::{ReadOptions, Records, read_file};
use crate::store::open_model;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

/// Options for opening an oracle.
#[derive(Clone, Debug, Default)]
pub struct OracleOptions {
    /// How files of sequences are read: alphabet and columns.
    pub read: ReadOptions,
    /// The folder of named data sets, if tables may be data sets of the manifest there.
    pub data_dir: Option<PathBuf>,
    /// The seed that a command is told, unless it stands in front of the command.
    pub seed: u64,
    /// Children of a command, unless they stand in front of it; 1 where this is left open.
    pub workers: Option<usize>,
    /// How long a command may take for a batch without a sign of progress, unless it stands in front of it; 600 s where this is
    /// left open.
    pub timeout: Option<Duration>,
    /// The library that runs ONNX models; that of its usual name where this is left open.
    pub onnx_runtime: Option<PathBuf>,
}

/// How an oracle kind is opened from its argument.
#[derive(Clone, Copy, Debug)]
pub struct OracleKind {
    /// What the argument is, such as `FILE`.
    pub argument: &'static str,
    /// Opens it for evaluation.
    pub oracle: fn(&str, &OracleOptions) -> Result<Box<dyn Oracle>>,
    /// Opens it as a differentiable reward, where that is possible.
    pub reward: fn(&str, &OracleOptions) -> Result<Box<dyn Reward>>,
}

registry! {
    /// The kinds of oracle.
    pub ORACLES: OracleKind, "oracle kind", "oracle kinds";
    "table" => OracleKind { argument: "FILE", oracle: table, reward: table_reward },
        "exact look-up in a table of measured sequences: a file, or the name of a data set";
    "model" => OracleKind { argument: "DIR", oracle: model, reward: model_reward },
        "mean and spread of a reward trained by `oracle train`, or of a built-in one by name";
    "potts" => OracleKind { argument: "FILE", oracle: formula::potts, reward: formula::potts_reward },
        "fields and pair couplings, the negative of an energy: CSV with columns i,a,j,b,value";
    "pwm" => OracleKind { argument: "FILE", oracle: formula::pwm, reward: formula::pwm_reward },
        "log-odds of a motif's sites, MEME or JASPAR format; pwm:sites=best,strands=both,motif=NAME:FILE for other rules";
    "gp" => OracleKind { argument: "FILE", oracle: fitted::process, reward: fitted::process_reward },
        "Gaussian process fitted to measured data at opening, mean and spread; gp:length-scale=auto,noise=0.01:FILE sets it";
    "linear" => OracleKind { argument: "FILE", oracle: fitted::linear, reward: fitted::linear_reward },
        "ridge regression on letters, fitted at opening, mean and spread; linear:features=pairs,ridge=1:FILE on pairs too";
    "ehrlich" => OracleKind { argument: "states=32,length=32,motifs=4,motif-length=4,seed=0", oracle: ehrlich::open, reward: ehrlich::reward },
        "closed-form test function with motifs, banned transitions and greatest value 1; ehrlich:FILE reads one";
    "expr" => OracleKind { argument: "0.7*a + max(b,0); a=KIND:ARGUMENT; b=KIND:ARGUMENT", oracle: expression::open, reward: expression::reward },
        "formula over other oracles: + - * / min max clip sigmoid exp log sqrt abs above below; expr:FILE reads one";
    "rules" => OracleKind { argument: "FILE", oracle: rules::open, reward: rules::reward },
        "minus the violations of rules in TOML: gc, share, forbidden, run, allowed, mutations; hard ones make infeasible";
    "noisy" => OracleKind { argument: "sd=0.1,fail=0.1,seed=3:KIND:ARGUMENT", oracle: noisy::open, reward: noisy::reward },
        "another oracle with Gaussian noise and evaluations that fail";
    "cmd" => OracleKind { argument: "COMMAND", oracle: command::open, reward: command::reward },
        "any program that speaks the protocol of `oracle template`; cmd:workers=4,timeout=600:COMMAND for other settings";
    "onnx" => OracleKind { argument: "FILE", oracle: onnx::open, reward: onnx::reward },
        "network in an ONNX file, for builds with the feature onnx; onnx:alphabet=dna,length=8:FILE says what the file does not";
}

/// The name of an oracle in two parts.
///
/// ```
/// use seqtilt::oracle::OracleName;
/// let name: OracleName = "table:assay.csv".parse()?;
/// assert_eq!((name.kind.as_str(), name.argument.as_str()), ("table", "assay.csv"));
/// let error = "tabel:assay.csv".parse::<OracleName>().unwrap_err();
/// assert_eq!(error.to_string(), "unknown oracle kind `tabel`; accepted: `table`, `model`, `potts`, `pwm`, `gp`, `linear`, `ehrlich`, `expr`, `rules`, `noisy`, `cmd`, `onnx`");
/// assert_eq!(error.hint_text(), Some("did you mean `table`?"));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OracleName {
    /// One of [`ORACLES`].
    pub kind: String,
    /// What follows the first colon.
    pub argument: String,
}

impl FromStr for OracleName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let Some((kind, argument)) = text.split_once(':') else {
            let forms: Vec<String> =
                ORACLES.entries().iter().map(|entry| format!("`{}:{}`", entry.name, entry.make.argument)).collect();
            let error = Error::usage(format!("`{text}` is not an oracle; accepted: {}", forms.join(", ")));
            let path = Path::new(text);
            return Err(if path.is_dir() {
                error.hint(format!("a model folder is named `model:{text}`"))
            } else if path.is_file() {
                error.hint(format!("a table is named `table:{text}`"))
            } else {
                error.hint("put the kind and a colon in front")
            });
        };
        let entry = ORACLES.get(kind)?;
        if argument.is_empty() {
            let what = entry.make.argument;
            return Err(Error::usage(format!("`{text}` lacks its argument; `{kind}:{what}` is accepted")));
        }
        Ok(Self { kind: kind.to_owned(), argument: argument.to_owned() })
    }
}

impl fmt::Display for OracleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind, self.argument)
    }
}

impl OracleName {
    /// Opens it for evaluation.
    ///
    /// # Errors
    /// When the kind is unknown, or its file or folder cannot be read.
    pub fn open(&self, options: &OracleOptions) -> Result<Box<dyn Oracle>> {
        (ORACLES.get(&self.kind)?.make.oracle)(&self.argument, options)
    }

    /// Opens it as a differentiable reward.
    ///
    /// # Errors
    /// As [`open`](Self::open), and when it has no gradient: a table that is not complete.
    pub fn reward(&self, options: &OracleOptions) -> Result<Box<dyn Reward>> {
        (ORACLES.get(&self.kind)?.make.reward)(&self.argument, options)
    }
}

/// Opens the oracle with a name such as `table:assay.csv`.
///
/// # Errors
/// When the name is not of the form `KIND:ARGUMENT`, the kind is unknown, or its file or folder cannot be read.
pub fn open(name: &str, options: &OracleOptions) -> Result<Box<dyn Oracle>> {
    name.parse::<OracleName>()?.open(options)
}

fn table(file: &str, options: &OracleOptions) -> Result<Box<dyn Oracle>> {
    let records = records(file, options)?;
    Ok(Box::new(Table::from_records(stem(file), &records).map_err(|error| error.at(file))?))
}

fn table_reward(file: &str, options: &OracleOptions) -> Result<Box<dyn Reward>> {
    let landscape = Landscape::from_records(&records(file, options)?).map_err(|error| {
        error.at(file).hint(format!("train a reward on it: seqtilt oracle train {file} --out reward"))
    })?;
    Ok(Box::new(Multilinear::from_landscape(stem(file), &landscape)?))
}

/// The records of a file, or of a data set with that name where there is no such file.
pub(super) fn records(source: &str, options: &OracleOptions) -> Result<Records> {
    if let (false, Some(dir)) = (Path::new(source).exists(), &options.data_dir)
        && data::datasets(dir)?.iter().any(|set| set.name == source)
    {
        return data::load(source, dir);
    }
    read_file(Path::new(source), &options.read)
}

fn model(folder: &str, _: &OracleOptions) -> Result<Box<dyn Oracle>> {
    Ok(Box::new(Model::new(ensemble(folder)?)))
}

fn model_reward(folder: &str, _: &OracleOptions) -> Result<Box<dyn Reward>> {
    Ok(Box::new(ensemble(folder)?))
}

fn ensemble(folder: &str) -> Result<Ensemble> {
    Ensemble::from_folder(&stem(folder), &open_model(folder, KIND)?)
}

/// The last part of a path, without its extension.
pub(super) fn stem(path: &str) -> String {
    Path::new(path).file_stem().map_or_else(|| path.to_owned(), |stem| stem.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::Sequence;

    #[test]
    fn a_complete_table_is_an_oracle_and_a_reward() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("letters.csv");
        std::fs::write(&file, "sequence,value\nA,0.25\nC,0.5\nG,0.75\nT,1\n").unwrap();
        let name: OracleName = format!("table:{}", file.display()).parse().unwrap();
        let mut oracle = name.open(&OracleOptions::default()).unwrap();
        let word = Sequence::parse("G", &oracle.info().alphabet.clone()).unwrap();
        assert_eq!(oracle.evaluate(&[word]).unwrap()[0].value(), Some(0.75));
        assert!(oracle.info().has_gradient);
        let reward = name.reward(&OracleOptions::default()).unwrap();
        let probs = candle_core::Tensor::new(&[[[0.5_f64, 0.5, 0.0, 0.0]]], &candle_core::Device::Cpu).unwrap();
        assert_eq!(reward.reward(&probs).unwrap().to_vec1::<f64>().unwrap(), [0.375]);
        assert_eq!(reward.name(), "letters");
    }

    #[test]
    fn an_incomplete_table_is_no_reward_and_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("few.csv");
        std::fs::write(&file, "sequence,value\nA,0.25\nC,0.5\nG,0.75\n").unwrap();
        let name: OracleName = format!("table:{}", file.display()).parse().unwrap();
        let error = name.reward(&OracleOptions::default()).err().unwrap();
        assert!(error.hint_text().unwrap().starts_with("train a reward on it: seqtilt oracle train"));
    }

    #[test]
    fn a_name_without_its_kind_or_argument_says_what_is_accepted() {
        let error = "assay.csv".parse::<OracleName>().unwrap_err();
        assert_eq!(
            error.message(),
            "`assay.csv` is not an oracle; accepted: `table:FILE`, `model:DIR`, `potts:FILE`, `pwm:FILE`, `gp:FILE`, `linear:FILE`, `ehrlich:states=32,length=32,motifs=4,motif-length=4,seed=0`, `expr:0.7*a + max(b,0); a=KIND:ARGUMENT; b=KIND:ARGUMENT`, `rules:FILE`, `noisy:sd=0.1,fail=0.1,seed=3:KIND:ARGUMENT`, `cmd:COMMAND`, `onnx:FILE`"
        );
        let error = "table:".parse::<OracleName>().unwrap_err();
        assert_eq!(error.message(), "`table:` lacks its argument; `table:FILE` is accepted");
        assert!(open("model:no-such-folder", &OracleOptions::default()).is_err());
    }
}
