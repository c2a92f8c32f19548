//! What is maximised.

use super::Terminal;
use crate::diffusion::Chain;

/// Entropy-regularised control of a chain towards a terminal reward.
///
/// ```text
/// J(u) = E_u[r(x_K)] − α KL(Pᵘ‖P),   KL(Pᵘ‖P) = E_u Σ_k ½|u_k|²
/// ```
/// with the sum over every step, position and dimension. Its optimum is the law P* ∝ P exp(r/α), its value α log Z, and for
/// any u: `α log Z − J(u) = α KL(Pᵘ‖P*)`.
pub struct Problem<'a> {
    /// The base chain.
    pub chain: &'a dyn Chain,
    /// The reward at its end.
    pub terminal: &'a dyn Terminal,
    /// Price of a nat, in reward units; `None` leaves the divergence free (the no-KL ablation).
    pub alpha: Option<f64>,
}
