//! Fitting the value of initial states.

use super::{Pairs, Scale, ValueConfig, ValueFunction};
use crate::error::{Error, Result};
use crate::nn::{AdamWConfig, Figures, Learner, Params, Pool, Tensors, Training, gradients, over_shards};
use crate::random::Seed;
use candle_core::Tensor;

/// What a value is fitted by, with the residual `z = (r(x_K) − v(x_0))/α`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueLoss {
    /// `E[e^z − 1 − z]`, which is least at `v = α log E[e^{r/α} | x_0]`: nothing overflows, nothing has to be positive. Above a
    /// clip c it goes on linearly, `e^c (1 + z − c) − 1 − z`, and the residuals start out divided by an annealed factor.
    Linex,
    /// `E[z²]`, for returns of which the mean is wanted.
    Squares,
}

/// Pairs a shard.
const SHARD: usize = 1024;

/// Decay of the averaged weights.
const EMA: f64 = 0.95;

/// A regression of a [`ValueFunction`] on [`Pairs`].
pub struct Regression<'a> {
    config: ValueConfig,
    loss: ValueLoss,
    alpha: f64,
    shape: Vec<usize>,
    pairs: Pairs,
    effective: f64,
    scale: Scale,
    seed: Seed,
    pool: &'a Pool,
    learner: Learner,
}

impl<'a> Regression<'a> {
    /// A regression at step 0; weights are named below `value`.
    ///
    /// # Errors
    /// When the log-domain loss would rest on too few effective paths: its bias grows as alpha shrinks, and no network mends it.
    pub fn new(
        config: ValueConfig,
        loss: ValueLoss,
        alpha: f64,
        pairs: Pairs,
        seed: Seed,
        pool: &'a Pool,
    ) -> Result<Self> {
        let (effective, paths) = (pairs.effective(), pairs.targets().len());
        if loss == ValueLoss::Linex && effective < config.effective {
            return Err(Error::usage(format!(
                "the value of initial states would rest on {effective:.1} effective ones of {paths} base paths; at least {} \
                 are needed",
                config.effective
            ))
            .hint("use the route `staged-v2`, which learns it from controlled paths, or a larger alpha"));
        }
        let starts = pairs.starts();
        let (shape, dtype, device) = (starts.dims()[1..].to_vec(), starts.dtype(), starts.device().clone());
        let level = match loss {
            ValueLoss::Linex => pairs.log_mean_exp(),
            ValueLoss::Squares => pairs.mean(),
        };
        let scale = Scale { level, unit: pairs.spread().max(1e-6) };
        let params = Params::trainable(seed.child("weights"), dtype, &device);
        ValueFunction::new(&params.child("value"), &shape, config.width, alpha, scale)?;
        let settings =
            AdamWConfig { lr: config.learning_rate, beta2: 0.99, clip_norm: Some(10.0), ..AdamWConfig::default() };
        let learner = Learner::new(params, settings, EMA, config.updates)?;
        Ok(Self { config, loss, alpha, shape, pairs, effective, scale, seed, pool, learner })
    }

    /// The effective number of paths, `(Σw)²/Σw²` with `w = e^target`.
    #[must_use]
    pub fn effective(&self) -> f64 {
        self.effective
    }

    /// The value with the averaged weights so far.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn value(&self) -> Result<ValueFunction> {
        self.on(&Params::frozen(self.weights(), self.learner.params().device()))
    }

    fn on(&self, params: &Params) -> Result<ValueFunction> {
        ValueFunction::new(&params.child("value"), &self.shape, self.config.width, self.alpha, self.scale)
    }

    /// What residuals are divided by at present.
    fn heat(&self) -> f64 {
        let share = (2.0 * self.done() as f64 / self.total() as f64).min(1.0);
        self.config.anneal.powf(1.0 - share)
    }

    /// Losses (B,) of residuals (B,).
    pub(super) fn losses(&self, z: &Tensor) -> Result<Tensor> {
        Ok(match self.loss {
            ValueLoss::Squares => z.sqr()?,
            ValueLoss::Linex => {
                let z = (z / self.heat())?;
                let low = z.minimum(self.config.clip)?;
                // e^c (1 + z − c) where z is above c, e^z elsewhere
                ((low.exp()? * ((&z - &low)? + 1.0)?)? - (z + 1.0)?)?
            }
        })
    }
}

impl Training for Regression<'_> {
    fn total(&self) -> u64 {
        self.learner.total()
    }

    fn done(&self) -> u64 {
        self.learner.done()
    }

    fn step(&mut self) -> Result<Figures> {
        let (batch, vars) = (self.config.batch, self.learner.params().vars());
        let seed = self.seed.child("step").index(self.done());
        let (sums, losses) = over_shards(self.pool, batch.div_ceil(SHARD), |i| {
            let (x, targets) = self.pairs.draw(SHARD.min(batch - i * SHARD), seed.index(i as u64))?;
            let residuals = (targets - self.on(self.learner.params())?.nats(&x)?)?;
            let loss = (self.losses(&residuals)?.sum_all()? / batch as f64)?;
            Ok((gradients(&loss, &vars)?, loss.detach()))
        })?;
        let losses: Vec<&Tensor> = losses.iter().collect();
        let learnt = self.learner.learn(&sums, self.pool, &losses, |rows| Ok(rows.iter().flatten().sum::<f64>()))?;
        Ok(vec![
            ("loss", learnt.figures),
            ("effective_paths", self.effective),
            ("gradient_norm", learnt.norm),
            ("learning_rate", learnt.rate),
        ])
    }

    fn state(&self) -> Result<Tensors> {
        self.learner.state()
    }

    fn restore(&mut self, done: u64, state: &Tensors) -> Result<()> {
        self.learner.restore(done, state)
    }

    fn weights(&self) -> Tensors {
        self.learner.weights().clone()
    }
}
