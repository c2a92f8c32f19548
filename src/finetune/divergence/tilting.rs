//! The exact tilt of weighted samples, for any divergence.

mod level;
mod warnings;

use super::Divergence;
use crate::error::{Error, Result};
use level::{Level, atom, normalise};

/// The optimum of `E_q[r] − α D_f(q‖p)` over laws on finitely many samples, p their weights.
///
/// ```text
/// q = p g(s),   s = (r − λ)/α,   λ the root of E_p[g(s)] = 1, between min r and max r, above max r − α f'(∞)
/// J = E_q r − α D_f(q‖p)   ≤   λ + α E_p[f*(s)]        (equal at the optimum)
/// ```
/// Tang (arXiv 2403.06279). The root is found in units of s, measured from the best reward and, where g has a pole, from the
/// pole, so that neither large rewards nor small α cost digits.
///
/// # Condensation
/// On finitely many samples there always is a λ above the pole: g grows without bound at the best sample, whose weight is
/// positive. What fails to exist for a density shows here as weight on the best sample that does not vanish as its share of the
/// prior does: [`atom`](Self::atom), [`max_weight`](Self::max_weight), [`ess`](Self::ess), and a warning.
///
/// ```
/// use seqtilt::finetune::divergence::{Pearson, Tilting};
/// let tilt = Tilting::solve(&[0.0, 0.5, 1.0, 2.0], Some(&[0.4, 0.3, 0.2, 0.1]), 1.0, &Pearson)?;
/// assert!((tilt.lambda - 0.55).abs() < 1e-15);            // nothing is truncated: the mean reward
/// assert!((tilt.value - 0.643_125).abs() < 1e-15);        // and the mean plus Var/(4α)
/// assert!(tilt.gap.abs() < 1e-15);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Tilting {
    /// The price.
    pub alpha: f64,
    /// λ, in reward units.
    pub lambda: f64,
    /// `ln g((r − λ)/α)`, the log-ratio of q to p, per sample; −∞ where truncated.
    pub log_density: Vec<f64>,
    /// `E_q r`.
    pub mean_reward: f64,
    /// `D_f(q‖p)`.
    pub divergence: f64,
    /// `KL(q‖p)`, in nats, whatever the divergence that was paid for.
    pub kl: f64,
    /// J, the value of q.
    pub value: f64,
    /// `λ + α E_p[f*(s)]`, no less than any law's value.
    pub dual: f64,
    /// `dual − value`: how far q may be from the best; 0 but for rounding.
    pub gap: f64,
    /// `(Σw)²/Σw²` of the samples' densities, a count's samples each for themselves: at most the sum of the weights, so a share
    /// where these are probabilities.
    pub ess: f64,
    /// The largest share of q that one entry has.
    pub max_weight: f64,
    /// Share of the prior that q leaves out.
    pub dropped: f64,
    /// Mass that stays on the best reward however small its share of the prior, `1 − E_p[g(f'(∞) − (max r − r)/α); r < max r]`
    /// where that is positive; 0 without a pole.
    pub atom: f64,
    /// Entries whose s had to be held below the pole.
    pub clamped: usize,
    /// What to know before trusting this, in words; see [`warnings`](Self::warnings).
    warnings: Vec<String>,
    /// The largest reward that has weight.
    best: f64,
    level: Level,
}

/// An entry of positive weight: its share p, and `(max r − r)/α`.
#[derive(Clone, Copy, Debug)]
struct Entry {
    share: f64,
    depth: f64,
}

impl Tilting {
    /// Solves for λ. `weights` are counts or probabilities, 1 each where there are none; their scale matters to
    /// [`ess`](Self::ess) only. Entries without weight take no part.
    ///
    /// # Errors
    /// When there are no rewards or no weight, the lengths differ, a reward is not finite, a weight is negative, α is not a
    /// positive number, or the rewards range over more α than a number holds.
    ///
    /// # Cost
    /// About fifteen passes over the rewards.
    pub fn solve(rewards: &[f64], weights: Option<&[f64]>, alpha: f64, divergence: &dyn Divergence) -> Result<Self> {
        let total = check(rewards, weights, alpha)?;
        let weight = |i: usize| weights.map_or(1.0, |weights| weights[i]);
        let inside = || (0..rewards.len()).filter(|i| weight(*i) / total > 0.0);
        let (worst, best) =
            inside().map(|i| rewards[i]).fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), r| (l.min(r), h.max(r)));
        let depth = |i: usize| (best - rewards[i]) / alpha;
        if !((best - worst) / alpha).is_finite() {
            return Err(Error::data(format!(
                "the rewards range from {worst} to {best}, too far in units of alpha {alpha}"
            ))
            .hint("rescale the rewards, or raise alpha"));
        }
        let entries: Vec<Entry> = inside().map(|i| Entry { share: weight(i) / total, depth: depth(i) }).collect();
        let level = Level::solve(&entries, divergence);

        let pole = divergence.slope_at_infinity();
        let mut clamped = 0;
        let raw = (0..rewards.len()).map(|i| {
            let below = if pole.is_finite() { depth(i).max(0.0) } else { depth(i) };
            clamped += usize::from(below > depth(i) || level.s(below) >= pole);
            level.log_density(below, divergence)
        });
        let mut log_density: Vec<f64> = raw.collect();
        normalise(&mut log_density, rewards, best, weights, total);

        let mut tilt = Self {
            alpha,
            lambda: best - alpha * level.top(),
            log_density,
            mean_reward: 0.0,
            divergence: 0.0,
            kl: 0.0,
            value: 0.0,
            dual: 0.0,
            gap: 0.0,
            ess: 0.0,
            max_weight: 0.0,
            dropped: 0.0,
            atom: atom(&entries, divergence),
            clamped,
            warnings: Vec::new(),
            best,
            level,
        };
        tilt.measure(&entries, inside(), total, divergence);
        tilt.warnings = warnings::of(&tilt, &entries, worst, divergence);
        Ok(tilt)
    }

    /// Sums over the entries, rewards measured from the best.
    fn measure(
        &mut self,
        entries: &[Entry],
        inside: impl Iterator<Item = usize>,
        total: f64,
        divergence: &dyn Divergence,
    ) {
        let highest = divergence.slope_at_infinity().next_down();
        let (mut below, mut squares, mut conjugate) = (0.0, 0.0, 0.0);
        for (entry, i) in entries.iter().zip(inside) {
            let (p, log) = (entry.share, self.log_density[i]);
            let t = log.exp();
            let q = p * t;
            if t > 0.0 {
                below += q * entry.depth;
                squares += q * t;
                self.kl += q * log;
            } else {
                self.dropped += p;
            }
            self.divergence += p * generator(divergence, t, log);
            conjugate += p * divergence.conjugate(self.level.s(entry.depth).min(highest));
            self.max_weight = self.max_weight.max(q);
        }
        self.kl = self.kl.max(0.0);
        self.mean_reward = self.best - self.alpha * below;
        self.value = self.best - self.alpha * (below + self.divergence);
        self.dual = self.best - self.alpha * (self.level.top() - conjugate);
        self.gap = self.alpha * (below + self.divergence - self.level.top() + conjugate);
        self.ess = total / squares;
    }

    /// `s = (r − λ)/α` of any reward.
    #[must_use]
    pub fn s(&self, reward: f64) -> f64 {
        self.level.s((self.best - reward) / self.alpha)
    }

    /// The largest reward that has weight.
    #[must_use]
    pub fn best_reward(&self) -> f64 {
        self.best
    }

    /// How far the s of the best reward is below the pole `f'(∞)`; infinite without one.
    #[must_use]
    pub fn distance_to_pole(&self) -> f64 {
        self.level.distance()
    }

    /// What to know before trusting this, in plain words: condensation, few effective samples, dropped mass, values held below
    /// the pole. Empty where there is nothing to say.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }
}

/// f(t) from t and L = ln t, through φ near 1, where f would cancel.
fn generator(divergence: &dyn Divergence, t: f64, log: f64) -> f64 {
    match log {
        log if log == f64::NEG_INFINITY || t == 0.0 => divergence.value_at_zero(),
        log if log.abs() < 0.5 => t * divergence.path_value(log),
        _ => divergence.f(t),
    }
}

/// The sum of the weights.
fn check(rewards: &[f64], weights: Option<&[f64]>, alpha: f64) -> Result<f64> {
    if !(alpha > 0.0 && alpha.is_finite()) {
        return Err(Error::usage(format!("alpha is {alpha}; a positive, finite number is accepted")));
    }
    if rewards.is_empty() {
        return Err(Error::data("no rewards to tilt by; at least one is needed"));
    }
    if let Some(i) = rewards.iter().position(|r| !r.is_finite()) {
        return Err(Error::data(format!("reward {i} is {}; finite rewards are accepted", rewards[i])));
    }
    let Some(weights) = weights else { return Ok(rewards.len() as f64) };
    if weights.len() != rewards.len() {
        return Err(Error::data(format!(
            "{} rewards but {} weights; equal numbers are needed",
            rewards.len(),
            weights.len()
        )));
    }
    if let Some(i) = weights.iter().position(|w| !(*w >= 0.0 && w.is_finite())) {
        return Err(Error::data(format!("weight {i} is {}; at least 0 is accepted", weights[i])));
    }
    let total: f64 = weights.iter().sum();
    if !(total > 0.0 && total.is_finite()) {
        return Err(Error::data(format!("the weights sum to {total}; a positive, finite sum is needed")));
    }
    Ok(total)
}
