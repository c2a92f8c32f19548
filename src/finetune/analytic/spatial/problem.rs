//! A mixture in several dimensions, its path of laws, and a reward.

use super::{SpatialMixture, SpatialNormal};
use crate::error::Result;
use crate::finetune::analytic::{Interpolant, MixtureProblem, Quadratic};
use ndarray::{Array1, Array2, array};

/// A reward of a vector:
///
/// ```text
/// r(x) = kᵀ x − ½ (x − c)ᵀ Q (x − c)
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SpatialQuadratic {
    /// Linear part, k.
    pub slope: Array1<f64>,
    /// Curvature of the other, Q: symmetric, positive semidefinite.
    pub curvature: Array2<f64>,
    /// Where that is highest, c.
    pub centre: Array1<f64>,
}

impl SpatialQuadratic {
    /// The reward of one state.
    #[must_use]
    pub fn at(&self, x: &Array1<f64>) -> f64 {
        let off = x - &self.centre;
        self.slope.dot(x) - 0.5 * off.dot(&self.curvature.dot(&off))
    }

    /// Its gradient, `k − Q (x − c)`.
    #[must_use]
    pub fn gradient(&self, x: &Array1<f64>) -> Array1<f64> {
        &self.slope - &self.curvature.dot(&(x - &self.centre))
    }
}

/// The soft value at one time and state, in nats.
#[derive(Clone, Debug, PartialEq)]
pub struct SpatialValue {
    /// `V = log E[e^{r/α} | X_τ = x]`.
    pub value: f64,
    /// ∇V.
    pub slope: Array1<f64>,
    /// The best control, `σ ∇V`, per root time.
    pub control: Array1<f64>,
}

/// A [`MixtureProblem`] in d dimensions under memoryless noise: base `X_1 ~` [`SpatialMixture`], reached from N(0, I).
///
/// The fourth fixture of the tilting framework of arXiv 2605.00229; closed forms derived here.
///
/// ```
/// use ndarray::array;
/// use seqtilt::finetune::analytic::{Interpolant, SpatialProblem};
/// # fn main() -> seqtilt::Result<()> {
/// let problem = SpatialProblem::d(Interpolant::Flow)?;
/// assert!((problem.tilted()?.1 - 0.1916101244).abs() < 1e-10);
/// let at = problem.memoryless_value(0.9, &array![0.9, 0.8])?;
/// assert!((at.value - 1.2107464219).abs() < 1e-10);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct SpatialProblem {
    /// Law of the base's end.
    pub base: SpatialMixture,
    /// What is rewarded.
    pub reward: SpatialQuadratic,
    /// Price of a nat, in reward units.
    pub alpha: f64,
    /// Laws on the way.
    pub interpolant: Interpolant,
}

impl SpatialProblem {
    /// Fixture D: three Gaussians in the plane, a linear and quadratic reward, alpha 1.
    ///
    /// # Errors
    /// Never: the covariances are positive definite.
    pub fn d(interpolant: Interpolant) -> Result<Self> {
        let base = SpatialMixture::new(vec![
            (0.5, SpatialNormal::new(array![-1.0, 0.0], array![[0.30, 0.10], [0.10, 0.20]])?),
            (0.3, SpatialNormal::new(array![1.0, 1.0], array![[0.20, -0.05], [-0.05, 0.30]])?),
            (0.2, SpatialNormal::new(array![0.5, -1.5], array![[0.25, 0.0], [0.0, 0.15]])?),
        ])?;
        let reward = SpatialQuadratic {
            slope: array![0.5, 1.0],
            curvature: array![[0.8, 0.2], [0.2, 0.5]],
            centre: array![0.5, 0.5],
        };
        Ok(Self { base, reward, alpha: 1.0, interpolant })
    }

    /// A problem of one dimension.
    ///
    /// # Errors
    /// When a variance is not above 0.
    pub fn line(problem: &MixtureProblem) -> Result<Self> {
        let part = |(weight, law): &(f64, crate::finetune::analytic::Normal)| {
            Ok((*weight, SpatialNormal::new(array![law.mean], array![[law.variance]])?))
        };
        let base = SpatialMixture::new(problem.base.parts().iter().map(part).collect::<Result<_>>()?)?;
        let Quadratic { slope, curvature, centre } = problem.reward;
        let reward = SpatialQuadratic { slope: array![slope], curvature: array![[curvature]], centre: array![centre] };
        Ok(Self { base, reward, alpha: problem.alpha, interpolant: problem.interpolant })
    }

    /// The law that is aimed at, and log Z.
    ///
    /// # Errors
    /// When the reward has other dimensions than the base.
    pub fn tilted(&self) -> Result<(SpatialMixture, f64)> {
        self.base.tilted(&self.reward, self.alpha)
    }

    /// Soft value, slope and best control of the memoryless diffusion:
    ///
    /// ```text
    /// V = log p*_τ − log p_τ + log Z        ∇V = s*_τ − s_τ        u* = √(2η) ∇V
    /// ```
    ///
    /// # Errors
    /// As [`tilted`](Self::tilted).
    pub fn memoryless_value(&self, tau: f64, x: &Array1<f64>) -> Result<SpatialValue> {
        let (tilted, log_z) = self.tilted()?;
        let at = self.interpolant.at(tau);
        let ((tilted, score), (base, base_score)) =
            (tilted.mixed(at)?.log_density(x), self.base.mixed(at)?.log_density(x));
        let slope = score - base_score;
        let control = &slope * self.interpolant.memoryless(tau, 0.0).sqrt();
        Ok(SpatialValue { value: tilted - base + log_z, slope, control })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::analytic::Fixture;

    fn near(got: f64, expected: f64, digits: f64) {
        assert!((got - expected).abs() < digits, "{got} is not {expected}");
    }

    #[test]
    fn the_tilt_of_three_parts_in_the_plane_has_the_published_numbers() {
        let (tilted, log_z) = SpatialProblem::d(Interpolant::Vp).unwrap().tilted().unwrap();
        near(log_z, 0.191_610_124_4, 1e-10);
        // eight printed digits
        for ((weight, _), expected) in tilted.parts().iter().zip([0.149_220_19, 0.828_948_21, 0.021_831_6]) {
            near(*weight, expected, 1e-8);
        }
        let (mean, covariance) = tilted.moments();
        near(mean[0], 0.746_537_71, 1e-8);
        near(mean[1], 1.001_421_66, 1e-8);
        near(covariance[[0, 0]], 0.450_363_988_8, 1e-10);
        near(covariance[[0, 1]], 0.118_997_490_9, 1e-10);
        near(covariance[[1, 0]], 0.118_997_490_9, 1e-10);
        near(covariance[[1, 1]], 0.437_055_406_9, 1e-10);
    }

    #[test]
    fn value_slope_and_control_in_the_plane_are_the_published_ones() {
        for (interpolant, x, tau, value, slope, control) in [
            (
                Interpolant::Vp,
                array![0.2, -0.5],
                0.6,
                -0.032_010_528_0,
                [0.415_418_66, 0.570_954_51],
                [1.179_379_34, 1.620_947_78],
            ),
            (
                Interpolant::Flow,
                array![0.9, 0.8],
                0.9,
                1.210_746_421_9,
                [0.012_551_06, 0.744_565_73],
                [0.005_916_63, 0.350_991_65],
            ),
        ] {
            let got = SpatialProblem::d(interpolant).unwrap().memoryless_value(tau, &x).unwrap();
            near(got.value, value, 1e-10);
            for i in 0..2 {
                near(got.slope[i], slope[i], 1e-8);
                near(got.control[i], control[i], 1e-8);
            }
        }
    }

    #[test]
    fn the_tilt_is_the_density_times_the_exponential_of_the_reward_and_scores_are_slopes() {
        let problem = SpatialProblem::d(Interpolant::Flow).unwrap();
        let problem = SpatialProblem { alpha: 0.7, ..problem };
        let (tilted, log_z) = problem.tilted().unwrap();
        let h = 1e-5;
        for x in [array![-0.8, 0.3], array![1.1, -0.4]] {
            let direct = problem.base.log_density(&x).0 + problem.reward.at(&x) / 0.7 - log_z;
            near(tilted.log_density(&x).0, direct, 1e-12);
            for i in 0..2 {
                let mut step = Array1::zeros(2);
                step[i] = h;
                let slope = |f: &dyn Fn(&Array1<f64>) -> f64| (f(&(&x + &step)) - f(&(&x - &step))) / (2.0 * h);
                // central differences: error about h² f‴ + 1e-16/h
                near(slope(&|x| tilted.log_density(x).0), tilted.log_density(&x).1[i], 1e-8);
                near(slope(&|x| problem.reward.at(x)), problem.reward.gradient(&x)[i], 1e-8);
                let value = |x: &Array1<f64>| problem.memoryless_value(0.4, x).unwrap().value;
                near(slope(&value), problem.memoryless_value(0.4, &x).unwrap().slope[i], 1e-8);
            }
        }
    }

    #[test]
    fn one_dimension_has_the_same_answers() {
        for fixture in [Fixture::A, Fixture::B, Fixture::C] {
            for interpolant in [Interpolant::Vp, Interpolant::Flow] {
                let problem = MixtureProblem { interpolant, ..MixtureProblem::fixture(fixture) };
                let line = SpatialProblem::line(&problem).unwrap();
                near(line.tilted().unwrap().1, problem.tilted().1, 1e-12);
                let (one, other) =
                    (line.memoryless_value(0.3, &array![0.4]).unwrap(), problem.memoryless_value(0.3, 0.4));
                near(one.value, other.value, 1e-12);
                near(one.slope[0], other.slope, 1e-12);
                near(one.control[0], other.control, 1e-12);
            }
        }
    }

    #[test]
    fn what_is_no_covariance_and_what_does_not_fit_is_refused() {
        assert!(SpatialNormal::new(array![0.0, 0.0], array![[1.0, 2.0], [2.0, 1.0]]).is_err());
        assert!(SpatialNormal::new(array![0.0], array![[1.0, 0.0], [0.0, 1.0]]).is_err());
        assert!(SpatialMixture::new(vec![]).is_err());
        let reward = SpatialQuadratic { slope: array![1.0], curvature: array![[0.0]], centre: array![0.0] };
        let base = SpatialProblem::d(Interpolant::Vp).unwrap().base;
        assert!(base.tilted(&reward, 1.0).unwrap_err().to_string().contains("1 dimensions for states of 2"));
    }
}
