//! Prices of departure from the prior other than KL: f-divergences, their exact tilts, and the rewards that stand in for them.
//!
//! ```text
//! maximise over q:  E_q[r] − α D_f(q‖p),   D_f(q‖p) = E_p[f(q/p)] + f'(∞) · (mass of q where p = 0)
//! optimum:          q*(x) = p(x) g((r(x) − λ)/α),   g = (f')⁻¹,   λ such that E_p[g((r − λ)/α)] = 1
//! dual:             J* = min_λ λ + α E_p[f*((r − λ)/α)]
//! ```
//!
//! Tang (arXiv 2403.06279) and the convex duality of Ruderman et al. (arXiv 1206.4666). Every generator is normalised so that
//! `f(1) = f'(1) = 0`, which changes no divergence; a source that does not do so has λ shifted by `α f'(1)` and the same q*.
//!
//! Which divergence a number is about:
//!
//! - *path*: of the laws of whole trajectories, `E_P[φ(L)]` with L the log-ratio of the path. The price that a trained control
//!   pays. [`Divergence::path_value`].
//! - *terminal*: of the laws of the final states. Never more than the path divergence, and equal to it at the optimum when the
//!   initial law is free, where the ratio of the path laws is a function of the final state. [`Tilting`] and `eval::exact`.
//! - *stepwise*: a sum of one divergence per step. Only for KL is that the path divergence; of Gaussian steps every smooth f
//!   collapses to `f''(1) · KL` as the steps get short. Not an f-divergence of the model, and not offered as one.
//!
//! At equal α generators differ in curvature before they differ in shape: compare them at [`curvature_matched`] prices.

mod forward_kl;
mod hellinger;
mod jeffreys;
mod jensen_shannon;
mod kind;
mod kl_chi2;
mod lambert;
mod neyman;
mod order;
mod pearson;
mod reverse_kl;
mod root;
mod soft_chi;
mod tilting;
mod total_variation;

pub use forward_kl::ForwardKl;
pub use hellinger::Hellinger;
pub use jeffreys::Jeffreys;
pub use jensen_shannon::JensenShannon;
pub use kind::{DIVERGENCES, DivergenceKind, MakeDivergence};
pub use kl_chi2::KlChi2;
pub use lambert::{log_omega, omega};
pub use neyman::Neyman;
pub use order::Order;
pub use pearson::Pearson;
pub use reverse_kl::ReverseKl;
pub use soft_chi::SoftChi;
pub use tilting::Tilting;
pub use total_variation::TotalVariation;

use std::fmt::Debug;

/// The law whose paths estimate a divergence with the smaller variance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathLaw {
    /// Paths of the controlled chain: the mean of `φ(L)`.
    Controlled,
    /// Paths of the base chain: the mean of `f(e^L)`.
    Base,
    /// Either.
    Either,
}

/// The generator f of an f-divergence: strictly convex on (0, ∞), `f(1) = f'(1) = 0`.
///
/// In the table t = q/p, s = (r − λ)/α, L = ln t, ω(z) = W(eᶻ) with W Lambert's function.
///
/// | | f(t) | g(s) | f'(0+) | f'(∞) | f''(1) |
/// |---|---|---|---|---|---|
/// | [`ReverseKl`] | t ln t − t + 1 | eˢ | −∞ | ∞ | 1 |
/// | [`ForwardKl`] | −ln t + t − 1 | 1/(1−s) | −∞ | 1 | 1 |
/// | [`Jeffreys`] | (t−1) ln t | 1/ω(1−s) | −∞ | ∞ | 2 |
/// | [`JensenShannon`] | ½[t ln t − (1+t) ln((1+t)/2)] | e²ˢ/(2−e²ˢ) | −∞ | ½ ln 2 | ¼ |
/// | [`Pearson`] | (t−1)² | (1+s/2)₊ | −2 | ∞ | 2 |
/// | [`Neyman`] | (t−1)²/t | (1−s)^−½ | −∞ | 1 | 2 |
/// | [`Hellinger`] | (√t−1)² | (1−s)⁻² | −∞ | 1 | ½ |
/// | [`Order`] a > 1 | (tᵃ−at−(1−a))/(a(a−1)) | (1+(a−1)s)₊^(1/(a−1)) | −1/(a−1) | ∞ | 1 |
/// | [`Order`] a < 1 | the same | the same | −∞ | 1/(1−a) | 1 |
/// | [`KlChi2`] | t ln t − t + 1 + ½(t−1)² | ω(1+s) | −∞ | ∞ | 2 |
/// | [`SoftChi`] | t ln t − t + 1, t < 1; ½(t−1)², t ≥ 1 | eˢ; 1+s | −∞ | ∞ | 1 |
///
/// A finite `f'(0+)` truncates: q* is 0 where `r ≤ λ + α f'(0+)`. A finite `f'(∞)` is a pole of g: the price of mass moved to
/// the best sequences is bounded, and q* condenses on them unless α is of the order of the rewards' range over `f'(∞)`.
pub trait Divergence: Debug + Send + Sync {
    /// The name, as [`DivergenceKind`] reads it.
    fn name(&self) -> String;

    /// `f(t)`, t ≥ 0.
    fn f(&self, t: f64) -> f64;

    /// `f'(t)`.
    fn slope(&self, t: f64) -> f64 {
        self.path_slope(t.ln())
    }

    /// `g(s) = (f')⁻¹(s)`: the density of the optimum. 0 below `f'(0+)`, infinite from `f'(∞)` on.
    fn density(&self, s: f64) -> f64 {
        self.log_density(s).exp()
    }

    /// `ln g(s)`; −∞ where truncated.
    fn log_density(&self, s: f64) -> f64;

    /// `g'(s)/g(s)`: what multiplies ∇r in the gradient of the stand-in reward `α ln g((r − λ)/α)`; 0 where truncated.
    fn log_density_slope(&self, s: f64) -> f64;

    /// `ln g(f'(∞) − distance)`, exact however near the pole; as [`log_density`](Self::log_density) for a generator without one.
    fn log_density_below_pole(&self, distance: f64) -> f64 {
        self.log_density(self.slope_at_infinity() - distance)
    }

    /// `f*(s) = sup_{t ≥ 0} s t − f(t)`.
    fn conjugate(&self, s: f64) -> f64;

    /// `f'(0+)`; finite where the optimum is truncated.
    fn slope_at_zero(&self) -> f64 {
        f64::NEG_INFINITY
    }

    /// `f'(∞)`; finite where g has a pole.
    fn slope_at_infinity(&self) -> f64 {
        f64::INFINITY
    }

    /// `f(0)`: the price of leaving prior mass uncovered, per unit.
    fn value_at_zero(&self) -> f64;

    /// `f''(1)`: small departures cost `½ f''(1) E_p[(q/p − 1)²]`.
    fn curvature(&self) -> f64;

    /// `φ(L) = e^(−L) f(e^L)`: the path divergence is its mean over paths of the controlled chain. Not negative, and without
    /// cancellation near 0; overflows only where the number itself does.
    fn path_value(&self, l: f64) -> f64;

    /// `φ'(L) = f'(e^L) − φ(L)`: multiplies the gradient of the whole log-ratio, its noise term included (for KL alone may that
    /// term be left out).
    fn path_value_slope(&self, l: f64) -> f64;

    /// `f'(e^L)`: what a score-function gradient subtracts from the reward, `r − α f'(e^L)` — not `φ(L)`.
    fn path_slope(&self, l: f64) -> f64;

    /// `t f''(t)`: mirror descent on the first variation `r − α f'(q/p)` is stable for steps `η ≤ 1/(α sup t f''(t))` over the
    /// ratios visited.
    fn step_bound(&self, t: f64) -> f64;

    /// Which paths to estimate it from.
    fn path_law(&self) -> PathLaw;
}

/// The price at which `divergence` costs what KL costs at `alpha_kl`, for small departures: `α_KL / f''(1)`.
///
/// ```text
/// q* → p (1 + (r − E_p r)/(α f''(1)))    as α → ∞
/// ```
///
/// ```
/// use seqtilt::finetune::divergence::{JensenShannon, curvature_matched};
/// assert_eq!(curvature_matched(0.05, &JensenShannon), 0.2);
/// ```
#[must_use]
pub fn curvature_matched(alpha_kl: f64, divergence: &dyn Divergence) -> f64 {
    alpha_kl / divergence.curvature()
}

/// `ln((1 + e^L)/2)`, relative to its own size for small L.
fn softplus_less_ln2(l: f64) -> f64 {
    if l > 30.0 { l - std::f64::consts::LN_2 + (-l).exp().ln_1p() } else { (0.5 * l.exp_m1()).ln_1p() }
}

/// `t ln t − t + 1`, continued to 0.
fn entropy(t: f64) -> f64 {
    if t == 0.0 { 1.0 } else { t * t.ln() - (t - 1.0) }
}

/// `4 sinh²(L/2) = e^L + e^−L − 2`.
fn four_sinh_squared(l: f64) -> f64 {
    let half = 2.0 * (0.5 * l).sinh();
    half * half
}

#[cfg(test)]
mod tests;
