//! The control of a sequence chain: a zero-initialised change of the prior's token logits.

use super::Control;
use super::product_mixture::ProductMixture;
use super::word_table::WordTable;
use crate::diffusion::{Change, Denoiser, DenoiserConfig, DiffusionChain, Memory, Move, Transformer, level};
use crate::error::{Error, Result};
use crate::nn::{LayerNorm, Linear, Params, TimeEmbedding, softmax};
use crate::registry::registry;
use crate::reward::enumerable;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Kind of network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlKind {
    /// Residual perceptron on the flattened state: for short sequences of one length.
    Mlp,
    /// Transformer over positions.
    Transformer,
    /// Mixture of products of letters: the exact form for independent letters and short sequences.
    #[default]
    ProductMixture,
    /// A learnt weight for every sequence: for sequences that can be enumerated.
    WordTable,
}

impl ControlKind {
    /// Whether its beliefs at all levels are those of one law of sequences, noised, where the prior's letters are independent.
    #[must_use]
    pub fn is_of_one_law(self) -> bool {
        matches!(self, Self::ProductMixture | Self::WordTable)
    }
}

registry! {
    /// The control networks by name.
    pub CONTROLS: ControlKind, "control", "controls";
    "mlp" => ControlKind::Mlp, "residual perceptron on the flattened state: for short sequences; wants a learning rate near 0.005";
    "transformer" => ControlKind::Transformer, "transformer over positions";
    "product-mixture" => ControlKind::ProductMixture,
        "mixture of products of letters: exact for independent letters and short sequences";
    "word-table" => ControlKind::WordTable, "a learnt weight for every sequence: for those few enough to enumerate";
}

/// What a control is before its first step of training.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ControlStart {
    /// Zero: the chain is the prior's.
    #[default]
    Zero,
    /// The tilt of beliefs by exp(r/α), for a [`ControlKind::WordTable`] of a reward that is a table: exact for letters that are
    /// independent given the state, infinitely many steps and `eta` 1; training makes up for the rest.
    Tilt,
}

/// Sizes of the control network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct ControlConfig {
    /// Kind of network.
    pub kind: ControlKind,
    /// What it starts from.
    pub start: ControlStart,
    /// Width; of a product mixture, the number of products.
    pub dim: usize,
    /// Residual blocks.
    pub layers: usize,
    /// Attention heads (transformer only); divides `dim`.
    pub heads: usize,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self { kind: ControlKind::ProductMixture, start: ControlStart::Zero, dim: 128, layers: 2, heads: 4 }
    }
}

impl ControlConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range.
    pub fn check(&self) -> Result<()> {
        for (name, value, last) in [("dim", self.dim, 8192), ("layers", self.layers, 64), ("heads", self.heads, 64)] {
            if value == 0 || value > last {
                return Err(Error::usage(format!("`control.{name}` is {value}; 1 to {last} is accepted")));
            }
        }
        if self.start == ControlStart::Tilt && self.kind != ControlKind::WordTable {
            return Err(Error::usage("`control.start` tilt is for control `word-table`; the others start at zero"));
        }
        if self.kind == ControlKind::Transformer && !self.dim.is_multiple_of(self.heads) {
            let message = format!("`control.dim` {} is not a multiple of `control.heads` {}", self.dim, self.heads);
            return Err(Error::usage(message));
        }
        Ok(())
    }
}

/// `u` through tilted token beliefs:
///
/// ```text
/// u_k(x) = predict_k/std_k · (softmax(ℓ + Δ_θ(x, λ_k)) − softmax(ℓ)) E
/// ```
/// with ℓ the prior's logits at x. In continuous time this form holds the optimum exactly: the optimal drift is the score of
/// the tilted law, whose denoised estimate is a mean of letters' points under tilted marginals (Tweedie). For the ancestral
/// step `(predict/std)² = snr(s) − snr(t)`, so the price of a step is half the gain in signal-to-noise ratio times the
/// squared change of the estimate. All of this is at `eta` 1: a chain with less noise has the form's directions and its factor
/// predict/std, but its best beliefs are not those of the tilted law at that noise level, so that nothing is exact but what a network
/// learns. Δ starts at exactly zero, and so does u. Like the prior's context, a network's Δ is evaluated
/// once per block of the chain and held, while the beliefs it is added to are renewed at every step; a product mixture is cheap
/// enough to be renewed with them.
pub struct TokenControl<'a> {
    chain: &'a DiffusionChain,
    network: Network,
}

enum Network {
    /// Evaluated once a block, and held.
    Held(Held),
    ProductMixture(Box<ProductMixture>),
    WordTable(Box<WordTable>),
}

enum Held {
    Mlp { input: Linear, time: TimeEmbedding, blocks: Vec<Residual>, norm: LayerNorm, output: Linear },
    Transformer(Box<Transformer>),
}

struct Residual {
    norm: LayerNorm,
    time: Linear,
    inner: Linear,
    outer: Linear,
}

impl<'a> TokenControl<'a> {
    /// A control of `chain` on its parameters.
    ///
    /// # Errors
    /// When the configuration is out of range or stored weights have another shape.
    pub fn new(chain: &'a DiffusionChain, config: &ControlConfig, params: &Params) -> Result<Self> {
        config.check()?;
        let prior = chain.prior().config();
        let (length, dim, letters) = (prior.length, prior.embedding_dim, chain.prior().alphabet().len());
        let width = config.dim;
        let network = match config.kind {
            ControlKind::Mlp => Network::Held(Held::Mlp {
                input: Linear::new(&params.child("input"), length * (dim + letters), width)?,
                time: TimeEmbedding::new(&params.child("time"), width)?,
                blocks: (0..config.layers)
                    .map(|i| {
                        let params = params.child(&format!("block{i}"));
                        Ok(Residual {
                            norm: LayerNorm::new(&params.child("norm"), width)?,
                            time: Linear::new(&params.child("time"), width, width)?,
                            inner: Linear::new(&params.child("inner"), width, width)?,
                            outer: Linear::new(&params.child("outer"), width, width)?,
                        })
                    })
                    .collect::<Result<_>>()?,
                norm: LayerNorm::new(&params.child("norm"), width)?,
                output: Linear::zeros(&params.child("output"), width, length * letters)?,
            }),
            ControlKind::Transformer => {
                let sizes = DenoiserConfig { dim: width, layers: config.layers, heads: config.heads };
                Network::Held(Held::Transformer(Box::new(Transformer::new(params, &sizes, length, dim, letters)?)))
            }
            ControlKind::ProductMixture => {
                Network::ProductMixture(Box::new(ProductMixture::new(params, length, letters, width)?))
            }
            ControlKind::WordTable => {
                if !enumerable(letters, length) || length < 2 {
                    let message =
                        format!("control `word-table` holds one weight a sequence; {letters}^{length} are too many");
                    return Err(Error::usage(message).hint("use control `product-mixture`"));
                }
                Network::WordTable(Box::new(WordTable::new(params, length, letters)?))
            }
        };
        Ok(Self { chain, network })
    }

    /// Letter probabilities of the base, and tilted, (B, L, V).
    fn tilt(&self, k: usize, x: &Tensor, base: &Move, memory: &mut Memory) -> Result<(Tensor, Tensor)> {
        let Some(belief) = &base.belief else {
            return Err(Error::device("a token control needs the prior's token logits, and the chain has none"));
        };
        let probabilities = softmax(belief)?;
        let tilted = match &self.network {
            Network::WordTable(table) => table.forward(&probabilities)?,
            Network::ProductMixture(mixture) => softmax(&(belief + mixture.forward(&probabilities)?)?)?,
            Network::Held(network) => {
                let change = match memory.change.take() {
                    Some(held) => held,
                    None => self.held(network, k, x, &probabilities)?,
                };
                let tilted = softmax(&(belief + &change)?)?;
                memory.change = Some(change);
                tilted
            }
        };
        Ok((probabilities, tilted))
    }

    /// A held network's change of the token logits, (B, L, V).
    fn held(&self, network: &Held, k: usize, x: &Tensor, probabilities: &Tensor) -> Result<Tensor> {
        let log_snr = self.chain.log_snrs()[k];
        match network {
            Held::Transformer(network) => network.context(x, probabilities, &[log_snr]),
            Held::Mlp { input, time, blocks, norm, output } => {
                let (b, l, v) = probabilities.dims3()?;
                let time = time.forward(&[level(log_snr)])?;
                let flat = Tensor::cat(&[x, probabilities], 2)?.reshape((b, ()))?;
                let mut h = input.forward(&flat)?.broadcast_add(&time)?;
                for block in blocks {
                    let shifted = block.norm.forward(&h)?.broadcast_add(&block.time.forward(&time)?)?;
                    h = (&h + block.outer.forward(&block.inner.forward_gelu(&shifted)?)?)?;
                }
                Ok(output.forward(&norm.forward(&h)?)?.reshape((b, l, v))?)
            }
        }
    }
}

impl Control for TokenControl<'_> {
    fn control(&self, k: usize, x: &Tensor, base: &Move, memory: &mut Memory) -> Result<Tensor> {
        let (probabilities, tilted) = self.tilt(k, x, base, memory)?;
        let c = self.chain.coefficients(k);
        Ok((self.chain.prior().codec().relax(&(tilted - probabilities)?)? * (c.predict / c.std))?)
    }

    fn beliefs(&self, k: usize, x: &Tensor, base: &Move, memory: &mut Memory) -> Result<Option<Tensor>> {
        Ok(Some(self.tilt(k, x, base, memory)?.1))
    }

    fn change(&self, steps: Range<usize>, x: &Tensor, base: &Move) -> Result<Option<Change>> {
        let Some(belief) = &base.belief else { return Ok(None) };
        match &self.network {
            Network::ProductMixture(mixture) => Ok(Some(mixture.change())),
            Network::WordTable(_) => Ok(None),
            Network::Held(network) => Ok(Some(Change::Held(self.held(network, steps.start, x, &softmax(belief)?)?))),
        }
    }
}
