//! Variances of the targets on one Gaussian, in closed form.

use super::{AtTime, ScoreTarget, VarianceReport};
use crate::finetune::analytic::quadrature::simpson;
use crate::finetune::analytic::{Interpolant, MixtureProblem, lean_multiplier};

/// Pieces of an integral over the logit of time: errors below 1e-9 of the value down to δ = 1e-5.
const PIECES: usize = 4000;

/// `η dτ/dz` at `z = ln τ/(1 − τ)`: the weight of a score's error in path KL, `½|u|² = η |Δs|²`.
pub(super) fn weight(interpolant: Interpolant, tau: f64) -> f64 {
    interpolant.at(tau).score_share() * tau * (1.0 - tau)
}

/// The time of a logit.
pub(super) fn time(logit: f64) -> f64 {
    1.0 / (1.0 + (-logit).exp())
}

/// The logit of a distance from an end.
pub(super) fn logit(delta: f64) -> f64 {
    ((1.0 - delta) / delta).ln()
}

impl ScoreTarget {
    /// `Var(target | X_τ)` where base and tilt are one Gaussian each, the same for every X_τ:
    ///
    /// ```text
    /// Var = f² S' b²/(a² S' + b²),   f = a/b²  |  1/(a S')  |  (a/γ)(1/S' − 1)  |  q a s²/(a² s² + b²)
    /// ```
    /// with S' the tilt's variance, q the reward's curvature over α, s² the base's variance, γ = a² + b². `None` for mixtures.
    #[must_use]
    pub fn gaussian_variance(self, problem: &MixtureProblem, tau: f64) -> Option<f64> {
        let ([(_, base)], (tilted, _)) = (problem.base.parts(), problem.tilted()) else { return None };
        let after = tilted.moments().variance;
        let at = problem.interpolant.at(tau);
        let (a, noise) = (at.signal, at.noise * at.noise);
        let factor = match self {
            Self::Conditional => a / noise,
            Self::Terminal => 1.0 / (a * after),
            Self::Mixed => a / (a * a + noise) * (1.0 / after - 1.0),
            Self::Lean => {
                let multiplier = lean_multiplier(problem.interpolant, base.variance.sqrt(), tau);
                problem.reward.curvature / problem.alpha * multiplier
            }
        };
        Some(factor * factor * after * noise / (a * a * after + noise))
    }

    /// What a regression's noise costs in path KL, from δ to 1 − δ:
    ///
    /// ```text
    /// I = ∫ η E[Var(target | X_τ)] dτ
    /// ```
    /// Infinite in the limit for the conditional (logarithmically, at the data) and on the flow for the terminal target (as δ⁻², at the
    /// noise). For the lean one `I ≤ ½ s² Var*(∇r/α)` on every schedule (derived for the framework of arXiv 2605.00229). `None`
    /// for mixtures.
    ///
    /// ```
    /// use seqtilt::finetune::analytic::{Fixture, Interpolant, MixtureProblem, ScoreTarget};
    /// let problem = MixtureProblem { interpolant: Interpolant::Vp, ..MixtureProblem::fixture(Fixture::B) };
    /// assert!((ScoreTarget::Lean.path_weighted(&problem, 1e-3).unwrap() - 0.645094).abs() < 1e-6);
    /// ```
    #[must_use]
    pub fn path_weighted(self, problem: &MixtureProblem, delta: f64) -> Option<f64> {
        self.gaussian_variance(problem, 0.5)?;
        let density = |z: f64| {
            let tau = time(z);
            weight(problem.interpolant, tau) * self.gaussian_variance(problem, tau).unwrap_or(f64::NAN)
        };
        Some(simpson(density, (-logit(delta), logit(delta)), PIECES))
    }
}

impl VarianceReport {
    /// The report of one Gaussian at so many times, equally far apart in logits from δ to 1 − δ; `None` for mixtures.
    #[must_use]
    pub fn exact(problem: &MixtureProblem, target: ScoreTarget, delta: f64, times: usize) -> Option<Self> {
        target.gaussian_variance(problem, 0.5)?;
        let tilted = problem.tilted().0;
        let at = |(tau, weight): (f64, f64)| {
            let variance = target.gaussian_variance(problem, tau).unwrap_or(f64::NAN);
            // of the score itself, E|s*|² = 1/(a² S' + b²)
            let square = 1.0 / tilted.mixed(problem.interpolant.at(tau)).moments().variance;
            AtTime { tau, weight, square: square + variance, variance }
        };
        Some(Self::new(target, super::report::nodes(problem.interpolant, delta, times).into_iter().map(at).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::analytic::Fixture;

    fn b(interpolant: Interpolant) -> MixtureProblem {
        MixtureProblem { interpolant, ..MixtureProblem::fixture(Fixture::B) }
    }

    #[test]
    fn the_variances_of_fixture_b_are_the_published_ones() {
        use Interpolant::{Flow, Vp};
        for (interpolant, delta, expected) in [
            (Flow, 1e-2, [3.73737, 27253.6, 1.42304, 0.645_060]),
            (Flow, 1e-3, [6.04873, 2.77568e6, 1.42322, 0.645_119]),
            (Flow, 1e-4, [8.35222, 2.78069e8, 1.42323, 0.645_120]),
            (Vp, 1e-3, [3.69999, 63118.8, 1.42314, 0.645_094]),
            (Vp, 1e-5, [6.04923, 64380.5, 1.42315, 0.645_094]),
        ] {
            for (target, expected) in ScoreTarget::ALL.into_iter().zip(expected) {
                let got = target.path_weighted(&b(interpolant), delta).unwrap();
                // six printed digits
                assert!((got / expected - 1.0).abs() < 5e-6, "{interpolant:?} {delta} {target:?}: {got}");
            }
        }
        assert!(ScoreTarget::Terminal.path_weighted(&b(Flow), 1e-3).unwrap() > 1e6);
        assert!(ScoreTarget::Mixed.path_weighted(&MixtureProblem::fixture(Fixture::C), 1e-3).is_none());
    }

    #[test]
    fn the_lean_target_stays_below_its_bound() {
        // ½ s² Var*(∇R), ∇R = −4 (x − 2)
        let tilted = b(Interpolant::Flow).tilted().0.moments();
        let bound = 0.5 * 0.64 * 16.0 * tilted.variance;
        assert!((bound - 0.920_449).abs() < 1e-6, "{bound}");
        for interpolant in [Interpolant::Flow, Interpolant::Vp] {
            assert!(ScoreTarget::Lean.path_weighted(&b(interpolant), 1e-6).unwrap() < bound);
        }
    }

    #[test]
    fn reports_add_up_to_the_integral_and_say_where_it_diverges() {
        for (interpolant, target, noise, data) in [
            (Interpolant::Flow, ScoreTarget::Conditional, false, true),
            (Interpolant::Flow, ScoreTarget::Terminal, true, false),
            (Interpolant::Flow, ScoreTarget::Mixed, false, false),
            (Interpolant::Flow, ScoreTarget::Lean, false, false),
            (Interpolant::Vp, ScoreTarget::Conditional, false, true),
            // large, but a_0 is not 0
            (Interpolant::Vp, ScoreTarget::Terminal, false, false),
        ] {
            let report = VarianceReport::exact(&b(interpolant), target, 1e-4, 1200).unwrap();
            let integral = target.path_weighted(&b(interpolant), 1e-4).unwrap();
            // the midpoint rule at 1200 points
            assert!((report.total / integral - 1.0).abs() < 1e-3, "{interpolant:?} {target:?}: {}", report.total);
            assert_eq!(
                (report.diverges_at_noise, report.diverges_at_data),
                (noise, data),
                "{interpolant:?} {target:?}"
            );
        }
    }
}
