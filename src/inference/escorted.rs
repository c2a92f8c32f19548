//! Escorted walks along tilted laws, with resampling on the way.

use super::{effective, systematic};
use crate::error::{Error, Result};
use crate::finetune::analytic::{Escort, Escorted, TiltedPath, Weighting};
use crate::random::Seed;

/// Walks an island of `particles` along a [`TiltedPath`], resampling systematically whenever fewer than half are effective:
///
/// ```text
/// A += dA;   whenever (Σ e^A)²/Σ e^{2A} < N/2:   log Ẑ += log mean e^A,  systematic resampling,  A = 0
/// ```
/// The log-weights that come back have what was taken out put back, so that their mean exponential is Ẑ; islands are independent, the
/// particles of one that was resampled are not. Feynman–Kac correctors with a tilt of the reward (Skreta et al., arXiv 2503.02819) when
/// there is no escort.
///
/// ```
/// use seqtilt::Seed;
/// use seqtilt::eval::log_mean_exp;
/// use seqtilt::finetune::analytic::{Alone, Fixture, Interpolant, MixtureProblem, Noise, Ramp, TiltedPath, Weighting};
/// use seqtilt::inference::escorted;
/// # fn main() -> seqtilt::Result<()> {
/// let fixture = MixtureProblem::fixture(Fixture::C);
/// let problem = MixtureProblem { interpolant: Interpolant::Vp, noise: Noise::Memoryless, ..fixture };
/// let path = TiltedPath::new(&problem, Ramp::Line, 1.0, 100)?;
/// let walked = escorted(&path, &Alone, Weighting::Rate, 2000, Seed::root(1))?;
/// assert!((log_mean_exp(&walked.log_weights).log.value - 0.5309).abs() < 0.1);
/// # Ok(()) }
/// ```
///
/// # Errors
/// When there are fewer than two particles, or the escort fails.
pub fn escorted(
    path: &TiltedPath,
    escort: &dyn Escort,
    weighting: Weighting,
    particles: usize,
    seed: Seed,
) -> Result<Escorted> {
    if particles < 2 {
        return Err(Error::usage(format!("an island of {particles} particles; at least 2 are needed")));
    }
    let (mut rng, mut choice) = (seed.child("noise").rng(), seed.child("resample").rng());
    path.walk(escort, weighting, particles, &mut rng, |weights| {
        (effective(weights) < 0.5 * particles as f64).then(|| systematic(weights, particles, &mut choice))
    })
}

#[cfg(test)]
mod tests {
    use super::super::resample::log_mean;
    use super::*;
    use crate::finetune::analytic::{Alone, Fixture, Interpolant, MixtureProblem, Noise, Ramp};
    use std::io::Write as _;

    fn problem(fixture: Fixture) -> MixtureProblem {
        MixtureProblem { interpolant: Interpolant::Vp, noise: Noise::Memoryless, ..MixtureProblem::fixture(fixture) }
    }

    /// Mean and standard error of log Ẑ over islands.
    fn islands(path: &TiltedPath, weighting: Weighting, islands: u64, particles: usize) -> (f64, f64, u64) {
        let (mut values, mut resampled) = (Vec::new(), 0);
        for island in 0..islands {
            let walked = escorted(path, &Alone, weighting, particles, Seed::root(7).index(island)).unwrap();
            values.push(log_mean(&walked.log_weights));
            resampled += walked.resampled;
        }
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        let se = (values.iter().map(|z| (z - mean).powi(2)).sum::<f64>() / (n * (n - 1.0))).sqrt();
        (mean, se, resampled)
    }

    #[test]
    fn resampling_keeps_z_and_the_tilt() {
        for (fixture, exact, room) in
            [(Fixture::A, 2.28, 0.02), (Fixture::B, -1.898_925, 0.08), (Fixture::C, 0.530_93, 0.02)]
        {
            let path = TiltedPath::new(&problem(fixture), Ramp::Line, 1.0, 150).unwrap();
            let (mean, se, resampled) = islands(&path, Weighting::Rate, 6, 800);
            // the log of an unbiased estimate is low by half its variance, and steps are off by O(h): `room`
            assert!((mean - exact).abs() < 3.0 * se + room && se < 0.08, "{fixture:?}: {mean} ± {se}");
            // on A 0.46 of the walks are effective at the end, on B and C half or more
            assert!(resampled > 0 || fixture != Fixture::A, "{fixture:?}");
        }
        // after resampling the rows themselves are the tilt, up to what was gained since
        let problem = problem(Fixture::A);
        let path = TiltedPath::new(&problem, Ramp::Line, 1.0, 200).unwrap();
        let walked = escorted(&path, &Alone, Weighting::Rate, 4000, Seed::root(9)).unwrap();
        let top = walked.log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (sum, total) = walked
            .ends
            .iter()
            .zip(&walked.log_weights)
            .fold((0.0, 0.0), |(sum, total), (x, a)| (sum + x * (a - top).exp(), total + (a - top).exp()));
        // 0.8/√4000 = 0.013 for independent rows; ancestors are shared by a few, and steps are off by 0.01
        assert!((sum / total - 1.78).abs() < 0.06, "{}", sum / total);
        assert!(escorted(&path, &Alone, Weighting::Rate, 1, Seed::root(9)).is_err());
    }

    #[test]
    #[ignore = "walks of 800 steps: run with --release"]
    fn the_table_of_tilted_paths() {
        let exact = [(Fixture::A, 2.28), (Fixture::C, 0.530_930_2), (Fixture::B, -1.898_925_2)];
        for (fixture, exact) in exact {
            let all = [(1.0, 800), (1.0, 200), (4.0, 200), (4.0, 800)];
            for (noise, steps) in all.into_iter().take(if fixture == Fixture::B { 4 } else { 1 }) {
                let path = TiltedPath::new(&problem(fixture), Ramp::Line, noise, steps).unwrap();
                for weighting in [Weighting::Rate, Weighting::Kernel] {
                    let walked =
                        path.walk(&Alone, weighting, 40_000, &mut Seed::root(1).rng(), |_| None).unwrap().log_weights;
                    let (plain, n) = (log_mean(&walked), walked.len() as f64);
                    let se = walked.iter().map(|a| ((a - plain).exp() - 1.0).powi(2)).sum::<f64>().sqrt() / n;
                    let share = effective(&walked) / n;
                    let (mean, smc_se, resampled) = islands(&path, weighting, 20, 1000);
                    writeln!(
                        std::io::stderr(),
                        "{fixture:?} noise {noise} K {steps} {weighting:?}: log Z {plain:.4} ± {se:.4} (ESS/n {share:.3}), SMC \
                         {mean:.4} ± {smc_se:.4} ({} resamplings an island), exact {exact:.4}",
                        resampled as f64 / 20.0
                    )
                    .unwrap();
                }
            }
        }
    }
}
