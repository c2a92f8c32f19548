//! Where λ lies, in units of s.

use super::super::Divergence;
use super::super::root::increasing_root;
use super::Entry;

/// λ as the s of one entry, `(r − λ)/α`, and the distance of the best reward's s to the pole. That entry is the best where
/// rewards range over few α, and the one of the least s else: of a large s the others' digits would be lost. Near the pole only
/// the distance has digits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Level {
    /// Depth of that entry below the best reward, and its s.
    origin: f64,
    shift: f64,
    distance: f64,
}

/// Where the best reward's s is above this, another entry's is found as well.
const LARGE: f64 = 1e3;

impl Level {
    /// s of the best reward.
    pub(super) fn top(self) -> f64 {
        self.s(0.0)
    }

    /// Distance of the best reward's s to the pole.
    pub(super) fn distance(self) -> f64 {
        self.distance
    }

    /// s of a reward that is `depth` α below the best.
    pub(super) fn s(self, depth: f64) -> f64 {
        self.shift + (self.origin - depth)
    }

    /// `ln g` of a reward that is `depth` α below the best.
    pub(super) fn log_density(self, depth: f64, divergence: &dyn Divergence) -> f64 {
        let (s, pole) = (self.s(depth), divergence.slope_at_infinity());
        if pole.is_finite() && s > 0.5 * pole {
            divergence.log_density_below_pole(self.distance + depth)
        } else {
            divergence.log_density(s)
        }
    }

    fn at_top(top: f64, divergence: &dyn Divergence) -> Self {
        Self { origin: 0.0, shift: top, distance: divergence.slope_at_infinity() - top }
    }

    fn at_distance(distance: f64, divergence: &dyn Divergence) -> Self {
        Self { origin: 0.0, shift: divergence.slope_at_infinity() - distance, distance }
    }

    /// `E_p[g]`, which rises with the level.
    fn mass(self, entries: &[Entry], divergence: &dyn Divergence) -> f64 {
        entries.iter().map(|entry| entry.share * self.log_density(entry.depth, divergence).exp()).sum()
    }

    /// The level at which `E_p[g] = 1`.
    ///
    /// s of the best reward is at least 0 (g(0) = 1, the mean of g is 1), at most the range of the rewards in α (the worst is not
    /// above 1), and at most `f'(1/p(best))` (the best alone has no more than all mass).
    pub(super) fn solve(entries: &[Entry], divergence: &dyn Divergence) -> Self {
        let (mut deepest, mut best_share) = (0.0_f64, 0.0);
        for entry in entries {
            deepest = deepest.max(entry.depth);
            best_share += if entry.depth == 0.0 { entry.share } else { 0.0 };
        }
        let at = |top| Self::at_top(top, divergence);
        let near = |log_distance: f64| Self::at_distance(log_distance.exp(), divergence);
        let excess = |level: Self| level.mass(entries, divergence).ln();
        let half = 0.5 * divergence.slope_at_infinity();
        let highest = deepest.min(divergence.slope(1.0 / best_share)).max(0.0);
        if highest <= half {
            let level = at(increasing_root(0.0, highest, |top| excess(at(top))));
            return if level.top() > LARGE { level.refined(entries, divergence) } else { level };
        }
        if excess(at(half)) >= 0.0 {
            return at(increasing_root(0.0, half, |top| excess(at(top))));
        }
        // between the pole and half of it the mass is near a power of the distance: a line in logarithms
        let far = half.ln();
        let mut step = 4.0;
        while far - step > -700.0 && excess(near(far - step)) < 0.0 {
            step *= 2.0;
        }
        let closest = (far - step).max(-700.0);
        near(-increasing_root(-far, -closest, |minus_log| excess(near(-minus_log))))
    }

    /// The same level with all digits of the entry whose s is the least.
    fn refined(self, entries: &[Entry], divergence: &dyn Divergence) -> Self {
        let least = |a: f64, entry: &Entry| if self.s(entry.depth).abs() < self.s(a).abs() { entry.depth } else { a };
        let origin = entries.iter().fold(0.0, least);
        let (middle, width) = (self.s(origin), 16.0 * f64::EPSILON * self.top());
        let at = |shift| Self { origin, shift, distance: self.distance };
        let excess = |shift| at(shift).mass(entries, divergence).ln();
        at(increasing_root(middle - width, middle + width, excess))
    }
}

/// Makes the densities those of a law: divided by their mass, which is 1 but for rounding. Where g cannot be evaluated near
/// enough to its pole for that, what is missing goes to the best reward.
pub(super) fn normalise(log_density: &mut [f64], rewards: &[f64], best: f64, weights: Option<&[f64]>, total: f64) {
    let share = |i: usize| weights.map_or(1.0, |weights| weights[i]) / total;
    let mass: f64 =
        log_density.iter().enumerate().filter(|(i, _)| share(*i) > 0.0).map(|(i, l)| share(i) * l.exp()).sum();
    if mass > 1.0 - 1e-3 {
        let log = mass.ln();
        for density in log_density {
            *density -= log;
        }
        return;
    }
    let is_best = |i: usize| share(i) > 0.0 && rewards[i] == best;
    let best_share: f64 = (0..rewards.len()).filter(|i| is_best(*i)).map(share).sum();
    let missing = (1.0 - mass) / best_share;
    for (_, density) in log_density.iter_mut().enumerate().filter(|(i, _)| is_best(*i)) {
        *density = (density.exp() + missing).ln();
    }
}

/// What the rest of the entries cannot hold even at the pole.
pub(super) fn atom(entries: &[Entry], divergence: &dyn Divergence) -> f64 {
    if divergence.slope_at_infinity().is_infinite() {
        return 0.0;
    }
    let rest = entries.iter().filter(|entry| entry.depth > 0.0);
    let held: f64 = rest.map(|entry| entry.share * divergence.log_density_below_pole(entry.depth).exp()).sum();
    (1.0 - held).max(0.0)
}
