//! The reward that makes KL control solve the problem of another divergence.

use super::divergence::{Divergence, Tilting};
use crate::error::{Error, Result};
use crate::nn::{Pool, read};
use crate::reward::{Multilinear, Reward};
use candle_core::Tensor;
use std::sync::atomic::{AtomicU64, Ordering};

/// A reward whose KL tilt is the tilt of another divergence towards the reward it wraps.
///
/// ```text
/// r_f(x) = α ln g(s),   s = (r(x) − λ)/α,   p exp(r_f/α) = p g(s) = q*        ∇r_f = g'(s)/g(s) ∇r
/// ```
/// Any method for KL control, run at the same α, then ends in the optimum of `E_q[r] − α D_f(q‖p)` (Tang, arXiv 2403.06279). What
/// is paid for is the divergence of the final states' laws, and that of the path laws where the initial law is free. The KL
/// value of the optimum, `α ln E_p[e^(r_f/α)]`, is 0 whatever the divergence.
///
/// λ comes from a [`Tilting`] of base samples. Its error rescales g only; near a pole it would push s beyond, so s is held
/// `10⁻⁶` below `f'(∞)`, or at the best of the tilting's own samples where that is nearer, and each time is counted
/// ([`clamps`](Self::clamps)). Where a divergence truncates, `r_f = −∞`: `ln g` is floored at `ln 10⁻⁶`, or what
/// [`with_floor`](Self::with_floor) says. Where s is held or the floor is reached, r_f is flat and its gradient 0.
///
/// The value is worked out in main memory in f64, so a call reads the wrapped rewards back once.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use seqtilt::finetune::{Surrogate, divergence::{Pearson, Tilting}};
/// use seqtilt::reward::{Multilinear, Reward};
/// let table = Multilinear::new("one letter", &[0.0, 1.0], 2, 1)?;
/// let tilting = Tilting::solve(&[0.0, 1.0], None, 0.5, &Pearson)?;      // λ = ½
/// let surrogate = Surrogate::new(&table, &Pearson, &tilting);
/// let second = Tensor::new(&[[[0.0_f64, 1.0]]], &Device::Cpu)?;
/// let value = surrogate.reward(&second)?.to_vec1::<f64>()?[0];
/// assert!((value - 0.5 * 1.5_f64.ln()).abs() < 1e-15);                  // g(1) = 1 + ½
/// # Ok::<(), seqtilt::Error>(())
/// ```
pub struct Surrogate<'a> {
    reward: &'a dyn Reward,
    divergence: &'a dyn Divergence,
    name: String,
    alpha: f64,
    best: f64,
    /// s of the best reward of the tilting, its distance to the pole, and the least distance that is accepted.
    top: f64,
    distance: f64,
    nearest: f64,
    log_floor: f64,
    seen: AtomicU64,
    clamps: AtomicU64,
    floors: AtomicU64,
}

/// `ln g` is no less than this: `ln 10⁻⁶`.
const LOG_FLOOR: f64 = -13.815_510_557_964_274;

/// s stays this far below a pole where no sample of the tilting was nearer.
const MARGIN: f64 = 1e-6;

/// What became of one reward.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Point {
    /// r_f.
    value: f64,
    /// dr_f/dr.
    slope: f64,
    clamped: bool,
    floored: bool,
}

impl<'a> Surrogate<'a> {
    /// The stand-in for `reward` at the α and λ of `tilting`, which was solved for the same divergence on rewards of base
    /// samples.
    #[must_use]
    pub fn new(reward: &'a dyn Reward, divergence: &'a dyn Divergence, tilting: &Tilting) -> Self {
        Self {
            reward,
            divergence,
            name: format!("{} under {}", reward.name(), divergence.name()),
            alpha: tilting.alpha,
            best: tilting.best_reward(),
            top: tilting.s(tilting.best_reward()),
            distance: tilting.distance_to_pole(),
            nearest: tilting.distance_to_pole().min(MARGIN),
            log_floor: LOG_FLOOR,
            seen: AtomicU64::new(0),
            clamps: AtomicU64::new(0),
            floors: AtomicU64::new(0),
        }
    }

    /// With g no less than `floor`: the share of its prior that a sequence keeps where the divergence would drop it.
    ///
    /// # Errors
    /// When the floor is not above 0 and below 1.
    pub fn with_floor(mut self, floor: f64) -> Result<Self> {
        if !(floor > 0.0 && floor < 1.0) {
            return Err(Error::usage(format!("the floor of a density is {floor}; between 0 and 1 is accepted")));
        }
        self.log_floor = floor.ln();
        Ok(self)
    }

    fn point(&self, reward: f64) -> Point {
        let pole = self.divergence.slope_at_infinity();
        let depth = (self.best - reward) / self.alpha;
        let s = self.top - depth;
        let (log, slope, clamped) = if pole.is_finite() && s > 0.5 * pole {
            // the distance keeps the digits that s loses near the pole
            let distance = self.distance + depth;
            let clamped = distance < self.nearest;
            let slope =
                if clamped { 0.0 } else { self.divergence.log_density_slope(pole - distance.max(f64::EPSILON)) };
            (self.divergence.log_density_below_pole(distance.max(self.nearest)), slope, clamped)
        } else {
            (self.divergence.log_density(s), self.divergence.log_density_slope(s), false)
        };
        let floored = log < self.log_floor;
        let slope = if floored { 0.0 } else { slope };
        Point { value: self.alpha * log.max(self.log_floor), slope, clamped, floored }
    }

    /// r_f of a reward.
    ///
    /// # Errors
    /// When the reward is not a number.
    pub fn value(&self, reward: f64) -> Result<f64> {
        Ok(self.checked(reward)?.value)
    }

    fn checked(&self, reward: f64) -> Result<Point> {
        if reward.is_nan() {
            return Err(Error::data(format!("reward `{}` is NaN for a sequence", self.reward.name())));
        }
        let point = self.point(reward);
        self.seen.fetch_add(1, Ordering::Relaxed);
        self.clamps.fetch_add(u64::from(point.clamped), Ordering::Relaxed);
        self.floors.fetch_add(u64::from(point.floored), Ordering::Relaxed);
        Ok(point)
    }

    /// How many rewards were turned so far.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Of those, how many were held below the pole: many say that λ was found on samples worse than those seen here.
    #[must_use]
    pub fn clamps(&self) -> u64 {
        self.clamps.load(Ordering::Relaxed)
    }

    /// Of those, how many were at the floor.
    #[must_use]
    pub fn floors(&self) -> u64 {
        self.floors.load(Ordering::Relaxed)
    }

    /// r_f of every sequence of a complete table, in f64: its soft value `α ln Σ p g` is exact.
    ///
    /// # Errors
    /// As [`Multilinear::new`].
    pub fn of_table(&self, table: &Multilinear) -> Result<Multilinear> {
        let values = table.values().iter().map(|r| self.value(*r)).collect::<Result<Vec<f64>>>()?;
        Multilinear::new(self.name.clone(), &values, table.letters(), table.length())
    }

    /// [`of_table`](Self::of_table) of the wrapped reward on all V^L sequences, where these can be enumerated.
    ///
    /// # Errors
    /// As [`Multilinear::tabulate`].
    pub fn tabulate(&self, letters: usize, length: usize, pool: &Pool) -> Result<Multilinear> {
        self.of_table(&Multilinear::tabulate(self.reward, letters, length, pool)?)
    }
}

impl Reward for Surrogate<'_> {
    fn is_differentiable(&self) -> bool {
        self.reward.is_differentiable()
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn reward(&self, probs: &Tensor) -> Result<Tensor> {
        let reward = self.reward.reward(probs)?;
        let numbers = read(&[&reward])?.concat();
        let points = numbers.iter().map(|r| self.checked(*r)).collect::<Result<Vec<Point>>>()?;
        let tensor = |number: fn(&Point) -> f64| -> Result<Tensor> {
            let numbers: Vec<f64> = points.iter().map(number).collect();
            Ok(Tensor::from_vec(numbers, reward.shape(), &candle_core::Device::Cpu)?
                .to_dtype(reward.dtype())?
                .to_device(reward.device())?)
        };
        // the bracket is 0 in value and ∇r in slope
        let change = (&reward - reward.detach())?;
        Ok((tensor(|point| point.value)? + (tensor(|point| point.slope)? * change)?)?)
    }
}

#[cfg(test)]
mod tests;
