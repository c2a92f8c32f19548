//! The exact fronts of an enumerated law: what samplers could reach.

use crate::error::Result;
use crate::eval::diversity::mean_pairwise_of_law;
use crate::eval::exact::{Frontier, FrontierPoint, Tilt};
use crate::finetune::divergence::{DivergenceKind, curvature_matched};
use crate::nn::Pool;
use serde::Serialize;

/// Prices at which each front is drawn.
const POINTS: usize = 28;

/// A law over all sequences with their rewards.
pub(super) struct Enumerated {
    pub(super) law: Vec<f64>,
    pub(super) reward: Vec<f64>,
    pub(super) letters: usize,
    pub(super) length: usize,
    frontier: Frontier,
}

/// The exact optima of one divergence, over prices.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Front {
    pub(super) divergence: String,
    pub(super) points: Vec<Optimum>,
}

/// The exact optimum at one price.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Optimum {
    /// The price as asked for: of a nat where curvatures are matched.
    pub(super) alpha: f64,
    pub(super) reward: f64,
    pub(super) kl: f64,
    pub(super) divergence: f64,
    /// Letters in which two samples of it differ, on average.
    pub(super) diversity: f64,
}

impl Enumerated {
    /// # Errors
    /// When the law is degenerate.
    pub(super) fn new(law: Vec<f64>, reward: Vec<f64>, letters: usize, length: usize) -> Result<Self> {
        let frontier = Frontier::new(&law, &reward)?;
        Ok(Self { law, reward, letters, length, frontier })
    }

    /// The exact reward–KL frontier from the prior to `limit` nats.
    pub(super) fn bound(&self, limit: f64) -> Vec<(f64, f64)> {
        let at = |i: usize| limit * (i as f64 / 79.0).powi(2);
        (0..80).map(|i| (at(i), self.frontier.reward_at(at(i)))).collect()
    }

    /// The optimum of KL control that spends `kl` nats.
    pub(super) fn at_kl(&self, kl: f64) -> FrontierPoint {
        self.frontier.point(kl)
    }

    /// The optimum of KL control with the smallest price between `low` and `high` whose samples differ in `letters` letters.
    ///
    /// Diversity is taken to fall with the price there; `None` where the ends do not enclose it.
    ///
    /// # Errors
    /// When a tilt cannot be made.
    pub(super) fn at_diversity(&self, letters: f64, low: f64, high: f64) -> Result<Option<Optimum>> {
        let at = |log: f64| self.optimum(log.exp(), log.exp(), DivergenceKind::Kl);
        let (mut low, mut high) = (low.ln(), high.ln());
        if at(low)?.diversity >= letters || at(high)?.diversity < letters {
            return Ok(None);
        }
        // to four digits of the price
        while high - low > 1e-4 {
            let middle = f64::midpoint(low, high);
            if at(middle)?.diversity < letters { low = middle } else { high = middle }
        }
        at(high).map(Some)
    }

    fn optimum(&self, alpha: f64, price: f64, divergence: DivergenceKind) -> Result<Optimum> {
        let tilt = Tilt::of(&self.law, &self.reward, price, divergence.get())?;
        Ok(Optimum {
            alpha,
            reward: tilt.mean_reward,
            kl: tilt.kl,
            divergence: tilt.divergence,
            diversity: mean_pairwise_of_law(&tilt.probabilities, self.letters, self.length),
        })
    }

    /// The front of each divergence, at prices somewhat beyond the asked ones; prices whose tilt no number holds are left out.
    ///
    /// # Errors
    /// When a thread fails.
    pub(super) fn fronts(
        &self,
        divergences: &[DivergenceKind],
        alphas: &[f64],
        matched: bool,
        pool: &Pool,
    ) -> Result<Vec<Front>> {
        let (low, high) = alphas.iter().fold((f64::INFINITY, 0.0_f64), |(l, h), a| (l.min(*a), h.max(*a)));
        let (low, high) = (0.5 * low, 4.0 * high);
        let price = |i: usize| high * (low / high).powf(i as f64 / (POINTS - 1) as f64);
        let cells = pool.map(divergences.len() * POINTS, |job| {
            let (divergence, alpha) = (divergences[job / POINTS], price(job % POINTS));
            let paid = if matched { curvature_matched(alpha, divergence.get()) } else { alpha };
            Ok(self.optimum(alpha, paid, divergence).ok())
        })?;
        let fronts = divergences.iter().zip(cells.chunks(POINTS));
        Ok(fronts
            .map(|(kind, points)| Front {
                divergence: kind.to_string(),
                points: points.iter().flatten().copied().collect(),
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::eval::exact::divergence_curve;

    /// 16 words of two letters each, more likely and better with their number.
    fn enumerated() -> Enumerated {
        let law = (1..=16).map(|i| f64::from(i) / 136.0).collect();
        let reward = (0..16).map(|i| f64::from(i * 7 % 16) / 16.0).collect();
        Enumerated::new(law, reward, 4, 2).unwrap()
    }

    #[test]
    fn fronts_are_those_of_the_exact_tilts_at_matched_prices() {
        let exact = enumerated();
        let pool = Pool::new(2).unwrap();
        let kinds = [DivergenceKind::Kl, DivergenceKind::Pearson];
        let fronts = exact.fronts(&kinds, &[0.1, 0.4], true, &pool).unwrap();
        for (front, kind) in fronts.iter().zip(kinds) {
            let first = front.points[0];
            assert!((first.alpha - 1.6).abs() < 1e-12 && (front.points[POINTS - 1].alpha - 0.05).abs() < 1e-12);
            let paid = curvature_matched(first.alpha, kind.get());
            let curve = divergence_curve(&exact.law, &exact.reward, kind.get(), &[paid]).unwrap();
            assert_eq!((curve[0].reward, curve[0].kl), (first.reward, first.kl));
        }
        // at a large price both are the same small step away from the prior, to the next order of 1/α
        let (kl, pearson) = (fronts[0].points[0], fronts[1].points[0]);
        assert!((kl.reward - pearson.reward).abs() < 0.02 * kl.reward, "{kl:?} {pearson:?}");
        let unmatched = exact.fronts(&kinds, &[0.1, 0.4], false, &pool).unwrap();
        assert!(unmatched[1].points[0].kl < 0.5 * pearson.kl, "twice the price, a quarter of the KL");
    }

    #[test]
    fn the_bound_is_reached_by_the_front_of_kl_and_by_no_other() {
        let exact = enumerated();
        let pool = Pool::new(1).unwrap();
        let kinds = [DivergenceKind::Kl, DivergenceKind::Pearson];
        let fronts = exact.fronts(&kinds, &[0.1], true, &pool).unwrap();
        for p in &fronts[0].points {
            assert!((exact.at_kl(p.kl).reward - p.reward).abs() < 1e-9);
        }
        assert!(fronts[1].points.iter().all(|p| p.reward < exact.at_kl(p.kl).reward));
        let bound = exact.bound(1.5);
        assert_eq!((bound[0].0, bound[79].0), (0.0, 1.5));
    }

    #[test]
    fn the_price_of_a_diversity_is_found_where_the_ends_enclose_it() {
        let exact = enumerated();
        let found = exact.at_diversity(1.2, 0.01, 10.0).unwrap().unwrap();
        // four digits of the price; the diversity moves by less than its own size per e-fold
        assert!((found.diversity - 1.2).abs() < 1e-3, "{found:?}");
        assert!(exact.at_diversity(1.99, 0.01, 10.0).unwrap().is_none());
    }
}
