//! Memory of a fine-tuning run, before it starts.

use super::objective::soft_q_capacity;
use super::{ControlConfig, ControlKind, FinetuneConfig, OBJECTIVES};
use crate::diffusion::{DenoiserConfig, PriorConfig};
use crate::nn::Footprint;
use crate::reward::Needs;

/// What a chain's length is made of.
#[derive(Clone, Copy, Debug)]
pub struct Walked {
    /// Steps, K.
    pub steps: usize,
    /// Steps between two calls of the networks.
    pub hold: usize,
}

impl FinetuneConfig {
    /// Memory of training on so many threads, keeping the activations of `keep` blocks of steps.
    #[must_use]
    pub fn footprint(&self, prior: &PriorConfig, walked: Walked, threads: usize, keep: usize) -> Footprint {
        let (rows, state) = (self.shard.min(self.batch) as u64, (prior.length * prior.embedding_dim) as u64);
        let blocks = walked.steps.div_ceil(walked.hold.max(1));
        // a stretch is walked by itself; two blocks of it are kept at least
        let stretch = self.lookahead.map_or(blocks, |steps| steps.div_ceil(walked.hold.max(1)).min(blocks)).max(1);
        let copies = OBJECTIVES.get(&self.objective).map_or(1, |entry| (entry.make)(self).copies());
        let graphs = keep.max(2).min(stretch).max(copies);
        let activations = rows.saturating_mul(graphs as u64).saturating_mul(self.graph(prior, walked.hold))
            + self.control.scratch(prior);
        let paths = rows * state * (stretch * (walked.hold + 2)) as u64;
        let weights = self.control.weights(prior);
        let training =
            Footprint::of_training(weights, self.batch.div_ceil(rows.max(1) as usize), threads, activations, paths);
        Footprint { paths: training.paths.saturating_add(self.kept(prior, walked)), ..training }
    }

    /// Bytes of the paths that a method of kept paths keeps.
    fn kept(&self, prior: &PriorConfig, walked: Walked) -> u64 {
        let Ok(entry) = OBJECTIVES.get(&self.objective) else { return 0 };
        let objective = (entry.make)(self);
        let scores = objective.needs() == Needs::Score;
        let state = prior.length * prior.embedding_dim;
        let step = match objective.kept_states() {
            0 if scores => {
                // letters, value, ratio and epoch of every end
                let ends = 8 * (prior.length + 3) as u64 * self.replay.capacity.unwrap_or(0).max(self.batch) as u64;
                return ends.min(2 * self.replay.bytes());
            }
            0 => 0,
            states => states * state + prior.length * prior.letters.len(),
        };
        let batch = 4 * (self.batch as u64).saturating_mul((walked.steps * step) as u64);
        // states, and where densities are weighed innovations; a checkpoint holds them twice
        let path = 8 * ((walked.steps + 1) * state * if scores { 2 } else { 1 }) as u64;
        let capacity = if scores { self.replay.capacity.unwrap_or(0) } else { soft_q_capacity(self) };
        let ring = path.saturating_mul(capacity as u64).min(2 * self.replay.bytes());
        batch.saturating_add(if objective.replays() { ring } else { 0 })
    }

    /// The most blocks of steps whose activations fit into so many bytes.
    #[must_use]
    pub fn fitting(&self, prior: &PriorConfig, walked: Walked, threads: usize, bytes: u64) -> usize {
        let blocks = walked.steps.div_ceil(walked.hold.max(1));
        let fits = |keep: &usize| self.footprint(prior, walked, threads, *keep).total() <= bytes;
        (3..=blocks).rev().find(fits).unwrap_or(0)
    }

    /// Numbers in the graph of one block of steps of one path.
    fn graph(&self, prior: &PriorConfig, hold: usize) -> u64 {
        let (length, embedding, letters) = (prior.length, prior.embedding_dim, prior.letters.len());
        let tokens = (length * (embedding + letters)) as u64;
        let control = match self.control.kind {
            ControlKind::Transformer => self.control.network().activations(length, embedding, letters, false),
            ControlKind::Mlp => (8 * self.control.dim * (self.control.layers + 1)) as u64 + 3 * tokens,
            // beliefs before and after the tilt of every step
            ControlKind::ProductMixture => (hold * 2 * length * letters) as u64,
            // words of both halves, their products with the table and the masses, with gradients
            ControlKind::WordTable => hold as u64 * (16 * words(letters, length.div_ceil(2)) + 12 * tokens),
        };
        // evidence, context and beliefs, each with its gradient
        prior.denoiser.activations(length, embedding, letters, false) + control + 12 * tokens
    }
}

impl ControlConfig {
    fn network(&self) -> DenoiserConfig {
        DenoiserConfig { dim: self.dim, layers: self.layers, heads: self.heads }
    }

    /// Numbers that a shard needs whatever its rows.
    fn scratch(&self, prior: &PriorConfig) -> u64 {
        match self.kind {
            // logits, factors and their gradients, in both orders
            ControlKind::ProductMixture => 8 * self.weights(prior),
            // the table and its gradient, in both orders
            ControlKind::WordTable => 4 * self.weights(prior),
            ControlKind::Mlp | ControlKind::Transformer => 0,
        }
    }

    /// Weights of the control.
    fn weights(&self, prior: &PriorConfig) -> u64 {
        let (length, embedding, letters) = (prior.length, prior.embedding_dim, prior.letters.len());
        let dim = self.dim as u64;
        match self.kind {
            ControlKind::Transformer => self.network().weights(length, embedding, letters),
            ControlKind::Mlp => {
                let ends = (length * (embedding + 2 * letters)) as u64;
                dim * (ends + 2 * dim) + self.layers as u64 * 3 * dim * dim
            }
            ControlKind::ProductMixture => dim * (length * letters + 1) as u64,
            ControlKind::WordTable => words(letters, length),
        }
    }
}

/// Words of a length.
fn words(letters: usize, length: usize) -> u64 {
    (letters as u64).saturating_pow(length as u32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sequence::Alphabet;

    #[test]
    fn methods_of_kept_paths_pay_for_them() {
        let prior = PriorConfig::new(&Alphabet::protein(), 100);
        let (walked, config) = (Walked { steps: 64, hold: 4 }, FinetuneConfig::default());
        let paths = |objective: &str| {
            FinetuneConfig { objective: objective.to_owned(), ..config.clone() }.footprint(&prior, walked, 2, 0).paths
        };
        // 256 paths of 64 steps of 100 letters: state, noise and mean of 16 numbers each and 20 beliefs, 4 bytes each
        assert_eq!(paths("ppo") - paths("control"), 256 * 64 * 100 * (3 * 16 + 20) * 4);
        // the same, and the adjoint
        assert_eq!(paths("adjoint-matching") - paths("ppo"), 256 * 64 * 100 * 16 * 4);
        // 1024 paths of 65 states of 1600 numbers are more than the 256 MiB that they may take, and a checkpoint's as much again
        assert_eq!(paths("sqdf") - paths("control"), 512 << 20);
    }

    #[test]
    fn keeping_costs_memory_and_as_many_blocks_are_kept_as_fit() {
        let prior = PriorConfig::new(&Alphabet::protein(), 60);
        let config = FinetuneConfig { batch: 64, shard: 16, ..FinetuneConfig::default() };
        let walked = Walked { steps: 64, hold: 4 };
        let total = |keep| config.footprint(&prior, walked, 4, keep).total();
        assert!(total(16) > 8 * (total(3) - total(2)) && total(16) == total(99) && total(0) == total(2));
        for keep in [3, 9, 16] {
            assert_eq!(config.fitting(&prior, walked, 4, total(keep)), keep);
        }
        assert_eq!(config.fitting(&prior, walked, 4, 0), 0);
        let cut = FinetuneConfig { lookahead: Some(40), ..config };
        let total = |keep| cut.footprint(&prior, walked, 4, keep).total();
        assert!(total(2) < total(9) && total(9) < total(10) && total(10) == total(99));
    }

    #[test]
    fn the_weights_of_a_mixture_and_a_transformer_are_counted_exactly() {
        use crate::diffusion::{DiffusionChain, Grid, Prior, SolverKind};
        use crate::finetune::TokenControl;
        use crate::nn::check;
        let shape = PriorConfig::new(&Alphabet::dna(), 5);
        let prior = Prior::new(&shape, &check::params_f32()).unwrap();
        let chain = DiffusionChain::new(std::sync::Arc::new(prior), 4, 2, Grid::Time, SolverKind::Ancestral).unwrap();
        for kind in [ControlKind::ProductMixture, ControlKind::Transformer] {
            let (config, params) =
                (ControlConfig { kind, dim: 8, layers: 1, heads: 2, ..ControlConfig::default() }, check::params_f32());
            TokenControl::new(&chain, &config, &params).unwrap();
            assert_eq!(config.weights(&shape), params.count() as u64);
        }
    }
}
