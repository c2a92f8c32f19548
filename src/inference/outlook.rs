//! What a belief says about the reward to come.

use crate::registry::registry;
use serde::{Deserialize, Serialize};

/// The estimate of `v_k(x) = α log E[exp(r(x_K)/α) | x_k = x]` that is read off the prior's belief p = softmax(ℓ) at x.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outlook {
    /// `α log Σ_x Π p_i(x_i) exp(r(x)/α)`: exact where the letters are independent given the state.
    Soft,
    /// `r(p)`, the reward of the denoised estimate (PM in Li et al. 2024, arXiv 2408.08252): the mean where the soft value
    /// belongs, and of a network the reward of something that is no sequence.
    Relaxed,
    /// `r(argmax p)`, for rewards that read sequences only: in noise the argmax says next to nothing.
    Decoded,
}

registry! {
    /// The outlooks by name.
    pub OUTLOOKS: Outlook, "outlook", "outlooks";
    "soft" => Outlook::Soft, "soft value of independent letters in closed form; complete tables";
    "relaxed" => Outlook::Relaxed, "reward of the denoised estimate; rewards with a gradient";
    "decoded" => Outlook::Decoded, "score of the most probable letters; any oracle";
}
