//! How far a fine-tuned chain is from its optimum, in nats, from the run's own numbers.

use super::{Estimate, LogMean, log_mean_exp, log_mean_exp_counted};
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};

/// One sample of a fine-tuned chain, with what its path cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathSample {
    /// The reward r(x) of the decoded sequence.
    pub reward: f64,
    /// The path log-ratio L = Σ u·ε + ½|u|², in nats.
    pub log_ratio: f64,
    /// The quadratic cost Σ ½|u|², in nats.
    pub cost: f64,
}

/// The distance of a fine-tuned chain Pᵘ from the optimum P*, in nats, with everything it was computed from.
///
/// ```text
/// gap = KL(Pᵘ‖P*) = log Z − E_u[r]/α + E_u[L] ≥ 0        Z = E_base[e^{r/α}] = E_u[e^{r/α − L}]
/// ```
///
/// Its standard error comes from the per-sample combination L − r/α, which is constant at the optimum, so that the
/// certificate sharpens as the chain approaches it. Source: the certificate α KL(P‖P*) = J* − J(P) of
/// entropy-regularised control, Uehara et al., arXiv 2402.15194, divided by α.
///
/// ```
/// use seqtilt::eval::certificate::{Certificate, PathSample};
/// // the base chain itself, r ∈ {0, 1} with equal odds: gap = log((1 + e)/2) − 1/2
/// let reward: Vec<f64> = (0..1000).map(|i| f64::from(i % 2)).collect();
/// let tuned: Vec<_> = reward.iter().map(|r| PathSample { reward: *r, log_ratio: 0.0, cost: 0.0 }).collect();
/// let certificate = Certificate::new(1.0, &tuned, &reward)?;
/// assert!((certificate.gap.value - 0.1201).abs() < 1e-4);
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// The price of a nat, in reward units.
    pub alpha: f64,
    /// log Z from the base chain.
    pub log_z: Estimate,
    /// log Z from the tuned chain, log mean e^{r/α − L}; must agree with [`Self::log_z`].
    pub log_z_tuned: Estimate,
    /// `E_u[r]`.
    pub mean_reward: Estimate,
    /// `E_u[L]`, in nats.
    pub path_kl: Estimate,
    /// `E_u[Σ ½|u|²]`, in nats; equals [`Self::path_kl`] in expectation.
    pub path_cost: Estimate,
    /// How many standard errors `E[L]` lies above `E[Σ ½|u|²]`.
    pub agreement: f64,
    /// KL(Pᵘ‖P*), in nats; at least 0 up to its standard error.
    pub gap: Estimate,
    /// Effective number of base samples behind [`Self::log_z`].
    pub ess_base: f64,
    /// Effective number of tuned samples behind [`Self::log_z_tuned`].
    pub ess_tuned: f64,
    /// Number of base samples.
    pub n_base: usize,
    /// Number of tuned samples.
    pub n: usize,
}

/// Effective sample size below which log Z is called unreliable.
pub const SMALL_ESS: f64 = 100.0;

impl Certificate {
    /// The certificate of `tuned` samples against the rewards of independent `base` samples.
    ///
    /// # Errors
    /// When α is not positive, there are fewer than two samples of either, or a number is not finite.
    pub fn new(alpha: f64, tuned: &[PathSample], base: &[f64]) -> Result<Self> {
        if let Some(i) = base.iter().position(|r| !r.is_finite()) {
            return Err(Error::data(format!("base sample {i} has reward {}; finite rewards are accepted", base[i])));
        }
        let weights = |alpha: f64| log_mean_exp(&base.iter().map(|r| r / alpha).collect::<Vec<_>>());
        Self::build(alpha, tuned, base.len(), weights)
    }

    /// The same of base samples that are counted by sequence: `rewards` of all sequences, and how often each was drawn.
    ///
    /// # Errors
    /// As [`Self::new`], and when there is not one count per reward.
    pub fn counted(alpha: f64, tuned: &[PathSample], rewards: &[f64], counts: &[u64]) -> Result<Self> {
        if rewards.len() != counts.len() {
            let (n, m) = (rewards.len(), counts.len());
            return Err(Error::usage(format!("{n} rewards and {m} counts; as many of each are needed")));
        }
        if let Some(i) = (0..counts.len()).find(|i| counts[*i] > 0 && !rewards[*i].is_finite()) {
            return Err(Error::data(format!("sequence {i} has reward {}; finite rewards are accepted", rewards[i])));
        }
        let weights = |alpha: f64| log_mean_exp_counted(&rewards.iter().map(|r| r / alpha).collect::<Vec<_>>(), counts);
        Self::build(alpha, tuned, counts.iter().sum::<u64>() as usize, weights)
    }

    fn build(alpha: f64, tuned: &[PathSample], n_base: usize, base: impl Fn(f64) -> LogMean) -> Result<Self> {
        if !(alpha > 0.0 && alpha.is_finite()) {
            return Err(Error::usage(format!("alpha is {alpha}; a positive, finite number is accepted")));
        }
        if tuned.len() < 2 || n_base < 2 {
            let (n, m) = (tuned.len(), n_base);
            return Err(Error::usage(format!("{n} tuned and {m} base samples; at least 2 of each are needed")));
        }
        let broken = |s: &PathSample| !(s.reward.is_finite() && s.log_ratio.is_finite() && s.cost.is_finite());
        if let Some(i) = tuned.iter().position(broken) {
            return Err(Error::data(format!("tuned sample {i} has a number that is not finite: {:?}", tuned[i])));
        }
        let over = |f: fn(&PathSample) -> f64| Estimate::of(tuned.iter().map(f));
        let from_base = base(alpha);
        let from_tuned = log_mean_exp(&tuned.iter().map(|s| s.reward / alpha - s.log_ratio).collect::<Vec<_>>());
        let shortfall = Estimate::of(tuned.iter().map(|s| s.log_ratio - s.reward / alpha));
        Ok(Self {
            alpha,
            log_z: from_base.log,
            log_z_tuned: from_tuned.log,
            mean_reward: over(|s| s.reward),
            path_kl: over(|s| s.log_ratio),
            path_cost: over(|s| s.cost),
            agreement: over(|s| s.log_ratio - s.cost).z(0.0),
            gap: Estimate { value: from_base.log.value + shortfall.value, se: from_base.log.se.hypot(shortfall.se) },
            ess_base: from_base.ess,
            ess_tuned: from_tuned.ess,
            n_base,
            n: tuned.len(),
        })
    }

    /// [`Self::ess_base`] as a share of the base samples.
    #[must_use]
    pub fn ess_base_share(&self) -> f64 {
        self.ess_base / self.n_base as f64
    }

    /// [`Self::ess_tuned`] as a share of the tuned samples.
    #[must_use]
    pub fn ess_tuned_share(&self) -> f64 {
        self.ess_tuned / self.n as f64
    }

    /// How many standard errors the two estimates of log Z lie apart (tuned above base is positive).
    #[must_use]
    pub fn log_z_disagreement(&self) -> f64 {
        let se = self.log_z.se.hypot(self.log_z_tuned.se);
        Estimate { value: self.log_z_tuned.value - self.log_z.value, se }.z(0.0)
    }

    /// Whether the numbers can be true: `E[L]` and `E[Σ ½|u|²]` agree within four standard errors, and so does the gap with
    /// being at least 0 (judged only where log Z is [reliable](Self::is_reliable)). Otherwise a log-ratio is wrong.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let rounding = 1e-9 * (1.0 + self.log_z.value.abs());
        let negative = self.gap.value < -4.0 * self.gap.se - rounding;
        self.agreement.abs() <= 4.0 && !(negative && self.is_reliable())
    }

    /// Whether enough base samples carry weight for [`Self::log_z`] to be believed.
    #[must_use]
    pub fn is_reliable(&self) -> bool {
        self.ess_base >= SMALL_ESS
    }

    /// One sentence for people.
    #[must_use]
    pub fn verdict(&self) -> String {
        let gap = format!("{:.3} ± {:.3} nats", self.gap.value, self.gap.se);
        if self.agreement.abs() > 4.0 {
            return format!(
                "The path numbers contradict each other: mean log-ratio {:.3} and mean cost {:.3} nats are {:.1} standard \
                 errors apart; do not use this certificate.",
                self.path_kl.value,
                self.path_cost.value,
                self.agreement.abs()
            );
        }
        if !self.is_consistent() {
            return format!("The gap, {gap}, is below zero by more than chance; do not use this certificate.");
        }
        if !self.is_reliable() {
            return format!(
                "Measured gap {gap}, but only {:.0} of {} base samples carry the weight, so log Z ({:.3} from the base chain, \
                 {:.3} from the tuned one) is probably too low and the true gap larger; draw more base samples or raise alpha.",
                self.ess_base.round(),
                self.n_base,
                self.log_z.value,
                self.log_z_tuned.value,
            );
        }
        if self.gap.value < 2.0 * self.gap.se || self.gap.value < 0.01 {
            return format!(
                "The chain is at the optimum for alpha {} as far as {} samples can tell: gap {gap}.",
                self.alpha, self.n
            );
        }
        let spent = self.path_kl.value;
        let worth = self.alpha * self.gap.value;
        format!(
            "The chain is {gap} from the optimum for alpha {} ({worth:.4} reward units), having spent {spent:.3} nats.",
            self.alpha
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Seed;

    /// Base N(0, 1), tuned N(m, 1): L = m ε + m²/2 with x = m + ε, cost = m²/2.
    fn shifted(m: f64, reward: impl Fn(f64) -> f64, n: usize) -> (Vec<PathSample>, Vec<f64>) {
        let mut rng = Seed::root(21).child("tuned").rng();
        let tuned = (0..n)
            .map(|_| {
                let noise = rng.normal();
                PathSample { reward: reward(m + noise), log_ratio: m * noise + 0.5 * m * m, cost: 0.5 * m * m }
            })
            .collect();
        let mut rng = Seed::root(21).child("base").rng();
        (tuned, (0..n).map(|_| reward(rng.normal())).collect())
    }

    #[test]
    fn a_linear_reward_has_the_gap_of_two_shifted_gaussians() {
        // r = a x: P* = N(a/α, 1), gap = (m − a/α)²/2, log Z = a²/2α²
        let (a, alpha) = (0.6, 0.8);
        let best = a / alpha;
        for m in [0.0, 0.4, 1.2] {
            let (tuned, base) = shifted(m, |x| a * x, 40_000);
            let certificate = Certificate::new(alpha, &tuned, &base).unwrap();
            assert!(certificate.gap.z(0.5 * (m - best) * (m - best)).abs() < 3.0, "{m}: {certificate:?}");
            assert!(certificate.log_z.z(0.5 * best * best).abs() < 3.0);
            assert!(certificate.log_z_tuned.z(0.5 * best * best).abs() < 3.0);
            assert!(certificate.mean_reward.z(a * m).abs() < 3.0);
            assert!(certificate.gap.se < 0.008 && certificate.is_consistent() && certificate.is_reliable());
        }
        let (tuned, base) = shifted(best, |x| a * x, 40_000);
        let certificate = Certificate::new(alpha, &tuned, &base).unwrap();
        // at the optimum L − r/α is constant: nothing but log Z's error is left, and every weight is equal
        assert!((certificate.gap.se - certificate.log_z.se).abs() < 1e-12);
        assert!((certificate.log_z_tuned.value - 0.5 * best * best).abs() < 1e-12);
        assert!((certificate.ess_tuned_share() - 1.0).abs() < 1e-9);
        assert!(certificate.verdict().contains("at the optimum"), "{}", certificate.verdict());
    }

    #[test]
    fn counts_say_the_same_as_samples() {
        let (tuned, _) = shifted(0.5, |x| 0.6 * x, 500);
        let (rewards, counts) = ([0.3, -1.0, 0.9], [40, 0, 25]);
        let list: Vec<f64> = [vec![0.3; 40], vec![0.9; 25]].concat();
        let (a, b) = (Certificate::counted(0.8, &tuned, &rewards, &counts), Certificate::new(0.8, &tuned, &list));
        let (a, b) = (a.unwrap(), b.unwrap());
        assert_eq!((a.n_base, a.path_kl), (65, b.path_kl));
        for (x, y) in [(a.log_z, b.log_z), (a.gap, b.gap)] {
            assert!((x.value - y.value).abs() < 1e-12 && (x.se - y.se).abs() < 1e-12, "{x} {y}");
        }
        assert!((a.ess_base - b.ess_base).abs() < 1e-9);
        assert!(Certificate::counted(0.8, &tuned, &rewards, &counts[..2]).is_err());
        assert!(Certificate::counted(0.8, &tuned, &[0.3, f64::NAN, 0.9], &[1, 0, 1]).is_ok());
        assert!(Certificate::counted(0.8, &tuned, &[0.3, f64::NAN, 0.9], &[1, 1, 1]).is_err());
    }

    #[test]
    fn a_quadratic_reward_leaves_the_gap_of_two_variances() {
        // r = −(k/2)(x − c)²: P* = N(μ, s²), 1/s² = 1 + k/α, μ = s² k c/α
        let (k, c, alpha, m) = (1.0, 1.5, 0.5, 1.0);
        let s2 = 1.0 / (1.0 + k / alpha);
        let mu = s2 * k * c / alpha;
        let kl = 0.5 * ((1.0 + (m - mu) * (m - mu)) / s2 - 1.0 + f64::ln(s2));
        let (tuned, base) = shifted(m, |x| -0.5 * k * (x - c) * (x - c), 40_000);
        let certificate = Certificate::new(alpha, &tuned, &base).unwrap();
        assert!(certificate.gap.z(kl).abs() < 3.0, "{} against {kl}", certificate.gap);
        assert!(certificate.gap.se < 0.02);
        assert!(certificate.verdict().starts_with("The chain is 0."), "{}", certificate.verdict());
        let json = serde_json::to_string(&certificate).unwrap();
        assert_eq!(serde_json::from_str::<Certificate>(&json).unwrap(), certificate);
    }

    #[test]
    fn a_flipped_sign_is_caught() {
        let (tuned, base) = shifted(1.2, |x| 0.6 * x, 4_000);
        let flipped: Vec<_> = tuned.iter().map(|s| PathSample { log_ratio: -s.log_ratio, ..*s }).collect();
        let certificate = Certificate::new(0.8, &flipped, &base).unwrap();
        assert!(!certificate.is_consistent() && certificate.agreement < -10.0);
        assert!(certificate.verdict().contains("contradict"));
        let noise_flipped: Vec<_> =
            tuned.iter().map(|s| PathSample { log_ratio: 2.0 * s.cost - s.log_ratio, ..*s }).collect();
        // the mean survives, so only log Z from the tuned chain tells
        let certificate = Certificate::new(0.8, &noise_flipped, &base).unwrap();
        assert!(certificate.log_z_disagreement().abs() > 10.0, "{certificate:?}");
        let rewards_flipped: Vec<_> = base.iter().map(|r| r - 3.0).collect();
        assert!(!Certificate::new(0.8, &tuned, &rewards_flipped).unwrap().is_consistent());
    }

    #[test]
    fn a_few_heavy_base_samples_are_called_unreliable() {
        let (tuned, base) = shifted(3.0, |x| x, 500);
        let certificate = Certificate::new(0.2, &tuned, &base).unwrap();
        assert!(!certificate.is_reliable() && certificate.verdict().contains("probably too low"));
        assert!(Certificate::new(0.2, &tuned[..1], &base).is_err());
        assert!(Certificate::new(-0.2, &tuned, &base).is_err());
        assert!(Certificate::new(0.2, &tuned, &[0.0, f64::NAN]).is_err());
    }
}
