//! Controlled Monte Carlo diffusions, for tilting.

use super::{LogVariance, Objective, PathObjective, TrajectoryBalance};
use crate::finetune::FinetuneConfig;
use crate::finetune::analytic::EscortLoss;

/// Controlled Monte Carlo diffusions (CMCD, Vargas et al. 2023, arXiv 2307.01050) for tilting a prior; a derived form in the frame of arXiv
/// 2605.00229, with the density of the base eliminated through its own steps F and the noising B that they undo:
///
/// ```text
/// A = r/α + Σ_k [log F/F_u(x_{k+1} ∣ x_k) + log B_w/B(x_k ∣ x_{k+1})] = r/α − L_u + Σ_k ℓᴮ_k
/// F_u = N(m_k + s_k u_k, s_k²),   B_w = N(keep x + std b, std²),   b = std (∂φ − lift u)
/// loss = Var A,  or  (A − log Z)² with a learned log Z
/// ```
/// on walks that are held fixed. The paths of `p* Π B_w` end in the tilted law whatever the escort, so that A is the same number on every path
/// exactly where the walk is that law forwards. Where F is what B undoes (`E[Π B_w/B ∣ x_K] = 1` on base paths: infinitely many steps, or a chain
/// that is its own reversal) `E_u[e^A] = Z` for every control, and at finite K up to O(1/K). With b = 0, `B_w = B`, A is `r/α − L`: the loss is
/// then that of `log-variance`, and has no such error.
///
/// In continuous time, memoryless noise σ² = 2η: `σu = ½σ²∂φ + w` forwards, `σb = ½σ²∂φ − w` backwards. The network is the control u as a
/// whole and w what it leaves, so that nothing but training knows of tilts. For φ the value V the optimum is that of control, u = σ∂V, b = 0;
/// for other tilts ([`EscortConfig::ramp`](crate::finetune::EscortConfig::ramp)) the ends are right and the path costs more nats than it had to.
/// In more than one dimension w is not unique: what leaves all tilted laws alone can be added to it.
///
/// # Cost
/// That of [`PathObjective`], and a slope of the value and one more evaluation of the control for every state.
pub(super) fn make(config: &FinetuneConfig) -> Box<dyn Objective> {
    let (reuse, ramp) = (config.reuse, config.escort.ramp);
    match config.escort.loss {
        EscortLoss::TrajectoryBalance => {
            let loss = TrajectoryBalance { reuse, rate: config.balance.log_z_rate, log_z: None };
            Box::new(PathObjective::new(loss).escorted(ramp))
        }
        // the others are refused by the settings
        _ => Box::new(PathObjective::new(LogVariance { reuse }).escorted(ramp)),
    }
}
