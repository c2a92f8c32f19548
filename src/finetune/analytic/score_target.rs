//! Regression targets for the score of the tilted laws, and how much each of them scatters.

mod mass;
mod report;
mod sampled;
mod variance;

pub use mass::{Mass, matched_mass};
pub use report::{AtTime, VarianceReport};

use super::Mixing;
use serde::{Deserialize, Serialize};

/// What a network is regressed on to learn `s*_τ(x) = E*[target | X_τ = x]`, over `X_1 ~ p*` and `X_τ = a X_1 + b ε`.
///
/// ```text
/// conditional  (a X_1 − X_τ)/b²                                  samples of p*              diverges at the data
/// terminal     ∇log p*(X_1)/a                                    the reward's gradient      diverges at the noise
/// mixed        c · terminal + (1 − c) · conditional,  c = a²/(a² + b²)                      finite
/// lean         s_τ(X_τ) − ã_τ                                    and the base's Jacobians   finite
/// ```
/// Conditional: denoising score matching (Vincent 2011). Terminal: target score matching (De Bortoli et al. 2024, arXiv 2402.08667).
/// Mixed: the form of particle denoising diffusion samplers (Phillips et al. 2024, arXiv 2402.06320), `−X_τ/γ + (a/γ)(∇log p*(X_1) +
/// X_1)` with γ = a² + b². Lean: Adjoint Matching (arXiv 2409.08861) written as a score. In tilting
/// `∇log p*(X_1) = ∇log p(X_1) + ∇r(X_1)/α`.
///
/// ```
/// use seqtilt::finetune::analytic::{Evidence, Interpolant, ScoreTarget};
/// let seen = Evidence { x: 0.3, end: 1.0, end_score: -0.5, base_score: 0.2, adjoint: -0.7 };
/// let at = Interpolant::Flow.at(0.5);
/// assert!((ScoreTarget::Conditional.value(at, &seen) - 0.8).abs() < 1e-12);
/// assert!((ScoreTarget::Terminal.value(at, &seen) + 1.0).abs() < 1e-12);
/// // c = ½ there
/// assert!((ScoreTarget::Mixed.value(at, &seen) + 0.1).abs() < 1e-12);
/// assert!((ScoreTarget::Lean.value(at, &seen) - 0.9).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScoreTarget {
    /// Of the noising kernel.
    Conditional,
    /// Of the tilted law at the end.
    Terminal,
    /// Both, in the shares that a standard Gaussian would take.
    Mixed,
    /// By the lean adjoint.
    Lean,
}

/// What is known of one path at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Its state X_τ.
    pub x: f64,
    /// Its end X_1.
    pub end: f64,
    /// ∇log p*(X_1).
    pub end_score: f64,
    /// ∇log p_τ(X_τ) of the base.
    pub base_score: f64,
    /// Its lean adjoint ã_τ, in nats a unit of state.
    pub adjoint: f64,
}

/// Where the ends of paths come from that a network is regressed on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ends {
    /// The present model's own.
    OnPolicy,
    /// The present model's own, each counted by `dP*/dPᵘ`.
    #[default]
    Weighted,
}

impl ScoreTarget {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Conditional, Self::Terminal, Self::Mixed, Self::Lean];

    /// The target.
    #[must_use]
    pub fn value(self, at: Mixing, seen: &Evidence) -> f64 {
        let (a, b) = (at.signal, at.noise);
        let conditional = (a * seen.end - seen.x) / (b * b);
        let terminal = seen.end_score / a;
        match self {
            Self::Conditional => conditional,
            Self::Terminal => terminal,
            Self::Mixed => (a * (seen.end_score + seen.end) - seen.x) / (a * a + b * b),
            Self::Lean => seen.base_score - seen.adjoint,
        }
    }

    /// What somebody should know who chooses it.
    #[must_use]
    pub fn warning(self, ends: Ends) -> Option<&'static str> {
        match (self, ends) {
            (Self::Conditional, Ends::OnPolicy) => Some(
                "a conditional target of the model's own ends knows nothing of the reward: any law is a fixed point; weigh the ends",
            ),
            (Self::Conditional, Ends::Weighted) => Some("a conditional target has no finite variance towards the data"),
            (Self::Terminal, _) => Some("a terminal target has no finite variance towards the noise"),
            (Self::Mixed, Ends::OnPolicy) => Some(
                "a mixed target of the model's own ends hardly moves the weights of modes; weigh the ends, or alternate with adjoint \
                 matching, and watch the share of every mode",
            ),
            (Self::Mixed, Ends::Weighted) | (Self::Lean, _) => None,
        }
    }
}
