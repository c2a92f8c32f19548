//! Sums over all sequences of a Potts model.

use super::Potts;
use crate::error::Result;
use crate::nn::exact_product;
use crate::reward::{check_shape, enumerable};
use candle_core::{DType, Tensor};

/// A running log of a sum of exponentials.
fn log_sum_exp(values: impl Iterator<Item = f64>) -> f64 {
    let (most, sum) = values.fold((f64::NEG_INFINITY, 0.0), |(most, sum): (f64, f64), value| {
        if value > most { (value, sum * (most - value).exp() + 1.0) } else { (most, sum + (value - most).exp()) }
    });
    most + sum.ln()
}

impl Potts {
    /// log Z, where it has a closed form:
    ///
    /// ```text
    /// Z(T) = Σ_x exp(score(x)/T)
    /// ```
    /// By transfer matrices where couplings are between neighbours alone, `a_{i+1}(y) = Σ_x a_i(x) exp((J_i(x, y) + h_{i+1}(y))/T)`
    /// (Kramers and Wannier 1941), else by enumeration of at most 262,144 sequences. In f64.
    ///
    /// # Cost
    /// L·V², or V^L scores.
    pub(super) fn partition(&self, temperature: f64) -> Option<f64> {
        if self.is_chain() {
            return Some(self.transfer(temperature));
        }
        enumerable(self.alphabet.len(), self.length).then(|| {
            let mut ids = vec![0_u8; self.length];
            let words = self.alphabet.len().pow(self.length as u32);
            log_sum_exp((0..words).map(|_| {
                let score = self.score_ids(&ids) / temperature;
                for id in ids.iter_mut().rev() {
                    *id += 1;
                    if usize::from(*id) < self.alphabet.len() {
                        break;
                    }
                    *id = 0;
                }
                score
            }))
        })
    }

    /// The coupling of the letters `a` at `i` and `b` behind it.
    fn between(&self, i: usize, a: usize, b: usize) -> f64 {
        self.couplings.get(&(i, i + 1)).map_or(0.0, |values| values[a * self.alphabet.len() + b])
    }

    fn transfer(&self, temperature: f64) -> f64 {
        let v = self.alphabet.len();
        let mut logs: Vec<f64> = self.fields[..v].iter().map(|h| h / temperature).collect();
        for i in 1..self.length {
            let ahead = |b: usize| {
                let from = logs.iter().enumerate().map(|(a, log)| log + self.between(i - 1, a, b) / temperature);
                log_sum_exp(from) + self.fields[i * v + b] / temperature
            };
            logs = (0..v).map(ahead).collect();
        }
        log_sum_exp(logs.into_iter())
    }

    /// The soft value of independent letters under couplings between neighbours, (B,):
    ///
    /// ```text
    /// a_1(y) = p_1(y) e^{h_1(y)/α}      a_{i+1}(y) = p_{i+1}(y) Σ_x a_i(x) e^{(J_i(x, y) + h_{i+1}(y))/α}      V = α log Σ_y a_L(y)
    /// ```
    /// with the sums divided out on the way, so that nothing overflows.
    pub(super) fn chain_value(&self, probs: &Tensor, alpha: f64) -> Result<Tensor> {
        let v = self.alphabet.len();
        check_shape(probs, Some(self.length), v)?;
        let probs = if probs.dtype() == DType::F64 { probs.clone() } else { probs.to_dtype(DType::F32)? };
        let (device, dtype) = (probs.device(), probs.dtype());
        let (mut logs, mut most) = (None::<Tensor>, 0.0);
        let mut at: Option<Tensor> = None;
        for i in 0..self.length {
            let p = probs.narrow(1, i, 1)?.squeeze(1)?;
            let rows = if i == 0 { 1 } else { v };
            let weights: Vec<f64> = (0..rows * v)
                .map(|k| {
                    let coupling = if i == 0 { 0.0 } else { self.between(i - 1, k / v, k % v) };
                    (coupling + self.fields[i * v + k % v]) / alpha
                })
                .collect();
            let largest = weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            most += largest;
            let weights = weights.into_iter().map(|w| (w - largest).exp()).collect::<Vec<_>>();
            let weights = Tensor::from_vec(weights, (rows, v), device)?.to_dtype(dtype)?;
            let ahead = match &at {
                None => p.broadcast_mul(&weights)?,
                Some(at) => (exact_product(at, &weights)? * p)?,
            };
            // letters far from every good sequence have weights below the smallest number
            let sum = ahead.sum_keepdim(1)?.maximum(f64::from(f32::MIN_POSITIVE))?;
            let log = sum.log()?.squeeze(1)?;
            at = Some(ahead.broadcast_div(&sum)?);
            logs = Some(logs.map_or_else(|| Ok(log.clone()), |logs| logs + &log)?);
        }
        let logs = logs.ok_or_else(|| crate::Error::usage("a model of no positions"))?;
        Ok(((logs + most)? * alpha)?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{probability, random, relaxed, words};
    use crate::nn::check;
    use crate::reward::Reward;

    #[test]
    fn transfer_matrices_and_enumeration_are_brute_force() {
        for (pairs, chain) in
            [(&[(0, 1), (1, 2), (2, 3), (3, 4)][..], true), (&[(1, 2)], true), (&[], true), (&[(0, 4), (1, 2)], false)]
        {
            let potts = random("ABC", 5, pairs, 7);
            assert_eq!(potts.is_chain(), chain);
            for temperature in [0.2, 1.0, 3.0] {
                let all = words(&potts);
                let brute = all.iter().map(|w| (potts.score_ids(w) / temperature).exp()).sum::<f64>().ln();
                let got = potts.log_partition(5, temperature).unwrap();
                // a sum of 243 terms, rounding alone
                assert!((got - brute).abs() < 1e-11 * (1.0 + brute.abs()), "{pairs:?} {temperature}: {got} {brute}");
            }
        }
        assert_eq!(random("ABC", 5, &[], 7).log_partition(4, 1.0), None);
        let long: Vec<(usize, usize)> = (0..10).map(|i| (i, i + 2)).collect();
        assert_eq!(random("ACGT", 12, &long, 1).log_partition(12, 1.0), None, "neither a chain nor few");
    }

    #[test]
    fn long_chains_neither_overflow_nor_underflow() {
        let pairs: Vec<(usize, usize)> = (0..299).map(|i| (i, i + 1)).collect();
        let potts = random("ACGT", 300, &pairs, 2);
        let (cold, hot) = (potts.log_partition(300, 1e-3).unwrap(), potts.log_partition(300, 1e6).unwrap());
        // at infinite temperature every word counts one; the rest is the mean score over T
        assert!(cold.is_finite() && (hot - 300.0 * 4_f64.ln()).abs() < 1e-3, "{cold} {hot}");
        let soft = potts.soft_value(&relaxed(&potts, 1), 1e-3).unwrap().unwrap().to_vec1::<f64>().unwrap();
        assert!(soft.iter().all(|value| value.is_finite()));
    }

    #[test]
    fn the_soft_value_of_a_chain_is_the_log_mean_exponential_under_independent_letters() {
        let potts = random("ABC", 4, &[(0, 1), (1, 2), (2, 3)], 4);
        let probs = relaxed(&potts, 5);
        for alpha in [0.3, 1.0] {
            let got = potts.soft_value(&probs, alpha).unwrap().unwrap().to_vec1::<f64>().unwrap();
            for (row, got) in got.iter().enumerate() {
                let terms = words(&potts);
                let sum: f64 =
                    terms.iter().map(|w| probability(&probs, row, w) * (potts.score_ids(w) / alpha).exp()).sum();
                // 81 terms in f64
                assert!((got - alpha * sum.ln()).abs() < 1e-11, "{got} {}", alpha * sum.ln());
            }
            check::input(&probs, |p| Ok(potts.soft_value(p, alpha)?.unwrap()));
        }
        assert!(random("ABC", 4, &[(0, 2)], 4).soft_value(&probs, 1.0).unwrap().is_none());
    }
}
