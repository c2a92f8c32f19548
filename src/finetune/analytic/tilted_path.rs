//! Escorted walks along a path of tilted laws.

use super::density::Density;
use super::{MixtureProblem, Quadratic};
use crate::error::{Error, Result};
use crate::random::Rng;
use serde::{Deserialize, Serialize};
use std::str::FromStr;

/// How the tilt φ is turned on, from `φ_0` at the noise to `φ_1 = r/α`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ramp {
    /// `φ = τ r/α`.
    #[default]
    Line,
    /// `φ = V`, the soft value: with the escort `η ∂V/∂x` nothing is left to weigh.
    Value,
}

impl FromStr for Ramp {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        match name {
            "line" => Ok(Self::Line),
            "value" => Ok(Self::Value),
            _ => Err(Error::usage(format!("unknown ramp `{name}`; accepted: `line`, `value`"))),
        }
    }
}

/// How the weights A are summed up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Weighting {
    /// By their rate in continuous time.
    #[default]
    Rate,
    /// By ratios of step densities, forwards and backwards; the base's density is eliminated through the base's own steps.
    Kernel,
}

/// A drift w that is added to a walk along tilted laws.
pub trait Escort: Send + Sync {
    /// `(w, dw/dx)` at states after `k` steps.
    ///
    /// # Errors
    /// When a tensor operation fails.
    fn escort(&self, path: &TiltedPath, k: usize, x: &[f64]) -> Result<Vec<(f64, f64)>>;
}

/// No escort.
#[derive(Clone, Copy, Debug, Default)]
pub struct Alone;

impl Escort for Alone {
    fn escort(&self, _: &TiltedPath, _: usize, x: &[f64]) -> Result<Vec<(f64, f64)>> {
        Ok(vec![(0.0, 0.0); x.len()])
    }
}

/// The escort `w = η ∂V/∂x`, along the soft value.
#[derive(Clone, Copy, Debug, Default)]
pub struct AlongValue;

impl Escort for AlongValue {
    fn escort(&self, path: &TiltedPath, k: usize, x: &[f64]) -> Result<Vec<(f64, f64)>> {
        let Node { eta, base, tilted, .. } = &path.nodes[k];
        let at = |x: &f64| {
            let (base, tilted) = (base.at(*x), tilted.at(*x));
            (eta * (tilted.slope - base.slope), eta * (tilted.bend - base.bend))
        };
        Ok(x.iter().map(at).collect())
    }
}

/// A path of tilted laws `ρ_τ ∝ p_τ e^{φ_τ}` of a [`MixtureProblem`], walked in K steps of `h = 1/K` with an [`Escort`] w:
///
/// ```text
/// x' = x + h [v + ε (s + ∂φ) + w] + √(2εh) z,   x_0 ~ N(0, 1)       v = κx + ηs,  κ = a'/a,  ε = noise · η
/// dA = [∂φ/∂τ + v ∂φ + ∂w + w (s + ∂φ)] dτ                          (Rate)
/// A  = φ_K(x_K) + Σ log F(x'|x)/B(x|x') − log F_w(x'|x)/B_w(x|x')   (Kernel; B: x' − h (v + w − ε (s + ∂φ)))
/// E[e^A f(x_K)] = Z E*[f]
/// ```
/// The base's velocity v carries the laws p_τ, so that only the tilt's material derivative is work, for any noise and any escort, and
/// no memorylessness is asked for. At w = 0 these are drift and weight of Feynman–Kac correctors (Skreta et al., arXiv 2503.02819); the
/// escorted form is that of Jarzynski and Crooks with a base score and a reward gradient (CMCD, arXiv 2307.01050; NETS, arXiv 2410.02711),
/// derived here for tilting in the frame of arXiv 2605.00229. Unlike the works of a controlled chain, both sums have an error of
/// discretisation of O(h); Z is that of continuous time. One number a state.
///
/// ```
/// use seqtilt::Seed;
/// use seqtilt::finetune::analytic::{AlongValue, Fixture, Interpolant, MixtureProblem, Noise, Ramp, TiltedPath, Weighting};
/// # fn main() -> seqtilt::Result<()> {
/// let fixture = MixtureProblem::fixture(Fixture::C);
/// let problem = MixtureProblem { interpolant: Interpolant::Vp, noise: Noise::Memoryless, ..fixture };
/// let path = TiltedPath::new(&problem, Ramp::Value, 1.0, 50)?;
/// // φ = V and w = η ∂V/∂x: every path has the weight Z, up to what the start is remembered
/// let walked = path.walk(&AlongValue, Weighting::Rate, 100, &mut Seed::root(1).rng(), |_| None)?;
/// assert!(walked.log_weights.iter().all(|a| (a - 0.5309302221).abs() < 0.06));
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct TiltedPath {
    nodes: Vec<Node>,
    reward: Quadratic,
    alpha: f64,
    ramp: Ramp,
    log_z: f64,
}

/// What is known at one time.
#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) tau: f64,
    pub(super) kappa: f64,
    pub(super) eta: f64,
    /// Half the squared noise, ε.
    pub(super) half_noise: f64,
    pub(super) base: Density,
    pub(super) tilted: Density,
}

/// What is known at one state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Local {
    /// v.
    pub(super) velocity: f64,
    /// s.
    pub(super) score: f64,
    /// φ.
    pub(super) tilt: f64,
    /// ∂φ/∂τ.
    pub(super) tilt_rate: f64,
    /// ∂φ/∂x.
    pub(super) tilt_slope: f64,
}

/// Where walks along tilted laws ended.
#[derive(Clone, Debug)]
pub struct Escorted {
    /// Final states.
    pub ends: Vec<f64>,
    /// Their log-weights A; with what was taken out by resampling put back, so that their mean exponential estimates Z.
    pub log_weights: Vec<f64>,
    /// How often was resampled.
    pub resampled: u64,
}

impl TiltedPath {
    /// The path of `steps` steps with `noise` times the memoryless noise, ε = noise · η.
    ///
    /// # Errors
    /// When a number of the problem is out of range, there is no step, or the interpolant's rate is infinite at the noise.
    pub fn new(problem: &MixtureProblem, ramp: Ramp, noise: f64, steps: usize) -> Result<Self> {
        problem.check()?;
        if steps == 0 || !(noise >= 0.0 && noise.is_finite()) {
            let message = format!("{steps} steps with {noise} of the noise; at least 1 and a finite share from 0 on");
            return Err(Error::usage(message));
        }
        let (tilted, log_z) = problem.tilted();
        let nodes = (0..=steps).map(|k| {
            let tau = k as f64 / steps as f64;
            let at = problem.interpolant.at(tau);
            let (kappa, eta) = (at.signal_rate / at.signal, 0.5 * problem.interpolant.memoryless(tau, 0.0));
            if !(kappa.is_finite() && eta.is_finite()) {
                return Err(Error::usage(format!(
                    "the rate of the signal at {tau} is {kappa}; a finite one is accepted"
                ))
                .hint("use the variance-preserving interpolant"));
            }
            let (base, tilted) = (Density::new(&problem.base, at), Density::new(&tilted, at));
            Ok(Node { tau, kappa, eta, half_noise: noise * eta, base, tilted })
        });
        Ok(Self { nodes: nodes.collect::<Result<_>>()?, reward: problem.reward, alpha: problem.alpha, ramp, log_z })
    }

    /// Number of steps, K.
    #[must_use]
    pub fn steps(&self) -> usize {
        self.nodes.len() - 1
    }

    pub(super) fn node(&self, k: usize) -> &Node {
        &self.nodes[k]
    }

    /// `d(r/α)/dx` as slope and offset: it is linear.
    pub(super) fn reward_slope(&self) -> (f64, f64) {
        let Quadratic { slope, curvature, centre } = self.reward;
        (-curvature / self.alpha, (slope + curvature * centre) / self.alpha)
    }

    /// The reward over alpha, in nats.
    #[must_use]
    pub fn gain(&self, x: f64) -> f64 {
        self.reward.at(x) / self.alpha
    }

    pub(super) fn local(&self, k: usize, x: f64) -> Local {
        let node = &self.nodes[k];
        let base = node.base.at(x);
        let velocity = node.kappa * x + node.eta * base.slope;
        let (tilt, tilt_rate, tilt_slope) = match self.ramp {
            Ramp::Line => {
                let (gain, (factor, offset)) = (self.gain(x), self.reward_slope());
                (node.tau * gain, gain, node.tau * (factor * x + offset))
            }
            Ramp::Value => {
                let tilted = node.tilted.at(x);
                (tilted.value - base.value + self.log_z, tilted.rate - base.rate, tilted.slope - base.slope)
            }
        };
        Local { velocity, score: base.slope, tilt, tilt_rate, tilt_slope }
    }

    /// `∂φ/∂τ + v ∂φ + ∂w + w (s + ∂φ)`.
    pub(super) fn work_rate(local: &Local, (w, w_slope): (f64, f64)) -> f64 {
        local.tilt_rate + local.velocity * local.tilt_slope + w_slope + w * (local.score + local.tilt_slope)
    }

    /// The rate at which a state's weight changes after `k` steps: the residual of the equation that a perfect escort solves, but
    /// for the rate of log Z.
    ///
    /// # Errors
    /// As the escort.
    pub fn rates(&self, escort: &dyn Escort, k: usize, x: &[f64]) -> Result<Vec<f64>> {
        let pairs = x.iter().zip(escort.escort(self, k, x)?);
        Ok(pairs.map(|(x, w)| Self::work_rate(&self.local(k, *x), w)).collect())
    }

    /// Walks `count` states from N(0, 1). After every step but the last `select` is shown the log-weights since it last chose, and may
    /// name the rows that go on.
    ///
    /// # Errors
    /// As the escort.
    pub fn walk(
        &self,
        escort: &dyn Escort,
        weighting: Weighting,
        count: usize,
        rng: &mut Rng,
        mut select: impl FnMut(&[f64]) -> Option<Vec<u32>>,
    ) -> Result<Escorted> {
        let (mut taken, mut resampled) = (0.0, 0);
        let end = self.steps();
        let states = self.follow(escort, weighting, count, rng, |k, states, weights| {
            if k < end
                && let Some(rows) = select(weights)
            {
                taken += log_mean(weights);
                resampled += 1;
                *states = rows.iter().map(|row| states[*row as usize]).collect();
                weights.fill(0.0);
                return true;
            }
            false
        })?;
        let log_weights = states.1.into_iter().map(|weight| taken + weight).collect();
        Ok(Escorted { ends: states.0, log_weights, resampled })
    }

    /// The walk itself; `visit` sees, and may change, states and weights at every node, and says whether it did.
    pub(super) fn follow(
        &self,
        escort: &dyn Escort,
        weighting: Weighting,
        count: usize,
        rng: &mut Rng,
        mut visit: impl FnMut(usize, &mut Vec<f64>, &mut Vec<f64>) -> bool,
    ) -> Result<(Vec<f64>, Vec<f64>)> {
        let h = 1.0 / self.steps() as f64;
        let mut x: Vec<f64> = (0..count).map(|_| rng.normal()).collect();
        let mut weights: Vec<f64> = x.iter().map(|x| self.local(0, *x).tilt).collect();
        let mut here = self.locals(escort, 0, &x)?;
        visit(0, &mut x, &mut weights);
        for k in 0..self.steps() {
            let (noise, next_noise) = (self.nodes[k].half_noise, self.nodes[k + 1].half_noise);
            let mut next = Vec::with_capacity(count);
            for (x, (local, w)) in x.iter().zip(&here) {
                let drift = local.velocity + noise * (local.score + local.tilt_slope) + w.0;
                next.push(x + h * drift + (2.0 * noise * h).sqrt() * rng.normal());
            }
            let ahead = self.locals(escort, k + 1, &next)?;
            for (i, weight) in weights.iter_mut().enumerate() {
                let ((from, w), (to, w_next)) = (&here[i], &ahead[i]);
                *weight += match weighting {
                    Weighting::Rate => h * Self::work_rate(from, *w),
                    Weighting::Kernel => {
                        let step = next[i] - x[i];
                        let log = |step: f64, drift: f64, noise: f64| -(step - h * drift).powi(2) / (4.0 * noise * h);
                        let up = |tilt: f64, w: f64| from.velocity + noise * (from.score + tilt) + w;
                        let down = |tilt: f64, w: f64| to.velocity + w - next_noise * (to.score + tilt);
                        to.tilt - from.tilt + log(step, up(0.0, 0.0), noise) - log(step, down(0.0, 0.0), next_noise)
                            + log(step, down(to.tilt_slope, w_next.0), next_noise)
                            - log(step, up(from.tilt_slope, w.0), noise)
                    }
                };
            }
            (x, here) = (next, ahead);
            if visit(k + 1, &mut x, &mut weights) {
                here = self.locals(escort, k + 1, &x)?;
            }
        }
        Ok((x, weights))
    }

    fn locals(&self, escort: &dyn Escort, k: usize, x: &[f64]) -> Result<Vec<(Local, (f64, f64))>> {
        let pairs = x.iter().zip(escort.escort(self, k, x)?);
        Ok(pairs.map(|(x, w)| (self.local(k, *x), w)).collect())
    }
}

/// log (1/n) Σ e^l.
fn log_mean(logs: &[f64]) -> f64 {
    let top = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    top + (logs.iter().map(|log| (log - top).exp()).sum::<f64>() / logs.len() as f64).ln()
}

#[cfg(test)]
mod tests;
