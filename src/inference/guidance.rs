//! The drift that the reward's own slope gives.

use super::{Steered, Steering, Target};
use crate::diffusion::{Chain as _, DiffusionChain, Memory, Move, shard_rows};
use crate::error::{Error, Result};
use crate::finetune::{Control, Rollout};
use crate::nn::{gradients_with, read, softmax};
use crate::random::Seed;
use crate::registry::registry;
use crate::reward::{Needs, Reward};
use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};

/// What the slope is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Guide {
    /// The soft value α log E[exp(r/α)] of independent letters.
    Soft,
    /// The relaxed reward: of a complete table the mean `E[r]` of independent letters.
    Mean,
}

registry! {
    /// The guides by name.
    pub GUIDES: Guide, "guide", "guides";
    "soft" => Guide::Soft, "slope of the soft value: complete tables";
    "mean" => Guide::Mean, "slope of the relaxed reward: classifier guidance, biased for the tilt";
}

/// A control that is the slope of the reward at the present belief p = softmax(ℓ):
///
/// ```text
/// u_k(x) = scale · predict_k/std_k · (∇_ℓ V(softmax ℓ)/α) E
/// ```
/// With [`Guide::Soft`], `V/α = log Σ_x Π_i p_i(x_i) e^{r(x)/α}` has the slope `∂/∂ℓ_i(v) = q_i(v) − p_i(v)`, where q are the
/// marginals of the belief tilted by e^{r/α}, so that at scale 1
///
/// ```text
/// u_k(x) = predict_k/std_k · (q − p) E
/// ```
/// is the change of the denoised estimate under the tilt: the optimal control (the Doob transform) of a chain whose letters are
/// independent given the state, up to the O(1/K) that any change of means leaves. A prior's letters are independent given the
/// state near the data and, where the prior itself is a product, everywhere; elsewhere it is an approximation.
///
/// [`Guide::Mean`] is classifier guidance (Dhariwal and Nichol 2021, arXiv 2105.05233) with the reward of the belief in the
/// classifier's place: it puts the mean where the soft value belongs, `E[r]` for `α log E[exp(r/α)]`, and is biased for the
/// tilt however small the steps. As a [`Control`] either gets a certificate that says by how much.
///
/// # Cost
/// One call of the reward with its gradient per step; of a complete table 4 V^L multiply-adds a sequence.
pub struct Guidance<'a> {
    chain: &'a DiffusionChain,
    reward: &'a dyn Reward,
    guide: Guide,
    alpha: f64,
    scale: f64,
}

impl<'a> Guidance<'a> {
    /// Guidance of `chain` towards `reward` at the price `alpha` of a nat; `guide` is the soft value where that is known.
    ///
    /// # Errors
    /// When α is not positive, the scale not finite, or a soft value is asked for and the reward has none.
    pub fn new(
        chain: &'a DiffusionChain,
        reward: &'a dyn Reward,
        guide: Option<Guide>,
        alpha: f64,
        scale: f64,
    ) -> Result<Self> {
        if !(alpha > 0.0 && alpha.is_finite()) {
            return Err(Error::usage(format!("alpha is {alpha}; a positive, finite number is accepted")));
        }
        if !scale.is_finite() {
            return Err(Error::usage(format!("`scale` is {scale}; a finite number is accepted")));
        }
        let known = reward.has_soft_value();
        let guide = guide.unwrap_or(if known { Guide::Soft } else { Guide::Mean });
        if guide == Guide::Soft && !known {
            let message = format!("reward `{}` has no soft value in closed form; a complete table has", reward.name());
            return Err(Error::usage(message).hint("guide by the mean"));
        }
        Ok(Self { chain, reward, guide, alpha, scale })
    }

    /// What the slope is of.
    #[must_use]
    pub fn guide(&self) -> Guide {
        self.guide
    }

    /// ∇_ℓ V(softmax ℓ)/α, (B, L, V).
    fn slope(&self, logits: &Tensor) -> Result<Tensor> {
        let logits = Var::from_tensor(&logits.detach())?;
        let probs = softmax(logits.as_tensor())?;
        let value = match self.guide {
            Guide::Soft => self.reward.soft_value(&probs, self.alpha)?,
            Guide::Mean => Some(self.reward.reward(&probs)?),
        };
        let Some(value) = value else {
            return Err(Error::device(format!("reward `{}` has no soft value after all", self.reward.name())));
        };
        let (_, mut slopes) = gradients_with(&(value.sum_all()? / self.alpha)?, &[], &[&logits])?;
        Ok(slopes.remove(0))
    }
}

impl Control for Guidance<'_> {
    fn control(&self, k: usize, _: &Tensor, base: &Move, _: &mut Memory) -> Result<Tensor> {
        let Some(belief) = &base.belief else {
            return Err(Error::device("guidance needs the prior's token logits, and the chain has none"));
        };
        let c = self.chain.coefficients(k);
        let shift = self.chain.prior().codec().relax(&self.slope(belief)?)?;
        Ok((shift * (self.scale * c.predict / c.std))?)
    }
}

/// Sequences of the chain under [`Guidance`], with the weights e^{r/α − L} of its paths.
#[derive(Clone, Debug, PartialEq)]
pub struct Guided {
    /// What the slope is of; `None` is the soft value where the reward has one.
    pub guide: Option<Guide>,
    /// Factor of the drift; 1 is the optimum of the soft value.
    pub scale: f64,
}

impl Default for Guided {
    fn default() -> Self {
        Self { guide: None, scale: 1.0 }
    }
}

impl Guided {
    /// The control towards a target.
    ///
    /// # Errors
    /// As [`Guidance::new`], and when the target's reward has no gradient.
    pub fn control<'a>(&self, target: &Target<'a>) -> Result<Guidance<'a>> {
        let Some(reward) = target.reward else {
            let message = format!("guidance needs a reward with a gradient, and `{}` has none", target.score.name());
            return Err(Error::usage(message).hint("train one: `seqtilt oracle train`; or steer by `smc` or `svdd`"));
        };
        Guidance::new(target.chain, reward, self.guide, target.alpha, self.scale)
    }
}

impl Steering for Guided {
    fn needs(&self) -> Needs {
        Needs::Gradient
    }

    fn unit(&self, chain: &DiffusionChain) -> usize {
        shard_rows(chain.prior().config().length)
    }

    fn draw(&self, target: &Target<'_>, rows: usize, seed: Seed) -> Result<Steered> {
        let (chain, control) = (target.chain, self.control(target)?);
        let walked = Rollout::draw(chain, Some(&control), chain.steps(), rows, seed, false)?;
        let mut out = Steered::default();
        let (sequences, rewards, nats) = target.ends(walked.last(), &mut out.calls)?;
        let paths = read(&[&walked.log_ratio, &walked.cost])?;
        out.log_weights = nats.iter().zip(&paths[0]).map(|(nats, ratio)| nats - ratio).collect();
        out.calls.denoised += (rows * chain.steps().div_ceil(chain.block())) as u64;
        out.calls.slopes += (rows * chain.steps()) as u64;
        let mut paths = paths.into_iter();
        (out.log_ratio, out.cost) = (paths.next().unwrap_or_default(), paths.next().unwrap_or_default());
        (out.sequences, out.rewards) = (sequences, rewards);
        Ok(out)
    }
}
