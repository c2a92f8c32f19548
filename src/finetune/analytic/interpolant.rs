//! Paths of laws from noise to data.

use super::Noise;
use super::quadrature::simpson;
use serde::{Deserialize, Serialize};

/// A schedule `X_τ = a X_1 + b ε`.
///
/// Here τ runs while generating, 0 noise to 1 data, as in the papers: the code's time is `t = 1 − τ`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Interpolant {
    /// Rectified flow: `a = τ`, `b = 1 − τ` (Liu et al. 2022, arXiv 2209.03003).
    #[default]
    Flow,
    /// Variance preserving: `a = exp(−B/2)`, `b² = 1 − a²`, `B = ∫₀^{1−τ} (0.1 + 19.9 w) dw` (Song et al. 2021, arXiv 2011.13456).
    Vp,
}

/// Smallest rate of the variance-preserving schedule, at the data.
const LEAST_RATE: f64 = 0.1;

/// What its rate gains on the way to the noise.
const RATE_GAIN: f64 = 19.9;

/// Pieces of the integral over the variance-preserving schedule, which is smooth: its error is 1e-12.
const PIECES: usize = 2000;

/// A schedule at one time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Mixing {
    /// Share of data, a.
    pub signal: f64,
    /// Share of noise, b.
    pub noise: f64,
    /// da/dτ.
    pub signal_rate: f64,
    /// `b db/dτ`, half the rate of b².
    pub half_noise_rate: f64,
}

impl Mixing {
    /// `κ = a'/a`, the rate at which the signal grows; infinite where there is none.
    #[must_use]
    pub fn growth(self) -> f64 {
        self.signal_rate / self.signal
    }

    /// `η = b (κ b − b')`, the share of the score in the velocity; infinite where there is no signal and noise is left.
    ///
    /// ```text
    /// v = κ x + η s
    /// ```
    #[must_use]
    pub fn score_share(self) -> f64 {
        self.noise * self.noise * self.growth() - self.half_noise_rate
    }
}

impl Interpolant {
    /// The schedule at `tau`.
    #[must_use]
    pub fn at(self, tau: f64) -> Mixing {
        let back = 1.0 - tau;
        match self {
            Self::Flow => Mixing { signal: tau, noise: back, signal_rate: 1.0, half_noise_rate: -back },
            Self::Vp => {
                let rate = LEAST_RATE + RATE_GAIN * back;
                let signal = (-0.5 * (LEAST_RATE + 0.5 * RATE_GAIN * back) * back).exp();
                let noise = (1.0 - signal * signal).sqrt();
                let half_noise_rate = -0.5 * rate * signal * signal;
                Mixing { signal, noise, signal_rate: 0.5 * rate * signal, half_noise_rate }
            }
        }
    }

    /// The squared noise of the memoryless diffusion, which forgets where it started (Domingo-Enrich et al. 2024,
    /// arXiv 2409.08861):
    ///
    /// ```text
    /// σ² = 2 η,   η = b² a'/a − b b'        flow: 2 (1 − τ)/τ        variance preserving: β(1 − τ)
    /// ```
    /// The flow's is infinite at τ = 0; with `offset` h it is `2 (1 − τ + h)/(τ + h)`, as that paper walks it in steps of h.
    #[must_use]
    pub fn memoryless(self, tau: f64, offset: f64) -> f64 {
        match self {
            Self::Flow => 2.0 * (1.0 - tau + offset) / (tau + offset),
            Self::Vp => 2.0 * self.at(tau).score_share(),
        }
    }

    /// What the end of a diffusion with these laws and this noise still knows of its start, for a Gaussian base of standard
    /// deviation `spread`:
    ///
    /// ```text
    /// ρ_0 = Corr(X_0, X_1) = exp(−∫ σ²/(2γ) dτ),   γ = a² s² + b²
    /// σ² = 2 ζ η:   ρ_0 = (a_0 s/√(a_0² s² + b_0²))^ζ          flow, constant σ:   exp(−σ² π/(4 s))
    /// ```
    /// 0 is memoryless; without noise it is 1. Derived here, for the framework of arXiv 2605.00229.
    ///
    /// ```
    /// use seqtilt::finetune::analytic::{Interpolant, Noise};
    /// let left = |zeta| Interpolant::Vp.remembered(Noise::Scaled(zeta), 0.8);
    /// assert!((left(1.0) - 0.00526).abs() < 5e-6 && (left(0.25) - 0.269).abs() < 5e-4);
    /// ```
    #[must_use]
    pub fn remembered(self, noise: Noise, spread: f64) -> f64 {
        let width = |tau: f64| {
            let Mixing { signal, noise, .. } = self.at(tau);
            (signal * spread).powi(2) + noise * noise
        };
        match (noise, self) {
            (Noise::Memoryless, _) => self.remembered(Noise::Scaled(1.0), spread),
            (Noise::Scaled(zeta), _) => (self.at(0.0).signal * spread / width(0.0).sqrt()).powf(zeta),
            (Noise::Constant(noise), Self::Flow) => (-noise * noise * std::f64::consts::PI / (4.0 * spread)).exp(),
            (Noise::Constant(noise), Self::Vp) => {
                let integral = simpson(|tau| 1.0 / width(tau), (0.0, 1.0), PIECES);
                (-0.5 * noise * noise * integral).exp()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_the_slopes_of_the_schedule() {
        // central differences of h = 1e-5: error about h² times a third derivative of up to 1e3
        let h = 1e-5;
        for schedule in [Interpolant::Flow, Interpolant::Vp] {
            for tau in [0.1, 0.5, 0.9] {
                let (at, up, down) = (schedule.at(tau), schedule.at(tau + h), schedule.at(tau - h));
                assert!(((up.signal - down.signal) / (2.0 * h) - at.signal_rate).abs() < 1e-6);
                let slope = (up.noise.powi(2) - down.noise.powi(2)) / (4.0 * h);
                assert!((slope - at.half_noise_rate).abs() < 1e-6, "{schedule:?} {tau}");
            }
        }
    }

    #[test]
    fn the_ends_and_the_memoryless_noise_are_the_published_ones() {
        let start = Interpolant::Vp.at(0.0);
        assert!((start.signal - 0.006_571_586_494_929_619).abs() < 1e-15);
        assert!((start.noise - 0.999_978_406_892_338_6).abs() < 1e-15);
        // β itself: the ordinary reverse diffusion
        assert!((Interpolant::Vp.memoryless(0.25, 0.0) - (0.1 + 19.9 * 0.75)).abs() < 1e-12);
        assert!((Interpolant::Flow.memoryless(0.25, 0.0) - 6.0).abs() < 1e-12);
    }

    #[test]
    fn rates_of_growth_and_shares_of_the_score_are_the_published_ones() {
        for tau in [0.1, 0.5, 0.9] {
            let half = 0.5 * (0.1 + 19.9 * (1.0 - tau));
            for (schedule, growth, share) in
                [(Interpolant::Vp, half, half), (Interpolant::Flow, 1.0 / tau, (1.0 - tau) / tau)]
            {
                let at = schedule.at(tau);
                // rounding alone
                assert!((at.growth() / growth - 1.0).abs() < 1e-13 && (at.score_share() / share - 1.0).abs() < 1e-13);
            }
        }
    }

    #[test]
    fn what_is_remembered_is_the_published_correlation() {
        for (zeta, left) in [(1.0, 0.005_26), (0.5, 0.0725), (0.25, 0.269)] {
            // half a digit of what is printed
            let got = Interpolant::Vp.remembered(Noise::Scaled(zeta), 0.8);
            assert!((got / left - 1.0).abs() < 2e-3, "{zeta}: {got}");
            assert_eq!(Interpolant::Flow.remembered(Noise::Scaled(zeta), 0.8), 0.0);
        }
        let vp = Interpolant::Vp;
        assert_eq!(vp.remembered(Noise::Memoryless, 0.8), vp.remembered(Noise::Scaled(1.0), 0.8));
        // at unit spread γ is 1 on the whole way
        assert!((vp.remembered(Noise::Constant(2.0), 1.0) - (-2.0_f64).exp()).abs() < 1e-12);
        for schedule in [Interpolant::Flow, vp] {
            assert!((schedule.remembered(Noise::Constant(0.0), 0.8) - 1.0).abs() < 1e-15);
        }
    }

    #[test]
    fn what_is_remembered_is_what_the_affine_drift_carries() {
        // X_1 = carry X_0 + noise with carry = exp ∫ b', so that the correlation is carry √(Var X_0/Var X_1)
        for (schedule, noise) in [
            (Interpolant::Vp, Noise::Scaled(0.5)),
            (Interpolant::Vp, Noise::Constant(1.5)),
            (Interpolant::Flow, Noise::Constant(0.7)),
        ] {
            let (spread, width) = (0.6_f64, |at: Mixing| (at.signal * 0.6_f64).powi(2) + at.noise * at.noise);
            let slope = |tau: f64| {
                let at = schedule.at(tau);
                let widening = at.signal * at.signal_rate * spread.powi(2) + at.half_noise_rate;
                (widening - 0.5 * noise.square(schedule, tau, 0.0)) / width(at)
            };
            let carry = simpson(slope, (0.0, 1.0), 4000).exp();
            let left = carry * (width(schedule.at(0.0)) / width(schedule.at(1.0))).sqrt();
            // Simpson's rule at 4000 pieces
            assert!((left - schedule.remembered(noise, spread)).abs() < 1e-9, "{schedule:?} {noise:?}");
        }
    }
}
