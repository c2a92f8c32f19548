//! Guesses at the end of a path from a state on its way.

use super::Terminal;
use crate::diffusion::{Ancestral, Chain as _, Consistency, DiffusionChain, Scales};
use crate::error::{Error, Result};
use crate::nn::softmax;
use crate::registry::registry;
use candle_core::Tensor;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Letter probabilities of the end of a path that has come to a state, with a gradient to the state: `x̂₀` of SQDF (arXiv
/// 2512.04559), which stands in for the posterior over ends.
pub trait Glimpse: Send + Sync {
    /// Letter probabilities (B, L, V) for states `x` (B, L, D) after `k` steps.
    ///
    /// # Errors
    /// When the shapes do not fit.
    fn probs(&self, k: usize, x: &Tensor) -> Result<Tensor>;
}

/// The letters that n deterministic steps of the prior's own sampler end in (DDIM at `eta` 0, Song et al. 2021, arXiv 2010.02502), from
/// the state's level to the decode over every so many nodes of the chain; without a step it is the denoised estimate.
///
/// # Cost
/// n + 1 calls of the denoiser, each with its gradient: the path of the gradient is as long.
#[derive(Clone, Copy, Debug)]
pub struct Ddim<'a> {
    chain: &'a DiffusionChain,
    steps: usize,
}

impl<'a> Ddim<'a> {
    /// A glimpse in `steps` steps; fewer where fewer nodes are left.
    #[must_use]
    pub fn new(chain: &'a DiffusionChain, steps: usize) -> Self {
        Self { chain, steps }
    }

    /// The nodes that are stopped at, from `k` on.
    fn nodes(&self, k: usize) -> Vec<usize> {
        let left = self.chain.steps() - k;
        let mut nodes: Vec<usize> = (0..=self.steps).map(|i| k + (i * left).div_ceil(self.steps.max(1))).collect();
        nodes.dedup();
        nodes
    }
}

impl Glimpse for Ddim<'_> {
    fn probs(&self, k: usize, x: &Tensor) -> Result<Tensor> {
        let (mut x, nodes) = (x.clone(), self.nodes(k));
        for pair in nodes.windows(2) {
            let estimate = self.chain.prior().estimate(&self.chain.read(pair[0], &x)?)?;
            let [from, to] = [pair[0], pair[1]].map(|k| Scales::at_log_snr(self.chain.log_snrs()[k]));
            let step = Ancestral::between(from, to, 0.0);
            x = ((x * step.keep)? + (estimate * step.predict)?)?;
        }
        softmax(&self.chain.read(nodes.last().copied().unwrap_or(k), &x)?)
    }
}

/// The letters that a consistency model of the prior answers in one call ([`Consistency`], Song et al. 2023, arXiv 2303.01469). At the
/// decode its answer is the frozen head's.
#[derive(Debug)]
pub struct Consistent<'a> {
    chain: &'a DiffusionChain,
    model: Consistency,
}

impl<'a> Consistent<'a> {
    /// The glimpse of a model whose weights are held.
    #[must_use]
    pub fn new(chain: &'a DiffusionChain, model: Consistency) -> Self {
        Self { chain, model }
    }
}

impl Glimpse for Consistent<'_> {
    fn probs(&self, k: usize, x: &Tensor) -> Result<Tensor> {
        softmax(&self.model.logits(x, self.chain.log_snrs()[k])?)
    }
}

/// Which guess is made, as a setting holds it; written `tweedie`, `ddim:4` and so on.
///
/// ```
/// use seqtilt::finetune::GlimpseKind;
/// let kind: GlimpseKind = "ddim:4".parse()?;
/// assert_eq!((kind, kind.to_string().as_str()), (GlimpseKind::Ddim(4), "ddim:4"));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum GlimpseKind {
    /// The denoised estimate of the prior, [`Terminal::reward`] as it stands.
    #[default]
    Tweedie,
    /// [`Ddim`].
    Ddim(usize),
    /// A consistency model, which the run is given ([`Finetuning::glimpsing`](super::Finetuning::glimpsing)).
    Consistency,
    /// No single guess, but the soft value of independent letters where the reward knows it ([`Terminal::value`]): not SQDF's, and exact
    /// as far as the letters are independent given the state.
    Soft,
}

/// Makes a kind from the number after its colon.
pub type MakeGlimpse = fn(Option<usize>) -> Option<GlimpseKind>;

registry! {
    /// The guesses by name.
    pub GLIMPSES: MakeGlimpse, "glimpse", "glimpses";
    "tweedie" => |n| n.is_none().then_some(GlimpseKind::Tweedie), "the denoised estimate of the frozen prior";
    "ddim" => |n| n.filter(|n| (1..=1000).contains(n)).map(GlimpseKind::Ddim),
        "ddim:N, N deterministic steps of the frozen prior to the decode";
    "consistency" => |n| n.is_none().then_some(GlimpseKind::Consistency), "one call of a consistency model, see `seqtilt distil`";
    "soft" => |n| n.is_none().then_some(GlimpseKind::Soft),
        "no point but the soft value of independent letters, where the reward knows it (not part of SQDF)";
}

impl GlimpseKind {
    /// The value of states after `k` steps by this guess, (B,), with a gradient to them: at the end of the chain the state itself, read by
    /// the frozen head, whichever guess it is.
    ///
    /// # Errors
    /// When a guess is needed and there is none, or the shapes do not fit.
    pub(super) fn value(
        self,
        glimpse: Option<&dyn Glimpse>,
        terminal: &dyn Terminal,
        (k, last): (usize, usize),
        x: &Tensor,
        alpha: f64,
    ) -> Result<Tensor> {
        match (self, glimpse) {
            (Self::Soft, _) => terminal.value(k, x, Some(alpha)),
            (Self::Tweedie, _) => terminal.reward(k, x),
            _ if k == last => terminal.reward(k, x),
            (_, Some(glimpse)) => terminal.reward_of(&glimpse.probs(k, x)?),
            (_, None) => Err(Error::usage(format!("glimpse `{self}` needs a model, and the run was given none"))
                .hint("take `tweedie` or `ddim:4`, or give a model with `Finetuning::glimpsing`")),
        }
    }
}

impl fmt::Display for GlimpseKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tweedie => f.write_str("tweedie"),
            Self::Ddim(steps) => write!(f, "ddim:{steps}"),
            Self::Consistency => f.write_str("consistency"),
            Self::Soft => f.write_str("soft"),
        }
    }
}

impl FromStr for GlimpseKind {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, number) = text.split_once(':').map_or((text, None), |(name, number)| (name, Some(number)));
        let make = GLIMPSES.get(name)?.make;
        let refused = || {
            Error::usage(format!(
                "unknown glimpse `{text}`; `ddim:N` with N from 1 to 1000 takes a number, no other does"
            ))
        };
        let number = number.map(|number| number.parse().map_err(|_| refused())).transpose()?;
        make(number).ok_or_else(refused)
    }
}

impl TryFrom<String> for GlimpseKind {
    type Error = Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<GlimpseKind> for String {
    fn from(kind: GlimpseKind) -> Self {
        kind.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_read_and_written_alike() {
        for entry in GLIMPSES.entries() {
            let text = if entry.name == "ddim" { "ddim:3" } else { entry.name };
            let kind: GlimpseKind = text.parse().unwrap();
            assert_eq!(kind.to_string(), text);
            assert_eq!(serde_json::from_str::<GlimpseKind>(&format!("\"{text}\"")).unwrap(), kind);
        }
        for bad in ["ddim", "ddim:0", "ddim:x", "tweedie:2", "ddim:1001"] {
            assert!(bad.parse::<GlimpseKind>().unwrap_err().message().contains("ddim:N"), "{bad}");
        }
        assert_eq!("twedie".parse::<GlimpseKind>().unwrap_err().hint_text(), Some("did you mean `tweedie`?"));
    }
}
