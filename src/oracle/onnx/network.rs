//! A network in an ONNX file.

use super::settings::{OnnxConfig, SETTINGS};
use crate::error::{Error, Result};
use crate::oracle::{Oracle, OracleInfo, Outcome};
use crate::reward::LONGEST;
use crate::sequence::{Alphabet, Sequence};
use crate::store::Sha256;
use ort::session::Session;
use ort::value::{Tensor, TensorElementType, ValueType};
use std::collections::BTreeMap;
use std::path::Path;

/// Sequences that the network sees at a time.
const BATCH: usize = 1024;

/// A network in an ONNX file, run by the ONNX Runtime on one thread: values and no gradient.
///
/// ```text
/// input   ids (B, L) of 32 or 64 bits, or one-hot letters (B, L, V) of f32        output   (B,) or (B, 1), f32 or f64
/// ```
/// The batch dimension has to be free. Length and alphabet come from the input's shape, from the model's metadata or from
/// [`OnnxConfig`]; a value that is not finite is [`Outcome::Failed`], a sequence of another length [`Outcome::Infeasible`].
///
/// Needs the feature `onnx`, and the runtime's library when a model is opened: the file that the environment variable
/// `ORT_DYLIB_PATH` names, on the command line. Nothing is linked or fetched when this crate is built.
///
/// # Cost
/// One run of the network for every 1,024 sequences of one length.
#[derive(Debug)]
pub struct Onnx {
    info: OracleInfo,
    session: Session,
    one_hot: bool,
    wide: bool,
    output: String,
    sign: f64,
}

/// What the input of a model says.
struct Input {
    one_hot: bool,
    /// Whether ids have 64 bits.
    wide: bool,
    length: Option<usize>,
    letters: Option<usize>,
}

fn failed(what: &str, error: &ort::Error) -> Error {
    Error::oracle(what.to_owned()).because(error.to_string())
}

/// A dimension; none where it is free.
fn fixed(dimension: i64) -> Option<usize> {
    usize::try_from(dimension).ok()
}

impl Onnx {
    /// Opens the file, and the runtime's library where no model was opened before: a file, or that of its usual name.
    ///
    /// # Errors
    /// A device error when the runtime's library cannot be used; a data error when the file is no model with one such input and
    /// output, or what it leaves open is not said.
    pub fn open(config: &OnnxConfig, runtime: Option<&Path>) -> Result<Self> {
        let bytes = std::fs::read(&config.file).map_err(|error| Error::io("read", &config.file, error))?;
        super::runtime::open(runtime)?;
        let at = |error: Error| error.at(&config.file);
        let session = Session::builder()
            .and_then(|builder| Ok(builder.with_intra_threads(1)?))
            .and_then(|mut builder| builder.commit_from_memory(&bytes))
            .map_err(|error| at(Error::data("not an ONNX model that this runtime reads").because(error.to_string())))?;
        let mut said = OnnxConfig::default();
        if let Ok(metadata) = session.metadata() {
            for key in SETTINGS {
                // a key that is not there comes back empty
                if let Some(value) = metadata.custom(key).filter(|value| !value.is_empty()) {
                    said.set(key, &value).map_err(at)?;
                }
            }
        }
        let config = config.clone().or(said);
        let input = input(&session).map_err(at)?;
        let output = output(&session, config.output.as_deref()).map_err(at)?;
        let alphabet = alphabet(&config, input.letters).map_err(at)?;
        let length = match (input.length, config.length) {
            (Some(fixed), Some((least, most))) if !(least..=most).contains(&fixed) => {
                let message = format!("the model reads {fixed} letters, `length` says {least} to {most}");
                return Err(at(Error::data(message)));
            }
            (Some(fixed), _) => (fixed, fixed),
            (None, Some(length)) => length,
            (None, None) => (1, LONGEST),
        };
        let less_is_better = config.less_is_better.unwrap_or(false);
        let mut hash = Sha256::default();
        hash.update(format!("onnx {output} {less_is_better} ").as_bytes());
        hash.update(alphabet.letters());
        hash.update(&bytes);
        let info = OracleInfo {
            name: crate::oracle::kind::stem(&config.file.to_string_lossy()),
            fingerprint: format!("sha256:{}", hash.hex()),
            alphabet,
            length,
            deterministic: true,
            has_gradient: false,
        };
        let sign = if less_is_better { -1.0 } else { 1.0 };
        Ok(Self { info, session, one_hot: input.one_hot, wide: input.wide, output, sign })
    }

    /// The values of sequences of one length.
    fn values(&mut self, sequences: &[&Sequence]) -> Result<Vec<f64>> {
        let (rows, length, letters) = (sequences.len(), sequences[0].len(), self.info.alphabet.len());
        let wrong = |error: ort::Error| failed("the network's input cannot be made", &error);
        let ids = sequences.iter().flat_map(|sequence| sequence.ids().iter());
        let value = if self.one_hot {
            let mut letters_of = vec![0.0_f32; rows * length * letters];
            for (place, id) in ids.enumerate() {
                letters_of[place * letters + usize::from(*id)] = 1.0;
            }
            Tensor::from_array(([rows, length, letters], letters_of)).map_err(wrong)?.into_dyn()
        } else if self.wide {
            let ids: Vec<i64> = ids.map(|id| i64::from(*id)).collect();
            Tensor::from_array(([rows, length], ids)).map_err(wrong)?.into_dyn()
        } else {
            let ids: Vec<i32> = ids.map(|id| i32::from(*id)).collect();
            Tensor::from_array(([rows, length], ids)).map_err(wrong)?.into_dyn()
        };
        let name = &self.info.name;
        let outputs = self
            .session
            .run(ort::inputs![value])
            .map_err(|error| failed(&format!("network `{name}` failed"), &error))?;
        let output = &outputs[self.output.as_str()];
        let values: Vec<f64> = if let Ok((_, values)) = output.try_extract_tensor::<f32>() {
            values.iter().map(|value| f64::from(*value)).collect()
        } else {
            let read = output.try_extract_tensor::<f64>();
            read.map_err(|error| failed("the network's output cannot be read", &error))?.1.to_vec()
        };
        if values.len() != rows {
            let got = values.len();
            return Err(Error::oracle(format!("network `{name}` gave {got} values for {rows} sequences")));
        }
        Ok(values.into_iter().map(|value| self.sign * value).collect())
    }
}

impl Oracle for Onnx {
    fn info(&self) -> &OracleInfo {
        &self.info
    }

    fn evaluate(&mut self, batch: &[Sequence]) -> Result<Vec<Outcome>> {
        let (least, most) = self.info.length;
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut lengths: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, sequence) in batch.iter().enumerate() {
            self.info.check_letters(sequence)?;
            if (least..=most).contains(&sequence.len()) {
                lengths.entry(sequence.len()).or_default().push(place);
            }
            let reason = format!("{} letters; the network reads {}", sequence.len(), self.info.lengths());
            outcomes.push(Outcome::Infeasible { reason });
        }
        for places in lengths.values() {
            for part in places.chunks(BATCH) {
                let sequences: Vec<&Sequence> = part.iter().map(|place| &batch[*place]).collect();
                for (place, value) in part.iter().zip(self.values(&sequences)?) {
                    outcomes[*place] = if value.is_finite() {
                        Outcome::exact(value)
                    } else {
                        Outcome::Failed { reason: format!("the network answered {value}") }
                    };
                }
            }
        }
        Ok(outcomes)
    }
}

fn input(session: &Session) -> Result<Input> {
    const HINT: &str =
        "export the model with one input, ids (B, L) or one-hot letters (B, L, V), whose batch dimension is free";
    let wrong = |what: String| Error::data(what).hint(HINT);
    let [input] = session.inputs() else {
        return Err(wrong(format!("the model has {} inputs; 1 is accepted", session.inputs().len())));
    };
    let ValueType::Tensor { ty, shape, .. } = input.dtype() else {
        return Err(wrong(format!("input `{}` is no tensor", input.name())));
    };
    let shape: Vec<Option<usize>> = shape.iter().map(|dimension| fixed(*dimension)).collect();
    let wide = *ty == TensorElementType::Int64;
    match (shape.as_slice(), ty) {
        ([None, length], TensorElementType::Int64 | TensorElementType::Int32) => {
            Ok(Input { one_hot: false, wide, length: *length, letters: None })
        }
        ([None, length, letters], TensorElementType::Float32) => {
            Ok(Input { one_hot: true, wide, length: *length, letters: *letters })
        }
        ([Some(rows), ..], _) => Err(wrong(format!("input `{}` takes batches of {rows} alone", input.name()))),
        _ => {
            let dimensions = shape.len();
            Err(wrong(format!("input `{}` has {dimensions} dimensions of {ty:?}", input.name())))
        }
    }
}

fn output(session: &Session, name: Option<&str>) -> Result<String> {
    let outputs = session.outputs();
    let chosen = match name {
        Some(name) => outputs.iter().find(|output| output.name() == name),
        None => outputs.first(),
    };
    let Some(chosen) = chosen else {
        let names: Vec<String> = outputs.iter().map(|output| format!("`{}`", output.name())).collect();
        let asked = name.unwrap_or_default();
        return Err(Error::data(format!("the model has no output `{asked}`; it has {}", names.join(", "))));
    };
    let ValueType::Tensor { ty, shape, .. } = chosen.dtype() else {
        return Err(Error::data(format!("output `{}` is no tensor", chosen.name())));
    };
    let shape: Vec<Option<usize>> = shape.iter().map(|dimension| fixed(*dimension)).collect();
    let one = matches!(shape.as_slice(), [None] | [None, Some(1) | None]);
    if !one || !matches!(ty, TensorElementType::Float32 | TensorElementType::Float64) {
        let what = format!("output `{}` is {ty:?} of {} dimensions", chosen.name(), shape.len());
        return Err(Error::data(what).hint("one number for each sequence is accepted: (B,) or (B, 1) of f32 or f64"));
    }
    Ok(chosen.name().to_owned())
}

/// Letters in the order of ids, as many as the input has where it says.
fn alphabet(config: &OnnxConfig, letters: Option<usize>) -> Result<Alphabet> {
    let hint = "say it in front of the file, alphabet=ACGT:FILE, or in the model's metadata";
    match (&config.alphabet, letters) {
        (Some(alphabet), Some(letters)) if alphabet.len() != letters => {
            let (got, name) = (alphabet.len(), alphabet.name());
            Err(Error::data(format!("the input has {letters} letters, `alphabet` {name} has {got}")))
        }
        (Some(alphabet), _) => Ok(alphabet.clone()),
        (None, _) => Err(Error::data("the model does not say which letters its ids are").hint(hint)),
    }
}
