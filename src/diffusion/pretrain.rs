//! Training a prior.

use super::sites::SITES;
use super::{Codec, PretrainConfig, Prior, PriorConfig, Scales, Warp, sites};
use crate::error::{Error, Result};
use crate::nn::{
    AdamWConfig, Figures, Gradients, Learner, Learnt, Params, Pool, Tensors, Training, cross_entropy, gradients,
    over_shards, recompute,
};
use crate::random::Seed;
use crate::sequence::{Alphabet, Sequence};
use candle_core::{DType, Device, Tensor};

/// The training run of a [`Prior`]: cross-entropy of the clean letters at random noise levels.
///
/// ```text
/// loss = E_{x, λ, ε} − (1/L) Σ_i log p(x_i | z_λ),   λ drawn where the loss changes (Warp)
/// ```
/// Dieleman et al. 2022 (arXiv 2211.15089). Departure: the denoiser learns only what the context adds to the closed-form
/// letter posterior of each position (see [`Denoiser`](super::Denoiser)).
pub struct Pretraining<'a> {
    shape: PriorConfig,
    config: PretrainConfig,
    data: &'a [Sequence],
    seed: Seed,
    pool: &'a Pool,
    device: Device,
    learner: Learner,
    /// Whether the shards of a step, with the draws that are theirs, share one graph: a device wants large ones.
    joined: bool,
    recompute: bool,
}

/// What rows are made of: letters, noise levels, noise.
#[derive(Default)]
struct Drawn {
    sequences: Vec<Sequence>,
    log_snrs: Vec<f64>,
    noise: Vec<f32>,
}

impl Drawn {
    fn append(&mut self, mut other: Self) {
        self.sequences.append(&mut other.sequences);
        self.log_snrs.append(&mut other.log_snrs);
        self.noise.append(&mut other.noise);
    }
}

/// Log signal-to-noise ratios of rows and their mean cross-entropies, (B,).
type Seen = (Vec<f64>, Tensor);

impl<'a> Pretraining<'a> {
    /// A run at step 0.
    ///
    /// # Errors
    /// When a configuration is out of range, or there are no sequences, or one has another length than the prior.
    pub fn new(
        shape: PriorConfig,
        config: PretrainConfig,
        data: &'a [Sequence],
        seed: Seed,
        pool: &'a Pool,
        device: &Device,
    ) -> Result<Self> {
        shape.check()?;
        config.check()?;
        if shape.denoiser.layers == 0 {
            return Err(Error::usage("`denoiser.layers` is 0: there is nothing to train; 1 to 64 is accepted")
                .hint("independent uniform letters are the prior `uniform:ALPHABET:LENGTH`"));
        }
        if data.is_empty() {
            return Err(Error::data("no sequences to train on; at least one is needed"));
        }
        data.iter().try_for_each(|x| shape.check_length(x))?;
        let params = Params::trainable(seed.child("weights"), DType::F32, device);
        let alphabet = Prior::new(&shape, &params)?.alphabet().clone();
        let (lr, weight_decay) = (config.learning_rate, config.weight_decay);
        let settings = AdamWConfig { lr, weight_decay, clip_norm: Some(1.0), ..AdamWConfig::default() };
        let sites = params.child("denoiser").child(SITES);
        if shape.sites {
            let other = |x: &Sequence| x.reverse_complement(&alphabet).filter(|_| config.reverse_complement);
            let shown: Vec<Sequence> = data.iter().cloned().chain(data.iter().filter_map(other)).collect();
            sites::fill(&sites, &shown, shape.length, &alphabet)?;
        }
        let learner =
            Learner::new(params, settings, config.ema, config.steps)?.with_share(&format!("denoiser.{SITES}"), 0.0);
        Ok(Self {
            shape,
            config,
            data,
            seed,
            pool,
            device: device.clone(),
            learner,
            joined: !device.is_cpu(),
            recompute: false,
        })
    }

    /// The same run with blocks that keep no activations ([`recompute`](crate::nn::recompute())): less memory, more time, the
    /// same bytes.
    #[must_use]
    pub fn recomputing(self, recompute: bool) -> Self {
        Self { recompute, ..self }
    }

    /// The shape with the measured loss profile, to be stored with the weights.
    #[must_use]
    pub fn shape(&self) -> &PriorConfig {
        &self.shape
    }

    /// The prior with the averaged weights so far.
    ///
    /// # Errors
    /// When a tensor cannot be copied.
    pub fn prior(&self) -> Result<Prior> {
        Prior::new(&self.shape, &Params::frozen(self.weights(), &self.device))
    }

    /// What a shard of some rows draws from its seed.
    fn draw(&self, (seed, rows): (Seed, usize), alphabet: &Alphabet) -> Drawn {
        let (length, dim) = (self.shape.length, self.shape.embedding_dim);
        let mut rng = seed.rng();
        let mut sequences = Vec::with_capacity(rows);
        for _ in 0..rows {
            let chosen = &self.data[rng.below(self.data.len())];
            let other = if self.config.reverse_complement && rng.uniform() < 0.5 {
                chosen.reverse_complement(alphabet)
            } else {
                None
            };
            sequences.push(other.unwrap_or_else(|| chosen.clone()));
        }
        let (first, last) = self.shape.range();
        let (from, to) = (self.shape.warp.cumulative(first), self.shape.warp.cumulative(last));
        let log_snrs: Vec<f64> = (0..rows)
            .map(|row| self.shape.warp.quantile(from + (to - from) * (row as f64 + rng.uniform()) / rows as f64))
            .collect();
        Drawn { sequences, log_snrs, noise: rng.normals(rows * length * dim) }
    }

    /// The loss of the rows of some shards in one graph.
    fn loss(&self, shards: &[(Seed, usize)]) -> Result<(Gradients, Seen)> {
        let prior = Prior::new(&self.shape, self.learner.params())?;
        let mut drawn = Drawn::default();
        for shard in shards {
            drawn.append(self.draw(*shard, prior.alphabet()));
        }
        let Drawn { sequences, log_snrs, noise: epsilon } = drawn;
        let (rows, length, dim) = (sequences.len(), self.shape.length, self.shape.embedding_dim);
        let refs: Vec<&Sequence> = sequences.iter().collect();
        let ids = Codec::ids(&refs, prior.alphabet(), length, &self.device)?;
        let (mut signal, mut noise) = (Vec::with_capacity(rows), Vec::with_capacity(rows));
        for log_snr in &log_snrs {
            let scales = Scales::at_log_snr(*log_snr);
            signal.push(scales.signal as f32);
            noise.push(scales.noise as f32);
        }
        let column = |values: Vec<f32>| Tensor::from_vec(values, (rows, 1, 1), &self.device);
        let epsilon = Tensor::from_vec(epsilon, (rows, length, dim), &self.device)?;
        let clean = prior.codec().embed(&ids, rows)?;
        let z = (clean.broadcast_mul(&column(signal)?)? + epsilon.broadcast_mul(&column(noise)?)?)?;
        let logits = prior.belief(&z, &log_snrs)?;
        let losses = cross_entropy(&logits.reshape((rows * length, prior.alphabet().len()))?, &ids)?;
        let per_row = losses.reshape((rows, length))?.mean(1)?;
        let loss = (per_row.sum_all()? / self.config.batch as f64)?;
        let gradients = gradients(&loss, &self.learner.params().vars())?;
        Ok((gradients, (log_snrs, per_row.detach())))
    }
}

impl Training for Pretraining<'_> {
    fn total(&self) -> u64 {
        self.config.steps
    }

    fn done(&self) -> u64 {
        self.learner.done()
    }

    fn step(&mut self) -> Result<Figures> {
        let seed = self.seed.child("step").index(self.done());
        let (batch, shard) = (self.config.batch, self.config.shard.min(self.config.batch));
        let shards: Vec<(Seed, usize)> =
            (0..batch.div_ceil(shard)).map(|i| (seed.index(i as u64), shard.min(batch - i * shard))).collect();
        let graphs: Vec<_> = shards.chunks(if self.joined { shards.len() } else { 1 }).collect();
        let (sums, seen) = over_shards(self.pool, graphs.len(), |i| {
            if self.recompute { recompute(|| self.loss(graphs[i])) } else { self.loss(graphs[i]) }
        })?;
        let next = self.done() + 1;
        let (log_snrs, figures): (Vec<Vec<f64>>, Vec<Tensor>) = seen.into_iter().unzip();
        let figures: Vec<&Tensor> = figures.iter().collect();
        let warp = &mut self.shape.warp;
        let Learnt { figures: loss, norm, rate } = self.learner.learn(&sums, self.pool, &figures, |rows| {
            let mut loss = 0.0;
            for (log_snr, value) in log_snrs.iter().flatten().zip(rows.iter().flatten()) {
                warp.record(*log_snr, *value);
                loss += value / batch as f64;
            }
            if loss.is_finite() {
                return Ok(loss);
            }
            Err(Error::device(format!("the loss is {loss} at step {next}"))
                .hint("lower the learning rate and run again with --resume"))
        })?;
        Ok(vec![("loss", loss), ("gradient_norm", norm), ("learning_rate", rate)])
    }

    fn state(&self) -> Result<Tensors> {
        let mut state = self.learner.state()?;
        state.insert("warp".to_owned(), self.shape.warp.tensor()?);
        Ok(state)
    }

    fn restore(&mut self, done: u64, state: &Tensors) -> Result<()> {
        let warp = state.get("warp").ok_or_else(|| Error::integrity("the checkpoint lacks `warp`"))?;
        let (first, last) = self.shape.range();
        self.shape.warp = Warp::from_tensor(first, last, warp)?;
        self.learner.restore(done, state)
    }

    fn weights(&self) -> Tensors {
        self.learner.weights().clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diffusion::DenoiserConfig;

    #[test]
    fn shards_in_one_graph_give_the_same_figures() {
        let (dna, mut rng) = (Alphabet::dna(), Seed::root(2).rng());
        let mut word = || Sequence::from_ids((0..5).map(|_| rng.below(4) as u8).collect::<Vec<_>>(), &dna).unwrap();
        let data: Vec<Sequence> = (0..20).map(|_| word()).collect();
        let mut shape = PriorConfig::new(&dna, 5);
        shape.denoiser = DenoiserConfig { dim: 8, layers: 1, heads: 2 };
        let config = PretrainConfig { steps: 100, batch: 10, shard: 4, ..PretrainConfig::default() };
        let pool = Pool::new(2).unwrap();
        let figures = |joined: bool, recompute: bool| {
            let (shape, config) = (shape.clone(), config.clone());
            let run = Pretraining::new(shape, config, &data, Seed::root(1), &pool, &Device::Cpu).unwrap();
            let mut run = run.recomputing(recompute);
            run.joined = joined;
            (0..3).flat_map(|_| run.step().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(figures(false, false), figures(false, true));
        // sums in f32 in another order
        for ((name, apart), (_, joined)) in figures(false, false).into_iter().zip(figures(true, false)) {
            assert!((apart - joined).abs() < 1e-5 * (1.0 + apart.abs()), "{name}: {apart} {joined}");
        }
    }
}
