//! Which claims about the targets hold.

use super::cell::Measured;
use crate::finetune::word_score::{WordTarget, WordVariance};
use serde::Serialize;

/// A claim, and where it held.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Claim {
    /// In words.
    pub(super) claim: &'static str,
    /// Whether it was published for the framework, or is about discrete data.
    pub(super) published: bool,
    /// Prices at which it holds.
    pub(super) holds: Vec<f64>,
    /// Prices at which it does not.
    pub(super) fails: Vec<f64>,
}

impl Claim {
    /// The verdict.
    pub(super) fn verdict(&self) -> &'static str {
        match (self.holds.is_empty(), self.fails.is_empty()) {
            (false, true) => "holds",
            (true, false) => "does not hold",
            (false, false) => "holds at some prices",
            (true, true) => "not measured",
        }
    }
}

/// A claim, whether it was published, and the test of it on all last states of one price, in order.
type Test = (&'static str, bool, fn(&[&Measured]) -> Option<bool>);

const TESTS: [Test; 8] = [
    ("denoising to the last state grows without limit towards it", true, |all| Some(grows(all, WordTarget::End)?.1)),
    ("the terminal target grows without limit towards noise", true, |all| Some(grows(all, WordTarget::Terminal)?.0)),
    ("the mixed target is finite", true, |all| Some(grows(all, WordTarget::Mixed)? == (false, false))),
    ("the lean target (adjoint matching) is finite, where sampled paths recover its mean", true, |all| {
        let seen = all.iter().filter(|measured| measured.lean_is_seen());
        let grow = seen.filter_map(|measured| measured.exact.grows(WordTarget::Lean));
        grow.map(|grow| grow == (false, false)).reduce(|a, b| a && b)
    }),
    ("adjoints stay below a/(a² + m b²) where the base is log-concave", true, |all| {
        let shares = all.iter().flat_map(|measured| &measured.exact.levels).filter_map(|level| level.growth.of_bound);
        shares.reduce(f64::max).map(|share| share <= 1.0)
    }),
    ("sampled paths recover the mean of lean adjoints, wherever the last state is", false, |all| {
        Some(all.iter().all(|measured| measured.lean_is_seen()))
    }),
    ("denoising to the letters is finite as the last state moves to them", false, |all| {
        moved(all, WordTarget::Letters)
    }),
    ("the mixed target stays finite as the last state moves to the letters", false, |all| {
        moved(all, WordTarget::Mixed)
    }),
];

/// Whether the integral at the decode grows towards noise, and towards the last state.
fn grows(all: &[&Measured], target: WordTarget) -> Option<(bool, bool)> {
    all.iter().find(|measured| measured.beyond == 0.0)?.exact.grows(target)
}

/// Whether the integral over all levels has a limit as the last state moves, by the last three, equally far apart.
fn moved(all: &[&Measured], target: WordTarget) -> Option<bool> {
    let [.., first, second, third] = all else { return None };
    let equal = (third.beyond - 2.0 * second.beyond + first.beyond).abs() < 1e-9;
    equal.then(|| !WordVariance::grow([first, second, third].map(|measured| measured.total(target))))
}

/// All claims, over all prices.
pub(super) fn all(measured: &[Measured]) -> Vec<Claim> {
    let mut alphas: Vec<f64> = measured.iter().map(|cell| cell.alpha).collect();
    alphas.dedup();
    let claim = |(claim, published, test): &Test| {
        let verdict = |alpha: &f64| {
            let of_price: Vec<&Measured> = measured.iter().filter(|cell| cell.alpha == *alpha).collect();
            test(&of_price)
        };
        let those = |is: bool| alphas.iter().copied().filter(|alpha| verdict(alpha) == Some(is)).collect();
        Claim { claim, published: *published, holds: those(true), fails: those(false) }
    };
    TESTS.iter().map(claim).collect()
}
