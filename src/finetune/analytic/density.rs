//! The log-density of a mixture on its way from noise to data, with its derivatives.

use super::{Mixing, Mixture};

/// The law `a X + b ε` of a mixture X at one time, with the rates at which its parts move.
#[derive(Clone, Debug)]
pub(super) struct Density(Vec<Part>);

#[derive(Clone, Copy, Debug)]
struct Part {
    log_weight: f64,
    mean: f64,
    variance: f64,
    mean_rate: f64,
    variance_rate: f64,
}

/// log p, d/dx, d²/dx² and d/dτ of it at one state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Jet {
    pub(super) value: f64,
    pub(super) slope: f64,
    pub(super) bend: f64,
    pub(super) rate: f64,
}

impl Density {
    pub(super) fn new(law: &Mixture, at: Mixing) -> Self {
        let parts = law.parts().iter().zip(law.mixed(at).parts().to_vec()).map(|((weight, end), (_, now))| Part {
            log_weight: weight.ln() - 0.5 * (std::f64::consts::TAU * now.variance).ln(),
            mean: now.mean,
            variance: now.variance,
            mean_rate: at.signal_rate * end.mean,
            variance_rate: 2.0 * (at.signal * at.signal_rate * end.variance + at.half_noise_rate),
        });
        Self(parts.collect())
    }

    /// Means, half precisions and log-weights of the parts, for a score of tensors.
    pub(super) fn columns(&self) -> [Vec<f64>; 3] {
        let column = |f: fn(&Part) -> f64| self.0.iter().map(f).collect();
        [column(|p| p.mean), column(|p| 0.5 / p.variance), column(|p| p.log_weight)]
    }

    /// With d = (m − x)/S the slope of a part:
    ///
    /// ```text
    /// d/dx log p = Σ γ d    d²/dx² log p = Σ γ (d² − 1/S) − (Σ γ d)²    d/dτ log p = Σ γ (½ S' (d² − 1/S) − d m')
    /// ```
    pub(super) fn at(&self, x: f64) -> Jet {
        let (mut top, mut sums) = (f64::NEG_INFINITY, [0.0; 4]);
        for part in &self.0 {
            let slope = (part.mean - x) / part.variance;
            let log = part.log_weight - 0.5 * slope * slope * part.variance;
            let bend = slope * slope - 1.0 / part.variance;
            let rate = 0.5 * part.variance_rate * bend - slope * part.mean_rate;
            if log > top {
                sums = sums.map(|sum| sum * (top - log).exp());
                top = log;
            }
            let share = (log - top).exp();
            for (sum, value) in sums.iter_mut().zip([1.0, slope, bend, rate]) {
                *sum += share * value;
            }
        }
        let [total, slope, bend, rate] = sums;
        let slope = slope / total;
        Jet { value: top + total.ln(), slope, bend: bend / total - slope * slope, rate: rate / total }
    }
}
