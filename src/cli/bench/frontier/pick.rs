//! Which setting to take within a budget, and the price in between that would use all of it.

use serde::Serialize;

/// One setting of the grid: means over its seeds.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setting {
    /// Method and divergence, whose settings differ in their price alone.
    pub(super) series: String,
    /// The price.
    pub(super) alpha: f64,
    /// Whether the method pays the price at all.
    pub(super) priced: bool,
    /// Mean reward.
    pub(super) reward: f64,
    /// What the budget limits; about 0 at the prior, and more at smaller prices.
    pub(super) cost: f64,
}

/// What a budget leads to. Settings are named by their place.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Pick {
    /// The best setting within the budget.
    Fits {
        /// The one with the highest mean reward.
        chosen: usize,
        /// A price that promises more.
        between: Option<Between>,
    },
    /// None is within the budget.
    None {
        /// The one that costs least.
        nearest: usize,
        /// A larger price that may fit.
        alpha: Option<f64>,
    },
}

/// A price between two neighbours of a series, one within the budget and one beyond it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Between {
    /// The neighbour within the budget.
    pub(super) within: usize,
    /// The neighbour beyond it.
    pub(super) beyond: usize,
    /// The price.
    pub(super) alpha: f64,
    /// The mean reward to expect.
    pub(super) reward: f64,
}

/// The best setting whose cost is within `limit`; of equal rewards the one that costs less, then the first.
///
/// Where a series has neighbouring prices with costs c₀ ≤ limit < c₁, the budget is used up at about
///
/// ```text
/// ln α = ln α₀ + w (ln α₁ − ln α₀),   r = r₀ + w (r₁ − r₀),   w = (limit − c₀)/(c₁ − c₀)
/// ```
///
/// which is told where it promises more than the best setting; a front is concave, so that r errs on the low side. Where nothing
/// fits, the price to try is `α √(c/limit)` at the least cost c: small departures cost `½ Var(r)/α²`.
///
/// `None` of no settings with finite numbers.
pub(super) fn pick(settings: &[Setting], limit: f64) -> Option<Pick> {
    let known = || settings.iter().enumerate().filter(|(_, s)| s.reward.is_finite() && s.cost.is_finite());
    let better = |(_, a): &(usize, &Setting), (_, b): &(usize, &Setting)| {
        b.reward.total_cmp(&a.reward).then(a.cost.total_cmp(&b.cost))
    };
    let Some((chosen, best)) = known().filter(|(_, s)| s.cost <= limit).min_by(better) else {
        let (nearest, least) = known().min_by(|(_, a), (_, b)| a.cost.total_cmp(&b.cost))?;
        let alpha = (least.priced && limit > 0.0).then(|| least.alpha * (least.cost / limit).sqrt());
        return Some(Pick::None { nearest, alpha });
    };
    let mut between: Option<Between> = None;
    for (within, low) in known().filter(|(_, s)| s.priced && s.cost <= limit) {
        let same = || known().filter(|(_, s)| s.series == low.series && s.alpha != low.alpha);
        let below = same().filter(|(_, s)| s.alpha < low.alpha).max_by(|(_, a), (_, b)| a.alpha.total_cmp(&b.alpha));
        let above = same().filter(|(_, s)| s.alpha > low.alpha).min_by(|(_, a), (_, b)| a.alpha.total_cmp(&b.alpha));
        for (beyond, high) in [below, above].into_iter().flatten().filter(|(_, s)| s.cost > limit) {
            let share = (limit - low.cost) / (high.cost - low.cost);
            let alpha = (low.alpha.ln() + share * (high.alpha / low.alpha).ln()).exp();
            let reward = low.reward + share * (high.reward - low.reward);
            if reward > between.map_or(best.reward, |found| found.reward) {
                between = Some(Between { within, beyond, alpha, reward });
            }
        }
    }
    Some(Pick::Fits { chosen, between })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(series: &str, alpha: f64, cost: f64, reward: f64) -> Setting {
        Setting { series: series.to_owned(), alpha, priced: true, reward, cost }
    }

    fn fits(settings: &[Setting], limit: f64) -> (usize, Option<Between>) {
        match pick(settings, limit) {
            Some(Pick::Fits { chosen, between }) => (chosen, between),
            other => panic!("{other:?}"),
        }
    }

    fn grid() -> Vec<Setting> {
        vec![
            setting("kl", 0.4, 0.5, 0.60),
            setting("kl", 0.2, 1.0, 0.70),
            setting("kl", 0.1, 3.0, 0.90),
            setting("pearson", 0.2, 0.8, 0.65),
            setting("pearson", 0.1, 1.5, 0.68),
        ]
    }

    #[test]
    fn the_best_within_the_budget_is_taken_and_the_bracket_interpolated() {
        let (chosen, between) = fits(&grid(), 2.0);
        assert_eq!(chosen, 1, "0.70 at 1 nat; 0.90 costs 3");
        let between = between.unwrap();
        assert_eq!((between.within, between.beyond), (1, 2));
        // half of the way from 1 to 3 nats: the geometric mean of the prices, the mean of the rewards
        assert!((between.alpha - 0.02_f64.sqrt()).abs() < 1e-12, "{between:?}");
        assert!((between.reward - 0.80).abs() < 1e-12);
    }

    #[test]
    fn the_order_of_the_settings_does_not_matter() {
        let mut turned = grid();
        turned.reverse();
        let ((a, x), (b, y)) = (fits(&grid(), 2.0), fits(&turned, 2.0));
        assert_eq!((4 - b, y.unwrap().alpha), (a, x.unwrap().alpha));
    }

    #[test]
    fn an_exact_hit_is_within_and_leaves_nothing_to_interpolate() {
        assert_eq!(fits(&grid(), 1.0), (1, None));
        assert_eq!(fits(&grid(), 3.0), (2, None));
        assert_eq!(fits(&grid(), 99.0), (2, None), "nothing lies beyond");
    }

    #[test]
    fn a_bracket_of_another_series_counts_where_it_promises_more() {
        let settings =
            [setting("kl", 0.2, 1.0, 0.70), setting("pearson", 0.2, 0.8, 0.65), setting("pearson", 0.1, 2.0, 0.89)];
        let (chosen, between) = fits(&settings, 1.4);
        assert_eq!((chosen, between.unwrap().within), (0, 1));
        // and where it does not, nothing is said: 0.65 + 0.24/6 is below 0.70
        assert_eq!(fits(&settings, 1.0), (0, None));
    }

    #[test]
    fn neighbours_are_those_in_price_and_of_the_same_series() {
        // the pair (0.4, 0.1) is not of neighbours
        let (_, between) = fits(&grid(), 0.7);
        let between = between.unwrap();
        assert_eq!((between.within, between.beyond), (0, 1));
        // noise may turn the order of costs around: the nearest price above counts then
        let turned = [setting("kl", 0.1, 1.0, 0.5), setting("kl", 0.2, 2.0, 0.7), setting("kl", 0.4, 3.0, 0.9)];
        assert_eq!(fits(&turned, 1.5).1.unwrap().beyond, 1);
        let apart = [setting("kl", 0.2, 1.0, 0.7), setting("js", 0.1, 3.0, 0.9)];
        assert_eq!(fits(&apart, 2.0), (0, None));
    }

    #[test]
    fn a_method_without_a_price_is_picked_but_not_interpolated() {
        let mut settings = [setting("no-kl", 0.2, 1.0, 0.7), setting("no-kl", 0.1, 1.2, 0.9)];
        for setting in &mut settings {
            setting.priced = false;
        }
        assert_eq!(fits(&settings, 1.1), (0, None));
        assert_eq!(pick(&settings, 0.5), Some(Pick::None { nearest: 0, alpha: None }));
    }

    #[test]
    fn where_none_fits_the_least_is_told_with_a_larger_price() {
        let Some(Pick::None { nearest, alpha }) = pick(&grid(), 0.125) else { panic!("none fits") };
        // half a nat at 0.4, an eighth at twice the price
        assert_eq!(nearest, 0);
        assert!((alpha.unwrap() - 0.8).abs() < 1e-12);
        assert_eq!(pick(&grid(), -1.0), Some(Pick::None { nearest: 0, alpha: None }), "no price can reach that");
    }

    #[test]
    fn of_equal_rewards_the_cheaper_is_taken_and_of_equals_the_first() {
        let tied = [setting("a", 0.2, 1.0, 0.7), setting("b", 0.2, 0.9, 0.7), setting("c", 0.2, 0.9, 0.7)];
        assert_eq!(fits(&tied, 2.0).0, 1);
    }

    #[test]
    fn what_is_not_a_number_is_left_out() {
        assert_eq!(pick(&[], 1.0), None);
        assert_eq!(pick(&[setting("a", 0.2, f64::NAN, 0.7)], 1.0), None);
        let mixed = [setting("a", 0.2, 0.5, f64::NAN), setting("a", 0.1, 0.6, 0.1)];
        assert_eq!(fits(&mixed, 1.0), (1, None));
    }
}
