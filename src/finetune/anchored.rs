//! Two prices: of leaving the prior, and of leaving the control of an earlier round.

use super::Control;
use crate::error::{Error, Result};

/// An earlier control, and what it costs to leave it.
///
/// ```text
/// J(u) = E_u[r(x_K)] − α KL(Pᵘ‖P) − β KL(Pᵘ‖Pᵛ),   KL(Pᵘ‖Pᵛ) = E_u Σ_k ½|u_k − v_k|²
/// ```
/// v the earlier control: one round of feedback-efficient online fine-tuning (SEIKO, Uehara et al. 2024, arXiv 2402.16359). The
/// optimum is the path law `∝ exp(r/(α+β)) P^{α/(α+β)} (Pᵛ)^{β/(α+β)}`.
#[derive(Clone, Copy)]
pub struct Anchor<'a> {
    /// The earlier control, with weights that are held.
    pub control: &'a dyn Control,
    /// Price of a nat of departure from it, β, in reward units.
    pub beta: f64,
}

/// A law over finitely many outcomes, and what it is worth.
#[derive(Clone, Debug, PartialEq)]
pub struct TwoPriced {
    /// Log-probabilities of the best law.
    pub log_probs: Vec<f64>,
    /// The largest `E_p[r] − α KL(p‖p_pre) − β KL(p‖p_prev)`, in reward units.
    pub value: f64,
}

/// The best law over finitely many outcomes under two prices:
///
/// ```text
/// argmax_p E_p[r] − α KL(p‖p_pre) − β KL(p‖p_prev)  ∝  exp(r/(α+β)) p_pre^{α/(α+β)} p_prev^{β/(α+β)}
/// value = (α+β) log Σ exp(r/(α+β)) p_pre^{α/(α+β)} p_prev^{β/(α+β)}
/// ```
/// (SEIKO, Uehara et al. 2024, arXiv 2402.16359). Either price may be 0: its law then does not count, not even where it has no mass. An
/// outcome without mass under a law that has a price gets none.
///
/// # Errors
/// When the lists differ in length, a price is negative or both are 0, a reward is NaN or infinitely good, or no outcome is left.
///
/// ```
/// let half = [0.5_f64.ln(); 2];
/// let best = seqtilt::finetune::two_priced_tilt(&[0.0, 1.0], &half, &half, 0.25, 0.75)?;
/// // odds e^{1/(α+β)} = e
/// assert!((best.log_probs[1] - best.log_probs[0] - 1.0).abs() < 1e-12);
/// # Ok::<(), seqtilt::Error>(())
/// ```
pub fn two_priced_tilt(reward: &[f64], log_pre: &[f64], log_prev: &[f64], alpha: f64, beta: f64) -> Result<TwoPriced> {
    let n = reward.len();
    if log_pre.len() != n || log_prev.len() != n {
        let (pre, prev) = (log_pre.len(), log_prev.len());
        return Err(Error::usage(format!(
            "{n} rewards, {pre} and {prev} log-probabilities; as many of each are accepted"
        )));
    }
    let total = alpha + beta;
    if !(alpha >= 0.0 && beta >= 0.0 && total > 0.0 && total.is_finite()) {
        let message = format!("prices {alpha} and {beta}; numbers from 0 on that are not both 0 are accepted");
        return Err(Error::usage(message));
    }
    if let Some(bad) = reward.iter().find(|r| r.is_nan() || **r == f64::INFINITY) {
        return Err(Error::data(format!("a reward is {bad}; numbers below infinity are accepted")));
    }
    // a law without a price does not count: 0 · −∞ is 0 here
    let part = |price: f64, log: f64| if price == 0.0 { 0.0 } else { price / total * log };
    let logs: Vec<f64> =
        (0..n).map(|i| reward[i] / total + part(alpha, log_pre[i]) + part(beta, log_prev[i])).collect();
    let most = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if !most.is_finite() {
        return Err(Error::data("no outcome has mass under both laws"));
    }
    let log_z = most + logs.iter().map(|log| (log - most).exp()).sum::<f64>().ln();
    Ok(TwoPriced { log_probs: logs.into_iter().map(|log| log - log_z).collect(), value: total * log_z })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    /// `E_p[r] − α KL(p‖p_pre) − β KL(p‖p_prev)` by its sums.
    fn objective(p: &[f64], reward: &[f64], laws: [(&[f64], f64); 2]) -> f64 {
        let nats = |log: &[f64]| -> f64 {
            p.iter().zip(log).map(|(p, log)| if *p > 0.0 { p * (p.ln() - log) } else { 0.0 }).sum()
        };
        let prices: f64 = laws.iter().map(|(log, price)| if *price > 0.0 { price * nats(log) } else { 0.0 }).sum();
        p.iter().zip(reward).map(|(p, r)| p * r).sum::<f64>() - prices
    }

    fn law(seed: u64, n: usize) -> Vec<f64> {
        let mut rng = Seed::root(seed).rng();
        let weights: Vec<f64> = (0..n).map(|_| rng.normal().exp()).collect();
        let sum: f64 = weights.iter().sum();
        weights.iter().map(|w| (w / sum).ln()).collect()
    }

    /// Damped mirror ascent on the logits, from the slopes of the objective alone.
    fn ascend(reward: &[f64], laws: [(&[f64], f64); 2]) -> Vec<f64> {
        let n = reward.len();
        let probs = |logits: &[f64]| -> Vec<f64> {
            let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = logits.iter().map(|l| (l - most).exp()).collect();
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|w| w / sum).collect()
        };
        let price: f64 = laws.iter().map(|(_, price)| price).sum();
        let mut logits = vec![0.0; n];
        for _ in 0..400 {
            let p = probs(&logits);
            // ∂J/∂p_i, up to a constant
            let slope: Vec<f64> = (0..n)
                .map(|i| {
                    reward[i]
                        - laws
                            .iter()
                            .filter(|(_, price)| *price > 0.0)
                            .map(|(log, price)| price * (p[i].ln() - log[i]))
                            .sum::<f64>()
                })
                .collect();
            let mean: f64 = p.iter().zip(&slope).map(|(p, s)| p * s).sum();
            // half of the step that would end in one
            for (logit, slope) in logits.iter_mut().zip(&slope) {
                *logit += 0.5 / price * (slope - mean);
            }
        }
        probs(&logits)
    }

    #[test]
    fn the_closed_form_is_where_ascent_ends() {
        let reward: Vec<f64> = law(3, 7).iter().map(|log| 1.3 * log).collect();
        let (pre, prev) = (law(1, 7), law(2, 7));
        for (alpha, beta) in [(0.3, 0.5), (0.7, 0.0), (0.0, 0.4), (0.05, 1.0)] {
            let laws = [(&pre[..], alpha), (&prev[..], beta)];
            let best = two_priced_tilt(&reward, &pre, &prev, alpha, beta).unwrap();
            let p: Vec<f64> = best.log_probs.iter().map(|log| log.exp()).collect();
            for (exact, found) in p.iter().zip(ascend(&reward, laws)) {
                assert!((exact - found).abs() < 1e-10, "{alpha} {beta}: {exact} {found}");
            }
            let top = objective(&p, &reward, laws);
            assert!((top - best.value).abs() < 1e-12 && (p.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            // moving mass from any outcome to any other loses: the first-order change vanishes, the second is negative
            for i in 0..7 {
                let (mut moved, j) = (p.clone(), (i + 3) % 7);
                let h = 0.1 * p[i].min(p[j]);
                (moved[i], moved[j]) = (moved[i] - h, moved[j] + h);
                assert!(objective(&moved, &reward, laws) < top);
            }
        }
    }

    #[test]
    fn a_law_without_a_price_does_not_count_and_one_with_a_price_rules_out() {
        let (nothing, half) = (f64::NEG_INFINITY, 0.5_f64.ln());
        let [pre, prev] = [[half, half, nothing], [nothing, half, half]];
        let reward = [5.0, 1.0, 9.0];
        let both = two_priced_tilt(&reward, &pre, &prev, 1.0, 1.0).unwrap();
        assert_eq!(both.log_probs, [nothing, 0.0, nothing]);
        let first = two_priced_tilt(&reward, &pre, &prev, 2.0, 0.0).unwrap();
        assert!((first.log_probs[0] - first.log_probs[1] - 2.0).abs() < 1e-12 && first.log_probs[2] == nothing);
        let second = two_priced_tilt(&reward, &pre, &prev, 0.0, 2.0).unwrap();
        assert!((second.log_probs[2] - second.log_probs[1] - 4.0).abs() < 1e-12 && second.log_probs[0] == nothing);
        let apart = two_priced_tilt(&reward, &[0.0, nothing, nothing], &prev, 1.0, 1.0).unwrap_err();
        assert!(apart.message().contains("no outcome has mass"));
        assert!(two_priced_tilt(&reward, &pre, &prev, 0.0, 0.0).unwrap_err().message().contains("not both 0"));
        assert!(two_priced_tilt(&reward, &pre, &prev[..2], 1.0, 1.0).unwrap_err().message().contains("as many"));
    }
}
