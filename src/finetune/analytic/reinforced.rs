//! Reinforce adjoint matching on one Gaussian, exactly: where a regression without the price of the path ends.

use super::{Interpolant, MixtureProblem, Normal};
use crate::error::{Error, Result};

/// Times at which the velocity is held, midpoints of equal pieces: laws move by 2e-6 between 200 and 400 of them.
const NODES: usize = 200;

/// An affine velocity `level + slope (x − a m)` at one time, about the mean of the ends m.
#[derive(Clone, Copy)]
struct Affine {
    level: f64,
    slope: f64,
}

/// Rounds of reinforce adjoint matching (arXiv 2605.10759) without sampling or training error, from the base on: the laws of the model's
/// ends before each.
///
/// ```text
/// X_1 ~ ends of the flow of v_θ,  X_τ = a X_1 + b ε,  U = a' X_1 + b' ε,  R = r/α less its mean over the ends
/// v_θ ← v_θ + share (proj E[v + R (U − v_θ) | X_τ] − v_θ)               proj: the best affine function of X_τ
/// ```
/// It asks for values alone, and has the form of tilt matching (`v_old + (w̄ − 1)(U − v_θ)`), but R stands where a tilt has weights, and
/// nothing accounts for the change of the law that ends are drawn from: the price of the path is dropped. Where it settles is the tilt for
/// linear rewards only. For `r = −½q(x − 2)²` on N(.5, .64) it is N(.691, .556) at q ¼ and N(.986, .399) at 1, where the tilts are
/// N(.707, .552) and N(1.085, .390); at q 4 it has not settled after 300 rounds of share 0.1
/// and runs off with whole steps, nor does it settle with whole steps for a linear reward of slope 2. A negative control,
/// and no objective for sequences: at the prices that are in use here r/α spreads over ten nats and more, where rounds do not settle and
/// `p + R (1{x} − q)` in the place of beliefs leaves the simplex.
///
/// ```
/// use seqtilt::finetune::analytic::{Fixture, Interpolant, MixtureProblem, Quadratic, reinforced};
/// let reward = Quadratic { slope: 0.0, curvature: 1.0, centre: 2.0 };
/// let problem = MixtureProblem { reward, interpolant: Interpolant::Flow, ..MixtureProblem::fixture(Fixture::B) };
/// let settled = reinforced(&problem, 0.3, 80)?[79];
/// let exact = problem.tilted().0.moments();
/// assert!((settled.mean - 0.986).abs() < 5e-4 && (exact.mean - 1.085).abs() < 5e-4);
/// # Ok::<(), seqtilt::Error>(())
/// ```
///
/// # Errors
/// When the base is not one Gaussian, a number is out of range, or the rounds run off.
///
/// # Cost
/// 200 affine maps a round.
pub fn reinforced(problem: &MixtureProblem, share: f64, rounds: usize) -> Result<Vec<Normal>> {
    problem.check()?;
    let [(_, base)] = problem.base.parts() else {
        return Err(Error::usage("the base has several parts; one Gaussian is accepted"));
    };
    if !(share > 0.0 && share <= 1.0) {
        return Err(Error::usage(format!("`share` is {share}; above 0 to 1 is accepted")));
    }
    let times: Vec<f64> = (0..NODES).map(|i| (i as f64 + 0.5) / NODES as f64).collect();
    // the model's velocity about its own mean, which moves from round to round
    let prior: Vec<Affine> = times.iter().map(|tau| velocity(problem.interpolant, *tau, *base)).collect();
    let (mut about, mut model) = (base.mean, prior.clone());
    let mut laws = Vec::with_capacity(rounds);
    for _ in 0..rounds {
        let law = ends(problem.interpolant, &times, &model, about);
        if !(law.mean.abs() < FAR && law.variance < FAR) {
            let message =
                format!("the rounds ran off to N({:.3e}, {:.3e}) after {}", law.mean, law.variance, laws.len());
            return Err(Error::data(message).hint("rewards of less spread, or a smaller share, settle"));
        }
        for ((tau, now), prior) in times.iter().zip(&mut model).zip(&prior) {
            let signal = problem.interpolant.at(*tau).signal;
            let here = |v: Affine, mean: f64| Affine { level: v.level + v.slope * signal * (law.mean - mean), ..v };
            let (old, target) =
                (here(*now, about), problem.target(*tau, law, here(*now, about), here(*prior, base.mean)));
            *now = Affine {
                level: old.level + share * (target.level - old.level),
                slope: old.slope + share * (target.slope - old.slope),
            };
        }
        about = law.mean;
        laws.push(law);
    }
    Ok(laws)
}

/// Where no law of rounds that settle goes.
const FAR: f64 = 1e3;

/// The velocity of noised Gaussian ends.
fn velocity(interpolant: Interpolant, tau: f64, ends: Normal) -> Affine {
    let at = interpolant.at(tau);
    let variance = at.signal * at.signal * ends.variance + at.noise * at.noise;
    let slope = (at.signal * at.signal_rate * ends.variance + at.half_noise_rate) / variance;
    Affine { level: at.signal_rate * ends.mean, slope }
}

/// Ends of the flow from N(0, 1).
fn ends(interpolant: Interpolant, times: &[f64], velocities: &[Affine], about: f64) -> Normal {
    let h = 1.0 / times.len() as f64;
    times.iter().zip(velocities).fold(Normal { mean: 0.0, variance: 1.0 }, |law, (tau, v)| {
        // x' = slope x + push for a time h, exactly
        let (push, growth) = (v.level - v.slope * interpolant.at(*tau).signal * about, (v.slope * h).exp());
        let gained = if v.slope.abs() < 1e-12 { h } else { (v.slope * h).exp_m1() / v.slope };
        Normal { mean: law.mean * growth + push * gained, variance: law.variance * growth * growth }
    })
}

impl MixtureProblem {
    /// `proj E[v + R (U − v_θ) | X_τ]` for Gaussian ends; all velocities are about the mean of these ends.
    fn target(&self, tau: f64, ends: Normal, model: Affine, prior: Affine) -> Affine {
        let (k, q, c) = (self.reward.slope / self.alpha, self.reward.curvature / self.alpha, self.reward.centre);
        let at = self.interpolant.at(tau);
        let variance = at.signal * at.signal * ends.variance + at.noise * at.noise;
        // E[X_1 | X_τ] = m + reach y, y = X_τ − a m, with variance left
        let (reach, left) = (at.signal * ends.variance / variance, ends.variance * at.noise * at.noise / variance);
        let slope = k - q * (ends.mean - c);
        // Cov(R, U | X_τ) = η d/dy E[R | X_τ],   E[R | X_τ] = r0 + r1 y + r2 y²
        let covariance =
            Affine { level: at.score_share() * reach * slope, slope: -at.score_share() * q * reach * reach };
        let (r0, r1, r2) = (0.5 * q * (ends.variance - left), reach * slope, -0.5 * q * reach * reach);
        // E[R | X_τ] (E[U | X_τ] − v_θ), a cubic, by moments of y: E y² = g, E y⁴ = 3g²
        let own = velocity(self.interpolant, tau, ends);
        let (d0, d1) = (own.level - model.level, own.slope - model.slope);
        Affine {
            level: prior.level + covariance.level + d0 * (r0 + r2 * variance) + d1 * r1 * variance,
            slope: prior.slope + covariance.slope + d0 * r1 + d1 * (r0 + 3.0 * r2 * variance),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::analytic::{Fixture, Quadratic};

    fn problem(slope: f64, curvature: f64) -> MixtureProblem {
        let reward = Quadratic { slope, curvature, centre: 2.0 };
        MixtureProblem { reward, interpolant: Interpolant::Flow, ..MixtureProblem::fixture(Fixture::B) }
    }

    #[test]
    fn rounds_settle_beside_the_tilt_of_curved_rewards() {
        for (q, mean, variance, exact) in [(0.25, 0.691, 0.556, (0.707, 0.552)), (1.0, 0.986, 0.399, (1.085, 0.390))] {
            let problem = problem(0.0, q);
            for share in [0.3, 1.0] {
                let law = reinforced(&problem, share, 100).unwrap()[99];
                // three printed digits, and where whole steps lead a fraction of them does
                assert!(
                    (law.mean - mean).abs() < 6e-4 && (law.variance - variance).abs() < 6e-4,
                    "{q} {share}: {law:?}"
                );
            }
            let tilted = problem.tilted().0.moments();
            assert!((tilted.mean - exact.0).abs() < 5e-4 && (tilted.variance - exact.1).abs() < 5e-4, "{tilted:?}");
            let first = reinforced(&problem, 1.0, 2).unwrap();
            assert!((first[0].mean - 0.5).abs() < 1e-4 && (first[0].variance - 0.64).abs() < 1e-4, "{first:?}");
        }
    }

    #[test]
    fn linear_rewards_end_in_their_tilt() {
        let problem = problem(1.0, 0.0);
        let law = reinforced(&problem, 0.3, 60).unwrap()[59];
        // N(.5 + .64, .64); velocities held over 1/200 of the time miss 4e-6
        assert!((law.mean - 1.14).abs() < 1e-5 && (law.variance - 0.64).abs() < 1e-5, "{law:?}");
    }

    #[test]
    fn steep_rewards_do_not_settle() {
        let spread = |slope, curvature, share, rounds: usize| {
            match reinforced(&problem(slope, curvature), share, rounds) {
                // how far the mean still moves in the last hundred rounds
                Ok(laws) => laws[rounds - 100..]
                    .iter()
                    .map(|law| law.mean)
                    .fold((9.0_f64, -9.0_f64), |(low, high), m| (low.min(m), high.max(m))),
                Err(_) => (0.0, f64::INFINITY),
            }
        };
        for (slope, curvature, share) in [(0.0, 4.0, 0.1), (0.0, 4.0, 1.0), (2.0, 0.0, 1.0)] {
            let (low, high) = spread(slope, curvature, share, 300);
            assert!(high - low > 1e-3, "{slope} {curvature} {share}: {low} to {high}");
        }
        let (low, high) = spread(0.0, 1.0, 0.3, 300);
        assert!(high - low < 1e-6, "{low} to {high}");
    }

    #[test]
    fn what_it_cannot_say_is_refused() {
        let several = MixtureProblem::fixture(Fixture::C);
        assert!(reinforced(&several, 0.3, 1).unwrap_err().message().contains("one Gaussian"));
        assert!(reinforced(&problem(1.0, 0.0), 0.0, 1).unwrap_err().message().contains("`share` is 0"));
    }
}
