//! Training a consistency model from its prior alone.

use super::{Consistency, DistilConfig, Flow, begin};
use crate::diffusion::{Codec, Prior, SampleConfig, Scales, sample};
use crate::error::{Error, Result};
use crate::nn::{
    AdamWConfig, Figures, Gradients, Learner, Learnt, Params, Pool, Tensors, Training, gradients, over_shards, softmax,
};
use crate::random::{Rng, Seed};
use crate::sequence::Sequence;
use candle_core::{D, Device, Tensor};
use std::sync::Arc;

/// The training run of a [`Consistency`]: f at a state follows f's own average where the prior's ODE takes that state next.
///
/// ```text
/// z_λ = signal E[x] + noise ε,   z_λ' = some steps of the frozen prior's ODE from z_λ,   λ' = min(λ + skip h, λ_K)
/// loss = E (1/L) Σ_i KL( f_ψ̄(z_λ', λ')_i ‖ f_ψ(z_λ, λ)_i ),   ψ̄ ← γ ψ̄ + (1 − γ) ψ
/// ```
/// Consistency distillation, Song et al. 2023 (arXiv 2303.01469, algorithm 2), with skipped steps as in Luo et al. 2023
/// (arXiv 2310.04378). Departures: the distance is the divergence of letter probabilities; λ is uniform over the walk, not on a
/// grid; no data are needed: x are samples of the prior, some of whose letters are drawn anew in a share of the rows
/// ([`DistilConfig::astray`]), since the states that f is asked about under control are not the prior's.
pub struct Distilling<'a> {
    prior: Arc<Prior>,
    config: DistilConfig,
    sequences: Vec<Sequence>,
    seed: Seed,
    pool: &'a Pool,
    device: Device,
    learner: Learner,
}

/// What rows are made of: letters, noise levels, noise.
struct Drawn {
    sequences: Vec<Sequence>,
    log_snrs: Vec<f64>,
    noise: Vec<f32>,
}

impl<'a> Distilling<'a> {
    /// A run at step 0 that begins with the weights of the prior, where it has those of a transformer.
    ///
    /// # Errors
    /// When a number of the configuration is out of range or a tensor operation fails.
    ///
    /// # Cost
    /// `samples` sequences of the prior at its own number of steps.
    pub fn new(prior: Arc<Prior>, weights: &Tensors, config: DistilConfig, seed: Seed, pool: &'a Pool) -> Result<Self> {
        config.check()?;
        let device = prior.device().clone();
        let sequences = sample(&prior, &SampleConfig::default(), config.samples, seed.child("samples"), pool)?;
        let params = Params::trainable(seed.child("weights"), prior.codec().table().dtype(), &device);
        Consistency::new(Arc::clone(&prior), &params)?;
        begin(&params, weights)?;
        let (lr, weight_decay) = (config.learning_rate, config.weight_decay);
        let settings = AdamWConfig { lr, weight_decay, clip_norm: Some(1.0), ..AdamWConfig::default() };
        let learner = Learner::new(params, settings, config.ema, config.steps)?;
        Ok(Self { prior, config, sequences, seed, pool, device, learner })
    }

    /// The model with the averaged weights so far.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn consistency(&self) -> Result<Consistency> {
        Consistency::new(Arc::clone(&self.prior), &Params::frozen(self.weights(), &self.device))
    }

    /// The states of a shard and their levels.
    fn draw(&self, seed: Seed, rows: usize) -> Result<Drawn> {
        let shape = self.prior.config();
        let mut rng = seed.rng();
        let sequences = (0..rows)
            .map(|_| {
                let chosen = &self.sequences[rng.below(self.sequences.len())];
                if rng.uniform() < self.config.astray { self.strayed(chosen, &mut rng) } else { Ok(chosen.clone()) }
            })
            .collect::<Result<_>>()?;
        let (first, last) = shape.walk();
        let share = |row: usize, uniform: f64| (row as f64 + uniform) / rows as f64;
        let log_snrs = (0..rows).map(|row| first + (last - first) * share(row, rng.uniform())).collect();
        Ok(Drawn { sequences, log_snrs, noise: rng.normals(rows * shape.length * shape.embedding_dim) })
    }

    /// A sequence with a random share of its letters drawn anew.
    fn strayed(&self, x: &Sequence, rng: &mut Rng) -> Result<Sequence> {
        let (alphabet, share) = (self.prior.alphabet().plain(), rng.uniform());
        let letter = |id: &u8| if rng.uniform() < share { rng.below(alphabet.len()) as u8 } else { *id };
        let ids: Vec<u8> = x.ids().iter().map(letter).collect();
        Sequence::from_ids(ids, &alphabet)
    }

    /// The gradient of one shard's share of the loss, and the loss of its rows.
    fn loss(&self, target: &Consistency, seed: Seed, rows: usize) -> Result<(Gradients, Tensor)> {
        let student = Consistency::new(Arc::clone(&self.prior), self.learner.params())?;
        let losses = self.losses(&student, target, seed, rows)?;
        let loss = (losses.sum_all()? / self.config.batch as f64)?;
        Ok((gradients(&loss, &self.learner.params().vars())?, losses.detach()))
    }

    /// The losses of a shard's rows.
    fn losses(&self, student: &Consistency, target: &Consistency, seed: Seed, rows: usize) -> Result<Tensor> {
        let (z, log_snrs) = self.states(self.draw(seed, rows)?)?;
        let (ahead, levels) = self.follow(&z, &log_snrs)?;
        let wanted = target.logits_at(&ahead, &levels)?.detach();
        Ok(divergence(&wanted, &student.logits_at(&z, &log_snrs)?)?.mean(1)?)
    }

    /// The noisy points of some rows, and their levels.
    fn states(&self, drawn: Drawn) -> Result<(Tensor, Vec<f64>)> {
        let Drawn { sequences, log_snrs, noise } = drawn;
        let (rows, dtype) = (sequences.len(), self.prior.codec().table().dtype());
        let refs: Vec<&Sequence> = sequences.iter().collect();
        let ids = Codec::ids(&refs, self.prior.alphabet(), self.prior.config().length, &self.device)?;
        let column = |pick: fn(Scales) -> f64| -> Result<Tensor> {
            let values: Vec<f64> = log_snrs.iter().map(|log_snr| pick(Scales::at_log_snr(*log_snr))).collect();
            Ok(Tensor::from_vec(values, (rows, 1, 1), &self.device)?.to_dtype(dtype)?)
        };
        let clean = self.prior.codec().embed(&ids, rows)?;
        let noise = Tensor::from_vec(noise, clean.shape(), &self.device)?.to_dtype(dtype)?;
        let z = (clean.broadcast_mul(&column(|s| s.signal)?)? + noise.broadcast_mul(&column(|s| s.noise)?)?)?.detach();
        Ok((z, log_snrs))
    }

    /// Where the ODE takes every row in `skip` steps, but no further than the decode.
    fn follow(&self, z: &Tensor, log_snrs: &[f64]) -> Result<(Tensor, Vec<f64>)> {
        let (first, last) = self.prior.config().walk();
        let step = (last - first) / self.config.ode_steps as f64;
        let flow = Flow::new(&self.prior);
        let (mut z, mut levels) = (z.clone(), log_snrs.to_vec());
        for _ in 0..self.config.skip {
            let next: Vec<f64> = levels.iter().map(|level| (level + step).min(last)).collect();
            z = flow.step(&z, &levels, &next)?;
            levels = next;
        }
        Ok((z.detach(), levels))
    }
}

/// Σ_v p (log p − log q) of the letters of two logits: (B, L, V) → (B, L).
pub(super) fn divergence(wanted: &Tensor, got: &Tensor) -> Result<Tensor> {
    let p = softmax(wanted)?;
    let difference = (log_softmax(wanted)? - log_softmax(got)?)?;
    Ok((p * difference)?.sum(D::Minus1)?)
}

/// log softmax over the last dimension.
pub(super) fn log_softmax(logits: &Tensor) -> Result<Tensor> {
    let shifted = logits.broadcast_sub(&logits.max_keepdim(D::Minus1)?.detach())?;
    Ok(shifted.broadcast_sub(&shifted.exp()?.sum_keepdim(D::Minus1)?.log()?)?)
}

impl Training for Distilling<'_> {
    fn total(&self) -> u64 {
        self.config.steps
    }

    fn done(&self) -> u64 {
        self.learner.done()
    }

    fn step(&mut self) -> Result<Figures> {
        let seed = self.seed.child("step").index(self.done());
        let (batch, shard) = (self.config.batch, self.config.shard.min(self.config.batch));
        let target = self.consistency()?;
        let (sums, rows) = over_shards(self.pool, batch.div_ceil(shard), |i| {
            self.loss(&target, seed.index(i as u64), shard.min(batch - i * shard))
        })?;
        let next = self.done() + 1;
        let rows: Vec<&Tensor> = rows.iter().collect();
        let Learnt { figures: loss, norm, rate } = self.learner.learn(&sums, self.pool, &rows, |rows| {
            let loss = rows.iter().flatten().sum::<f64>() / batch as f64;
            if loss.is_finite() {
                return Ok(loss);
            }
            Err(Error::device(format!("the loss is {loss} at step {next}"))
                .hint("lower the learning rate and run again with --resume"))
        })?;
        Ok(vec![("loss", loss), ("gradient_norm", norm), ("learning_rate", rate)])
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::PriorConfig;
    use crate::nn::check;
    use crate::sequence::Alphabet;

    #[test]
    fn the_loss_has_a_slope_in_the_student_alone() {
        let mut shape = PriorConfig::new(&Alphabet::dna(), 2);
        shape.denoiser = crate::diffusion::DenoiserConfig { dim: 8, layers: 1, heads: 2 };
        let source = check::params();
        Prior::new(&shape, &source).unwrap();
        let source = source.snapshot().unwrap();
        let prior = Arc::new(Prior::new(&shape, &Params::frozen(source, &Device::Cpu)).unwrap());
        let config = DistilConfig { batch: 8, samples: 16, ode_steps: 4, skip: 2, ..DistilConfig::default() };
        let pool = Pool::new(1).unwrap();
        let job = Distilling::new(Arc::clone(&prior), &Tensors::new(), config, Seed::root(1), &pool).unwrap();
        check::shake(job.learner.params());
        // a target that could be trained, were it not cut off
        let average = Params::trainable_from(job.learner.params().snapshot().unwrap(), &Device::Cpu);
        let target = Consistency::new(Arc::clone(&prior), &average).unwrap();
        let student = Consistency::new(prior, job.learner.params()).unwrap();
        let losses = job.losses(&student, &target, Seed::root(2), 8).unwrap();
        let loss = losses.sum_all().unwrap();
        gradients(&loss, &job.learner.params().vars()).unwrap().check_complete().unwrap();
        let into_target = gradients(&loss, &average.vars()).unwrap();
        assert!(into_target.iter().len() > 10 && into_target.iter().all(|(_, gradient)| gradient.is_none()));
        let (z, log_snrs) = job.states(job.draw(Seed::root(2), 8).unwrap()).unwrap();
        let (ahead, levels) = job.follow(&z, &log_snrs).unwrap();
        let (first, last) = job.prior.config().walk();
        for (from, to) in log_snrs.iter().zip(&levels) {
            assert!((to - (from + 0.5 * (last - first)).min(last)).abs() < 1e-12, "{from} {to}");
        }
        let letters = |logits: Tensor| softmax(&logits).unwrap().flatten_all().unwrap().to_vec1::<f64>().unwrap();
        let p = letters(target.logits_at(&ahead, &levels).unwrap());
        let q = letters(student.logits_at(&z, &log_snrs).unwrap());
        let by_hand: f64 = p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum::<f64>() / 2.0;
        let loss = loss.to_scalar::<f64>().unwrap();
        assert!((loss - by_hand).abs() < 1e-10 * by_hand, "{loss} {by_hand}");
    }

    #[test]
    fn the_divergence_is_that_of_letter_probabilities_and_0_at_the_target() {
        let (p, q) = ([0.5_f64, 0.3, 0.2], [0.2_f64, 0.2, 0.6]);
        let logits = |p: [f64; 3], shift: f64| Tensor::new(&[[p.map(|p| p.ln() + shift)]], &Device::Cpu).unwrap();
        let exact: f64 = p.iter().zip(q).map(|(p, q)| p * (p / q).ln()).sum();
        let found = divergence(&logits(p, 3.0), &logits(q, -900.0)).unwrap().to_vec2::<f64>().unwrap()[0][0];
        assert!((found - exact).abs() < 1e-12, "{found} {exact}");
        assert!(divergence(&logits(p, 1.0), &logits(p, 0.0)).unwrap().to_vec2::<f64>().unwrap()[0][0].abs() < 1e-14);
        let wanted = logits(p, 0.0);
        check::input(&logits(q, 0.0), |q| divergence(&wanted, q));
    }
}
