//! Steps from t to s < t.

use super::{Scales, Schedule};
use crate::error::Result;
use crate::registry::registry;
use serde::{Deserialize, Serialize};

/// A step that is linear in the state and in the denoised estimate, with Gaussian noise:
///
/// ```text
/// z_s = keep · z_t + predict · ẑ₀ + std · ξ
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Coefficients {
    /// Factor of the state.
    pub keep: f64,
    /// Factor of the denoised estimate E[z₀ | z_t].
    pub predict: f64,
    /// Standard deviation of the fresh noise.
    pub std: f64,
}

/// How a step is taken; `eta` is the share of noise: 1 the reverse SDE, 0 the probability-flow ODE.
pub trait Solver: Send + Sync {
    /// The coefficients of the step from `t` to `s`.
    fn coefficients(&self, schedule: &dyn Schedule, t: f64, s: f64, eta: f64) -> Coefficients;

    /// Whether the step is corrected by a second evaluation at its end (order 2 at `eta` 0).
    fn corrects(&self) -> bool {
        false
    }
}

/// The exact Gaussian posterior of the discrete process given ẑ₀ (Ho et al. 2020, arXiv 2006.11239), with the noise share
/// of DDIM (Song et al. 2021, arXiv 2010.02502). At `eta` 0 it is the first-order exponential integrator.
///
/// ```text
/// posterior² = noise_s²/noise_t² · (1 − signal_t²/signal_s²)
/// std = min(eta · posterior, noise_s),   direction = √(noise_s² − std²)
/// z_s = signal_s ẑ₀ + direction (z_t − signal_t ẑ₀)/noise_t + std ξ
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Ancestral;

impl Ancestral {
    /// The coefficients from scales alone.
    #[must_use]
    pub fn between(t: Scales, s: Scales, eta: f64) -> Coefficients {
        let posterior = s.noise / t.noise * (1.0 - (t.signal / s.signal).powi(2)).max(0.0).sqrt();
        let std = (eta * posterior).min(s.noise);
        let keep = (s.noise.powi(2) - std.powi(2)).max(0.0).sqrt() / t.noise;
        Coefficients { keep, predict: s.signal - keep * t.signal, std }
    }
}

impl Solver for Ancestral {
    fn coefficients(&self, schedule: &dyn Schedule, t: f64, s: f64, eta: f64) -> Coefficients {
        Self::between(schedule.scales(t), schedule.scales(s), eta)
    }
}

/// Euler–Maruyama on the reverse SDE, with `h = t − s`:
///
/// ```text
/// z_s = z_t + h [½ β z_t + ½ (1 + eta²) β (signal ẑ₀ − z_t)/noise²] + eta √(h β) ξ
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Euler;

impl Solver for Euler {
    fn coefficients(&self, schedule: &dyn Schedule, t: f64, s: f64, eta: f64) -> Coefficients {
        let (h, beta, scales) = (t - s, schedule.beta(t), schedule.scales(t));
        let pull = 0.5 * (1.0 + eta * eta) * beta / scales.noise.powi(2);
        Coefficients {
            keep: 1.0 + h * (0.5 * beta - pull),
            predict: h * pull * scales.signal,
            std: eta * (h * beta).sqrt(),
        }
    }
}

/// [`Ancestral`] with the denoised estimate averaged over both ends of the step (Heun's correction in the exponential
/// form: second order at `eta` 0; Karras et al. 2022, arXiv 2206.00364). Two evaluations a step; sampling only.
#[derive(Clone, Copy, Debug)]
pub struct Heun;

impl Solver for Heun {
    fn coefficients(&self, schedule: &dyn Schedule, t: f64, s: f64, eta: f64) -> Coefficients {
        Ancestral.coefficients(schedule, t, s, eta)
    }

    fn corrects(&self) -> bool {
        true
    }
}

/// The solvers by name.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SolverKind {
    /// [`Ancestral`].
    #[default]
    Ancestral,
    /// [`Euler`].
    Euler,
    /// [`Heun`].
    Heun,
}

registry! {
    /// The solvers by name.
    pub SOLVERS: SolverKind, "solver", "solvers";
    "ancestral" => SolverKind::Ancestral, "exact Gaussian posterior of each step; DDIM at eta 0";
    "euler" => SolverKind::Euler, "Euler–Maruyama on the reverse SDE";
    "heun" => SolverKind::Heun, "ancestral with Heun's correction; second order at eta 0";
}

impl SolverKind {
    /// The solver.
    #[must_use]
    pub fn get(self) -> &'static dyn Solver {
        match self {
            Self::Ancestral => &Ancestral,
            Self::Euler => &Euler,
            Self::Heun => &Heun,
        }
    }

    /// The solver of a name.
    ///
    /// # Errors
    /// When there is no such solver.
    pub fn named(name: &str) -> Result<Self> {
        Ok(SOLVERS.get(name)?.make)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Cosine;
    use super::*;

    /// Gaussian data N(0, v) in one dimension: the denoised estimate is known, so the variance after the walk is too.
    fn final_variance(solver: SolverKind, steps: usize, eta: f64) -> f64 {
        let (schedule, v) = (Cosine { first_log_snr: 4.0, last_log_snr: -6.0 }, 0.3);
        let shrink = |t: f64| {
            let s = schedule.scales(t);
            s.signal * v / (s.signal.powi(2) * v + s.noise.powi(2))
        };
        // the walk starts from the exact marginal, so that only the solver errs
        let start = schedule.scales(1.0);
        let (mut gain, mut noise) = (start.signal.powi(2) * v + start.noise.powi(2), 0.0);
        gain = gain.sqrt();
        for k in 0..steps {
            let (t, s) = (1.0 - k as f64 / steps as f64, 1.0 - (k + 1) as f64 / steps as f64);
            let c = solver.get().coefficients(&schedule, t, s, eta);
            let first = c.keep + c.predict * shrink(t);
            let factor = if solver.get().corrects() {
                c.keep + c.predict * 0.5 * (shrink(t) + shrink(s) * first)
            } else {
                first
            };
            gain *= factor;
            noise = noise * factor * factor + c.std.powi(2);
        }
        let end = schedule.scales(0.0);
        let exact = end.signal.powi(2) * v + end.noise.powi(2);
        (gain * gain + noise - exact).abs()
    }

    #[test]
    fn the_order_of_each_solver_is_as_documented() {
        for (solver, eta, order) in [
            (SolverKind::Ancestral, 0.0, 1.0),
            (SolverKind::Euler, 0.0, 1.0),
            (SolverKind::Euler, 1.0, 1.0),
            (SolverKind::Euler, 0.5, 1.0),
            (SolverKind::Heun, 0.0, 2.0),
        ] {
            let (coarse, fine) = (final_variance(solver, 200, eta), final_variance(solver, 400, eta));
            let measured = (coarse / fine).log2();
            assert!((measured - order).abs() < 0.15, "{solver:?} eta {eta}: order {measured}, {coarse} {fine}");
        }
        // the noisy ancestral walk converges too (its order is 1)
        assert!(final_variance(SolverKind::Ancestral, 400, 1.0) < final_variance(SolverKind::Ancestral, 100, 1.0));
    }

    #[test]
    fn the_cost_of_a_shift_is_the_gain_in_signal_to_noise() {
        // (predict/std)² = snr(s) − snr(t) for the ancestral step at eta 1
        let schedule = Cosine::default();
        let (t, s) = (0.6, 0.5);
        let c = Ancestral.coefficients(&schedule, t, s, 1.0);
        let gain = schedule.scales(s).snr() - schedule.scales(t).snr();
        assert!(((c.predict / c.std).powi(2) / gain - 1.0).abs() < 1e-9);
    }
}
