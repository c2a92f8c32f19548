//! How much targets scatter, level by level and in all.

use super::measure::Sampled;
use serde::{Deserialize, Serialize};

/// Numbers a target has: one for each of [`WordTarget::ALL`](super::WordTarget::ALL).
pub(super) const TARGETS: usize = 5;

/// The targets at one level.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WordLevel {
    /// Log signal-to-noise ratio relative to the letters.
    pub log_snr: f64,
    /// Log signal-to-noise ratio relative to the last state.
    pub relative: f64,
    /// `η dt` of the level's piece.
    pub weight: f64,
    /// Length of the piece in the relative log signal-to-noise ratio.
    pub length: f64,
    /// `E|s*|²`.
    pub score: f64,
    /// `E|∇V|² = E|s* − s|²`.
    pub control: f64,
    /// `E|target|²`.
    pub square: [f64; TARGETS],
    /// `E|target − s*|² = E Var(target | x_t)`.
    pub variance: [Sampled; TARGETS],
    /// Of lean adjoints.
    pub growth: Growth,
    /// The least eigenvalue of `−b² ∇² log p_t` of the base over a sample of states, where it was looked at: at most that.
    pub curvature: Option<f64>,
}

/// Norms of lean adjoints in units of the gradient that they end in, `|ã_t|/|∇V(X_1)|`, over paths; nothing where all gradients are 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Growth {
    /// The median.
    pub median: Option<f64>,
    /// The 99.9 % quantile.
    pub high: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// The largest `|ã_t|/|ã_s|` in units of the bound `a/(a² + m b²)` relative to level s, where the base is log-concave from s on with a
    /// constant m that is known.
    pub of_bound: Option<f64>,
}

impl Growth {
    /// Of one number a path; those that are not finite are left out.
    pub(super) fn of(mut ratios: Vec<f64>, of_bound: Option<f64>) -> Self {
        ratios.retain(|ratio| ratio.is_finite());
        ratios.sort_by(f64::total_cmp);
        let at = |share: f64| ratios.get((share * ratios.len() as f64) as usize).or(ratios.last()).copied();
        let [median, high, max] = [0.5, 0.999, 1.0].map(at);
        Self { median, high, max, of_bound }
    }
}

/// What noise costs between two levels, relative to the last state.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Where it begins.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// `I = ∫ η E Var(target | x_t) dt` of each target.
    pub totals: [Sampled; TARGETS],
    /// `∫ η E|∇V|² dt`, the path KL of the best control: `KL(q_1‖p_1)` over all levels.
    pub control: Sampled,
    /// The share of `∇V` that the sampled lean adjoints recover on average, `∫ η E[−ã·∇V] dt / ∫ η E|∇V|² dt`: 1 unless their mean is
    /// carried by paths that are too rare to be among the sampled.
    pub recovered: Sampled,
}

impl Window {
    /// Whether the sampled lean adjoints recover their mean, up to three standard errors that are not themselves a third of it. Where they
    /// do not, paths too rare to be among the sampled carry the mean, and the square even more: the lean integral is then no estimate of
    /// anything, and too small.
    ///
    /// ```text
    /// E*[−ã_t | x_t] = ∇V(x_t),   E|ã|² ≥ |E ã|²/P(A) where paths outside A add nothing   (Cauchy–Schwarz)
    /// ```
    #[must_use]
    pub fn lean_is_seen(&self) -> bool {
        let Sampled { mean, error } = self.recovered;
        (mean - 1.0).abs() < 3.0 * error && error < 1.0 / 3.0
    }
}

/// Size and noise of all targets, from noise to a last state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WordVariance {
    /// Log signal-to-noise ratio of the last state.
    pub end: f64,
    /// Paths.
    pub paths: usize,
    /// From noise to the last state.
    pub levels: Vec<WordLevel>,
    /// The integrals, narrow windows before wide ones at either end.
    pub windows: Vec<Window>,
}

/// The windows: pushed towards noise, then towards the last state.
pub(super) const WINDOWS: [(f64, f64); 5] = [(-4.0, 4.0), (-8.0, 4.0), (-12.0, 4.0), (-12.0, 8.0), (-12.0, 12.0)];

impl WordVariance {
    /// The integrals over all levels.
    #[must_use]
    pub fn whole(&self) -> Option<&Window> {
        self.windows.last()
    }

    /// Whether a target's integral goes on growing where it is pushed towards noise, and towards the last state: where the last push adds half
    /// as much as the one before or more, and more than a hundredth of all. An integral that converges as `e^{−|λ|}` adds 0.02 as much.
    #[must_use]
    pub fn grows(&self, target: super::WordTarget) -> Option<(bool, bool)> {
        let which = super::WordTarget::ALL.iter().position(|other| *other == target)?;
        let [a, b, c, d, e] = self.windows.as_slice() else { return None };
        let of = |window: &Window| window.totals[which].mean;
        Some((Self::grow([of(a), of(b), of(c)]), Self::grow([of(c), of(d), of(e)])))
    }

    /// Whether three sums in a row, pushed equally far each time, seem to have no limit.
    #[must_use]
    pub fn grow([first, second, third]: [f64; 3]) -> bool {
        let (inner, outer) = (second - first, third - second);
        outer >= 0.5 * inner && outer > 0.01 * third
    }
}
