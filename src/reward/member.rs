//! One network of an ensemble.

mod cnn;
mod residual;

pub use cnn::{CnnConfig, Pooling};
pub use residual::ResidualConfig;

use super::relaxed::OtherStrand;
use crate::error::{Error, Result};
use crate::nn::Params;
use crate::sequence::{Alphabet, Sequence};
use candle_core::Tensor;
use cnn::Cnn;
use residual::Residual;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a member's network is made of.
///
/// ```
/// use seqtilt::reward::{Architecture, CnnConfig};
/// let cnn: Architecture = serde_json::from_str(r#"{"cnn": {"channels": 32}}"#).unwrap();
/// assert_eq!(cnn, Architecture::Cnn(CnnConfig { channels: 32, ..CnnConfig::default() }));
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Architecture {
    /// Convolutions along the sequence, then a small perceptron.
    Cnn(CnnConfig),
    /// A residual perceptron on all positions at once; for short sequences.
    Mlp(ResidualConfig),
}

impl Default for Architecture {
    fn default() -> Self {
        Self::Cnn(CnnConfig::default())
    }
}

impl Architecture {
    /// What its key in a configuration is: `cnn` or `mlp`.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Cnn(_) => "cnn",
            Self::Mlp(_) => "mlp",
        }
    }
}

/// The sequences that a reward reads.
#[derive(Clone, Debug, PartialEq)]
pub struct Domain {
    /// The letters.
    pub alphabet: Alphabet,
    /// The number of positions: the length of sequences, or of the longest where the alphabet has padding.
    pub length: usize,
}

impl Domain {
    /// Where sequences of some letters lie: their length, or up to the longest with padding.
    ///
    /// # Errors
    /// When the alphabet has no room for padding.
    pub fn of<'a>(alphabet: &Alphabet, sequences: impl IntoIterator<Item = &'a Sequence>) -> Result<Self> {
        let lengths: BTreeSet<usize> = sequences.into_iter().map(Sequence::len).collect();
        let alphabet = if lengths.len() > 1 { alphabet.padded()? } else { alphabet.clone() };
        Ok(Self { alphabet, length: lengths.last().copied().unwrap_or(0) })
    }

    /// The least and the greatest length of its sequences.
    #[must_use]
    pub fn lengths(&self) -> (usize, usize) {
        (if self.alphabet.padding().is_some() { 1 } else { self.length }, self.length)
    }

    /// Whether a sequence has a length that it takes.
    #[must_use]
    pub fn takes(&self, sequence: &Sequence) -> bool {
        let (least, most) = self.lengths();
        (least..=most).contains(&sequence.len())
    }

    /// Checks length and letters of a sequence.
    ///
    /// # Errors
    /// When it has another length, or a letter of another alphabet.
    pub fn check(&self, sequence: &Sequence) -> Result<()> {
        if !self.takes(sequence) {
            let (least, most) = self.lengths();
            let wanted = if least < most { format!("{least} to {most}") } else { most.to_string() };
            return Err(Error::data(format!("{wanted} letters are read, got {}", sequence.len())));
        }
        let letters = self.alphabet.plain().len();
        match sequence.ids().iter().find(|id| usize::from(**id) >= letters) {
            Some(id) => Err(Error::data(format!("token id {id} is not of alphabet `{}`", self.alphabet.name()))),
            None => Ok(()),
        }
    }
}

/// A network from relaxed sequences to one number each, in units of the standardised target.
///
/// ```text
/// f(p), or ½ f(p) + ½ f(p′) with p′ the other strand, where both strands are one molecule
/// ```
#[derive(Clone, Debug)]
pub struct Member {
    network: Network,
    strand: Option<OtherStrand>,
}

#[derive(Clone, Debug)]
enum Network {
    Cnn(Cnn),
    Residual(Residual),
}

impl Member {
    /// A network with its weights from `params`. `both_strands` has no effect on an alphabet without complements.
    ///
    /// # Errors
    /// When a size is 0 or the store holds other shapes.
    pub fn new(params: &Params, architecture: &Architecture, domain: &Domain, both_strands: bool) -> Result<Self> {
        let network = match architecture {
            Architecture::Cnn(config) => Network::Cnn(Cnn::new(params, config, domain)?),
            Architecture::Mlp(config) => Network::Residual(Residual::new(params, config, domain)?),
        };
        let strand =
            if both_strands { OtherStrand::new(&domain.alphabet, domain.length, params.device())? } else { None };
        Ok(Self { network, strand })
    }

    /// The network's output.
    ///
    /// # Shapes
    /// (B, L, V) in the type of the parameters, to (B,).
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn forward(&self, probs: &Tensor) -> Result<Tensor> {
        self.over_strands(probs, |probs| match &self.network {
            Network::Cnn(cnn) => cnn.forward(probs),
            Network::Residual(residual) => residual.forward(probs),
        })
    }

    /// What the network's last map reads: the output is linear in it.
    ///
    /// # Shapes
    /// (B, L, V) in the type of the parameters, to (B, F): F is `hidden` of a `cnn`, `width` of an `mlp`.
    ///
    /// # Errors
    /// When the shapes do not fit.
    pub fn features(&self, probs: &Tensor) -> Result<Tensor> {
        self.over_strands(probs, |probs| match &self.network {
            Network::Cnn(cnn) => cnn.features(probs),
            Network::Residual(residual) => residual.features(probs),
        })
    }

    /// The mean over strands.
    fn over_strands(&self, probs: &Tensor, one: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Tensor> {
        let Some(strand) = &self.strand else { return one(probs) };
        let batch = probs.dim(0)?;
        let both = one(&Tensor::cat(&[probs, &strand.of(probs)?], 0)?)?;
        Ok(((both.narrow(0, 0, batch)? + both.narrow(0, batch, batch)?)? * 0.5)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::gradients;
    use crate::random::Seed;
    use crate::reward::one_hot;
    use candle_core::{DType, Device};

    fn architectures() -> Vec<Architecture> {
        let small = CnnConfig { channels: 8, kernel: 3, margin: 1, blocks: 1, hidden: 8, pooling: Pooling::Global };
        vec![
            Architecture::Cnn(small.clone()),
            Architecture::Cnn(CnnConfig { pooling: Pooling::Flat, ..small.clone() }),
            Architecture::Cnn(CnnConfig { pooling: Pooling::Max, margin: 2, blocks: 0, ..small }),
            Architecture::Mlp(ResidualConfig { width: 16, blocks: 2 }),
        ]
    }

    #[test]
    fn both_strands_get_the_same_number_and_every_weight_a_gradient() {
        let dna = Alphabet::dna();
        let word = Sequence::parse("AGGTAC", &dna).unwrap();
        let reverse = word.reverse_complement(&dna).unwrap();
        let domain = Domain { alphabet: dna, length: 6 };
        for architecture in architectures() {
            let params = Params::trainable(Seed::root(1), DType::F32, &Device::Cpu);
            let member = Member::new(&params, &architecture, &domain, true).unwrap();
            let probs = one_hot(&[word.clone(), reverse.clone()], 4, &Device::Cpu).unwrap();
            let out = member.forward(&probs).unwrap();
            let values = out.to_vec1::<f32>().unwrap();
            assert!((values[0] - values[1]).abs() < 1e-6, "{architecture:?}: {values:?}");
            gradients(&out.sum_all().unwrap(), &params.vars()).unwrap().check_complete().unwrap();
            let single = Member::new(&params, &architecture, &domain, false).unwrap();
            let values = single.forward(&probs).unwrap().to_vec1::<f32>().unwrap();
            assert!((values[0] - values[1]).abs() > 1e-6, "one strand alone is not symmetric");
        }
    }

    #[test]
    fn the_gradient_on_the_simplex_agrees_with_differences() {
        let domain = Domain { alphabet: Alphabet::dna(), length: 5 };
        let mut rng = Seed::root(9).rng();
        let values: Vec<f64> = (0..2 * 5 * 4).map(|_| rng.uniform()).collect();
        let probs = Tensor::from_vec(values, (2, 5, 4), &Device::Cpu).unwrap();
        for architecture in architectures() {
            let params = Params::trainable(Seed::root(2), DType::F64, &Device::Cpu);
            let member = Member::new(&params, &architecture, &domain, true).unwrap();
            crate::nn::check::input(&probs, |p| member.forward(p));
        }
    }
}
