//! Noise schedules of the variance-preserving process.

use serde::{Deserialize, Serialize};

/// Signal and noise scales at one time; `signal² + noise² = 1`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scales {
    /// Factor of the clean embedding.
    pub signal: f64,
    /// Factor of the standard normal noise.
    pub noise: f64,
}

impl Scales {
    /// From the log signal-to-noise ratio `λ = ln(signal²/noise²)`.
    ///
    /// ```
    /// let scales = seqtilt::diffusion::Scales::at_log_snr(0.0);
    /// assert!((scales.signal - 0.5_f64.sqrt()).abs() < 1e-15);
    /// ```
    #[must_use]
    pub fn at_log_snr(log_snr: f64) -> Self {
        Self { signal: (1.0 / (1.0 + (-log_snr).exp())).sqrt(), noise: (1.0 / (1.0 + log_snr.exp())).sqrt() }
    }

    /// `ln(signal²/noise²)`.
    #[must_use]
    pub fn log_snr(self) -> f64 {
        2.0 * (self.signal.ln() - self.noise.ln())
    }

    /// `signal²/noise²`.
    #[must_use]
    pub fn snr(self) -> f64 {
        (self.signal / self.noise).powi(2)
    }
}

/// A variance-preserving schedule in continuous time, 0 = data, 1 = noise.
///
/// ```text
/// dz = −½ β(t) z dt + √β(t) dW,   signal²(t) = exp(−∫₀ᵗ β)
/// ```
/// Song et al. 2021 (arXiv 2011.13456).
pub trait Schedule: Send + Sync {
    /// `ln(signal²/noise²)` at `t`; strictly decreasing.
    fn log_snr(&self, t: f64) -> f64;

    /// `β(t) = −d ln signal² / dt`.
    fn beta(&self, t: f64) -> f64;

    /// The time of a log signal-to-noise ratio.
    fn time(&self, log_snr: f64) -> f64 {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            if self.log_snr(middle) > log_snr { low = middle } else { high = middle }
        }
        0.5 * (low + high)
    }

    /// Signal and noise at `t`.
    fn scales(&self, t: f64) -> Scales {
        Scales::at_log_snr(self.log_snr(t))
    }
}

/// β grows linearly: `β(t) = first + (last − first) t` (Ho et al. 2020, arXiv 2006.11239, in continuous time).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Linear {
    /// β at t = 0.
    pub first: f64,
    /// β at t = 1.
    pub last: f64,
}

impl Default for Linear {
    fn default() -> Self {
        Self { first: 0.1, last: 20.0 }
    }
}

impl Schedule for Linear {
    fn log_snr(&self, t: f64) -> f64 {
        let integral = self.first * t + 0.5 * (self.last - self.first) * t * t;
        -integral.exp_m1().max(f64::MIN_POSITIVE).ln()
    }

    fn beta(&self, t: f64) -> f64 {
        self.first + (self.last - self.first) * t
    }
}

/// `signal(t) = cos(φ(t))` with φ linear between the angles of two log signal-to-noise ratios
/// (Nichol and Dhariwal 2021, arXiv 2102.09672, with ends that stay finite).
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Cosine {
    /// Log signal-to-noise ratio at t = 0.
    pub first_log_snr: f64,
    /// Log signal-to-noise ratio at t = 1.
    pub last_log_snr: f64,
}

impl Default for Cosine {
    fn default() -> Self {
        Self { first_log_snr: 10.0, last_log_snr: -10.0 }
    }
}

impl Cosine {
    fn angles(&self) -> (f64, f64) {
        ((-0.5 * self.first_log_snr).exp().atan(), (-0.5 * self.last_log_snr).exp().atan())
    }

    fn angle(&self, t: f64) -> f64 {
        let (first, last) = self.angles();
        first + (last - first) * t
    }
}

impl Schedule for Cosine {
    fn log_snr(&self, t: f64) -> f64 {
        -2.0 * self.angle(t).tan().ln()
    }

    fn beta(&self, t: f64) -> f64 {
        let (first, last) = self.angles();
        2.0 * (last - first) * self.angle(t).tan()
    }
}

/// The schedules by name.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScheduleKind {
    /// [`Linear`].
    Linear(Linear),
    /// [`Cosine`].
    Cosine(Cosine),
}

impl Default for ScheduleKind {
    fn default() -> Self {
        Self::Cosine(Cosine::default())
    }
}

impl ScheduleKind {
    /// Every name with a line about it.
    pub const ALL: &'static [(&'static str, &'static str)] = &[
        ("linear", "β(t) linear in t, 0.1 to 20"),
        ("cosine", "signal(t) a cosine between two finite signal-to-noise ratios"),
    ];

    /// The schedule.
    #[must_use]
    pub fn get(&self) -> &dyn Schedule {
        match self {
            Self::Linear(schedule) => schedule,
            Self::Cosine(schedule) => schedule,
        }
    }

    /// The schedule of a name with its default numbers.
    ///
    /// # Errors
    /// When there is no such schedule.
    pub fn named(name: &str) -> crate::Result<Self> {
        match name {
            "linear" => Ok(Self::Linear(Linear::default())),
            "cosine" => Ok(Self::Cosine(Cosine::default())),
            _ => Err(crate::Error::usage(format!("unknown schedule `{name}`; accepted: `linear`, `cosine`"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beta_is_the_slope_of_log_signal() {
        for (name, _) in ScheduleKind::ALL {
            let kind = ScheduleKind::named(name).unwrap();
            let schedule = kind.get();
            for t in [0.05, 0.3, 0.7, 0.95] {
                let h = 1e-5;
                let slope = (schedule.scales(t + h).signal.ln() - schedule.scales(t - h).signal.ln()) / h;
                assert!((schedule.beta(t) + slope).abs() < 1e-5 * schedule.beta(t).max(1.0), "{name} at {t}");
                let scales = schedule.scales(t);
                assert!((scales.signal.powi(2) + scales.noise.powi(2) - 1.0).abs() < 1e-12);
                assert!((schedule.time(schedule.log_snr(t)) - t).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn linear_matches_its_closed_form() {
        // ∫₀¹ β = (0.1 + 20)/2 = 10.05
        let scales = Linear::default().scales(1.0);
        assert!((scales.signal - (-10.05_f64 / 2.0).exp()).abs() < 1e-12);
    }
}
