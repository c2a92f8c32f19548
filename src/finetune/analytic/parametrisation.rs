//! What a network may answer, and the control that a change of its answer is.

use super::Mixing;
use serde::{Deserialize, Serialize};

/// What a network of a diffusion or flow answers at a state x and a time: all of them are the score s, moved and stretched.
///
/// ```text
/// ε̂ = −b s        x̂_1 = (x + b² s)/a        v = κ x + η s
/// ```
/// Between a tuned answer and that of the base at the same state (Δ, the tuned one less the base's), in a diffusion with noise σ:
///
/// ```text
/// u = (σ/2 + η/σ) Δs                                        any σ
/// u = σ Δs = −(σ/b) Δε̂ = (σ a/b²) Δx̂_1 = (2/σ) Δv            memoryless, σ² = 2η
/// ```
/// u per root time: the drift's change is `σ u`, and a step of length h takes `√h u` in units of its noise. The memoryless forms are
/// those of Adjoint Matching (Domingo-Enrich et al. 2024, arXiv 2409.08861), the general one of the framework of arXiv 2605.00229.
/// Where there is no signal (the flow at τ = 0) x̂_1 and v say nothing of the score.
///
/// ```
/// use seqtilt::finetune::analytic::{Interpolant, Parametrisation};
/// let at = Interpolant::Flow.at(0.25);
/// // v = x/τ + (1 − τ)/τ s
/// assert!((Parametrisation::Velocity.of_score(at, 0.5, -0.2) - 1.4).abs() < 1e-12);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Parametrisation {
    /// The noise in the state, ε̂.
    Noise,
    /// The data behind the state, x̂_1.
    Data,
    /// The velocity of the probability flow, v.
    Velocity,
    /// The score, s = ∇ log p.
    #[default]
    Score,
}

impl Parametrisation {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Noise, Self::Data, Self::Velocity, Self::Score];

    /// Factors of state and score, coordinate by coordinate: `answer = f x + g s`.
    #[must_use]
    pub fn factors(self, at: Mixing) -> (f64, f64) {
        match self {
            Self::Noise => (0.0, -at.noise),
            Self::Data => (1.0 / at.signal, at.noise * at.noise / at.signal),
            Self::Velocity => (at.growth(), at.score_share()),
            Self::Score => (0.0, 1.0),
        }
    }

    /// The answer that stands for a score.
    #[must_use]
    pub fn of_score(self, at: Mixing, x: f64, score: f64) -> f64 {
        let (f, g) = self.factors(at);
        f * x + g * score
    }

    /// The score that an answer stands for.
    #[must_use]
    pub fn score(self, at: Mixing, x: f64, answer: f64) -> f64 {
        let (f, g) = self.factors(at);
        (answer - f * x) / g
    }

    /// The same answer of another kind.
    #[must_use]
    pub fn to(self, other: Self, at: Mixing, x: f64, answer: f64) -> f64 {
        other.of_score(at, x, self.score(at, x, answer))
    }

    /// The control that the change of an answer is, in a diffusion with squared noise `square`, per root time.
    ///
    /// ```text
    /// u = (σ/2 + η/σ) Δ/g
    /// ```
    #[must_use]
    pub fn control(self, at: Mixing, square: f64, change: f64) -> f64 {
        let noise = square.sqrt();
        (0.5 * noise + at.score_share() / noise) * change / self.factors(at).1
    }

    /// The change of an answer that a control is: the inverse of [`control`](Self::control).
    #[must_use]
    pub fn change(self, at: Mixing, square: f64, control: f64) -> f64 {
        let noise = square.sqrt();
        control * self.factors(at).1 / (0.5 * noise + at.score_share() / noise)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::analytic::{Fixture, Interpolant, MixtureProblem, Noise};

    /// The fixtures on both schedules, at some times and states.
    fn places() -> Vec<(MixtureProblem, f64, f64)> {
        let mut places = Vec::new();
        for fixture in [Fixture::A, Fixture::B, Fixture::C] {
            for interpolant in [Interpolant::Vp, Interpolant::Flow] {
                for tau in [0.05, 0.25, 0.5, 0.9, 0.99] {
                    for x in [-1.3, 0.2, 2.1] {
                        places.push((MixtureProblem { interpolant, ..MixtureProblem::fixture(fixture) }, tau, x));
                    }
                }
            }
        }
        places
    }

    /// Scores of base and tilt on the way.
    fn scores(problem: &MixtureProblem, tau: f64, x: f64) -> (f64, f64) {
        let at = problem.interpolant.at(tau);
        (problem.base.mixed(at).score(x), problem.tilted().0.mixed(at).score(x))
    }

    fn near(got: f64, expected: f64) {
        // rounding, of numbers up to some hundred
        assert!((got - expected).abs() < 1e-10 * expected.abs().max(1.0), "{got} is not {expected}");
    }

    #[test]
    fn every_answer_becomes_every_other_and_comes_back() {
        for (problem, tau, x) in places() {
            let (at, (score, _)) = (problem.interpolant.at(tau), scores(&problem, tau, x));
            for one in Parametrisation::ALL {
                let answer = one.of_score(at, x, score);
                near(one.score(at, x, answer), score);
                for other in Parametrisation::ALL {
                    near(one.to(other, at, x, answer), other.of_score(at, x, score));
                    near(other.to(one, at, x, one.to(other, at, x, answer)), answer);
                }
            }
        }
    }

    #[test]
    fn answers_are_the_means_that_their_names_say() {
        // of one Gaussian: E[X_1 | x] and E[ε | x] by conditioning, v = a' x̂_1 + b' ε̂
        for (problem, tau, x) in places().into_iter().filter(|(problem, ..)| problem.base.parts().len() == 1) {
            let (at, law) = (problem.interpolant.at(tau), problem.base.parts()[0].1);
            let width = at.signal.powi(2) * law.variance + at.noise.powi(2);
            let data = law.mean + at.signal * law.variance / width * (x - at.signal * law.mean);
            let noise = at.noise / width * (x - at.signal * law.mean);
            let score = problem.base.mixed(at).score(x);
            near(Parametrisation::Data.of_score(at, x, score), data);
            near(Parametrisation::Noise.of_score(at, x, score), noise);
            let velocity = at.signal_rate * data + at.half_noise_rate / at.noise * noise;
            near(Parametrisation::Velocity.of_score(at, x, score), velocity);
        }
    }

    #[test]
    fn memoryless_controls_agree_in_every_form_and_with_the_optimum() {
        for (problem, tau, x) in places() {
            let (at, (base, tilted)) = (problem.interpolant.at(tau), scores(&problem, tau, x));
            let square = problem.interpolant.memoryless(tau, 0.0);
            let noise = square.sqrt();
            let change = |kind: Parametrisation| kind.of_score(at, x, tilted) - kind.of_score(at, x, base);
            let best = problem.memoryless_value(tau, x).control;
            for (kind, factor) in [
                (Parametrisation::Score, noise),
                (Parametrisation::Noise, -noise / at.noise),
                (Parametrisation::Data, noise * at.signal / at.noise.powi(2)),
                (Parametrisation::Velocity, 2.0 / noise),
            ] {
                near(factor * change(kind), best);
                near(kind.control(at, square, change(kind)), best);
                near(kind.change(at, square, best), change(kind));
            }
        }
    }

    #[test]
    fn with_any_noise_the_control_is_what_the_drift_gains_over_the_noise() {
        // b = κ x + (σ²/2 + η) s, so that u = Δb/σ
        for (problem, tau, x) in places() {
            let (at, (base, tilted)) = (problem.interpolant.at(tau), scores(&problem, tau, x));
            for noise in [Noise::Memoryless, Noise::Scaled(0.5), Noise::Scaled(2.0), Noise::Constant(0.7)] {
                let square = noise.square(problem.interpolant, tau, 0.0);
                let drift = |score: f64| at.growth() * x + (0.5 * square + at.score_share()) * score;
                let expected = (drift(tilted) - drift(base)) / square.sqrt();
                for kind in Parametrisation::ALL {
                    let change = kind.of_score(at, x, tilted) - kind.of_score(at, x, base);
                    near(kind.control(at, square, change), expected);
                    near(kind.change(at, square, expected), change);
                }
            }
        }
    }
}
