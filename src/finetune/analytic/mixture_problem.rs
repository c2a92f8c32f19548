//! Tilting a mixture of Gaussians: the closed forms.

use super::{Interpolant, Mixture, Normal, Quadratic};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// Noise of the base diffusion; whatever it is, the laws on the way are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    /// As much as it takes to forget the start: [`Interpolant::memoryless`].
    #[default]
    Memoryless,
    /// So many times the square of that, `σ² = 2 ζ η`: memoryless too where the schedule starts without any signal, but
    /// [`Interpolant::remembered`] says what is left where it has some.
    Scaled(f64),
    /// The same at all times: the start is remembered, so that its law has to be learned.
    Constant(f64),
}

impl Noise {
    /// σ² at a time; `offset` as in [`Interpolant::memoryless`].
    #[must_use]
    pub fn square(self, interpolant: Interpolant, tau: f64, offset: f64) -> f64 {
        match self {
            Self::Memoryless => interpolant.memoryless(tau, offset),
            Self::Scaled(zeta) => zeta * interpolant.memoryless(tau, offset),
            Self::Constant(noise) => noise * noise,
        }
    }
}

/// Base `X_1 ~` [`Mixture`], reached from `X_0 ~ N(0, 1)` by a diffusion with the laws of an [`Interpolant`], and a reward at its
/// end.
///
/// ```text
/// dX = [v + ½σ² s] dτ + σ dW,    v = Σ_i γ_i(x) v_i(x),    s = d log p_τ/dx
/// v_i(x) = a' m_i + (a a' S_i + b b')/(a² S_i + b²) (x − a m_i)        γ: shares of the parts in p_τ(x)
/// ```
/// Here τ runs while generating: 0 is noise, 1 is data (the code's time is `t = 1 − τ`). The fixtures of the tilting framework of
/// arXiv 2605.00229; closed forms derived here.
///
/// ```
/// use seqtilt::finetune::analytic::{Fixture, MixtureProblem};
/// let problem = MixtureProblem::fixture(Fixture::C);
/// let (tilted, log_z) = problem.tilted();
/// assert!((log_z - 0.5309302221).abs() < 1e-10);
/// assert!((tilted.moments().mean - 1.4377630353).abs() < 1e-10);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct MixtureProblem {
    /// Law of the base's end.
    pub base: Mixture,
    /// What is rewarded.
    pub reward: Quadratic,
    /// Price of a nat, in reward units.
    pub alpha: f64,
    /// Laws on the way.
    pub interpolant: Interpolant,
    /// Noise on the way.
    pub noise: Noise,
}

/// The three fixtures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fixture {
    /// One Gaussian, linear reward: base N(0.5, 0.64), `r = x`, alpha ½.
    A,
    /// One Gaussian, quadratic reward: base N(0.5, 0.64), `r = −2 (x − 2)²`, alpha 1.
    B,
    /// Two Gaussians, linear reward: base 0.7 N(−1.5, 0.25) + 0.3 N(1.5, 0.25), `r = x`, alpha 1.
    C,
}

/// Most of a correlation between start and end that counts as none.
const FORGOTTEN: f64 = 0.1;

/// The soft value at one time and state, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SoftValue {
    /// `V = log E[e^{r/α} | X_τ = x]`.
    pub value: f64,
    /// dV/dx.
    pub slope: f64,
    /// The best control, `σ dV/dx`, per root time.
    pub control: f64,
}

impl MixtureProblem {
    /// A fixture on the flow with noise 1, where a frozen start is biased.
    #[must_use]
    pub fn fixture(fixture: Fixture) -> Self {
        let line = Quadratic { slope: 1.0, ..Quadratic::default() };
        let (base, reward, alpha) = match fixture {
            Fixture::A => (Mixture::gaussian(0.5, 0.64), line, 0.5),
            Fixture::B => (Mixture::gaussian(0.5, 0.64), Quadratic { slope: 0.0, curvature: 4.0, centre: 2.0 }, 1.0),
            Fixture::C => {
                let part = |mean| Normal { mean, variance: 0.25 };
                (Mixture::new(&[(0.7, part(-1.5)), (0.3, part(1.5))]), line, 1.0)
            }
        };
        Self { base, reward, alpha, interpolant: Interpolant::Flow, noise: Noise::Constant(1.0) }
    }

    /// Checks every number.
    ///
    /// # Errors
    /// When one is out of range; the message names it and what is accepted.
    pub fn check(&self) -> Result<()> {
        let noise = match self.noise {
            Noise::Memoryless => 1.0,
            Noise::Scaled(size) | Noise::Constant(size) => size,
        };
        let spreads = self.base.parts().iter().map(|(_, law)| ("variance", law.variance));
        for (name, value) in [("alpha", self.alpha), ("noise", noise)].into_iter().chain(spreads) {
            if !(value > 0.0 && value.is_finite()) {
                return Err(Error::usage(format!("`{name}` is {value}; a finite number above 0 is accepted")));
            }
        }
        if self.reward.curvature >= 0.0 {
            return Ok(());
        }
        Err(Error::usage(format!("`curvature` is {}; 0 or more is accepted", self.reward.curvature)))
    }

    /// Checks that a control from the frozen start can reach the tilt: that the base forgets it.
    ///
    /// By [`Interpolant::remembered`] at the base's standard deviation, which is exact for one Gaussian: 0.1 at most is let through, and
    /// biases a mean by 1 % of what the tilt moves it (it goes as ρ_0²).
    ///
    /// # Errors
    /// When the base remembers more than that.
    pub fn check_memoryless(&self) -> Result<()> {
        let left = self.interpolant.remembered(self.noise, self.base.moments().variance.sqrt());
        if left <= FORGOTTEN {
            return Ok(());
        }
        Err(Error::usage(format!(
            "the base remembers its start by a correlation of {left:.4}; at most {FORGOTTEN} is accepted without a learned initial law"
        ))
        .hint("use memoryless noise, or learn the initial law with the control"))
    }

    /// The law that is aimed at, and log Z: of the process in continuous time, whatever its noise.
    #[must_use]
    pub fn tilted(&self) -> (Mixture, f64) {
        self.base.tilted(&self.reward, self.alpha)
    }

    /// `KL(p*‖p) = E*[r]/α − log Z`.
    #[must_use]
    pub fn divergence(&self) -> f64 {
        let (tilted, log_z) = self.tilted();
        tilted.mean_of(&self.reward) / self.alpha - log_z
    }

    /// Soft value, slope and best control of the memoryless diffusion:
    ///
    /// ```text
    /// V = log p*_τ − log p_τ + log Z        u* = √(2η) dV/dx
    /// ```
    #[must_use]
    pub fn memoryless_value(&self, tau: f64, x: f64) -> SoftValue {
        let (tilted, log_z) = self.tilted();
        let at = self.interpolant.at(tau);
        let (tilted, base) = (tilted.mixed(at), self.base.mixed(at));
        let slope = tilted.score(x) - base.score(x);
        let value = tilted.log_density(x) - base.log_density(x) + log_z;
        SoftValue { value, slope, control: self.interpolant.memoryless(tau, 0.0).sqrt() * slope }
    }

    /// The best law that is reached from a frozen start, in continuous time, where it has a closed form: one Gaussian on the flow
    /// with constant noise σ, which remembers its start by `ρ = Corr(X_0, X_1) = exp(−σ²π/(4s))`.
    ///
    /// ```text
    /// T = s² (1 − ρ²):    mean (m + T (k + q c))/(1 + q T),    variance T/(1 + q T) + ρ² s²/(1 + q T)²
    /// ```
    #[must_use]
    pub fn frozen(&self) -> Option<Normal> {
        let ([(_, law)], Noise::Constant(noise), Interpolant::Flow) = (self.base.parts(), self.noise, self.interpolant)
        else {
            return None;
        };
        let (k, q, c) = (self.reward.slope / self.alpha, self.reward.curvature / self.alpha, self.reward.centre);
        let memory = Interpolant::Flow.remembered(Noise::Constant(noise), law.variance.sqrt());
        let free = law.variance * (1.0 - memory * memory);
        let widening = 1.0 + q * free;
        Some(Normal {
            mean: (law.mean + free * (k + q * c)) / widening,
            variance: free / widening + (memory / widening).powi(2) * law.variance,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(got: f64, expected: f64, digits: f64, what: &str) {
        assert!((got - expected).abs() < digits, "{what}: {got} is not {expected}");
    }

    #[test]
    fn the_closed_forms_have_the_published_values() {
        for (fixture, log_z, mean, variance, divergence) in [
            (Fixture::A, 2.28, 1.78, 0.64, 1.28),
            (Fixture::B, -1.898_925_216_3, 1.578_651_685_4, 0.179_775_280_9, 1.184_305_85),
            (Fixture::C, 0.530_930_222_1, 1.437_763_035_3, 1.089_218_971_9, 0.906_832_813_3),
        ] {
            let problem = MixtureProblem::fixture(fixture);
            let (tilted, got) = problem.tilted();
            // the last printed digit
            near(got, log_z, 1e-10, "log Z");
            near(tilted.moments().mean, mean, 1e-10, "mean");
            near(tilted.moments().variance, variance, 1e-10, "variance");
            near(problem.divergence(), divergence, 1e-10, "divergence");
        }
        let (tilted, _) = MixtureProblem::fixture(Fixture::C).tilted();
        near(tilted.parts()[0].0, 0.104_078_988_2, 1e-10, "weight");
        near(tilted.parts()[1].1.mean, 1.75, 1e-12, "mean of the right part");
    }

    #[test]
    fn value_slope_and_control_have_the_published_values() {
        use Fixture::{A, B, C};
        use Interpolant::{Flow, Vp};
        for (interpolant, fixture, x, tau, value, slope, control) in [
            (Vp, A, 0.3, 0.5, 2.272_387_640_7, 0.370_458_435_7, 1.174_417_514_5),
            (Vp, A, 1.2, 0.9, 2.496_006_864_9, 1.789_067_126_9, 2.586_424_341_8),
            (Vp, B, 0.3, 0.5, -1.877_831_204_8, 0.317_946_923_4, 1.007_946_910_1),
            (Vp, B, 1.2, 0.9, -1.203_437_440_0, 2.184_913_744_4, 3.158_693_158_1),
            (Vp, C, -1.0, 0.25, 0.408_322_926_9, 0.122_989_715_2, 0.476_733_900_9),
            (Vp, C, 0.3, 0.5, 0.680_093_014_2, 0.571_774_453_6, 1.812_624_218_9),
            (Flow, A, 0.3, 0.5, 1.858_536_585_4, 1.560_975_609_8, 2.207_552_877_9),
            (Flow, B, 0.3, 0.5, -2.137_097_742_2, 1.780_998_838_6, 2.518_712_712_1),
            (Flow, C, 0.3, 0.5, 1.028_854_666_7, 1.879_640_518_2, 2.658_213_113_2),
        ] {
            let problem = MixtureProblem { interpolant, ..MixtureProblem::fixture(fixture) };
            let got = problem.memoryless_value(tau, x);
            // ten printed digits
            near(got.value, value, 1e-9, "V");
            near(got.slope, slope, 1e-9, "slope of V");
            near(got.control, control, 1e-9, "u*");
        }
    }

    #[test]
    fn a_frozen_start_has_the_published_bias() {
        for (noise, a, b) in [(0.5, 0.996_52, None), (1.0, 1.600_33, Some(1.53)), (2.0, 1.779_50, None)] {
            let frozen = |fixture| {
                let problem = MixtureProblem { noise: Noise::Constant(noise), ..MixtureProblem::fixture(fixture) };
                problem.frozen().unwrap()
            };
            near(frozen(Fixture::A).mean, a, 1e-5, "mean of A");
            if let Some(b) = b {
                near(frozen(Fixture::B).mean, b, 2e-3, "mean of B");
            }
        }
        assert!(MixtureProblem::fixture(Fixture::C).frozen().is_none());
    }

    #[test]
    fn a_base_that_remembers_its_start_is_refused_without_an_initial_law() {
        use Interpolant::{Flow, Vp};
        for (interpolant, noise, accepted) in [
            (Flow, Noise::Memoryless, true),
            (Flow, Noise::Scaled(0.25), true),
            (Vp, Noise::Memoryless, true),
            (Vp, Noise::Scaled(0.25), false),
            (Flow, Noise::Constant(1.0), false),
            (Flow, Noise::Constant(2.0), true),
        ] {
            let problem = MixtureProblem { interpolant, noise, ..MixtureProblem::fixture(Fixture::A) };
            let got = problem.check_memoryless();
            assert_eq!(got.is_ok(), accepted, "{interpolant:?} {noise:?}");
        }
        let error = MixtureProblem::fixture(Fixture::A).check_memoryless().unwrap_err().to_string();
        // exp(−π/(4 · 0.8))
        assert!(error.contains("correlation of 0.3747"), "{error}");
    }

    #[test]
    fn without_noise_a_control_does_nothing() {
        let with = |noise| MixtureProblem { noise: Noise::Constant(noise), ..MixtureProblem::fixture(Fixture::A) };
        // the reached law turns into the base's as the noise vanishes, as σ² π/(2 · 0.8) · k s² in the mean
        for noise in [1e-2, 1e-3] {
            let moved = with(noise).frozen().unwrap().mean - 0.5;
            let expected = noise * noise * std::f64::consts::PI / 1.6 * 1.28;
            assert!((moved / expected - 1.0).abs() < 1e-3, "{moved} {expected}");
        }
        assert!(with(0.0).check().unwrap_err().to_string().contains("`noise` is 0"));
    }
}
