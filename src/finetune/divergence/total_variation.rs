//! Total variation, as a metric.

use crate::error::{Error, Result};

/// Total variation, `½ Σ |q − p|`: a distance to report, not a price to train with.
///
/// ```text
/// f(t) = ½|t − 1|    φ(L) = ½|1 − e^−L|    f' = ±½
/// ```
/// f' takes two values, so g is no function and gives a control no gradient. The optimum is bang-bang: keep the prior where
/// `r ≥ max r − α`, move all other mass to the best sequence.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TotalVariation;

impl TotalVariation {
    /// `f(t) = ½|t − 1|`.
    #[must_use]
    pub fn f(self, t: f64) -> f64 {
        0.5 * (t - 1.0).abs()
    }

    /// `φ(L) = ½|1 − e^−L|`: its mean over paths of the controlled chain is the total variation of the path laws.
    #[must_use]
    pub fn path_value(self, l: f64) -> f64 {
        0.5 * (-l).exp_m1().abs()
    }

    /// `½ Σ |q − p|` of two laws over the same enumerated space.
    ///
    /// ```
    /// use seqtilt::finetune::divergence::TotalVariation;
    /// assert_eq!(TotalVariation.between(&[0.5, 0.5], &[0.25, 0.75]), 0.25);
    /// ```
    ///
    /// # Panics
    /// If the lengths differ.
    #[must_use]
    pub fn between(self, q: &[f64], p: &[f64]) -> f64 {
        assert_eq!(q.len(), p.len(), "one probability per sequence in both laws");
        0.5 * q.iter().zip(p).map(|(q, p)| (q - p).abs()).sum::<f64>()
    }

    /// The law that maximises `E_q[r] − α TV(q, p)` over the prior's support; mass is moved to the first of the best sequences.
    ///
    /// ```
    /// use seqtilt::finetune::divergence::TotalVariation;
    /// let q = TotalVariation.optimum(&[0.4, 0.3, 0.2, 0.1], &[0.0, 0.5, 1.0, 2.0], 1.0)?;
    /// assert!((q[3] - 0.8).abs() < 1e-15 && q[2] == 0.2);
    /// # Ok::<(), seqtilt::Error>(())
    /// ```
    ///
    /// # Errors
    /// When the lengths differ, nothing has prior mass, or a reward is not finite.
    pub fn optimum(self, prior: &[f64], reward: &[f64], alpha: f64) -> Result<Vec<f64>> {
        if prior.len() != reward.len() {
            return Err(Error::data(format!("{} prior probabilities but {} rewards", prior.len(), reward.len())));
        }
        if let Some(r) = reward.iter().find(|r| !r.is_finite()) {
            return Err(Error::data(format!("a reward is {r}; finite rewards are accepted")));
        }
        let mut best: Option<usize> = None;
        for i in (0..prior.len()).filter(|i| prior[*i] > 0.0) {
            if best.is_none_or(|best| reward[i] > reward[best]) {
                best = Some(i);
            }
        }
        let Some(best) = best else { return Err(Error::data("no sequence has prior mass; at least one is needed")) };
        let keep = |i: usize| reward[i] >= reward[best] - alpha;
        let mut q: Vec<f64> = (0..prior.len()).map(|i| if keep(i) { prior[i] } else { 0.0 }).collect();
        let moved: f64 = (0..prior.len()).filter(|i| !keep(*i)).map(|i| prior[i]).sum();
        q[best] += moved;
        Ok(q)
    }
}
