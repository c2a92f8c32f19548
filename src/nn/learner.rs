//! Parameters, their optimiser and their running average, as one.

use super::{AdamW, AdamWConfig, Ema, Gradients, Params, Pool, Tensors, learning_rate, sum_gradients};
use crate::error::Result;
use candle_core::Tensor;

/// What every training run carries from step to step.
pub struct Learner {
    params: Params,
    optimiser: AdamW,
    ema: Ema,
    peak: f64,
    total: u64,
    done: u64,
}

/// What a step of a [`Learner`] answers.
#[derive(Clone, Copy, Debug)]
pub struct Learnt<T> {
    /// What the check made of the figures.
    pub figures: T,
    /// The gradient's length before clipping.
    pub norm: f64,
    /// The learning rate that was used.
    pub rate: f64,
}

impl Learner {
    /// A learner at step 0 of `total`; `params` must already hold every parameter.
    ///
    /// # Errors
    /// When `ema` is out of range or a weight cannot be copied.
    pub fn new(params: Params, config: AdamWConfig, ema: f64, total: u64) -> Result<Self> {
        let ema = Ema::new(&params, ema)?;
        Ok(Self { peak: config.lr, optimiser: AdamW::new(params.vars(), config), ema, params, total, done: 0 })
    }

    /// The same with the parameters below `name` learning at so many times the rate of the others.
    #[must_use]
    pub fn with_share(self, name: &str, share: f64) -> Self {
        Self { optimiser: self.optimiser.with_share(name, share), ..self }
    }

    /// The parameters being trained.
    #[must_use]
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// The same parameters held fixed; shares their storage, so it is only good until the next [`learn`](Self::learn).
    #[must_use]
    pub fn held(&self) -> Params {
        let held = self.params.vars().into_iter().map(|(name, var)| (name, var.as_detached_tensor())).collect();
        Params::frozen(held, self.params.device())
    }

    /// The averaged weights.
    #[must_use]
    pub fn weights(&self) -> &Tensors {
        self.ema.weights()
    }

    /// Steps taken.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.done
    }

    /// Steps in total.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// One optimiser step with the sum of the shards' gradients. The step's figures are read back together with the gradient's
    /// norm, the only transfer from a device in a step, and shown to `check` before anything is changed.
    ///
    /// # Errors
    /// That of `check`, or when a gradient is missing or not finite; nothing is changed then.
    pub fn learn<T>(
        &mut self,
        shards: &[Gradients],
        pool: &Pool,
        figures: &[&Tensor],
        check: impl FnOnce(Vec<Vec<f64>>) -> Result<T>,
    ) -> Result<Learnt<T>> {
        let rate = learning_rate(self.peak, self.done, self.total);
        let gradients = sum_gradients(shards, pool)?;
        let (norm, figures) = gradients.norm_with(figures, pool)?;
        let figures = check(figures)?;
        self.optimiser.step_at(&gradients, norm, rate, pool)?;
        self.ema.update(&self.params, pool)?;
        self.done += 1;
        Ok(Learnt { figures, norm, rate })
    }

    /// Everything needed to go on.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn state(&self) -> Result<Tensors> {
        let groups = [
            ("weights", self.params.snapshot()?),
            ("adam", self.optimiser.state()?),
            ("ema", self.ema.weights().clone()),
        ];
        let named = groups.into_iter().flat_map(|(group, tensors)| {
            tensors.into_iter().map(move |(name, tensor)| (format!("{group}/{name}"), tensor))
        });
        Ok(named.collect())
    }

    /// Takes over a [`state`](Self::state) after `done` steps.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn restore(&mut self, done: u64, state: &Tensors) -> Result<()> {
        let group = |name: &str| -> Tensors {
            let prefix = format!("{name}/");
            state.iter().filter_map(|(k, t)| Some((k.strip_prefix(&prefix)?.to_owned(), t.clone()))).collect()
        };
        self.params.restore(&group("weights"))?;
        self.optimiser.restore(&group("adam"))?;
        self.ema.restore(&group("ema"))?;
        self.done = done;
        Ok(())
    }
}
