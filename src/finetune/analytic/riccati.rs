//! Exact answers about a linear chain: its best control, and what any affine control does.

use super::{Gain, LinearChain, LinearQuadratic, LinearStep, Normal};

/// What a chain does under a control: every number exact.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// Law of the final state.
    pub law: Normal,
    /// `E[r]`.
    pub reward: f64,
    /// KL(Pᵘ‖P), in nats.
    pub path_kl: f64,
    /// `J = E[r] − alpha KL`.
    pub value: f64,
    /// KL(Pᵘ‖P*) in nats: what a certificate estimates.
    pub gap: f64,
}

/// The best control of a chain over all functions of step and state, by the backward (Riccati) recursion.
///
/// With `v_k(x) = −½ P x² + q x + c` in reward units, and step `x ← κ x + s (u + ε)`:
///
/// ```text
/// u_k(x) = s (q − P κ x) / (α + P s²)
/// P ← κ² P α/(α + P s²)        q ← κ q α/(α + P s²)        from P = k, q = k m
/// ```
/// The noise of a step is not controlled, only its mean: for finite steps the optimum stays short of α log Z by O(1/K).
#[must_use]
pub fn best(problem: &LinearQuadratic, chain: &LinearChain) -> Vec<Gain> {
    let alpha = problem.alpha;
    let (mut p, mut q) = (problem.curvature, problem.curvature * problem.centre);
    let mut gains: Vec<Gain> = chain
        .all()
        .iter()
        .rev()
        .map(|&LinearStep { keep, std }| {
            let price = alpha + p * std * std;
            let gain = Gain { slope: -std * p * keep / price, offset: std * q / price };
            (p, q) = (keep * keep * p * alpha / price, keep * q * alpha / price);
            gain
        })
        .collect();
    gains.reverse();
    gains
}

/// Means and variances of a chain pushed forward under affine gains (steps without one are not controlled).
#[must_use]
pub fn outcome(problem: &LinearQuadratic, chain: &LinearChain, gains: &[Gain]) -> Outcome {
    let end = |gains: &[Gain]| {
        let (mut mean, mut variance, mut kl) = (0.0, chain.initial().powi(2), 0.0);
        for (k, LinearStep { keep, std }) in chain.all().iter().enumerate() {
            let Gain { slope, offset } = gains.get(k).copied().unwrap_or_default();
            kl += 0.5 * (slope * slope * variance + (slope * mean + offset).powi(2));
            mean = keep * mean + std * (slope * mean + offset);
            variance = (keep + std * slope).powi(2) * variance + std * std;
        }
        (Normal { mean, variance }, kl)
    };
    let (law, path_kl) = end(gains);
    let reward = problem.reward(law.mean) - 0.5 * problem.curvature * law.variance;
    let value = reward - problem.alpha * path_kl;
    let bound = problem.tilt(end(&[]).0.variance).value;
    Outcome { law, reward, path_kl, value, gap: (bound - value) / problem.alpha }
}
