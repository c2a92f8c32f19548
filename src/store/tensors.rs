//! Named tensors as safetensors bytes.

use crate::error::{Error, Result};
use candle_core::{Device, Tensor};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// Tensors by name, in the order of their names.
pub type Tensors = BTreeMap<String, Tensor>;

/// The one key under which seqtilt keeps text in the header of a safetensors file. One key only: the header's map has
/// no fixed order.
const HEADER_KEY: &str = "seqtilt";

/// The safetensors file of some tensors, with an optional text in its header. The same tensors give the same bytes.
///
/// # Errors
/// When a tensor cannot be brought to the host.
pub fn encode_tensors(tensors: &Tensors, header: Option<&str>) -> Result<Vec<u8>> {
    let host = tensors
        .iter()
        .map(|(name, tensor)| Ok((name.as_str(), tensor.to_device(&Device::Cpu)?.contiguous()?)))
        .collect::<Result<Vec<_>>>()?;
    let header = header.map(|text| HashMap::from([(HEADER_KEY.to_owned(), text.to_owned())]));
    safetensors::serialize(host.iter().map(|(name, tensor)| (*name, tensor)), header)
        .map_err(|error| Error::device("cannot encode tensors as safetensors").because(error))
}

/// Reads a safetensors file that was read from `path` (named in errors) into tensors on the host, with the text in its
/// header if there is one.
///
/// # Errors
/// An integrity error when the bytes are cut short or are not a safetensors file.
pub fn decode_tensors(bytes: &[u8], path: impl AsRef<Path>) -> Result<(Tensors, Option<String>)> {
    let path = path.as_ref();
    let broken = |error: safetensors::SafeTensorError| {
        Error::integrity(format!(
            "not a whole safetensors file ({} bytes): it was cut short, or is of another kind",
            bytes.len()
        ))
        .at(path)
        .because(error)
    };
    let (_, metadata) = safetensors::SafeTensors::read_metadata(bytes).map_err(broken)?;
    let header = metadata.metadata().as_ref().and_then(|map| map.get(HEADER_KEY)).cloned();
    let tensors = candle_core::safetensors::load_buffer(bytes, &Device::Cpu)
        .map_err(|error| Error::integrity("holds a tensor that cannot be read").at(path).because(error))?;
    Ok((tensors.into_iter().collect(), header))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some() -> Tensors {
        let a = Tensor::new(&[[1.0_f32, 2.0], [3.0, 4.0]], &Device::Cpu).unwrap();
        let b = Tensor::new(&[5_u32, 6], &Device::Cpu).unwrap();
        Tensors::from([("b.bias".into(), b), ("a.weight".into(), a.t().unwrap()), ("a.norm".into(), a)])
    }

    #[test]
    fn tensors_and_header_come_back_as_they_were() {
        let bytes = encode_tensors(&some(), Some("{\"step\":3}")).unwrap();
        let (tensors, header) = decode_tensors(&bytes, "x").unwrap();
        assert_eq!(header.as_deref(), Some("{\"step\":3}"));
        assert_eq!(tensors["a.weight"].to_vec2::<f32>().unwrap(), [[1.0, 3.0], [2.0, 4.0]]);
        assert_eq!(tensors["b.bias"].to_vec1::<u32>().unwrap(), [5, 6]);
    }

    #[test]
    fn the_bytes_depend_on_the_content_only() {
        assert_eq!(encode_tensors(&some(), Some("a")).unwrap(), encode_tensors(&some(), Some("a")).unwrap());
    }

    #[test]
    fn every_truncation_is_noticed() {
        let bytes = encode_tensors(&some(), None).unwrap();
        for length in 0..bytes.len() {
            let error = decode_tensors(&bytes[..length], "w.safetensors").unwrap_err();
            assert_eq!(error.kind(), crate::Kind::Integrity);
            assert!(error.to_string().starts_with("w.safetensors: "), "{error}");
        }
    }
}
