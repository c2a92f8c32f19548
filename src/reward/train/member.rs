//! One member while it is trained.

use super::batch::{Batch, Rows};
use super::{Loss, TrainConfig};
use crate::error::{Error, Result};
use crate::nn::{AdamW, AdamWConfig, Ema, Params, Pool, Tensors, gradients};
use crate::random::Seed;
use crate::reward::ensemble::{EnsembleConfig, member_name};
use crate::reward::{Domain, Member};
use candle_core::{DType, Device, Tensor};

/// A network, its optimiser, and how far it is.
#[derive(Debug)]
pub(super) struct Trainee {
    seed: Seed,
    params: Params,
    member: Member,
    optimiser: AdamW,
    average: Option<Ema>,
    config: TrainConfig,
    pool: Vec<usize>,
    epoch: Option<(u64, Vec<usize>)>,
    done: u64,
}

impl Trainee {
    pub(super) fn new(
        seed: Seed,
        index: usize,
        domain: &Domain,
        ensemble: &EnsembleConfig,
        config: &TrainConfig,
        rows: &Rows,
    ) -> Result<Self> {
        let root = Params::trainable(seed.child("weights"), DType::F32, &Device::Cpu);
        let params = root.child(&member_name(index));
        let member = Member::new(&params, &ensemble.architecture, domain, ensemble.both_strands)?;
        let seed = seed.child("member").index(index as u64);
        let mut pool: Vec<usize> = (0..rows.len()).collect();
        if config.bootstrap {
            let mut rng = seed.child("bootstrap").rng();
            pool = (0..rows.len()).map(|_| rng.below(rows.len())).collect();
        }
        let settings = AdamWConfig {
            lr: config.learning_rate,
            weight_decay: config.weight_decay,
            clip_norm: Some(config.clip_norm),
            ..AdamWConfig::default()
        };
        let average = if config.average > 0.0 { Some(Ema::new(&params, config.average)?) } else { None };
        let optimiser = AdamW::new(params.vars(), settings);
        Ok(Self { seed, params, member, optimiser, average, config: config.clone(), pool, epoch: None, done: 0 })
    }

    /// Trains up to step `until`; the mean loss of the steps made.
    pub(super) fn advance(&mut self, rows: &Rows, until: u64) -> Result<f64> {
        let total = self.config.steps(rows.len());
        let mut sum = 0.0;
        let made = until.saturating_sub(self.done).max(1) as f64;
        while self.done < until {
            let step = self.done;
            let chosen = self.rows_of(step);
            let batch = rows.batch(&chosen, &mut self.seed.child("noise").index(step).rng())?;
            let loss = self.loss(&batch)?;
            sum += f64::from(loss.to_scalar::<f32>()?);
            let gradients = gradients(&loss, &self.params.vars())?;
            self.optimiser.step(&gradients, self.config.rate(step, total), Pool::inline()).map_err(|error| {
                Error::device(format!("training stopped at step {step} of {total}"))
                    .because(error)
                    .hint("lower the learning rate")
            })?;
            if let Some(average) = &mut self.average {
                average.update(&self.params, Pool::inline())?;
            }
            self.done += 1;
        }
        Ok(sum / made)
    }

    /// The rows of a step: a slice of its epoch's order.
    fn rows_of(&mut self, step: u64) -> Vec<usize> {
        let batch = self.config.batch;
        let steps = self.pool.len().div_ceil(batch) as u64;
        let (epoch, place) = (step / steps, (step % steps) as usize);
        let order = match self.epoch.take() {
            Some((current, order)) if current == epoch => order,
            _ => {
                let mut order = self.pool.clone();
                self.seed.child("order").index(epoch).rng().shuffle(&mut order);
                order
            }
        };
        let chosen = order[place * batch..order.len().min((place + 1) * batch)].to_vec();
        self.epoch = Some((epoch, order));
        chosen
    }

    fn loss(&self, batch: &Batch) -> Result<Tensor> {
        let predicted = self.member.forward(&batch.probs)?;
        let error = (&predicted - &batch.targets)?;
        let each = match self.config.loss {
            Loss::Squared => (error.sqr()? * 0.5)?,
            Loss::Huber(delta) => {
                let small = error.clamp(-delta, delta)?;
                // ½ s² + δ (|e| − |s|), where s is e cut at ±δ
                ((small.sqr()? * 0.5)? + ((error.abs()? - small.abs()?)? * delta)?)?
            }
        };
        let loss = (each * &batch.weights)?.mean_all()?;
        if self.config.ranking == 0.0 {
            return Ok(loss);
        }
        Ok((loss + (ranking(&predicted, &batch.targets)? * self.config.ranking)?)?)
    }

    /// The weights that will be kept.
    pub(super) fn weights(&self) -> Result<Tensors> {
        match &self.average {
            Some(average) => Ok(average.weights().clone()),
            None => self.params.snapshot(),
        }
    }

    /// Everything needed to go on.
    pub(super) fn state(&self) -> Result<Tensors> {
        let named = |prefix: &'static str, tensors: Tensors| {
            tensors.into_iter().map(move |(name, tensor)| (format!("{prefix}/{name}"), tensor))
        };
        let mut state: Tensors = named("weights", self.params.snapshot()?).collect();
        state.extend(named("optimiser", self.optimiser.state()?));
        if let Some(average) = &self.average {
            state.extend(named("average", average.weights().clone()));
        }
        Ok(state)
    }

    pub(super) fn restore(&mut self, done: u64, state: &Tensors) -> Result<()> {
        let part = |prefix: &str| -> Tensors {
            let own =
                state.iter().filter_map(|(name, tensor)| Some((name.strip_prefix(prefix)?.to_owned(), tensor.clone())));
            own.collect()
        };
        self.params.restore(&part("weights/"))?;
        self.optimiser.restore(&part("optimiser/"))?;
        if let Some(average) = &mut self.average {
            average.restore(&part("average/"))?;
        }
        self.done = done;
        Ok(())
    }
}

/// Mean over the pairs of a batch with y_i > y_j of log(1 + exp(−(z_i − z_j))).
fn ranking(predicted: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let pairs = |x: &Tensor| -> Result<Tensor> { Ok(x.unsqueeze(1)?.broadcast_sub(&x.unsqueeze(0)?)?) };
    let wins = pairs(targets)?.gt(0.0)?.to_dtype(predicted.dtype())?;
    let margin = pairs(predicted)?;
    // log(1 + exp(−m)) = max(−m, 0) + log(1 + exp(−|m|))
    let each = (margin.neg()?.relu()? + (margin.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
    let count = wins.sum_all()?.to_dtype(DType::F64)?.to_scalar::<f64>()?.max(1.0);
    Ok(((each * wins)?.sum_all()? / count)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ranking_loss_is_the_mean_over_ordered_pairs() {
        let z = Tensor::new(&[1.0_f64, 0.0, 2.0], &Device::Cpu).unwrap();
        let y = Tensor::new(&[0.0_f64, 0.0, 1.0], &Device::Cpu).unwrap();
        // two pairs: (2, 0) with margin 1 and (2, 1) with margin 2
        let want = f64::midpoint((1.0 + (-1.0_f64).exp()).ln(), (1.0 + (-2.0_f64).exp()).ln());
        let got = ranking(&z, &y).unwrap().to_scalar::<f64>().unwrap();
        assert!((got - want).abs() < 1e-12, "{got} against {want}");
        crate::nn::check::input(&z, |z| ranking(z, &y)?.reshape(1).map_err(Into::into));
    }
}
