//! What a frozen initial law costs.

use crate::diffusion::{Chain, shard_rows};
use crate::error::{Error, Result};
use crate::finetune::{Rollout, Terminal};
use crate::nn::{Pool, read};
use crate::random::Seed;

/// What the best control loses, in nats, when it starts from the base's initial law ν₀ instead of ν* ∝ ν₀ e^{v₀/α}:
///
/// ```text
/// KL(ν₀‖ν*) = log E[e^{v₀/α}] − E[v₀/α] = E[e^d − 1 − d],   d = v₀/α − log E[e^{v₀/α}]
/// ```
/// under ν₀. It is 0 where the end does not depend on the start, so that a chain's memorylessness is a number rather than a claim. With
/// the value of a [`Terminal`] that is closed-form (letters independent given the state) it needs no paths; that value is about
/// memoryless chains, so for others v₀ has to be fitted ([`ValueFunction`](super::ValueFunction)).
///
/// ```
/// use seqtilt::finetune::analytic::{LinearChain, LinearQuadratic, Start};
/// use seqtilt::finetune::initial::StartCost;
/// use seqtilt::{Seed, nn::Pool};
/// # fn main() -> seqtilt::Result<()> {
/// // a reward of the initial state itself: −(k/2)(x − m)² under N(0, s²) costs ½(ks²/α − log(1 + ks²/α)) + (km/α)²s²/(2(1 + ks²/α))
/// let problem = LinearQuadratic::default();
/// let chain = LinearChain::euler(&problem, Start::Frozen, 4, 1)?;
/// let cost = StartCost::of(&chain, &problem, problem.alpha, 20_000, Seed::root(1), &Pool::new(1)?)?;
/// let (odds, pull) = (4.0_f64, 6.0_f64);
/// let exact = 0.5 * (odds - (1.0 + odds).ln()) + pull * pull / (2.0 * (1.0 + odds));
/// assert!((cost.nats - exact).abs() < 4.0 * cost.se);
/// # Ok(()) }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StartCost {
    /// KL(ν₀‖ν*), in nats.
    pub nats: f64,
    /// Its standard error.
    pub se: f64,
    /// Effective number of starts behind the log of the mean, `(Σw)²/Σw²` with `w = e^{v₀/α}`.
    pub effective: f64,
    /// Initial states drawn.
    pub starts: usize,
}

impl StartCost {
    /// From the values at 0 steps of `count` initial states of `chain`.
    ///
    /// # Errors
    /// When there are fewer than two, a value is not finite, or a tensor operation fails.
    ///
    /// # Cost
    /// One value a state; no path is walked.
    pub fn of(
        chain: &dyn Chain,
        value: &dyn Terminal,
        alpha: f64,
        count: usize,
        seed: Seed,
        pool: &Pool,
    ) -> Result<Self> {
        let most = shard_rows(chain.shape().first().copied().unwrap_or(1));
        let parts = pool.map(count.div_ceil(most), |shard| {
            let rows = most.min(count - shard * most);
            let start = Rollout::draw(chain, None, 0, rows, seed.index(shard as u64), false)?;
            Ok(read(&[&value.value(0, start.last(), Some(alpha))?])?.remove(0))
        })?;
        let nats: Vec<f64> = parts.concat().into_iter().map(|value| value / alpha).collect();
        if nats.len() < 2 || nats.iter().any(|nats| !nats.is_finite()) {
            return Err(Error::data(format!("{count} initial states do not all have a finite value, or are too few")));
        }
        let (n, top) = (nats.len() as f64, nats.iter().copied().fold(f64::NEG_INFINITY, f64::max));
        let (sum, squares) = nats.iter().fold((0.0, 0.0), |(sum, squares), nats| {
            let w = (nats - top).exp();
            (sum + w, squares + w * w)
        });
        let log_mean = top + (sum / n).ln();
        let terms: Vec<f64> = nats.iter().map(|nats| (nats - log_mean).exp_m1() - (nats - log_mean)).collect();
        let mean = terms.iter().sum::<f64>() / n;
        let spread = terms.iter().map(|term| (term - mean).powi(2)).sum::<f64>() / (n - 1.0);
        Ok(Self { nats: mean, se: (spread / n).sqrt(), effective: sum * sum / squares, starts: nats.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finetune::analytic::{LinearChain, LinearQuadratic, Start};
    use candle_core::Tensor;

    /// The soft value of the continuous problem at its start.
    struct Value(LinearQuadratic);

    impl Terminal for Value {
        fn reward(&self, _: usize, x: &Tensor) -> Result<Tensor> {
            let values: Vec<f64> = read(&[x])?[0].iter().map(|x| self.0.value(0.0, *x)).collect();
            Ok(Tensor::from_vec(values, x.dim(0)?, x.device())?)
        }
    }

    #[test]
    fn it_is_what_the_best_control_from_a_frozen_start_falls_short_by() {
        let problem = LinearQuadratic::default();
        let [joint, frozen] = [Start::Joint, Start::Frozen].map(|start| problem.optimum(start).value);
        let chain = LinearChain::euler(&problem, Start::Frozen, 4, 1).unwrap();
        let pool = Pool::new(2).unwrap();
        let cost =
            |problem| StartCost::of(&chain, &Value(problem), problem.alpha, 40_000, Seed::root(2), &pool).unwrap();
        let got = cost(problem);
        // 0.589 nats; one standard error is 0.005
        assert!((got.nats - (joint - frozen) / problem.alpha).abs() < 4.0 * got.se && got.se < 0.01, "{got:?}");
        // a drift that forgets the start
        let forgetful = cost(LinearQuadratic { drift: 20.0, ..problem });
        assert!(forgetful.nats.abs() < 1e-9 && forgetful.effective > 39_999.0, "{forgetful:?}");
        assert!(StartCost::of(&chain, &Value(problem), 0.5, 1, Seed::root(2), &pool).is_err());
    }
}
