//! Paths of laws from noise to data.

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
            Self::Vp => {
                let Mixing { signal, noise, signal_rate, half_noise_rate } = self.at(tau);
                2.0 * (noise * noise * signal_rate / signal - half_noise_rate)
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
}
