//! The exact optimum of one divergence at one price, and everything that is known about it.

use super::case::Case;
use crate::cli::bench::results::finite;
use crate::error::Result;
use crate::eval::diversity::mean_pairwise_of_law;
use crate::eval::exact::Tilt;
use crate::finetune::divergence::{DivergenceKind, Tilting, curvature_matched};
use std::collections::BTreeMap;

/// q*, over all sequences.
pub(super) struct Law<'a> {
    case: &'a Case,
    pub(super) tilting: Tilting,
    pub(super) q: Vec<f64>,
}

impl<'a> Law<'a> {
    /// At the price that costs what KL costs at `price`, for small departures.
    ///
    /// # Errors
    /// When the price is out of the reach of numbers.
    pub(super) fn of(case: &'a Case, kind: DivergenceKind, price: f64) -> Result<Self> {
        let alpha = curvature_matched(price, kind.get());
        let tilting = Tilting::solve(&case.reward, Some(&case.prior), alpha, kind.get())?;
        let share = |(p, log): (&f64, &f64)| if *p > 0.0 { p * log.exp() } else { 0.0 };
        let q = case.prior.iter().zip(&tilting.log_density).map(share).collect();
        Ok(Self { case, tilting, q })
    }

    /// The mean of a table of values.
    fn mean(&self, values: &[f64]) -> f64 {
        self.q.iter().zip(values).map(|(q, value)| q * value).sum()
    }

    /// How many sequences share the law: `1 / Σ q²`.
    pub(super) fn effective(&self) -> f64 {
        1.0 / self.q.iter().map(|q| q * q).sum::<f64>()
    }

    /// Mean number of letters in which two draws differ.
    pub(super) fn distance(&self) -> f64 {
        mean_pairwise_of_law(&self.q, self.case.letters, self.case.length)
    }

    /// Good sequences, which the prior has too, and what becomes of them.
    fn good(&self) -> impl Iterator<Item = (f64, f64)> {
        let shares = self.q.iter().zip(&self.case.prior).enumerate();
        shares.filter(|(cell, (_, p))| **p > 0.0 && self.case.is_good(*cell)).map(|(_, (q, p))| (*q, *p))
    }

    /// How many different good sequences are expected among so many draws.
    pub(super) fn plate_good(&self, draws: usize) -> f64 {
        distinct(self.good().map(|(q, _)| q), draws)
    }

    /// Every number by name; those of a `plate` are expected of so many draws as they come.
    ///
    /// # Errors
    /// When the tilt of KL beside it cannot be solved.
    pub(super) fn figures(&self, plate: usize) -> Result<BTreeMap<String, f64>> {
        let (case, tilt) = (self.case, &self.tilting);
        let beside = case.frontier.point(tilt.kl);
        let truth = self.mean(&case.truth);
        let mut figures = finite([
            ("reward", tilt.mean_reward),
            ("truth", truth),
            ("truth_median", median(&self.q, &case.truth)),
            ("optimism", tilt.mean_reward - truth),
            ("divergence", tilt.divergence),
            ("kl", tilt.kl),
            ("below_kl", beside.reward - tilt.mean_reward),
            ("ess", tilt.ess),
            ("effective", self.effective()),
            ("entropy", self.q.iter().map(|q| if *q > 0.0 { -q * q.ln() } else { 0.0 }).sum()),
            ("distance", self.distance()),
            ("max_weight", tilt.max_weight),
            ("dropped", tilt.dropped),
            ("atom", tilt.atom),
            ("condensed", f64::from(u8::from(tilt.warnings().iter().any(|w| w.starts_with("condensation"))))),
            ("floor", self.floor()),
            ("good_mass", self.good().map(|(q, _)| q).sum()),
            ("good_raised", self.good().filter(|(q, p)| q >= p).count() as f64),
            ("good_of_prior", self.good().count() as f64),
            ("plate_distinct", distinct(self.q.iter().copied(), plate)),
            ("plate_good", self.plate_good(plate)),
        ]);
        if beside.alpha > 0.0 && beside.alpha.is_finite() {
            let kl = Tilt::kl(&case.prior, &case.reward, beside.alpha)?;
            let of_kl: f64 = kl.probabilities.iter().zip(&case.truth).map(|(q, truth)| q * truth).sum();
            figures.insert("truth_below_kl".to_owned(), of_kl - truth);
        }
        Ok(figures)
    }

    /// The least `q/p`: the share of itself that every sequence keeps.
    fn floor(&self) -> f64 {
        let kept = self.q.iter().zip(&self.case.prior).filter(|(_, p)| **p > 0.0).map(|(q, p)| q / p);
        kept.fold(f64::INFINITY, f64::min)
    }
}

/// How many of these sequences are expected among `draws`, each counted once.
///
/// ```text
/// Σ_x 1 − (1 − q(x))^draws
/// ```
pub(super) fn distinct(q: impl Iterator<Item = f64>, draws: usize) -> f64 {
    q.map(|q| if q >= 1.0 { 1.0 } else { -(draws as f64 * (-q).ln_1p()).exp_m1() }).sum()
}

/// The least value that half of the law does not exceed.
pub(super) fn median(q: &[f64], values: &[f64]) -> f64 {
    let mut order: Vec<usize> = (0..q.len()).filter(|i| q[*i] > 0.0).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let (half, mut below) = (0.5 * q.iter().sum::<f64>(), 0.0);
    for i in &order {
        below += q[*i];
        if below >= half {
            return values[*i];
        }
    }
    order.last().map_or(f64::NAN, |i| values[*i])
}
