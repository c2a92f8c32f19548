//! Between letters and points.

use crate::error::{Error, Result};
use crate::nn::{Init, Params, embedding, exact_product};
use crate::sequence::{Alphabet, Sequence};
use candle_core::{D, DType, Device, Tensor};
use serde::{Deserialize, Serialize};

/// Where the embedding table comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Embedding {
    /// Learned together with the denoiser, rows kept at norm √D (Dieleman et al. 2022, arXiv 2211.15089).
    #[default]
    Learned,
    /// The vertices of a regular simplex at norm √D; needs D ≥ V.
    Simplex,
}

/// The embedding table E, (V, D), rows at norm √D.
///
/// ```text
/// embed(x)_i = E[x_i]      relax(p) = p E      round(logits) = argmax
/// ```
#[derive(Clone, Debug)]
pub struct Codec {
    table: Tensor,
    transposed: Tensor,
}

impl Codec {
    /// The table of `params` (name `embedding`), or fixed vertices.
    ///
    /// # Errors
    /// When the stored table has another shape, or a simplex does not fit into `dim` dimensions.
    pub fn new(params: &Params, kind: Embedding, letters: usize, dim: usize) -> Result<Self> {
        let table = match kind {
            Embedding::Learned => params.get("embedding", (letters, dim), Init::Normal(1.0))?,
            Embedding::Simplex => simplex(letters, dim, params.dtype(), params.device())?,
        };
        let norm = table.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
        let table = (table.broadcast_div(&norm)? * (dim as f64).sqrt())?;
        let transposed = table.t()?.contiguous()?;
        Ok(Self { table, transposed })
    }

    /// The table, (V, D).
    #[must_use]
    pub fn table(&self) -> &Tensor {
        &self.table
    }

    /// Points of token ids: (B·L,) `u32` → (B, L, D).
    ///
    /// # Errors
    /// When an id is not below V.
    pub fn embed(&self, ids: &Tensor, batch: usize) -> Result<Tensor> {
        let points = embedding(&self.table, ids)?;
        let (rows, dim) = points.dims2()?;
        Ok(points.reshape((batch, rows / batch, dim))?)
    }

    /// Expected points of letter probabilities: (B, L, V) → (B, L, D).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn relax(&self, probabilities: &Tensor) -> Result<Tensor> {
        let (b, l, v) = probabilities.dims3()?;
        let flat = exact_product(&probabilities.reshape((b * l, v))?, &self.table)?;
        Ok(flat.reshape((b, l, self.table.dim(1)?))?)
    }

    /// Inner products with every letter's point: (B, L, D) → (B, L, V).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn project(&self, points: &Tensor) -> Result<Tensor> {
        let (b, l, d) = points.dims3()?;
        let flat = exact_product(&points.reshape((b * l, d))?, &self.transposed)?;
        Ok(flat.reshape((b, l, self.table.dim(0)?))?)
    }

    /// Token ids of several sequences as one (B·L,) tensor, padded to L = `length` where the alphabet has padding. They are checked
    /// here, before they are out of reach on a device.
    ///
    /// # Errors
    /// When a sequence has another length, a token is not of the alphabet, or the tensor cannot be made.
    pub fn ids(sequences: &[&Sequence], alphabet: &Alphabet, length: usize, device: &Device) -> Result<Tensor> {
        let mut ids: Vec<u32> = Vec::with_capacity(sequences.len() * length);
        for sequence in sequences {
            let before = ids.len();
            ids.extend(sequence.padded(alphabet, length).into_iter().map(u32::from));
            if ids.len() - before != length {
                let (got, at_most) = (sequence.len(), if alphabet.padding().is_some() { "up to " } else { "" });
                return Err(Error::data(format!("a sequence has {got} letters; {at_most}{length} are accepted")));
            }
        }
        if let Some(id) = ids.iter().find(|id| **id as usize >= alphabet.len()) {
            let (name, letters) = (alphabet.name(), alphabet.len());
            return Err(Error::data(format!("token id {id} is not of alphabet `{name}`, which has {letters} letters")));
        }
        let count = ids.len();
        Ok(Tensor::from_vec(ids, count, device)?)
    }
}

/// Centred one-hot rows: a regular simplex in the first V of `dim` coordinates.
fn simplex(letters: usize, dim: usize, dtype: DType, device: &Device) -> Result<Tensor> {
    if dim < letters {
        let message = format!("`embedding-dim` is {dim}; a simplex over {letters} letters needs at least {letters}");
        return Err(Error::usage(message));
    }
    let centre = 1.0 / letters as f64;
    let rows: Vec<f64> = (0..letters)
        .flat_map(|v| (0..dim).map(move |d| if d >= letters { 0.0 } else { f64::from(u8::from(d == v)) - centre }))
        .collect();
    Ok(Tensor::from_vec(rows, (letters, dim), device)?.to_dtype(dtype)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_of_another_alphabet_is_refused_on_the_host() {
        let word = Sequence::parse("YW", &Alphabet::protein()).unwrap();
        let error = Codec::ids(&[&word], &Alphabet::dna(), 2, &Device::Cpu).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Data);
        assert!(error.message().ends_with("is not of alphabet `dna`, which has 4 letters"), "{error}");
    }
}
