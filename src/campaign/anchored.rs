//! Two prices: of departure from the prior, and of departure from the last round's sampler.

use crate::error::{Error, Result};

/// The log-ratio of the last round's tilt to the prior, on sequences that are enumerated or on any fixed list of them.
///
/// ```text
/// Pᵢ = argmax_P  E_P[rᵢ] − α KL(P‖P_pre) − β KL(P‖Pᵢ₋₁)
/// KL(P‖Pᵢ₋₁) = KL(P‖P_pre) − E_P[ρᵢ₋₁],   ρᵢ = log dPᵢ/dP_pre
/// ⇒  Pᵢ is the tilt of the prior by rᵢ + β ρᵢ₋₁ at price α + β,   ρᵢ = (rᵢ + β ρᵢ₋₁)/(α + β) + const,   ρ₀ = 0
///    = exp(rᵢ/(α+β)) · P_pre^{α/(α+β)} · Pᵢ₋₁^{β/(α+β)} / Zᵢ
/// ```
/// Source: SEIKO, Uehara et al. 2024, arXiv 2402.16359. Constants do not matter to a tilt and are left out. The recursion holds for
/// the exact tilts; a sampler that misses its tilt by a certificate's nats is anchored to the tilt it was meant to be.
///
/// ```
/// use seqtilt::campaign::Anchor;
/// let mut anchor = Anchor::new(1.0, 3.0, 2)?;
/// assert_eq!(anchor.reward(&[4.0, 8.0])?, [4.0, 8.0]);
/// anchor.advance(&[4.0, 8.0])?;
/// assert_eq!(anchor.reward(&[0.0, 0.0])?, [3.0, 6.0]);
/// assert_eq!(anchor.price(), 4.0);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Anchor {
    alpha: f64,
    beta: f64,
    ratio: Vec<f64>,
}

impl Anchor {
    /// Before the first round, where the sampler is the prior.
    ///
    /// # Errors
    /// When a price is below 0, or both are 0.
    pub fn new(alpha: f64, beta: f64, sequences: usize) -> Result<Self> {
        if !(alpha >= 0.0 && alpha.is_finite()) {
            return Err(Error::usage(format!("`alpha` is {alpha}; a finite number from 0 on is accepted")));
        }
        if !(beta >= 0.0 && beta.is_finite()) {
            return Err(Error::usage(format!("`beta` is {beta}; a finite number from 0 on is accepted")));
        }
        if alpha + beta == 0.0 {
            return Err(Error::usage("`alpha` and `beta` are both 0; one of them has to be above 0"));
        }
        Ok(Self { alpha, beta, ratio: vec![0.0; sequences] })
    }

    /// What a nat of departure from the prior costs once the anchor is part of the reward: α + β.
    #[must_use]
    pub fn price(&self) -> f64 {
        self.alpha + self.beta
    }

    /// r + β ρ: the reward whose tilt at [`price`](Self::price) pays both.
    ///
    /// # Errors
    /// When the number of rewards is another.
    pub fn reward(&self, rewards: &[f64]) -> Result<Vec<f64>> {
        if rewards.len() != self.ratio.len() {
            let (got, wanted) = (rewards.len(), self.ratio.len());
            return Err(Error::data(format!("{got} rewards for an anchor of {wanted} sequences")));
        }
        Ok(rewards.iter().zip(&self.ratio).map(|(r, rho)| r + self.beta * rho).collect())
    }

    /// Goes on to the next round: ρ ← (r + β ρ)/(α + β).
    ///
    /// # Errors
    /// As [`reward`](Self::reward).
    pub fn advance(&mut self, rewards: &[f64]) -> Result<()> {
        let price = self.price();
        self.ratio = self.reward(rewards)?.into_iter().map(|r| r / price).collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    fn normalised(logs: impl Iterator<Item = f64>) -> Vec<f64> {
        let weights: Vec<f64> = logs.map(f64::exp).collect();
        let total: f64 = weights.iter().sum();
        weights.into_iter().map(|w| w / total).collect()
    }

    #[test]
    fn the_law_of_every_round_is_the_closed_form_of_two_prices() {
        let mut rng = Seed::root(11).rng();
        let size = 64;
        for (alpha, beta) in [(0.3, 0.7), (0.5, 0.0), (0.2, 2.0), (0.0, 0.8)] {
            let prior = normalised((0..size).map(|_| rng.normal()).collect::<Vec<_>>().into_iter());
            let mut anchor = Anchor::new(alpha, beta, size).unwrap();
            let mut before = prior.clone();
            for _ in 0..5 {
                let rewards: Vec<f64> = (0..size).map(|_| rng.normal()).collect();
                let turned = anchor.reward(&rewards).unwrap();
                let tilt = normalised(prior.iter().zip(&turned).map(|(p, r)| p.ln() + r / anchor.price()));
                let (a, b) = (alpha / (alpha + beta), beta / (alpha + beta));
                let closed = (0..size).map(|i| rewards[i] / (alpha + beta) + a * prior[i].ln() + b * before[i].ln());
                let closed = normalised(closed);
                let error = tilt.iter().zip(&closed).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
                // sums of 64 terms of size one: rounding only
                assert!(error < 1e-8, "{error}");
                anchor.advance(&rewards).unwrap();
                before = closed;
            }
        }
    }

    #[test]
    fn the_closed_form_is_the_optimum() {
        let mut rng = Seed::root(3).rng();
        let (size, alpha, beta) = (9, 0.4, 0.8);
        let prior = normalised((0..size).map(|_| rng.normal()).collect::<Vec<_>>().into_iter());
        let first: Vec<f64> = (0..size).map(|_| rng.normal()).collect();
        let second: Vec<f64> = (0..size).map(|_| rng.normal()).collect();
        let mut anchor = Anchor::new(alpha, beta, size).unwrap();
        let tilted = |rewards: &[f64], anchor: &Anchor| {
            let turned = anchor.reward(rewards).unwrap();
            normalised(prior.iter().zip(turned).map(|(p, r)| p.ln() + r / (alpha + beta)))
        };
        let before = tilted(&first, &anchor);
        anchor.advance(&first).unwrap();
        let best = tilted(&second, &anchor);
        let kl = |p: &[f64], q: &[f64]| p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum::<f64>();
        let value = |p: &[f64]| {
            let mean: f64 = p.iter().zip(&second).map(|(p, r)| p * r).sum();
            mean - alpha * kl(p, &prior) - beta * kl(p, &before)
        };
        for _ in 0..20 {
            let near = normalised(best.iter().map(|p| p.ln() + 0.05 * rng.normal()).collect::<Vec<_>>().into_iter());
            assert!(value(&near) < value(&best));
        }
    }

    #[test]
    fn prices_that_are_none_are_refused() {
        for (alpha, beta) in [(0.0, 0.0), (f64::NAN, 0.0), (1.0, -0.1), (1.0, f64::INFINITY)] {
            assert_eq!(Anchor::new(alpha, beta, 1).unwrap_err().kind(), crate::Kind::Usage);
        }
        assert!(Anchor::new(1.0, 0.0, 2).unwrap().reward(&[1.0]).is_err());
    }
}
