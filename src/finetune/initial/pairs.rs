//! Initial states and what came of them.

use crate::diffusion::shard_rows;
use crate::error::{Error, Result};
use crate::finetune::{Control, Problem, Rollout};
use crate::nn::{Pool, read};
use crate::random::Seed;
use candle_core::Tensor;

/// Initial states of paths and a target for each, in nats: what a [`ValueFunction`](super::ValueFunction) is fitted to.
pub struct Pairs {
    /// States, (N, …).
    starts: Tensor,
    /// Targets of the rows.
    targets: Vec<f64>,
}

impl Pairs {
    /// `(x_0, r(x_K)/α)` of `count` paths of the base chain, the reward of the end as its value.
    ///
    /// # Errors
    /// When the problem has no alpha, `count` is 0, a reward is not finite, or a tensor operation fails.
    ///
    /// # Cost
    /// One walk of the chain a path; states are held for initial states only.
    pub fn of_base(problem: &Problem<'_>, count: usize, seed: Seed, pool: &Pool) -> Result<Self> {
        Self::walk(problem, None, count, seed, pool)
    }

    /// `(x_0, r(x_K)/α − L)` of `count` paths under a control that starts from the base's initial law; L is the log-ratio with its
    /// stochastic integral, so that under the optimal control a target has no noise left.
    ///
    /// # Errors
    /// As [`of_base`](Self::of_base).
    pub fn on_policy(
        problem: &Problem<'_>,
        control: &dyn Control,
        count: usize,
        seed: Seed,
        pool: &Pool,
    ) -> Result<Self> {
        Self::walk(problem, Some(control), count, seed, pool)
    }

    fn walk(
        problem: &Problem<'_>,
        control: Option<&dyn Control>,
        count: usize,
        seed: Seed,
        pool: &Pool,
    ) -> Result<Self> {
        let (chain, Some(alpha)) = (problem.chain, problem.alpha) else {
            return Err(Error::usage("an initial state has a soft value at a price only; `alpha` is missing"));
        };
        let steps = chain.steps();
        let most = shard_rows(chain.shape().first().copied().unwrap_or(1));
        let parts = pool.map(count.div_ceil(most), |shard| {
            let (rows, seed) = (most.min(count - shard * most), seed.index(shard as u64));
            // no steps: the states that the same noise starts from
            let start = Rollout::draw(chain, None, 0, rows, seed, false)?.last().clone();
            let walked = Rollout::draw(chain, control, steps, rows, seed, false)?;
            let values = problem.terminal.value(steps, walked.last(), problem.alpha)?;
            let numbers = read(&[&values, &walked.log_ratio])?;
            let targets = numbers[0].iter().zip(&numbers[1]).map(|(r, nats)| r / alpha - nats);
            Ok((start, targets.collect::<Vec<f64>>()))
        })?;
        let (starts, targets): (Vec<Tensor>, Vec<Vec<f64>>) = parts.into_iter().unzip();
        let targets = targets.concat();
        if targets.is_empty() || targets.iter().any(|target| !target.is_finite()) {
            let bad = targets.iter().filter(|target| !target.is_finite()).count();
            return Err(Error::data(format!("{bad} of {} paths end in a value that is not finite", targets.len())));
        }
        Ok(Self { starts: Tensor::cat(&starts, 0)?, targets })
    }

    /// States, (N, …).
    #[must_use]
    pub fn starts(&self) -> &Tensor {
        &self.starts
    }

    /// Targets, in nats.
    #[must_use]
    pub fn targets(&self) -> &[f64] {
        &self.targets
    }

    /// `(Σw)²/Σw²` of the weights `w = e^target`: of how many base paths the log of their mean is really made.
    #[must_use]
    pub fn effective(&self) -> f64 {
        let top = self.targets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let weights = self.targets.iter().map(|target| (target - top).exp());
        let (sum, squares) = weights.fold((0.0, 0.0), |(sum, squares), w| (sum + w, squares + w * w));
        sum * sum / squares
    }

    /// `log (1/N) Σ e^target`.
    #[must_use]
    pub fn log_mean_exp(&self) -> f64 {
        let top = self.targets.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        top + (self.targets.iter().map(|target| (target - top).exp()).sum::<f64>() / self.targets.len() as f64).ln()
    }

    /// The mean target.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.targets.iter().sum::<f64>() / self.targets.len() as f64
    }

    /// The targets' standard deviation.
    #[must_use]
    pub fn spread(&self) -> f64 {
        let mean = self.mean();
        let squares: f64 = self.targets.iter().map(|target| (target - mean).powi(2)).sum();
        (squares / self.targets.len() as f64).sqrt()
    }

    /// States and targets of `count` rows drawn with replacement.
    ///
    /// # Errors
    /// When the tensor operation fails.
    pub(super) fn draw(&self, count: usize, seed: Seed) -> Result<(Tensor, Tensor)> {
        let mut rng = seed.rng();
        let rows: Vec<u32> = (0..count).map(|_| rng.below(self.targets.len()) as u32).collect();
        let targets: Vec<f64> = rows.iter().map(|row| self.targets[*row as usize]).collect();
        let rows = Tensor::from_vec(rows, count, self.starts.device())?;
        let targets = Tensor::from_vec(targets, count, self.starts.device())?.to_dtype(self.starts.dtype())?;
        Ok((self.starts.index_select(&rows, 0)?, targets))
    }
}
