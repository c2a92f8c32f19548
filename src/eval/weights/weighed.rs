//! Tuned paths and base paths against each other.

use super::{DefensiveMixture, MISSED_RATIO, PathWeights, Side, Verdict, bennett, defensive, self_normalised};
use crate::error::Result;
use crate::eval::certificate::SMALL_ESS;
use crate::eval::{Estimate, log_mean_exp};
use serde::{Deserialize, Serialize};

/// A path with the tuned chain's log-ratio on it, whichever chain drew it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BasePath {
    /// r/α of its end, in nats.
    pub gain: f64,
    /// `L = log dPᵘ/dP` of the tuned chain on it.
    pub log_ratio: f64,
}

/// What base paths say of the tuned chain: weighted by `e^{r/α}` they are a sample of the optimum P* that no tuned path had a
/// hand in.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct BaseSide {
    /// Number of base paths.
    pub n: usize,
    /// log Ẑ from them, log mean e^{r/α}.
    pub log_z: Estimate,
    /// Effective number of them under P*.
    pub ess: f64,
    /// `E_{P*}[W]`, at least log Z: `log Ẑ + KL(P*‖Pᵘ)`.
    pub upper: Estimate,
    /// log Ẑ from both directions, by Bennett's acceptance ratio.
    pub bennett: Estimate,
    /// log Ẑ from the pool of both.
    pub mixture: DefensiveMixture,
    /// Share of P* where its density is more than [`MISSED_RATIO`] times the tuned chain's.
    pub missed: Estimate,
    /// Share of the tuned paths that lie there.
    pub visited: f64,
}

/// Everything that paths say about log Z, from the tuned chain and, where the tuned control was evaluated on base paths, from both.
///
/// ```text
/// E_u[W] ≤ log Z ≤ E_{P*}[W]         P*(W − log Z > log 100): where the tuned chain hardly ever goes
/// ```
///
/// ```
/// use seqtilt::eval::weights::{BasePath, Verdict, Weighed};
/// // r/α ∈ {0, 2} with even odds under the base; the tuned chain has only ever seen the 0
/// let tuned = vec![BasePath { gain: 0.0, log_ratio: 2.0_f64.ln() }; 1000];
/// let path = |i: usize| match i % 2 {
///     0 => BasePath { gain: 0.0, log_ratio: 2.0_f64.ln() },
///     _ => BasePath { gain: 2.0, log_ratio: -30.0 },
/// };
/// let weighed = Weighed::new(&tuned, &(0..1000).map(path).collect::<Vec<_>>())?;
/// // its own weights are all equal, and its log Z is short of log((1 + e²)/2) by log(1 + e²)
/// assert!((weighed.forward.ess_share() - 1.0).abs() < 1e-9);
/// let short = weighed.base.unwrap().log_z.value - weighed.forward.log_z.value;
/// assert!((short - (1.0 + 2.0_f64.exp()).ln()).abs() < 1e-9);
/// assert!(matches!(weighed.verdict, Verdict::MissesModes { .. }));
/// # Ok::<(), seqtilt::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Weighed {
    /// What the tuned paths say by themselves.
    pub forward: PathWeights,
    /// What base paths say, where the tuned control was evaluated on some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base: Option<BaseSide>,
    /// What to make of it.
    pub verdict: Verdict,
}

impl Weighed {
    /// Of tuned paths, and of base paths, which may be none.
    ///
    /// # Errors
    /// When there are fewer than two tuned paths or exactly one base path, or a number is not finite.
    pub fn new(tuned: &[BasePath], base: &[BasePath]) -> Result<Self> {
        let works = |paths: &[BasePath]| paths.iter().map(|path| path.gain - path.log_ratio).collect::<Vec<f64>>();
        let forward_works = works(tuned);
        let forward = PathWeights::of(&forward_works)?;
        let base = if base.is_empty() {
            None
        } else {
            Some(BaseSide::new(tuned, &forward_works, base, &works(base), &forward)?)
        };
        Ok(Self { verdict: Verdict::of(&forward, base.as_ref()), forward, base })
    }
}

impl BaseSide {
    fn new(
        tuned: &[BasePath],
        forward: &[f64],
        base: &[BasePath],
        reverse: &[f64],
        weights: &PathWeights,
    ) -> Result<Self> {
        let gains: Vec<f64> = base.iter().map(|path| path.gain).collect();
        let pairs = |paths: &[BasePath]| paths.iter().map(|path| (path.gain, path.log_ratio)).collect::<Vec<_>>();
        // two base paths and finite numbers are what the two estimates of log Z ask for
        let both = bennett(&Side::plain(forward), &Side::weighted(reverse, &gains))?;
        let mixture = defensive(&pairs(tuned), &pairs(base))?;
        let from_base = log_mean_exp(&gains);
        let edge = mixture.log_z.value + MISSED_RATIO.ln();
        let beyond: Vec<f64> = reverse.iter().map(|work| f64::from(*work > edge)).collect();
        Ok(Self {
            n: base.len(),
            log_z: from_base.log,
            ess: from_base.ess,
            upper: self_normalised(&gains, reverse),
            bennett: both,
            mixture,
            missed: self_normalised(&gains, &beyond),
            visited: forward.iter().filter(|work| **work > edge).count() as f64 / weights.n as f64,
        })
    }

    /// Whether enough base paths carry weight for what they say to be believed.
    #[must_use]
    pub fn is_reliable(&self) -> bool {
        self.ess >= SMALL_ESS
    }
}
