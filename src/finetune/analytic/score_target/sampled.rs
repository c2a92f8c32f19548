//! Variances of the targets on mixtures, by sampled paths.

use super::report::nodes;
use super::{AtTime, Evidence, ScoreTarget, VarianceReport};
use crate::error::Result;
use crate::finetune::analytic::{Mixing, Mixture, MixtureProblem};
use crate::nn::Pool;
use crate::random::{Rng, Seed};

/// Paths a shard.
const SHARD: usize = 512;

/// The problem at one time.
struct Node {
    tau: f64,
    at: Mixing,
    base: Mixture,
    tilted: Mixture,
}

impl Node {
    /// Slope of the memoryless drift, `∂b/∂x = κ + 2η ∂s/∂x`.
    fn slope(&self, x: f64) -> f64 {
        self.at.growth() + 2.0 * self.at.score_share() * self.base.score_slope(x)
    }
}

/// A draw of a mixture.
fn draw(law: &Mixture, rng: &mut Rng) -> f64 {
    let weights: Vec<f64> = law.parts().iter().map(|(weight, _)| *weight).collect();
    let part = law.parts()[rng.weighted(&weights)].1;
    part.mean + part.variance.sqrt() * rng.normal()
}

impl VarianceReport {
    /// The reports of all targets at so many times, equally far apart in logits from δ to 1 − δ, over so many paths of the optimum.
    ///
    /// The optimum under memoryless noise is the noising process from `X_1 ~ p*`, drawn with its exact kernels; the lean adjoint is carried
    /// along every path by the trapezoidal rule for `d log ã/dτ = −∂b/∂x`. Since `E*[target | X_τ] = s*_τ(X_τ)` is known,
    /// `E Var(target | X_τ) = E|target − s*_τ(X_τ)|²` needs no inner samples.
    ///
    /// # Errors
    /// When a worker fails.
    ///
    /// # Cost
    /// Three scores of a mixture for every path and time.
    pub fn sampled(
        problem: &MixtureProblem,
        delta: f64,
        times: usize,
        paths: usize,
        seed: Seed,
        pool: &Pool,
    ) -> Result<Vec<Self>> {
        let spaced = nodes(problem.interpolant, delta, times);
        let tilted = problem.tilted().0;
        let node = |tau: f64| {
            let at = problem.interpolant.at(tau);
            Node { tau, at, base: problem.base.mixed(at), tilted: tilted.mixed(at) }
        };
        let all: Vec<Node> = spaced.iter().map(|(tau, _)| node(*tau)).chain([node(1.0)]).collect();
        let kinds = ScoreTarget::ALL.len();
        let parts = pool.map(paths.div_ceil(SHARD), |shard| {
            let mut rng = seed.index(shard as u64).rng();
            let mut sums = vec![[0.0; 2]; kinds * times];
            for _ in 0..SHARD.min(paths - shard * SHARD) {
                let end = draw(&tilted, &mut rng);
                let slope = problem.reward.slope_at(end) / problem.alpha;
                let (mut x, mut adjoint) = (end, -slope);
                for k in (0..times).rev() {
                    let (ahead, here) = (&all[k + 1], &all[k]);
                    let keep = here.at.signal / ahead.at.signal;
                    let variance = here.at.noise.powi(2) - (keep * ahead.at.noise).powi(2);
                    let before = ahead.slope(x);
                    x = keep * x + variance.max(0.0).sqrt() * rng.normal();
                    adjoint *= (0.5 * (ahead.tau - here.tau) * (before + here.slope(x))).exp();
                    let seen =
                        Evidence { x, end, end_score: tilted.score(end), base_score: here.base.score(x), adjoint };
                    let score = here.tilted.score(x);
                    for (which, target) in ScoreTarget::ALL.into_iter().enumerate() {
                        let value = target.value(here.at, &seen);
                        let sums = &mut sums[which * times + k];
                        sums[0] += value * value;
                        sums[1] += (value - score).powi(2);
                    }
                }
            }
            Ok(sums)
        })?;
        let report = |which: usize| {
            let at = |(k, (tau, weight)): (usize, &(f64, f64))| {
                let mean = |i: usize| {
                    parts.iter().map(|sums: &Vec<[f64; 2]>| sums[which * times + k][i]).sum::<f64>() / paths as f64
                };
                AtTime { tau: *tau, weight: *weight, square: mean(0), variance: mean(1) }
            };
            Self::new(ScoreTarget::ALL[which], spaced.iter().enumerate().map(at).collect())
        };
        Ok((0..kinds).map(report).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::analytic::{Fixture, Interpolant};

    #[test]
    fn samples_of_one_gaussian_have_the_closed_variances() {
        let pool = Pool::new(1).unwrap();
        for interpolant in [Interpolant::Flow, Interpolant::Vp] {
            let problem = MixtureProblem { interpolant, ..MixtureProblem::fixture(Fixture::B) };
            let reports = VarianceReport::sampled(&problem, 1e-2, 60, 4000, Seed::root(3), &pool).unwrap();
            for report in reports {
                for at in report.times.iter().step_by(12) {
                    let expected = report.target.gaussian_variance(&problem, at.tau).unwrap();
                    // squares of Gaussians: standard error √(2/4000) = 2.2 %; five of them, and the trapezoidal rule
                    assert!((at.variance / expected - 1.0).abs() < 0.11, "{:?} {at:?} {expected}", report.target);
                }
            }
        }
    }

    #[test]
    fn two_modes_have_the_published_variances() {
        let pool = Pool::new(2).unwrap();
        let problem = MixtureProblem::fixture(Fixture::C);
        let reports = VarianceReport::sampled(&problem, 1e-3, 100, 8000, Seed::root(3), &pool).unwrap();
        let [conditional, terminal, mixed, lean] = [0, 1, 2, 3].map(|i| &reports[i]);
        // published: 1.09; 4.2 to 6.6, growing; 2e6; about 7 to 12 with heavy tails
        assert!((mixed.total - 1.09).abs() < 0.05, "{}", mixed.total);
        assert!((4.0..7.0).contains(&conditional.total), "{}", conditional.total);
        assert!(terminal.total > 1e6, "{}", terminal.total);
        assert!((4.0..16.0).contains(&lean.total), "{}", lean.total);
        assert!(conditional.diverges_at_data && !conditional.diverges_at_noise);
        assert!(terminal.diverges_at_noise && !mixed.diverges_at_data && !mixed.diverges_at_noise);
    }
}
